//! Where and how an instance runs, and its configuration read into the guest's own type.

use std::fmt::Write;

use serde::de::DeserializeOwned;

use crate::bindings::types;
use crate::error::{Error, Result};

/// What `open` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Name of the source, sink or transform in the configuration; unique in a deployment.
    pub name: String,
    /// Number of this task, from 0.
    pub task: u32,
    /// Number of tasks of this connector, at least 1.
    pub tasks: u32,
    config: String,
}

impl Context {
    /// A context for tests; `config` is JSON.
    pub fn new(name: impl Into<String>, config: impl Into<String>) -> Self {
        Self { name: name.into(), task: 0, tasks: 1, config: config.into() }
    }

    /// The same for one task (from 0) of so many: for tests of a source that shares slices out.
    #[must_use]
    pub fn as_task(self, task: u32, tasks: u32) -> Self {
        Self { task, tasks, ..self }
    }

    /// The `config` table of the configuration as JSON.
    #[must_use]
    pub fn config_json(&self) -> &str {
        &self.config
    }

    /// The `config` table as a type; give it `#[serde(deny_unknown_fields)]`, so that a typing error is an error.
    ///
    /// # Errors
    /// [`Error::Fatal`], naming the key at fault.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.config).map_err(|error| {
            let place = path_at(&self.config, error.line(), error.column());
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            let within = if place.is_empty() { String::new() } else { format!(" `{place}`") };
            Error::fatal(format!("`config`{within} of `{}`: {reason}", self.name))
        })
    }
}

impl From<types::Context> for Context {
    fn from(c: types::Context) -> Self {
        Self { name: c.name, task: c.task, tasks: c.tasks, config: c.config }
    }
}

/// The keys that lead to a place in valid JSON, as `columns.price` or `entities[2].name`; empty at the top.
fn path_at(json: &str, line: usize, column: usize) -> String {
    let before: usize = json.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let Some(head) = json.get(..(before + column).min(json.len())) else { return String::new() };
    let mut walk = Walk::default();
    for (at, c) in head.char_indices() {
        walk.step(head, at, c);
    }
    walk.path()
}

/// One open object (with the key it is at) or array (with the index).
enum Level {
    Object(Option<String>),
    Array(usize),
}

#[derive(Default)]
struct Walk {
    levels: Vec<Level>,
    string_from: Option<usize>,
    last_string: String,
    escaped: bool,
}

impl Walk {
    fn step(&mut self, json: &str, at: usize, c: char) {
        if let Some(from) = self.string_from {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => {
                    json.get(from..at).unwrap_or_default().clone_into(&mut self.last_string);
                    self.string_from = None;
                }
                _ => {}
            }
            return;
        }
        match c {
            '"' => self.string_from = Some(at + 1),
            '{' => self.levels.push(Level::Object(None)),
            '[' => self.levels.push(Level::Array(0)),
            // serde_json reports a value of the wrong type at its last byte: a bracket that closes at the very end still counts.
            '}' | ']' if at + 1 < json.len() => drop(self.levels.pop()),
            ':' => {
                if let Some(Level::Object(key)) = self.levels.last_mut() {
                    *key = Some(std::mem::take(&mut self.last_string));
                }
            }
            ',' => match self.levels.last_mut() {
                Some(Level::Object(key)) if at + 1 < json.len() => *key = None,
                Some(Level::Array(index)) if at + 1 < json.len() => *index += 1,
                _ => {}
            },
            _ => {}
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for level in &self.levels {
            match level {
                Level::Object(Some(key)) if path.is_empty() => path.push_str(key),
                Level::Object(Some(key)) => {
                    path.push('.');
                    path.push_str(key);
                }
                Level::Object(None) => {}
                Level::Array(index) => {
                    // Writing to a String cannot fail.
                    write!(path, "[{index}]").unwrap_or_default();
                }
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their reading counts")]
    struct Config {
        connection: String,
        #[serde(default)]
        pages: Vec<Page>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their reading counts")]
    struct Page {
        size: u32,
    }

    fn message(config: &str) -> String {
        Context::new("orders", config).config::<Config>().unwrap_err().message().to_owned()
    }

    #[test]
    fn error_of_a_wrong_type_names_the_key() {
        assert_eq!(
            message(r#"{"connection":"w","pages":[{"size":1},{"size":"x"}]}"#),
            r#"`config` `pages[1].size` of `orders`: invalid type: string "x", expected u32"#
        );
        assert_eq!(
            message(r#"{"connection":5,"pages":[]}"#),
            "`config` `connection` of `orders`: invalid type: integer `5`, expected a string"
        );
        assert_eq!(
            message(r#"{"connection":"w","pages":{"a":1}}"#),
            "`config` `pages` of `orders`: invalid type: map, expected a sequence"
        );
    }

    #[test]
    fn error_of_an_unknown_or_missing_key_names_it() {
        let unknown = message(r#"{"connection":"w","page":[]}"#);
        assert!(unknown.contains("unknown field `page`, expected `connection` or `pages`"), "{unknown}");
        assert!(message("{}").contains("missing field `connection`"));
    }

    #[test]
    fn path_survives_escapes_and_brackets_in_texts() {
        let json = r#"{"a\"{":"[,{","b":{"c":[1,2,"x"#;
        assert_eq!(path_at(json, 1, json.len()), "b.c[2]");
    }
}
