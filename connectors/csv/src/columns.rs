//! From the fields of a row to a record: columns by name and type, and the key. Owns the JSON of values and keys; messages
//! name line and column, never a value.

use std::ops::Range;

use wharf_sdk::json::pointer;
use wharf_sdk::{Error, Rejection, Result};

use crate::config::Rules;
use crate::json::missing;
use crate::kind::{Kind, text};
use crate::rows::Fields;

/// The columns of a file.
#[derive(Debug)]
pub struct Columns {
    columns: Vec<Column>,
    /// Indices of the key's columns, in the configured order.
    key: Vec<usize>,
    /// Text that means null.
    null: Option<String>,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// `"name":`
    label: Vec<u8>,
    kind: Kind,
}

/// A record as it is written: memory that is used again for the next one.
#[derive(Debug, Default)]
pub struct Written {
    pub value: Vec<u8>,
    pub key: Vec<u8>,
    /// Where the JSON of each column stands in `value`; empty: null.
    parts: Vec<Range<usize>>,
}

impl Columns {
    /// `file`: whose header it is, for messages.
    ///
    /// # Errors
    /// [`Error::Fatal`] where a column of the configuration is missing or a name occurs twice.
    pub fn new(names: Vec<String>, rules: &Rules, file: &str) -> Result<Self> {
        let names: Vec<String> = (1..)
            .zip(names)
            .map(|(number, name)| if name.trim().is_empty() { format!("column_{number}") } else { name.trim().to_owned() })
            .collect();
        let place = |name: &str, asked: &str| {
            names.iter().position(|n| n == name).ok_or_else(|| {
                let known = names.join("`, `");
                Error::fatal(format!("`{file}` has no column `{name}`, which `{asked}` names; it has `{known}`"))
            })
        };
        let key = rules.key.iter().map(|name| place(name, "key")).collect::<Result<_>>()?;
        for name in rules.types.keys() {
            place(name, "types")?;
        }
        if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|n| n == *name)) {
            return Err(Error::fatal(format!("`{file}` has the column `{name}` twice")));
        }
        let columns = names.into_iter().map(|name| Column {
            label: label(&name),
            kind: rules.types.get(&name).copied().unwrap_or_default(),
            name,
        });
        Ok(Self { columns: columns.collect(), key, null: rules.null.clone() })
    }

    /// Writes value and key of a row.
    ///
    /// # Errors
    /// `csv.width`, `csv.utf8`, `csv.type`, `key.missing`.
    pub fn write(&self, row: Fields<'_>, line: u64, out: &mut Written) -> Result<(), Rejection> {
        if row.ends.len() != self.columns.len() {
            let (found, expected) = (row.ends.len(), self.columns.len());
            let message = format!("line {line}: {found} fields where {expected} were expected");
            return Err(Rejection::new("csv.width", message));
        }
        let all = simdutf8::basic::from_utf8(row.text).map_err(|_| not_utf8(line))?;
        out.value.clear();
        out.parts.clear();
        out.value.push(b'{');
        let mut from = 0;
        for (at, (column, &end)) in self.columns.iter().zip(row.ends).enumerate() {
            // Two halves of a character may meet where fields are joined: `get` refuses to cut there.
            let field = all.get(from..end).ok_or_else(|| not_utf8(line))?;
            from = end;
            if at > 0 {
                out.value.push(b',');
            }
            out.value.extend_from_slice(&column.label);
            self.write_field(column, field, line, out)?;
        }
        out.value.push(b'}');
        self.write_key(line, out)
    }

    fn write_field(&self, column: &Column, field: &str, line: u64, out: &mut Written) -> Result<(), Rejection> {
        let start = out.value.len();
        let is_empty = column.kind != Kind::Text && field.trim_ascii().is_empty();
        if is_empty || self.null.as_deref() == Some(field) {
            out.value.extend_from_slice(b"null");
            out.parts.push(start..start);
            return Ok(());
        }
        column.kind.write(field, &mut out.value).map_err(|expected| {
            let message = format!("line {line}, column `{}`: expected {expected}", column.name);
            Rejection::new("csv.type", message).at(pointer(&column.name))
        })?;
        out.parts.push(start..out.value.len());
        Ok(())
    }

    fn write_key(&self, line: u64, out: &mut Written) -> Result<(), Rejection> {
        let Written { value, key, parts } = out;
        key.clear();
        for index in &self.key {
            let (Some(column), Some(part)) = (self.columns.get(*index), parts.get(*index)) else { continue };
            let json = value.get(part.clone()).filter(|json| !json.is_empty()).ok_or_else(|| missing(&column.name, line))?;
            key.push(if key.is_empty() { b'{' } else { b',' });
            key.extend_from_slice(&column.label);
            key.extend_from_slice(json);
        }
        if !key.is_empty() {
            key.push(b'}');
        }
        Ok(())
    }
}

