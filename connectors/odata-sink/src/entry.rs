//! One record as a change of one entity: its key, and the properties to write in the service's own form. Refuses what does not fit
//! before anything is sent; sends nothing.

use serde_json::{Map, Value};
use wharf_sdk::json::pointer;
use wharf_sdk::{Record, Rejection};
use wharf_shared_odata::key::Field;
use wharf_shared_odata::literal::literal;

use crate::config::{Etag, Tombstones, Write};
use crate::encode::{Encoding, unknown};
use crate::target::Target;

/// A record that waits to be written.
#[derive(Debug)]
pub struct Entry {
    /// In the batch that it came with.
    pub index: u32,
    /// `('0001')` or `(Country='DE',Number=7)`, ready for a URL.
    pub predicate: String,
    /// Records of one entity have one `order`: they are written after each other.
    pub order: String,
    pub change: Change,
    /// The ETag that the record knew, where it has to be that one.
    pub etag: Option<String>,
    pub step: Step,
    /// Why an entity could not be created, while it is asked for.
    pub refused: Option<Rejection>,
}

/// What a record does to its entity.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Put {
        /// All properties.
        create: Map<String, Value>,
        /// All but the key.
        update: Map<String, Value>,
    },
    Delete,
}

/// What is asked of the service next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Change the entity that is there.
    Update,
    /// Create it. `again`: after it was not there to be changed.
    Create {
        again: bool,
    },
    /// Change it after all: it came to be there meanwhile.
    UpdateAgain,
    /// Read it, to learn whether it is what was to be created. `then_create`: where it is not there.
    Ask {
        then_create: bool,
    },
    Delete,
}

impl Entry {
    /// `Ok(None)`: a tombstone that is to be skipped.
    ///
    /// # Errors
    /// [`Rejection`] for a record that can never be written.
    pub fn of(target: &Target, encoding: Encoding<'_>, record: &Record<'_>) -> Result<Option<Self>, Rejection> {
        if record.value.is_none() {
            return Self::tombstone(target, encoding, record);
        }
        let Value::Object(fields) = record.json::<Value>()? else {
            return Err(Rejection::new("value.object", "the value is no JSON object"));
        };
        let key = key(target, Some(&fields), record)?;
        let mut create = written_key(target, encoding, &key)?;
        let mut update = Map::with_capacity(fields.len());
        for (property, field, value) in wanted(target, &fields) {
            let at = pointer(field);
            let written = match target.member(property) {
                Some(member) => encoding.value(member, value, &at)?,
                None if target.model.is_open(&target.of) => value.clone(),
                None => return Err(unknown(property, &target.of, &target.model, &at)),
            };
            create.insert(property.to_owned(), written.clone());
            update.insert(property.to_owned(), written);
        }
        let etag = match target.etag {
            Etag::Any | Etag::None => None,
            Etag::Match => etag(target, fields.get(&target.etag_field), record)?,
        };
        let step = match (target.write, target.etag, &etag) {
            (Write::Insert, ..) if record.attempt > 1 => Step::Ask { then_create: true },
            (Write::Insert, ..) | (Write::Upsert, Etag::Match, None) => Step::Create { again: false },
            (Write::Update, Etag::Match, None) => return Err(without_etag(target)),
            _ => Step::Update,
        };
        Ok(Some(Self::new(record.index, predicate(target, &key)?, Change::Put { create, update }, etag, step)))
    }

    fn tombstone(target: &Target, encoding: Encoding<'_>, record: &Record<'_>) -> Result<Option<Self>, Rejection> {
        match target.tombstones {
            Tombstones::Skip => return Ok(None),
            Tombstones::Reject => {
                let message = "the value is null; `config.tombstones = \"delete\"` deletes the entity, `\"skip\"` leaves it";
                return Err(Rejection::new("odata.tombstone", message));
            }
            Tombstones::Delete => {}
        }
        let key = key(target, None, record)?;
        // A key that does not fit is told from one that is not there.
        written_key(target, encoding, &key)?;
        let etag = match target.etag {
            Etag::Any | Etag::None => None,
            Etag::Match => Some(etag(target, None, record)?.ok_or_else(|| without_etag(target))?),
        };
        Ok(Some(Self::new(record.index, predicate(target, &key)?, Change::Delete, etag, Step::Delete)))
    }

    fn new(index: u32, predicate: String, change: Change, etag: Option<String>, step: Step) -> Self {
        let order = predicate.to_lowercase();
        Self { index, predicate, order, change, etag, step, refused: None }
    }
}

/// A property of the key with its value, and where in the record's value it stands.
struct Key<'a> {
    field: &'a Field,
    value: Value,
    at: Option<String>,
}

