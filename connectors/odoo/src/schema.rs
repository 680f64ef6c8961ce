//! The fields of a model, from `fields_get`: which are read, and of what type each is. Sends nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Config;

/// What a record's cursor is called in Odoo; fields of every model that keeps a log of access.
pub const WRITE_DATE: &str = "write_date";

/// How a field's value is written by Odoo. `false` stands for nothing in all but booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Datetime,
    Many2one,
    /// Text, numbers, dates, lists of ids, base64, JSON: as they come.
    Other,
}

/// The fields to read, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(BTreeMap<String, Kind>);

/// A model or a field that is not there, or that cannot be read in parts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadSchema {
    #[error("the fields of `{0}` cannot be read: {1}")]
    Answer(String, String),
    #[error("`config.fields` names `{field}`, which `{model}` does not have for this account{}", suggestion(.nearest.as_deref()))]
    Field { model: String, field: String, nearest: Option<String> },
    #[error("`{0}` has no write_date, so what changed in it cannot be asked for")]
    NoWriteDate(String),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    store: bool,
}

impl Schema {
    /// From the answer of `fields_get` with the attributes `type` and `store`.
    ///
    /// # Errors
    /// [`BadSchema`].
    pub fn read(answer: &[u8], config: &Config) -> Result<Self, BadSchema> {
        let model = &config.model;
        let described: BTreeMap<String, Described> =
            serde_json::from_slice(answer).map_err(|e| BadSchema::Answer(model.clone(), e.to_string()))?;
        if !described.get(WRITE_DATE).is_some_and(|field| field.store && field.kind == "datetime") {
            return Err(BadSchema::NoWriteDate(model.clone()));
        }
        let mut kinds = BTreeMap::from([("id".to_owned(), Kind::Other), (WRITE_DATE.to_owned(), Kind::Datetime)]);
        if config.fields.is_empty() {
            let all = described.iter().filter(|(_, field)| field.store && !matches!(field.kind.as_str(), "binary" | "one2many"));
            kinds.extend(all.map(|(name, field)| (name.clone(), kind(&field.kind))));
        }
        for name in &config.fields {
            let Some(field) = described.get(name) else {
                let nearest = nearest(name, described.keys()).cloned();
                return Err(BadSchema::Field { model: model.clone(), field: name.clone(), nearest });
            };
            kinds.insert(name.clone(), kind(&field.kind));
        }
        Ok(Self(kinds))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    #[must_use]
    pub fn kind(&self, name: &str) -> Kind {
        self.0.get(name).copied().unwrap_or(Kind::Other)
    }
}

fn kind(name: &str) -> Kind {
    match name {
        "boolean" => Kind::Boolean,
        "datetime" => Kind::Datetime,
        "many2one" => Kind::Many2one,
        _ => Kind::Other,
    }
}

/// The most similar name, where one is similar at all.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let close = names.map(|known| (strsim::jaro_winkler(name, known), known)).filter(|(score, _)| *score > 0.8);
    close.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTNER: &[u8] = include_bytes!("../tests/fields.json");

    fn schema(answer: &[u8], more: &str) -> Result<Schema, BadSchema> {
        let config = format!(r#"{{"url": "https://erp", "model": "res.partner"{more}}}"#);
        Schema::read(answer, &serde_json::from_str(&config).unwrap())
    }

    #[test]
    fn without_a_list_all_stored_fields_are_read_but_binary_ones_and_lists_of_lines() {
        let schema = schema(PARTNER, "").unwrap();
        let names: Vec<_> = schema.names().collect();
        for name in ["id", "write_date", "name", "active", "country_id", "category_id", "partner_latitude", "comment"] {
            assert!(names.contains(&name), "{name} of {names:?}");
        }
        for name in ["image_1920", "child_ids", "credit", "contact_address"] {
            assert!(!names.contains(&name), "{name} of {names:?}");
        }
        assert_eq!(schema.kind("active"), Kind::Boolean);
        assert_eq!(schema.kind("country_id"), Kind::Many2one);
        assert_eq!(schema.kind("create_date"), Kind::Datetime);
    }

    #[test]
    fn what_is_named_is_read_with_id_and_write_date() {
        let schema = schema(PARTNER, r#", "fields": ["image_1920", "child_ids", "credit"]"#).unwrap();
        assert_eq!(schema.names().collect::<Vec<_>>(), ["child_ids", "credit", "id", "image_1920", "write_date"]);
    }

    #[test]
    fn a_field_that_is_not_there_is_told_with_the_nearest_one() {
        let error = schema(PARTNER, r#", "fields": ["name", "countryid"]"#).unwrap_err().to_string();
        assert!(error.contains("`countryid`") && error.contains("did you mean `country_id`?"), "{error}");
    }

    #[test]
    fn a_model_without_write_date_is_refused() {
        let answer = br#"{"id": {"type": "integer", "store": true}}"#;
        assert_eq!(schema(answer, ""), Err(BadSchema::NoWriteDate("res.partner".to_owned())));
    }
}