pub fn not_utf8(line: u64) -> Rejection {
    Rejection::new("csv.utf8", format!("line {line}: not UTF-8"))
}

fn label(name: &str) -> Vec<u8> {
    let mut label = Vec::new();
    // A text always has a JSON form.
    text(name, &mut label).unwrap_or_default();
    label.push(b':');
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(types: &[(&str, Kind)], key: &[&str], null: Option<&str>) -> Rules {
        Rules {
            types: types.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
            key: key.iter().map(|&name| name.to_owned()).collect(),
            null: null.map(str::to_owned),
        }
    }

    fn columns(names: &[&str], rules: &Rules) -> Result<Columns> {
        Columns::new(names.iter().map(|&name| name.to_owned()).collect(), rules, "wms/a.csv")
    }

    fn write(columns: &Columns, fields: &[&[u8]]) -> Result<(String, String), String> {
        let text = fields.concat();
        let ends: Vec<usize> = (1..=fields.len()).map(|n| fields[..n].concat().len()).collect();
        let mut out = Written::default();
        let written = columns.write(Fields { text: &text, ends: &ends }, 7, &mut out);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        written.map(|()| (text(out.key), text(out.value))).map_err(|why| format!("{}: {}", why.code, why.message))
    }

    #[test]
    fn value_has_the_order_of_the_file_and_key_that_of_the_configuration() {
        let rules = rules(&[("n", Kind::Int)], &["n", "a"], None);
        let columns = columns(&["a", " n ", ""], &rules).unwrap();
        let (key, value) = write(&columns, &[b"x\"", b" 007", b""]).unwrap();
        assert_eq!(value, r#"{"a":"x\"","n":7,"column_3":""}"#);
        assert_eq!(key, r#"{"n":7,"a":"x\""}"#);
    }

    #[test]
    fn empty_is_null_in_typed_columns_and_text_in_others_unless_null_says_otherwise() {
        let types = [("n", Kind::Int)];
        let plain = columns(&["a", "n"], &rules(&types, &[], None)).unwrap();
        assert_eq!(write(&plain, &[b"", b""]).unwrap(), (String::new(), r#"{"a":"","n":null}"#.to_owned()));
        let empty = columns(&["a", "n"], &rules(&types, &[], Some(""))).unwrap();
        assert_eq!(write(&empty, &[b"", b" "]).unwrap().1, r#"{"a":null,"n":null}"#);
        let word = columns(&["a", "n"], &rules(&types, &[], Some("NULL"))).unwrap();
        assert_eq!(write(&word, &[b"NULL", b"NULL"]).unwrap().1, r#"{"a":null,"n":null}"#);
    }

    #[test]
    fn row_that_does_not_fit_is_rejected_by_code_without_its_values() {
        let columns = columns(&["a", "n"], &rules(&[("n", Kind::Int)], &["n"], None)).unwrap();
        assert_eq!(write(&columns, &[b"x"]).unwrap_err(), "csv.width: line 7: 1 fields where 2 were expected");
        let error = write(&columns, &[b"x", b"secret"]).unwrap_err();
        assert_eq!(error, "csv.type: line 7, column `n`: expected an integer of 64 bit");
        assert_eq!(write(&columns, &[b"x", b""]).unwrap_err(), "key.missing: line 7: `n` of the key has no value");
        assert_eq!(write(&columns, &[b"\xff", b"1"]).unwrap_err(), "csv.utf8: line 7: not UTF-8");
        // Together the two fields are one valid character.
        assert_eq!(write(&columns, &[b"\xc3", b"\xa9"]).unwrap_err(), "csv.utf8: line 7: not UTF-8");
    }

    #[test]
    fn header_that_lacks_a_configured_column_or_repeats_one_is_fatal() {
        for (names, key, expected) in [
            (["a", "b"], ["sku"].as_slice(), "`wms/a.csv` has no column `sku`, which `key` names; it has `a`, `b`"),
            (["a", "b"], &[], "`wms/a.csv` has no column `n`, which `types` names; it has `a`, `b`"),
        ] {
            let error = columns(&names, &rules(&[("n", Kind::Int)], key, None)).unwrap_err();
            assert_eq!(error, Error::Fatal(expected.to_owned()));
        }
        let error = columns(&["a", "a"], &Rules::default()).unwrap_err();
        assert_eq!(error, Error::fatal("`wms/a.csv` has the column `a` twice"));
    }
}
