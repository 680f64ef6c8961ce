//! A record's value as Odoo's import takes it (`load`): a text for each field, under a column that says how a relation is named. Owns
//! types and their checks; whether a record exists is Odoo's to say.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use wharf_odoo_api::time;
use wharf_sdk::Rejection;
use wharf_sdk::json::pointer;

use crate::config::Config;
use crate::external;

/// Types of fields by what their texts look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Boolean,
    Datetime,
    Many2one,
    Many2many,
    Json,
    /// A list of lines, or a type that is not known.
    Other,
}

/// The fields of a model.
#[derive(Debug)]
pub struct Fields {
    kinds: BTreeMap<String, Kind>,
    chosen: Vec<String>,
    module: String,
    /// Prefixes of the external ids that the values of these fields are the keys of.
    relations: BTreeMap<String, String>,
}

/// A field that the configuration names and the model does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`config.{option}` names `{field}`, which `{model}` does not have for this account")]
pub struct BadField {
    option: &'static str,
    field: String,
    model: String,
}

/// Columns of `load`, and a record's texts under them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cells {
    pub columns: Vec<String>,
    pub texts: Vec<String>,
}

#[derive(Deserialize)]
pub struct Described {
    #[serde(rename = "type")]
    kind: String,
}

impl Fields {
    /// # Errors
    /// [`BadField`].
    pub fn new(described: &BTreeMap<String, Described>, config: &Config) -> Result<Self, BadField> {
        let named = config.fields.iter().map(|field| ("fields", field));
        for (option, field) in named.chain(config.relations.keys().map(|field| ("relations", field))) {
            if !described.contains_key(field) {
                return Err(BadField { option, field: field.clone(), model: config.model.clone() });
            }
        }
        Ok(Self {
            kinds: described.iter().map(|(name, field)| (name.clone(), kind(&field.kind))).collect(),
            chosen: config.fields.clone(),
            module: config.module.clone(),
            relations: config.relations.clone(),
        })
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.kinds.contains_key(name)
    }

    /// # Errors
    /// Why the record can never be written.
    pub fn cells(&self, value: &Map<String, Value>) -> Result<Cells, Rejection> {
        let mut cells = Cells::default();
        let chosen = |name: &String| if self.chosen.is_empty() { name != "id" } else { self.chosen.contains(name) };
        for (name, value) in value.iter().filter(|(name, _)| chosen(name)) {
            let (column, text) = self.cell(name, value).map_err(|rejection| rejection.at(pointer(name)))?;
            cells.columns.push(column);
            cells.texts.push(text);
        }
        if cells.columns.is_empty() {
            return Err(Rejection::new("value.empty", "the value has no field to write"));
        }
        Ok(cells)
    }

    fn cell(&self, name: &str, value: &Value) -> Result<(String, String), Rejection> {
        let Some(kind) = self.kinds.get(name).copied() else {
            return Err(Rejection::new(
                "field.unknown",
                format!("the model has no field `{name}`: list those to write in `config.fields`"),
            ));
        };
        let wrong = |expected: &str| Rejection::new("value.type", format!("`{name}` is {}: expected {expected}", shown(value)));
        let text = match (kind, value) {
            (Kind::Many2one, value) => return self.many2one(name, value),
            (Kind::Many2many, value) => return self.many2many(name, value),
            (Kind::Other, _) => return Err(wrong("no such field: lines are written by a sink of their own model")),
            (Kind::Json, Value::Null) => String::new(),
            (Kind::Json, value) => value.to_string(),
            (_, Value::Null) => String::new(),
            (Kind::Boolean, Value::Bool(yes)) => if *yes { "1" } else { "0" }.to_owned(),
            (Kind::Number | Kind::Text, Value::Number(number)) => number.to_string(),
            (Kind::Number, Value::String(digits)) if is_number(digits) => digits.clone(),
            (Kind::Text, Value::String(text)) => text.clone(),
            (Kind::Datetime, Value::String(text)) => {
                let own = time::parse(text).map(|_| text.clone());
                own.or_else(|| time::from_rfc3339(text)).ok_or_else(|| wrong("a time as RFC 3339"))?
            }
            (Kind::Boolean, _) => return Err(wrong("true or false")),
            (Kind::Number, _) => return Err(wrong("a number")),
            (Kind::Datetime, _) => return Err(wrong("a time as RFC 3339")),
            (Kind::Text, _) => return Err(wrong("a text")),
        };
        Ok((name.to_owned(), text))
    }

