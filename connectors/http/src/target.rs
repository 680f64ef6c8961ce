//! What is made for each record by a template: its URL, headers and body, and the request that deletes. Sends nothing.

use std::borrow::Cow;

use serde_json::value::RawValue;
use wharf_http_rules::jsonpath::JsonPath;
use wharf_http_rules::template::{BadTemplate, Form, Template, Unfilled};
use wharf_sdk::json::json_string;
use wharf_sdk::{Record, Rejection};

use crate::config::{Body, Config, Include, Tombstones};
use crate::element::Element;

/// The longest URL, in bytes. Few servers take more, and beyond 64 KiB it cannot be sent at all.
const LONGEST_URL: usize = 8 << 10;
/// What templates may name.
const KNOWN: [&str; 8] = ["key.FIELD", "value.FIELD", "key", "value", "topic", "partition", "offset", "timestamp"];

/// The templates of a configuration that has any.
#[derive(Debug, Clone, PartialEq)]
pub struct Templates {
    url: Template,
    headers: Vec<(String, Template)>,
    body: Option<Template>,
}

/// Where one record goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub method: &'static str,
    pub url: String,
    /// All but the content type.
    pub headers: Vec<(String, String)>,
}

/// What a name stands for.
enum Name {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key(JsonPath),
    Value(JsonPath),
}

impl Templates {
    /// `None`: the configuration has none, and all records go to one place.
    ///
    /// # Errors
    /// One sentence that names the key at fault.
    pub fn new(config: &Config) -> Result<Option<Self>, String> {
        let template = |key: &str, text: &str, form| parse(text, form).map_err(|e| format!("`config.{key}`: {e}"));
        if config.content_type().contains("{{") {
            return Err(
                "`config.headers` has a template in its content type, by which the form of the body is known: give one text"
                    .to_owned(),
            );
        }
        let url = template("url", &config.url, Form::Url)?;
        let mut headers = Vec::new();
        for (name, value) in config.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type")) {
            headers.push((name.clone(), template(&format!("headers.{name}"), value, Form::Header)?));
        }
        let form = Form::of_body(config.content_type());
        let body = config.body_template.as_ref().map(|text| template("body-template", text, form)).transpose()?;
        let named = url.names().next().is_some() || headers.iter().any(|(_, template)| template.names().next().is_some());
        if config.tombstones == Tombstones::Delete {
            let is_of =
                |name: &str, part: &str| name == part || name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
            if !url.names().any(|name| is_of(name, "key")) {
                return Err("`config.tombstones` = \"delete\" needs the record's key in `config.url`, as `/items/{{ key.id }}`: without it, it would delete all of them".to_owned());
            }
            let named = [("url".to_owned(), &url)].into_iter();
            let mut named = named.chain(headers.iter().map(|(name, template)| (format!("headers.{name}"), template)));
            if let Some((at, _)) = named.find(|(_, template)| template.names().any(|name| is_of(name, "value"))) {
                return Err(format!(
                    "`config.{at}` names the value, and `tombstones` = \"delete\" is about records that have none: name fields of the key"
                ));
            }
        }
        if !named && body.is_none() {
            return Ok(None);
        }
        if config.body != Body::Record {
            return Err(
                "templates are filled in for each record: they need `config.body` = \"record\" (body = \"record\")".to_owned()
            );
        }
        if body.is_some() && (config.include == Include::Record || config.id_field.is_some()) {
            return Err("`config.body-template` makes the body: leave out `config.include` and `config.id-field`".to_owned());
        }
        Ok(Some(Self { url, headers, body }))
    }

    /// # Errors
    /// [`Rejection`] `http.template` where the record has no value for a name, or one that cannot stand there.
    pub fn target(&self, config: &Config, record: &Record<'_>) -> Result<Target, Rejection> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, template) in &self.headers {
            headers.push((name.clone(), fill(template, &format!("headers.{name}"), record)?));
        }
        let deletes = record.value.is_none() && config.tombstones == Tombstones::Delete;
        let method = if deletes { DELETE } else { config.method.name() };
        let url = fill(&self.url, "url", record)?;
        if url.len() > LONGEST_URL {
            let message = format!("the URL has {} bytes, of at most {LONGEST_URL} (config.url)", url.len());
            return Err(Rejection::new("http.template", message));
        }
        Ok(Target { method, url, headers })
    }

    /// The body that the template makes; `None`: there is no template for it.
    ///
    /// # Errors
    /// As for [`Templates::target`]; and `value.json`, `key.json` or `key.text` for what cannot be read, where JSON is sent.
    pub fn body(&self, record: &Record<'_>) -> Result<Option<Vec<u8>>, Rejection> {
        let Some(template) = &self.body else { return Ok(None) };
        check_json(template, record)?;
        fill(template, "body-template", record).map(|body| Some(body.into_bytes()))
    }
}

