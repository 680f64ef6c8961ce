//! Texts with names in double braces, `https://api.example.com/items/{{ key.id }}`: how they are written, and how a value is put
//! in so that it stays one value. Knows no names itself: whoever renders says what they stand for.
//!
//! Values come in as JSON texts. In a URL and a form they are percent-encoded, in a header and in plain text they stand as text.
//! In a JSON body a name inside a string is continued as part of that string (`"id-{{ key.id }}"`), and a name anywhere else
//! stands for the whole value (`{"after": {{ cursor }}}`), `null` where there is none.

use std::borrow::Cow;

use wharf_sdk::http::encode;
use wharf_sdk::json::json_string;

/// What a template becomes part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A whole URL.
    Url,
    Header,
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    Text,
    /// The value of a parameter of a URL's query: its fixed parts are encoded too.
    Query,
}

impl Form {
    /// The form of a body, by the content type that goes with it.
    #[must_use]
    pub fn of_body(content_type: &str) -> Self {
        let lower = content_type.to_ascii_lowercase();
        if lower.contains("json") {
            Self::Json
        } else if lower.starts_with("application/x-www-form-urlencoded") {
            Self::Form
        } else {
            Self::Text
        }
    }
}

/// A template that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Fixed(String),
    Name(String, Place),
}

/// Where in its form a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the path of a URL.
    Path,
    /// Encoded for a URL.
    Encoded,
    /// As text on one line.
    Line,
    Text,
    InsideString,
    WholeValue,
}

/// A text that is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    #[error("`{{{{` at character {0} is not closed by `}}}}`")]
    Open(usize),
    #[error("`{{{{` at character {0} has no name behind it")]
    Nameless(usize),
    #[error("`{{{{ {name} }}}}` is not known here: known are {known}{}", nearest.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    Unknown { name: String, known: String, nearest: Option<String> },
    #[error("with its names filled in it is no JSON: {0}")]
    Json(String),
}

/// Why a template cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// There is no value, or it is null.
    #[error("`{0}` has no value")]
    Missing(String),
    /// In the path of a URL an empty part, `.` or `..` would name something else.
    #[error("`{0}` is empty, `.` or `..`, which would lead to another address")]
    Elsewhere(String),
    #[error("`{0}` has characters that no header can hold")]
    Header(String),
    #[error("`{0}` has half of a character (a lone surrogate), which no text can hold")]
    Half(String),
}

impl Template {
    /// # Errors
    /// [`BadTemplate`].
    pub fn parse(text: &str, form: Form) -> Result<Self, BadTemplate> {
        let (mut parts, mut rest, mut at) = (Vec::new(), text, 0);
        let mut state = State::new(form);
        while let Some(open) = rest.find("{{") {
            let (fixed, behind) = rest.split_at_checked(open).unwrap_or((rest, ""));
            at += fixed.chars().count();
            state.pass(fixed);
            push_fixed(&mut parts, fixed, form);
            let close = behind.find("}}").ok_or(BadTemplate::Open(at + 1))?;
            let name = behind.get(2..close).unwrap_or_default().trim();
            if name.is_empty() || name.contains(['{', '"']) {
                return Err(BadTemplate::Nameless(at + 1));
            }
            parts.push(Part::Name(name.to_owned(), state.place()));
            let (taken, behind) = behind.split_at_checked(close + 2).unwrap_or((behind, ""));
            at += taken.chars().count();
            rest = behind;
        }
        push_fixed(&mut parts, rest, form);
        let template = Self { parts, form };
        if form == Form::Json {
            template.check_json()?;
        }
        Ok(template)
    }