/// The key's values: from the value, and what is not there from the record's key (an object of the key's fields, or a bare value where the
/// key has one).
fn key<'a>(target: &'a Target, fields: Option<&Map<String, Value>>, record: &Record<'_>) -> Result<Vec<Key<'a>>, Rejection> {
    let mut whole = None;
    let mut found = Vec::with_capacity(target.key.len());
    for field in &target.key {
        let name = target.field_of(&field.name);
        if let Some(value) = fields.and_then(|fields| fields.get(name)) {
            found.push(Key { field, value: value.clone(), at: Some(pointer(name)) });
            continue;
        }
        let whole = match &mut whole {
            Some(whole) => whole,
            empty => empty.insert(match record.key {
                Some(_) => record.key_json::<Value>()?,
                None => Value::Null,
            }),
        };
        let value = match &*whole {
            Value::Object(parts) => parts.get(name).cloned(),
            Value::Null => None,
            bare => Some(bare.clone()).filter(|_| target.key.len() == 1),
        };
        let missing = || {
            Rejection::new("key.missing", format!("neither the value nor the key has `{name}`, of the key of `{}`", target.set))
        };
        found.push(Key { field, value: value.ok_or_else(missing)?, at: None });
    }
    match found.iter().find(|key| key.value.is_null()) {
        Some(key) => {
            let message = format!("`{}`, of the key of `{}`, is null", target.field_of(&key.field.name), target.set);
            Err(placed(Rejection::new("key.missing", message), key.at.as_ref()))
        }
        None => Ok(found),
    }
}

/// The key's properties as the service takes them.
fn written_key(target: &Target, encoding: Encoding<'_>, key: &[Key<'_>]) -> Result<Map<String, Value>, Rejection> {
    let mut properties = Map::with_capacity(key.len());
    for Key { field, value, at } in key {
        let written = match target.member(&field.name) {
            Some(member) => encoding.value(member, value, "").map_err(|rejection| placed(rejection, at.as_ref()))?,
            None => value.clone(),
        };
        properties.insert(field.name.clone(), written);
    }
    Ok(properties)
}

/// A rejection with its place, or without one where the value is not at fault.
fn placed(rejection: Rejection, at: Option<&String>) -> Rejection {
    Rejection { field: at.cloned(), ..rejection }
}

/// OData 4.01 Part 2, 4.3.1; OData V2 "URI Conventions", 3.2: one property by its value alone, several by their names.
fn predicate(target: &Target, key: &[Key<'_>]) -> Result<String, Rejection> {
    let mut parts = Vec::with_capacity(key.len());
    for Key { field, value, at } in key {
        let unfit = || placed(Rejection::new("key.type", format!("`{}` has a value that is no key", field.name)), at.as_ref());
        let written = field.simple.and_then(|simple| literal(target.version, simple, value)).ok_or_else(unfit)?;
        // What a literal is made of stays readable; its text is encoded.
        let written = wharf_sdk::http::encode(&written).replace("%27", "'").replace("%3A", ":");
        parts.push(if key.len() == 1 { written } else { format!("{}={written}", field.name) });
    }
    Ok(format!("({})", parts.join(",")))
}

/// Property, field and value of what is to be written beside the key.
fn wanted<'a>(target: &'a Target, fields: &'a Map<String, Value>) -> Vec<(&'a str, &'a str, &'a Value)> {
    let other = |property: &str| !target.is_key(property);
    match target.chosen() {
        Some(chosen) => {
            let of = |(property, field): (&'a String, &'a String)| Some((property.as_str(), field.as_str(), fields.get(field)?));
            chosen.iter().filter(|(property, _)| other(property)).filter_map(of).collect()
        }
        None => {
            let own = |(field, value): (&'a String, &'a Value)| (field.as_str(), field.as_str(), value);
            fields.iter().filter(|(field, _)| other(field) && **field != target.etag_field).map(own).collect()
        }
    }
}

/// The ETag that a record carries in its value, or else in a header; null and absence are none.
fn etag(target: &Target, field: Option<&Value>, record: &Record<'_>) -> Result<Option<String>, Rejection> {
    let name = &target.etag_field;
    let found = match field {
        Some(Value::String(etag)) => Some(etag.clone()),
        Some(Value::Null) | None => record.header(name).flatten().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        Some(_) => return Err(Rejection::new("odata.etag", format!("`{name}` is no ETag: expected text")).at(pointer(name))),
    };
    // It goes into a header (RFC 9110, 8.8.3).
    match found.filter(|etag| !etag.is_empty()) {
        Some(etag) if etag.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') => Ok(Some(etag)),
        Some(_) => Err(Rejection::new("odata.etag", format!("`{name}` is no ETag: it has characters that none has"))),
        None => Ok(None),
    }
}

fn without_etag(target: &Target) -> Rejection {
    let name = &target.etag_field;
    Rejection::new("odata.etag", format!("`config.etag` is `match`, but the record has no `{name}`, in its value or as a header"))
}