const DELETE: &str = "DELETE";

impl Target {
    #[must_use]
    pub fn has_no_body(&self) -> bool {
        self.method == DELETE
    }
}

/// Whether this status says of a record to delete that it is not there.
#[must_use]
pub fn is_gone(config: &Config, element: Option<&Element<'_>>, status: u16) -> bool {
    let deletes = element.and_then(|element| element.target.as_deref()).is_some_and(Target::has_no_body);
    deletes && matches!(status, 404 | 410) && !config.reject.has(status)
}

fn parse(text: &str, form: Form) -> Result<Template, BadTemplate> {
    let template = Template::parse(text, form)?;
    template.check_names(&KNOWN, |name| Name::read(name).is_some())?;
    Ok(template)
}

/// In JSON a name without a value is null. What cannot be read at all would be null too, and so overwrite good data.
fn check_json(template: &Template, record: &Record<'_>) -> Result<(), Rejection> {
    if template.form() != Form::Json {
        return Ok(());
    }
    if record.value.is_some() {
        record.json::<&RawValue>()?;
    }
    let Some(key) = record.key else { return Ok(()) };
    if template.names().any(|name| name.starts_with("key."))
        && let Err(why) = serde_json::from_slice::<&RawValue>(key)
    {
        return Err(Rejection::new(
            "key.json",
            format!("`config.body-template` names a field of the key, which is no JSON: {why}"),
        ));
    }
    if template.has("key") && std::str::from_utf8(key).is_err() {
        return Err(Rejection::new("key.text", "`config.body-template` names the key, which is neither JSON nor UTF-8 text"));
    }
    Ok(())
}

fn fill(template: &Template, key: &str, record: &Record<'_>) -> Result<String, Rejection> {
    template.render(|name| Name::read(name)?.json(record)).map_err(|unfilled| {
        let (Unfilled::Missing(name) | Unfilled::Elsewhere(name) | Unfilled::Header(name) | Unfilled::Half(name)) = &unfilled;
        let rejection = Rejection::new("http.template", format!("{unfilled} (config.{key})"));
        match name.strip_prefix("value.") {
            Some(fields) => rejection.at(format!("/{}", fields.replace('~', "~0").replace('/', "~1").replace('.', "/"))),
            None => rejection,
        }
    })
}

impl Name {
    fn read(name: &str) -> Option<Self> {
        Some(match name.split_once('.') {
            None => match name {
                "topic" => Self::Topic,
                "partition" => Self::Partition,
                "offset" => Self::Offset,
                "timestamp" => Self::Timestamp,
                "key" => Self::Key(JsonPath::root()),
                "value" => Self::Value(JsonPath::root()),
                _ => return None,
            },
            Some(("key", fields)) => Self::Key(JsonPath::fields(fields.split('.'))),
            Some(("value", fields)) => Self::Value(JsonPath::fields(fields.split('.'))),
            Some(_) => return None,
        })
    }

    /// Its JSON text in a record.
    fn json<'a>(&self, record: &Record<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::Topic => Some(json_string(record.topic).into()),
            Self::Partition => Some(record.partition.to_string().into()),
            Self::Offset => Some(record.offset.to_string().into()),
            Self::Timestamp => {
                let time = jiff::Timestamp::from_millisecond(record.timestamp?).ok()?;
                Some(json_string(&format!("{time:.6}")).into())
            }
            Self::Key(path) => of(record.key?, path),
            Self::Value(path) => of(record.value?, path),
        }
    }
}

/// What a path selects; of what is no JSON the whole as a text.
fn of<'a>(bytes: &'a [u8], path: &JsonPath) -> Option<Cow<'a, str>> {
    let text = std::str::from_utf8(bytes).ok()?;
    match path.first(text) {
        Ok(found) => found.map(Cow::Borrowed),
        Err(_) if path == &JsonPath::root() => Some(json_string(text).into()),
        Err(_) => None,
    }
}
