//! The `config` table of a csv source. Owns its keys, defaults and what must not be combined; opens no file.

use std::collections::BTreeMap;
use std::time::Duration;

use glob::Pattern;
use serde::Deserialize;
use wharf_sdk::{Context, Error, Result, duration};

use crate::kind::Kind;

/// The table as the operator wrote it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    path: String,
    #[serde(default = "any")]
    pattern: String,
    format: Option<Format>,
    delimiter: Option<String>,
    quote: Option<String>,
    #[serde(default = "yes")]
    header: bool,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    types: BTreeMap<String, Kind>,
    #[serde(default)]
    key: Vec<String>,
    null: Option<String>,
    #[serde(default = "five_seconds", deserialize_with = "duration::above_zero")]
    interval: Duration,
    #[serde(default)]
    encoding: Encoding,
}

fn any() -> String {
    "*".to_owned()
}

const fn yes() -> bool {
    true
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

#[derive(Debug, Default, Deserialize)]
enum Encoding {
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
}

/// How records stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    Tsv,
    Jsonl,
}

/// What the source works by.
#[derive(Debug)]
pub struct Config {
    /// File or folder, as the guest sees it.
    pub path: String,
    pub pattern: Pattern,
    /// `None`: by the file's name.
    pub format: Option<Format>,
    /// `None`: that of the format.
    pub delimiter: Option<u8>,
    /// `None`: quotes mean nothing.
    pub quote: Option<u8>,
    /// `None`: the first line of each file has the names.
    pub names: Option<Vec<String>>,
    pub rules: Rules,
    pub interval: Duration,
}

/// What is made of the fields of a row.
#[derive(Debug, Default)]
pub struct Rules {
    pub types: BTreeMap<String, Kind>,
    pub key: Vec<String>,
    pub null: Option<String>,
}

impl Config {
    /// # Errors
    /// [`Error::Fatal`], naming the key at fault.
    pub fn read(context: &Context) -> Result<Self> {
        let raw: Raw = context.config()?;
        let Encoding::Utf8 = raw.encoding;
        Self::check(raw).map_err(|reason| Error::fatal(format!("`config` of `{}`: {reason}", context.name)))
    }

    fn check(raw: Raw) -> Result<Self, String> {
        let pattern = Pattern::new(&raw.pattern).map_err(|e| format!("`pattern` is no pattern of file names: {e}"))?;
        if raw.pattern.contains('/') {
            return Err("`pattern` is compared with file names; write folders into `path`".to_owned());
        }
        let names = match (raw.header, raw.columns.is_empty()) {
            (true, true) => None,
            (false, false) => Some(raw.columns),
            (true, false) => return Err("`columns` needs `header = false`: the header names the columns".to_owned()),
            (false, true) if raw.format == Some(Format::Jsonl) => None,
            (false, true) => return Err("`header = false` needs `columns`, the names in order".to_owned()),
        };
        if raw.format == Some(Format::Jsonl) && !(names.is_none() && raw.types.is_empty() && raw.delimiter.is_none()) {
            return Err("`columns`, `types` and `delimiter` have no meaning with `format = \"jsonl\"`".to_owned());
        }
        let delimiter = raw.delimiter.map(|text| byte("delimiter", if text == "tab" { "\t" } else { &text })).transpose()?;
        let quote = match raw.quote.as_deref() {
            None => Some(b'"'),
            Some("") => None,
            Some(text) => Some(byte("quote", text)?),
        };
        if delimiter.is_some() && delimiter == quote {
            return Err("`delimiter` and `quote` are the same character".to_owned());
        }
        let path = raw.path.trim_start_matches("./").trim_end_matches('/');
        Ok(Self {
            path: if path.is_empty() { ".".to_owned() } else { path.to_owned() },
            pattern,
            format: raw.format,
            delimiter,
            quote,
            names,
            rules: Rules { types: raw.types, key: raw.key, null: raw.null },
            interval: raw.interval,
        })
    }

    /// The format of a file, by configuration or by the last part of its name that is one (`app.csv.1.gz` is csv).
    pub fn format_of(&self, name: &str) -> Format {
        self.format.unwrap_or_else(|| by_name(name).map_or(Format::Csv, |(format, _)| format))
    }
}

/// The format that a name tells, and the name up to there: `app.csv` of `app.csv.1.gz`.
fn by_name(name: &str) -> Option<(Format, &str)> {
    let mut head = name;
    while let Some((before, extension)) = head.rsplit_once('.') {
        let format = match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "tsv" => Some(Format::Tsv),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            _ => None,
        };
        if let Some(format) = format {
            return Some((format, head));
        }
        head = before;
    }
    None
}

/// A name without what rotation appends: files that were one keep it.
pub fn stem(name: &str) -> &str {
    by_name(name).map_or(name, |(_, stem)| stem)
}

fn byte(key: &str, text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err(format!("`{key}` is to be one ASCII character that ends no line")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str) -> Result<Config> {
        Config::read(&Context::new("wms", config))
    }

    #[test]
    fn path_alone_is_enough() {
        let config = read(r#"{"path":"./wms/"}"#).unwrap();
        assert_eq!((config.path.as_str(), config.quote, config.interval), ("wms", Some(b'"'), Duration::from_secs(5)));
        assert!(config.pattern.matches("x.csv") && config.names.is_none());
    }

    #[test]
    fn format_is_that_of_the_name_also_after_rotation() {
        let config = read(r#"{"path":"."}"#).unwrap();
        for (name, format) in [
            ("a.csv", Format::Csv),
            ("a.TSV.gz", Format::Tsv),
            ("a.jsonl.1", Format::Jsonl),
            ("a.ndjson.2.gz", Format::Jsonl),
            ("a", Format::Csv),
            ("a.txt", Format::Csv),
        ] {
            assert_eq!(config.format_of(name), format, "{name}");
        }
        assert_eq!((stem("app.csv.1.gz"), stem("app-1.csv"), stem("x.1")), ("app.csv", "app-1.csv", "x.1"));
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        for (config, expected) in [
            (r#"{"path":".","header":false}"#, "needs `columns`"),
            (r#"{"path":".","columns":["a"]}"#, "needs `header = false`"),
            (r#"{"path":".","format":"jsonl","types":{"a":"int"}}"#, "no meaning"),
            (r#"{"path":".","delimiter":"::"}"#, "`delimiter`"),
            (r#"{"path":".","delimiter":"\""}"#, "same character"),
            (r#"{"path":".","interval":"5"}"#, "`interval`"),
            (r#"{"path":".","interval":"0s"}"#, "`interval`"),
            (r#"{"path":".","pattern":"a/*.csv"}"#, "`pattern`"),
            (r#"{"path":".","pattern":"***"}"#, "`pattern`"),
            (r#"{"path":".","types":{"a":"integer"}}"#, "`types.a`"),
            (r#"{"path":".","encoding":"latin1"}"#, "utf-8"),
            (r#"{"paht":"."}"#, "`paht`"),
        ] {
            let error = read(config).unwrap_err();
            assert!(matches!(&error, Error::Fatal(m) if m.contains(expected)), "{config}: {error}");
        }
    }

    #[test]
    fn tab_and_no_quote_can_be_written() {
        let config = read(r#"{"path":".","delimiter":"tab","quote":"","interval":"250ms"}"#).unwrap();
        assert_eq!((config.delimiter, config.quote, config.interval), (Some(b'\t'), None, Duration::from_millis(250)));
    }
}
