//! The configuration once it is checked as a whole: templates, paths and kinds that fit together. Sends nothing.

use std::time::Duration;

use wharf_http_rules::headers;
use wharf_http_rules::jsonpath::JsonPath;
use wharf_http_rules::template::{Form, Template};
use wharf_sdk::duration;

use crate::config::{Config, Format, Order, Pagination, WrittenOverlap};
use crate::cursor::{Cursor, Kind, Overlap};
use crate::request::Requests;

/// What a time cursor is read again by where nothing is said.
const OVERLAP: Duration = Duration::from_secs(60);

/// What is read, and how.
#[derive(Debug)]
pub struct Plan {
    pub config: Config,
    pub requests: Requests,
    /// The fields of the key, and their names in it.
    pub key: Vec<JsonPath>,
    pub key_names: Vec<String>,
    pub cursor: Option<JsonPath>,
    pub initial: Option<Cursor>,
    pub overlap: Option<Overlap>,
}

impl Plan {
    /// # Errors
    /// One sentence that names the key at fault.
    pub fn new(config: Config) -> Result<Self, String> {
        headers::check_url(&config.url, "[source.auth]")?;
        headers::check(config.headers.keys().map(String::as_str), "[source.auth]")?;
        let path = |key: &str, text: &str| JsonPath::path_or_field(text).map_err(|e| format!("`config.{key}`: {e}"));
        let cursor = config.cursor.as_deref().map(|text| path("cursor", text)).transpose()?;
        if let Some(path) = cursor.as_ref().filter(|path| !path.is_single()) {
            return Err(format!("`config.cursor` is `{path}`: give a path to one value of a record"));
        }
        let (mut key, mut key_names) = (Vec::new(), Vec::new());
        for text in &config.key {
            let path = path("key", text)?;
            let name = path.last_name().ok_or_else(|| format!("`config.key` has `{path}`: give a path to one named value"))?;
            let name = name.to_owned();
            if key_names.contains(&name) {
                return Err(format!("`config.key` has two fields named `{name}`"));
            }
            key_names.push(name);
            key.push(path);
        }
        let plan = Self {
            overlap: overlap(&config)?,
            initial: initial(&config)?,
            requests: Requests::new(&config)?,
            key,
            key_names,
            cursor,
            config,
        };
        plan.check_pages()?;
        plan.check_cursor()?;
        Ok(plan)
    }

    fn check_pages(&self) -> Result<(), String> {
        let config = &self.config;
        let lines = config.format == Format::JsonLines;
        if lines && (config.next.is_some() || config.more.is_some() || config.fail_if.is_some()) {
            return Err(
                "`config.next`, `more` and `fail-if` look into one JSON text: they go with format = \"json\" alone".to_owned()
            );
        }
        if lines && config.records.as_str() != "$" {
            return Err("`config.records` goes with format = \"json\" alone: of JSON Lines each line is a record".to_owned());
        }
        let by_cursor = config.pagination == Pagination::Cursor;
        if by_cursor != config.next.is_some() {
            return Err(
                "pagination = \"cursor\" and `config.next` go together: `next` selects what leads to the next page".to_owned()
            );
        }
        for (pagination, name, written) in [(Pagination::Page, "page", "page"), (Pagination::Offset, "offset", "offset")] {
            if config.pagination == pagination && !self.requests.has(name) {
                return Err(format!(
                    "pagination = \"{written}\" needs `{{{{ {name} }}}}` in a template, such as query = {{ {name} = \"{{{{ {name} }}}}\" }}"
                ));
            }
        }
        if config.more.is_some() && config.pagination == Pagination::None && config.order == Order::Any {
            return Err(
                "`config.more` says whether there is another page, and pagination = \"none\" has none: set `config.pagination`, or leave it out"
                    .to_owned(),
            );
        }
        if config.page_size == Some(0) {
            return Err("`config.page-size` is 0: give at least 1".to_owned());
        }
        Ok(())
    }

    fn check_cursor(&self) -> Result<(), String> {
        let config = &self.config;
        if self.cursor.is_none() {
            let without = [
                ("cursor-type", config.cursor_type.is_some()),
                ("overlap", config.overlap.is_some()),
                ("initial", config.initial.is_some()),
            ];
            if let Some((name, _)) = without.iter().find(|(_, given)| *given) {
                return Err(format!("`config.{name}` is about `config.cursor`, which is missing"));
            }
        }
        if config.order == Order::Ascending && !(self.cursor.is_some() && self.requests.has("since")) {
            return Err("order = \"ascending\" needs `config.cursor`, and `{{ since }}` in a template".to_owned());
        }
        if config.order == Order::Ascending && config.pagination == Pagination::None && config.page_size.is_none() {
            return Err(
                "order = \"ascending\" with pagination = \"none\" needs `config.page-size`, the most records that the API gives at a time: by it a page is known that one cursor fills"
                    .to_owned(),
            );
        }
        if let Some(name) = self.requests.needed().find(|name| *name == "cursor" || *name == "since" && self.initial.is_none()) {
            let instead = if name == "since" { "give `config.initial`, or put it" } else { "put it" };
            return Err(format!(
                "`{{{{ {name} }}}}` has no value in the first request: {instead} into `config.query`, where it is left out then"
            ));
        }
        Ok(())
    }

    /// What is asked for, and looked at, after a round whose highest cursor this was.
    #[must_use]
    pub fn floor(&self, high: &Cursor) -> Cursor {
        high.before(self.overlap_of(high.kind()))
    }

    /// The age from which on records are read again; `None` for texts, which have no age.
    #[must_use]
    pub fn oldest(&self, high: &Cursor) -> Option<i64> {
        self.floor(high).age()
    }

    fn overlap_of(&self, kind: Kind) -> Option<Overlap> {
        match (kind, self.overlap) {
            (Kind::Time, None) => Some(Overlap::Time(OVERLAP)),
            (Kind::Number, None) => Some(Overlap::Number(0)),
            (Kind::Time, found @ Some(Overlap::Time(_))) | (Kind::Number, found @ Some(Overlap::Number(_))) => found,
            _ => None,
        }
    }
}

fn overlap(config: &Config) -> Result<Option<Overlap>, String> {
    match &config.overlap {
        None => Ok(None),
        Some(WrittenOverlap::Number(number)) => Ok(Some(Overlap::Number(*number))),
        Some(WrittenOverlap::Duration(text)) => {
            let by = duration::parse(text).map_err(|e| format!("`config.overlap`: {e}"))?;
            Ok(Some(Overlap::Time(by)))
        }
    }
}

fn initial(config: &Config) -> Result<Option<Cursor>, String> {
    let Some(initial) = &config.initial else { return Ok(None) };
    let found = Cursor::read(initial.get(), config.cursor_type);
    found.map(Some).ok_or_else(|| format!("`config.initial` is {initial}, which is no cursor of `config.cursor-type`"))
}

/// A template of the key `key`, whose names are among `known`.
pub fn template(key: &str, text: &str, form: Form, known: &[&str]) -> Result<Template, String> {
    let fault = |e| format!("`config.{key}`: {e}");
    let template = Template::parse(text, form).map_err(fault)?;
    template.check_names(known, |name| known.contains(&name)).map_err(fault)?;
    Ok(template)
}
