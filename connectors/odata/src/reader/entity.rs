//! One entity of an answer: its cursor, its key, and what it comes to. Checks that entities come in the order asked for.

use std::cmp::Ordering;

use serde_json::{Map, Value};
use wharf_packing::hash;
use wharf_sdk::json::pointer;

use super::control::{is_relation, removed};
use super::{Read, ReadError, Reader};
use crate::cursor::Cursor;
use crate::key;

/// Stands for the value of a deleted entity.
const GONE: u64 = 0;

impl Reader {
    /// Takes one entity as it came.
    ///
    /// # Errors
    /// [`ReadError`] where the service's order cannot be trusted.
    pub fn entry(&mut self, raw: &[u8]) -> Result<Read, ReadError> {
        self.counted = self.counted.saturating_add(1);
        let Ok(Value::Object(object)) = serde_json::from_slice(raw) else {
            return Ok(self.unreadable(raw, "entry.object", "the entity is no JSON object".to_owned(), None));
        };
        if is_relation(&object) {
            return Ok(Read::Nothing);
        }
        if let Some(id) = removed(&object) {
            return Ok(self.deleted(raw, &id, object));
        }
        let cursor = match self.cursor_of(&object)? {
            Ok(cursor) => cursor,
            Err(name) => {
                let message = format!("`{name}` is no value of its type");
                return Ok(self.unreadable(raw, "cursor.type", message, Some(name)));
            }
        };
        self.ascend(cursor.as_ref())?;
        let (mapping, of) = self.plan.mapping();
        let mapped = mapping.object(object, of);
        let key = match key::of(&mapped, &self.plan.key) {
            Ok(key) => key,
            Err(name) => {
                let (name, message) = (name.to_owned(), format!("the key's property `{name}` is missing or null"));
                return Ok(self.unreadable(raw, "key.missing", message, Some(name)));
            }
        };
        let timestamp = cursor.as_ref().and_then(|cursor| cursor.time).map(|micros| micros.div_euclid(1000));
        let key_bytes = json(&key);
        self.last = Some((cursor.clone(), key));
        let value = json(&mapped);
        if self.is_new(hash(&key_bytes), hash(&value), cursor.as_ref()) {
            return Ok(Read::Record { key: key_bytes, value, timestamp });
        }
        Ok(Read::Nothing)
    }

    /// The cursor of an entity; the outer error stops, the inner one rejects. Null is no cursor.
    fn cursor_of(&self, object: &Map<String, Value>) -> Result<Result<Option<Cursor>, String>, ReadError> {
        let Some(field) = &self.plan.cursor else { return Ok(Ok(None)) };
        match object.get(&field.name) {
            None => Err(ReadError::CursorMissing(self.plan.entity.clone(), field.name.clone())),
            Some(Value::Null) => Ok(Ok(None)),
            Some(raw) => Ok(Cursor::read(raw, field).map(Some).map_err(|_| field.name.clone())),
        }
    }

    /// Checks that cursors come in order, and raises the highest one.
    fn ascend(&mut self, cursor: Option<&Cursor>) -> Result<(), ReadError> {
        let (Some(cursor), Some(field)) = (cursor, &self.plan.cursor) else { return Ok(()) };
        let order = |before: &Option<Cursor>| before.as_ref().and_then(|before| cursor.order(before, field));
        if order(&self.ascended) == Some(Ordering::Less) {
            return Err(ReadError::Unordered(self.plan.entity.clone(), field.name.clone()));
        }
        self.ascended = Some(cursor.clone());
        let higher = match (&self.high, order(&self.high)) {
            (None, _) => true,
            (Some(_), Some(order)) => order == Ordering::Greater,
            (Some(high), None) => high.raw != cursor.raw,
        };
        if higher {
            self.high = Some(cursor.clone());
            self.tick += 1;
            let floor = self.floor();
            self.seen.forget_before(floor, false);
        }
        Ok(())
    }

    /// An entity that cannot be read is told once, too, as long as the overlap remembers it.
    fn unreadable(&mut self, raw: &[u8], code: &'static str, message: String, field: Option<String>) -> Read {
        let identity = hash(raw);
        let new = !self.seen.holds(identity, identity);
        self.seen.insert(identity, identity, self.now());
        self.fresh |= new;
        if new { Read::Unreadable { code, message, field: field.map(|name| pointer(&name)) } } else { Read::Nothing }
    }

    /// A removed entity: by its id, or by the key's properties where they stand in it (OData JSON Format 4.01, 15.3).
    fn deleted(&mut self, raw: &[u8], id: &str, object: Map<String, Value>) -> Read {
        let (mapping, of) = self.plan.mapping();
        let key = match key::of(&mapping.object(object, of), &self.plan.key) {
            Ok(key) => Some(key),
            Err(_) => key::of_id(id, &self.plan.key, self.plan.version),
        };
        let Some(key) = key else {
            return self.unreadable(raw, "key.missing", "the id of a deleted entity does not tell its key".to_owned(), None);
        };
        let bytes = json(&key);
        if self.is_new(hash(&bytes), GONE, None) { Read::Deleted { key: bytes } } else { Read::Nothing }
    }
}

/// Objects whose keys are text and whose values came from JSON always have a JSON form.
fn json(object: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(object).unwrap_or_default()
}