    fn many2one(&self, name: &str, value: &Value) -> Result<(String, String), Rejection> {
        let reference = if value.is_null() { None } else { Some(self.reference(name, value)?) };
        // An empty one under either column clears the field.
        Ok(match reference {
            None => (format!("{name}/id"), String::new()),
            Some(Reference::External(id)) => (format!("{name}/id"), id),
            Some(Reference::Database(id)) => (format!("{name}/.id"), id),
        })
    }

    fn many2many(&self, name: &str, value: &Value) -> Result<(String, String), Rejection> {
        let list = match value {
            Value::Null => &[],
            Value::Array(list) => list.as_slice(),
            _ => return Err(Rejection::new("value.type", format!("`{name}` is {}: expected a list", shown(value)))),
        };
        let (mut external, mut database) = (Vec::new(), Vec::new());
        for value in list {
            match self.reference(name, value)? {
                Reference::External(id) => external.push(id),
                Reference::Database(id) => database.push(id),
            }
        }
        match (external.is_empty(), database.is_empty()) {
            (_, true) => Ok((format!("{name}/id"), external.join(","))),
            (true, false) => Ok((format!("{name}/.id"), database.join(","))),
            (false, false) => {
                Err(Rejection::new("value.type", format!("`{name}` mixes external and database ids: give one kind")))
            }
        }
    }

    fn reference(&self, name: &str, value: &Value) -> Result<Reference, Rejection> {
        if let Some(external) = value.as_object().and_then(|object| object.get("external")) {
            let is_whole = |id: &&str| {
                !id.contains([',', ' '])
                    && id.split_once('.').is_some_and(|(module, name)| !module.is_empty() && !name.is_empty())
            };
            return match external.as_str().filter(is_whole) {
                Some(id) => Ok(Reference::External(id.to_owned())),
                None => Err(Rejection::new(
                    "value.type",
                    format!("`{name}` has an `external` that is no external id: expected module.name"),
                )),
            };
        }
        if let Some(prefix) = self.relations.get(name) {
            let id = external::of_value(prefix, value).map_err(|e| Rejection::new("value.type", format!("`{name}`: {e}")))?;
            return Ok(Reference::External(format!("{}.{id}", self.module)));
        }
        let id = value.as_object().map_or(Some(value), |object| object.get("id"));
        match id.and_then(Value::as_u64).filter(|id| *id > 0) {
            Some(id) => Ok(Reference::Database(id.to_string())),
            None => Err(Rejection::new(
                "value.type",
                format!(
                    "`{name}` is {}: expected a database id, {{\"external\": \"module.name\"}}, or a field of `config.relations`",
                    shown(value)
                ),
            )),
        }
    }
}

/// Another record.
enum Reference {
    External(String),
    Database(String),
}

fn kind(name: &str) -> Kind {
    match name {
        "char" | "text" | "html" | "selection" | "date" | "reference" | "binary" => Kind::Text,
        "integer" | "float" | "monetary" | "many2one_reference" => Kind::Number,
        "boolean" => Kind::Boolean,
        "datetime" => Kind::Datetime,
        "many2one" => Kind::Many2one,
        "many2many" => Kind::Many2many,
        "json" | "properties" => Kind::Json,
        _ => Kind::Other,
    }
}

/// What a decimal as text may look like; Odoo itself would take `nan` and `1_0`.
fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}