    /// Any text in place of the names has to make one JSON text.
    fn check_json(&self) -> Result<(), BadTemplate> {
        // As a number a name may become one with a digit beside it, and as a text with a quote.
        for value in ["0", "\"x\""] {
            let filled = self.render(|_| Some(Cow::Borrowed(value))).unwrap_or_default();
            serde_json::from_str::<serde::de::IgnoredAny>(&filled).map_err(|e| BadTemplate::Json(e.to_string()))?;
        }
        Ok(())
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name, _) => Some(name.as_str()),
            Part::Fixed(_) => None,
        })
    }

    #[must_use]
    pub const fn form(&self) -> Form {
        self.form
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// The names for which it cannot be filled in where they have no value.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(_, Place::WholeValue) | Part::Fixed(_) => None,
            Part::Name(name, _) => Some(name.as_str()),
        })
    }

    /// # Errors
    /// [`BadTemplate::Unknown`] for the first name that `is_known` does not know; `known` are shown.
    pub fn check_names(&self, known: &[&str], is_known: impl Fn(&str) -> bool) -> Result<(), BadTemplate> {
        let Some(name) = self.names().find(|name| !is_known(name)) else { return Ok(()) };
        let near = known.iter().map(|candidate| (strsim::damerau_levenshtein(candidate, name), *candidate)).min();
        let nearest =
            near.filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(2)).map(|(_, near)| near.to_owned());
        let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        Err(BadTemplate::Unknown { name: name.to_owned(), known, nearest })
    }

    /// The text with its names filled in. `value_of` gives the JSON text of a name; none and `null` are no value.
    ///
    /// # Errors
    /// [`Unfilled`], naming the name at fault.
    pub fn render<'v>(&self, mut value_of: impl FnMut(&str) -> Option<Cow<'v, str>>) -> Result<String, Unfilled> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Fixed(fixed) => text.push_str(fixed),
                Part::Name(name, place) => match value_of(name).filter(|value| value != "null") {
                    Some(value) => put(&mut text, name, &value, *place)?,
                    None if *place == Place::WholeValue => text.push_str("null"),
                    None => return Err(Unfilled::Missing(name.clone())),
                },
            }
        }
        // Fixed text and value may make a part of a path together.
        if self.form == Form::Url && leads_elsewhere(&text) {
            return Err(Unfilled::Elsewhere(self.names().next().unwrap_or_default().to_owned()));
        }
        Ok(text)
    }
}

/// Whether a part of the path is `.` or `..`. Servers and proxies may take an encoded separator for one: `..%2Fadmin` too.
fn leads_elsewhere(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.replace("%2F", "/").replace("%5C", "\\");
    path.split(['/', '\\']).skip(3).any(|part| part == "." || part == "..")
}

fn push_fixed(parts: &mut Vec<Part>, text: &str, form: Form) {
    if !text.is_empty() {
        parts.push(Part::Fixed(if form == Form::Query { encode(text) } else { text.to_owned() }));
    }
}

fn put(text: &mut String, name: &str, json: &str, place: Place) -> Result<(), Unfilled> {
    let plain = || plain(json).ok_or_else(|| Unfilled::Half(name.to_owned()));
    match place {
        Place::WholeValue => text.push_str(json),
        Place::InsideString if json.starts_with('"') => text.push_str(inner(json)),
        Place::InsideString => text.push_str(inner(&json_string(json))),
        Place::Text => text.push_str(&plain()?),
        Place::Path | Place::Encoded => {
            let value = plain()?;
            if place == Place::Path && value.is_empty() {
                return Err(Unfilled::Elsewhere(name.to_owned()));
            }
            text.push_str(&encode(&value));
        }
        Place::Line => {
            let value = plain()?;
            if value.chars().any(char::is_control) {
                return Err(Unfilled::Header(name.to_owned()));
            }
            text.push_str(&value);
        }
    }
    Ok(())
}

/// A JSON string without its quotes.
fn inner(string: &str) -> &str {
    string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(string)
}

/// A JSON string as the text it stands for, anything else as it is written. `None`: it stands for none.
fn plain(json: &str) -> Option<Cow<'_, str>> {
    if json.starts_with('"') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(json)) }
}

/// What was passed of a form: where the next name stands.
struct State {
    form: Form,
    /// Behind the `?` of a URL.
    in_query: bool,
    /// Inside a JSON string.
    in_string: bool,
}

impl State {
    const fn new(form: Form) -> Self {
        Self { form, in_query: false, in_string: false }
    }

