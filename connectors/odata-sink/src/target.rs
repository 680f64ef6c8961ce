//! Where records go: configuration and `$metadata` brought together. Owns the names, which are checked here once; holds no record and
//! sends nothing.

use std::collections::BTreeMap;

use wharf_shared_odata::Version;
use wharf_shared_odata::edm::{Member, Model, NoSet, nearest, suggestion};
use wharf_shared_odata::key::Field;

use crate::config::{Config, Etag, Format, Tombstones, Write};

/// The entity set, and how records are written into it.
#[derive(Debug)]
pub struct Target {
    pub set: String,
    pub version: Version,
    /// The properties of the key, in the order of `$metadata`.
    pub key: Vec<Field>,
    pub write: Write,
    pub tombstones: Tombstones,
    pub etag: Etag,
    pub etag_field: String,
    pub model: Model,
    /// Qualified name of the entities' type.
    pub of: String,
    /// Property to the record's field; empty: every field under its own name.
    fields: BTreeMap<String, String>,
}

/// What the service's `$metadata` does not fit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadTarget {
    #[error("the service has no $metadata: without the types of `{0}` nothing can be written into it")]
    NoMetadata(String),
    #[error(transparent)]
    Set(#[from] NoSet),
    #[error("`config.fields` names `{name}`, which entities of `{set}` do not have{}", suggestion(.nearest.as_deref()))]
    Property { name: String, set: String, nearest: Option<String> },
    #[error("`config.fields` names `{0}`, which leads to other entities: only properties are written")]
    Navigation(String),
    #[error("the key of `{0}` is not known from $metadata: entities without one cannot be written again without harm")]
    NoKey(String),
    #[error("`config.batch-format` is `json`, but the service speaks V2: leave it out")]
    Format,
}

impl Target {
    /// # Errors
    /// [`BadTarget`], naming what the service does not have and the nearest name that it has.
    pub fn new(config: &Config, model: Option<Model>) -> Result<Self, BadTarget> {
        let set = config.entity.clone();
        let model = model.ok_or_else(|| BadTarget::NoMetadata(set.clone()))?;
        let of = match model.type_of_set(&set) {
            Some(of) => of.to_owned(),
            None => return Err(NoSet::new(&set, model.sets.iter().map(|(name, _)| name.as_str())).into()),
        };
        let key: Vec<Field> =
            model.key(&of).iter().map(|name| Field { name: name.clone(), simple: model.simple(&of, name) }).collect();
        if key.is_empty() {
            return Err(BadTarget::NoKey(set));
        }
        for name in config.fields.keys() {
            match model.member(&of, name) {
                Some(member) if member.navigation => return Err(BadTarget::Navigation(name.clone())),
                None if !model.is_open(&of) => {
                    let nearest = nearest(name, model.properties(&of)).map(ToOwned::to_owned);
                    return Err(BadTarget::Property { name: name.clone(), set, nearest });
                }
                _ => {}
            }
        }
        let version = config.version.unwrap_or(if model.v4 { Version::V4 } else { Version::V2 });
        if version == Version::V2 && config.batch_format == Format::Json {
            return Err(BadTarget::Format);
        }
        Ok(Self {
            set,
            version,
            key,
            write: config.write,
            tombstones: config.tombstones,
            etag: config.etag,
            etag_field: config.etag_field.clone(),
            fields: config.fields.clone(),
            model,
            of,
        })
    }

    /// The record's field that a property is taken from.
    #[must_use]
    pub fn field_of<'a>(&'a self, property: &'a str) -> &'a str {
        self.fields.get(property).map_or(property, String::as_str)
    }

    /// The properties to write with their fields; `None`: what the record has.
    #[must_use]
    pub fn chosen(&self) -> Option<&BTreeMap<String, String>> {
        if self.fields.is_empty() { None } else { Some(&self.fields) }
    }

    #[must_use]
    pub fn member(&self, property: &str) -> Option<&Member> {
        self.model.member(&self.of, property)
    }

    #[must_use]
    pub fn is_key(&self, property: &str) -> bool {
        self.key.iter().any(|field| field.name == property)
    }
}