/// A value by its type: it may hold personal data.
const fn shown(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(more: &str) -> Result<Fields, BadField> {
        let described = json!({
            "name": {"type": "char"}, "active": {"type": "boolean"}, "color": {"type": "integer"}, "credit": {"type": "monetary"},
            "date": {"type": "datetime"}, "country_id": {"type": "many2one"}, "category_id": {"type": "many2many"},
            "child_ids": {"type": "one2many"}, "props": {"type": "json"}, "id": {"type": "integer"}
        });
        let config = format!(r#"{{"url": "https://erp", "model": "res.partner"{more}}}"#);
        Fields::new(&serde_json::from_value(described).unwrap(), &serde_json::from_str(&config).unwrap())
    }

    fn cells(more: &str, value: &Value) -> Result<Vec<(String, String)>, Rejection> {
        let cells = fields(more).unwrap().cells(value.as_object().unwrap())?;
        Ok(cells.columns.into_iter().zip(cells.texts).collect())
    }

    fn cell(value: &Value) -> (String, String) {
        cells("", value).unwrap().remove(0)
    }

    #[test]
    fn values_become_texts_by_the_types_of_their_fields() {
        let of = |column: &str, text: &str| (column.to_owned(), text.to_owned());
        assert_eq!(cell(&json!({"name": "Ann"})), of("name", "Ann"));
        assert_eq!(cell(&json!({"name": null})), of("name", ""));
        assert_eq!(cell(&json!({"active": false})), of("active", "0"));
        assert_eq!(
            cell(&serde_json::from_str(r#"{"credit": 12345678901234567.10}"#).unwrap()),
            of("credit", "12345678901234567.10")
        );
        assert_eq!(cell(&json!({"credit": "-1.50"})), of("credit", "-1.50"));
        assert_eq!(cell(&json!({"date": "2024-05-01T12:00:00.5+02:00"})), of("date", "2024-05-01 10:00:00"));
        assert_eq!(cell(&json!({"date": "2024-05-01 10:00:00"})), of("date", "2024-05-01 10:00:00"));
        assert_eq!(cell(&json!({"props": {"a": 1}})), of("props", r#"{"a":1}"#));
        assert_eq!(cell(&json!({"country_id": 57})), of("country_id/.id", "57"));
        assert_eq!(cell(&json!({"country_id": {"id": 57, "name": "Germany"}})), of("country_id/.id", "57"));
        assert_eq!(cell(&json!({"country_id": {"external": "base.de"}})), of("country_id/id", "base.de"));
        assert_eq!(cell(&json!({"country_id": null})), of("country_id/id", ""));
        assert_eq!(cell(&json!({"category_id": [1, 2]})), of("category_id/.id", "1,2"));
        assert_eq!(cell(&json!({"category_id": [{"external": "a.b"}, {"external": "a.c"}]})), of("category_id/id", "a.b,a.c"));
        assert_eq!(cell(&json!({"category_id": []})), of("category_id/id", ""));
    }

    #[test]
    fn a_relation_of_the_configuration_is_named_as_its_own_sink_names_it() {
        let more = r#", "relations": {"country_id": "lands", "category_id": "tags"}"#;
        let made = cells(more, &json!({"country_id": "D E", "category_id": [7, {"a": 1, "b": "x"}]})).unwrap();
        assert_eq!(made[0], ("country_id/id".to_owned(), "wharf.lands.D_20E".to_owned()));
        assert_eq!(made[1], ("category_id/id".to_owned(), "wharf.tags.7,wharf.tags.1.x".to_owned()));
    }

    #[test]
    fn values_of_a_wrong_type_are_rejected_by_the_place_of_their_field() {
        for value in [
            json!({"name": true}),
            json!({"name": ["x"]}),
            json!({"active": "maybe"}),
            json!({"active": 1}),
            json!({"color": "nan"}),
            json!({"color": ""}),
            json!({"color": true}),
            json!({"date": "tomorrow"}),
            json!({"date": 7}),
            json!({"country_id": "Germany"}),
            json!({"country_id": 0}),
            json!({"country_id": {"external": "a,b"}}),
            json!({"country_id": {"external": "no"}}),
            json!({"country_id": {"external": "base."}}),
            json!({"country_id": {"external": ".de"}}),
            json!({"category_id": 7}),
            json!({"category_id": [7, {"external": "a.b"}]}),
            json!({"child_ids": []}),
        ] {
            let rejection = cells("", &value).unwrap_err();
            assert_eq!(rejection.code, "value.type", "{value}");
            assert_eq!(rejection.field, Some(format!("/{}", value.as_object().unwrap().keys().next().unwrap())));
            assert!(!rejection.message.contains("maybe") && !rejection.message.contains("Germany"), "{}", rejection.message);
        }
        assert_eq!(cells("", &json!({"names": "x"})).unwrap_err().code, "field.unknown");
        assert_eq!(cells("", &json!({"id": 7})).unwrap_err().code, "value.empty");
    }

    #[test]
    fn only_the_fields_of_the_configuration_are_written() {
        let made = cells(r#", "fields": ["name"]"#, &json!({"id": 7, "name": "x", "nope": 1})).unwrap();
        assert_eq!(made, [("name".to_owned(), "x".to_owned())]);
        let error = fields(r#", "fields": ["names"]"#).unwrap_err().to_string();
        assert!(error.contains("config.fields") && error.contains("names"), "{error}");
        assert!(fields(r#", "relations": {"nope_id": "x"}"#).unwrap_err().to_string().contains("config.relations"));
    }
}