    fn pass(&mut self, fixed: &str) {
        self.in_query |= fixed.contains('?');
        let mut escaped = false;
        for c in fixed.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if self.in_string => escaped = true,
                '"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }

    const fn place(&self) -> Place {
        match self.form {
            Form::Url if !self.in_query => Place::Path,
            Form::Url | Form::Query | Form::Form => Place::Encoded,
            Form::Header => Place::Line,
            Form::Text => Place::Text,
            Form::Json if self.in_string => Place::InsideString,
            Form::Json => Place::WholeValue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, form: Form, value: Option<&str>) -> Result<String, Unfilled> {
        Template::parse(text, form).unwrap().render(|_| value.map(Cow::Borrowed))
    }

    #[test]
    fn values_are_written_so_that_they_stay_one_value() {
        for (text, form, value, expected) in [
            ("https://h/items/{{ key.id }}", Form::Url, r#""a/b ü?""#, "https://h/items/a%2Fb%20%C3%BC%3F"),
            ("https://h/items?x={{id}}&y=1", Form::Url, r#""a&b=c""#, "https://h/items?x=a%26b%3Dc&y=1"),
            ("since:{{ since }}", Form::Query, r#""2024-05-01T10:00:00+02:00""#, "since%3A2024-05-01T10%3A00%3A00%2B02%3A00"),
            ("a {{ b }} c", Form::Header, "12345678901234567890.10", "a 12345678901234567890.10 c"),
            (r#"{"q": "x = '{{ v }}'"}"#, Form::Json, r#""say \"hi\"\n\\""#, r#"{"q": "x = 'say \"hi\"\n\\'"}"#),
            (r#"{"q": "{{ v }}"}"#, Form::Json, r#"{"a": "b"}"#, r#"{"q": "{\"a\": \"b\"}"}"#),
            (r#"{"after": {{ v }}, "n": {"m": {{v}}}}"#, Form::Json, r#""x""#, r#"{"after": "x", "n": {"m": "x"}}"#),
            ("after={{ v }}", Form::Form, r#""a b&c""#, "after=a%20b%26c"),
            ("{{ v }}!", Form::Text, r#""é\n""#, "é\n!"),
        ] {
            assert_eq!(render(text, form, Some(value)).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_name_without_a_value_is_null_as_a_whole_value_and_missing_elsewhere() {
        assert_eq!(render(r#"{"after": {{ v }}}"#, Form::Json, None).unwrap(), r#"{"after": null}"#);
        for (text, form) in [(r#"{"after": "{{ v }}"}"#, Form::Json), ("{{ v }}", Form::Query), ("https://h/{{ v }}", Form::Url)]
        {
            assert_eq!(render(text, form, Some("null")), Err(Unfilled::Missing("v".to_owned())), "{text}");
        }
    }

    #[test]
    fn a_value_leads_to_no_other_address_and_makes_no_second_header() {
        for value in ["\"\"", "\"..\"", "\".\"", "\"../admin\"", "\"a/../..\"", r#""..\\admin""#, "\"a/.\""] {
            let elsewhere = Err(Unfilled::Elsewhere("id".to_owned()));
            assert_eq!(render("https://h/items/{{ id }}", Form::Url, Some(value)), elsewhere, "{value}");
        }
        assert_eq!(
            render("https://h/{{ id }}", Form::Url, Some("\"https://x/..y\"")).unwrap(),
            "https://h/https%3A%2F%2Fx%2F..y"
        );
        assert_eq!(render("https://h/a.{{ id }}/b", Form::Url, Some("\".\"")).unwrap(), "https://h/a../b");
        assert!(render("https://h/.{{ id }}/b", Form::Url, Some("\".\"")).is_err());
        assert_eq!(render("x {{ id }}", Form::Header, Some(r#""a\r\nb""#)), Err(Unfilled::Header("id".to_owned())));
    }

    #[test]
    fn half_a_character_is_no_text_and_stays_as_it_is_in_json() {
        for (text, form) in
            [("https://h/{{ v }}", Form::Url), ("{{ v }}", Form::Header), ("a={{ v }}", Form::Form), ("{{ v }}", Form::Text)]
        {
            assert_eq!(render(text, form, Some(r#""\ud800""#)), Err(Unfilled::Half("v".to_owned())), "{text}");
        }
        assert_eq!(render(r#"{"a": {{ v }}}"#, Form::Json, Some(r#""\ud800""#)).unwrap(), r#"{"a": "\ud800"}"#);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let parse = |text: &str, form| Template::parse(text, form).unwrap_err().to_string();
        assert!(parse("a {{ b", Form::Text).contains("`{{` at character 3 is not closed"));
        assert!(parse("{{ }}", Form::Text).contains("no name"));
        assert!(parse(r#"{"a": {{ b }}"#, Form::Json).contains("no JSON"));
        assert!(parse(r#"{"a": 1{{ b }}}"#, Form::Json).contains("no JSON"));
        let template = Template::parse("{{ cursors }}", Form::Text).unwrap();
        let error = template.check_names(&["cursor", "page"], |name| name == "cursor").unwrap_err().to_string();
        assert!(error.contains("`{{ cursors }}` is not known here") && error.contains("did you mean `cursor`?"), "{error}");
    }
}
