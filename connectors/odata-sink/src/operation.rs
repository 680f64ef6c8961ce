//! One request about one entity, and its answer: what an entry asks of the service in its step. Writes no URL beyond the path under the
//! service's root, and sends nothing.

use std::time::Duration;

use serde_json::{Map, Value};
use wharf_shared_odata::Version;

use crate::config::Etag;
use crate::entry::{Change, Entry, Step};
use crate::target::Target;

/// A request, its URL relative to the service's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Vec<u8>>,
}

/// What the service says to one operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl Operation {
    /// What an entry asks next.
    #[must_use]
    pub fn of(target: &Target, entry: &Entry, plain_numbers: bool) -> Self {
        let entity = format!("{}{}", target.set, entry.predicate);
        let v4 = target.version == Version::V4;
        let condition = match (&entry.etag, target.etag) {
            (Some(etag), _) => Some(etag.clone()),
            (None, Etag::None) => None,
            (None, _) => Some("*".to_owned()),
        };
        match (entry.step, &entry.change) {
            (Step::Create { .. }, Change::Put { create, .. }) => {
                Self::write("POST", target.set.clone(), target, plain_numbers, create)
            }
            // `*` is what services that ask for an ETag take for "whatever it is". It also keeps a service from creating the entity by
            // itself (OData 4.01 Part 1, 11.4.4), so that every service answers in one way: it was not there, and is created then.
            (Step::Update | Step::UpdateAgain, Change::Put { update, .. }) => {
                let method = if v4 { "PATCH" } else { "MERGE" };
                Self::write(method, entity, target, plain_numbers, update).on(condition)
            }
            (Step::Ask { .. }, _) | (Step::Delete, Change::Put { .. }) => Self::bare("GET", entity, target, plain_numbers),
            (_, Change::Delete) => Self::bare("DELETE", entity, target, plain_numbers).on(condition),
        }
    }

    /// Whether it only reads: then it stands outside of a changeset.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.method == "GET"
    }

    fn bare(method: &'static str, path: String, target: &Target, plain_numbers: bool) -> Self {
        let accept = match target.version {
            Version::V4 if !plain_numbers => "application/json;odata.metadata=minimal;IEEE754Compatible=true",
            _ => "application/json",
        };
        let operation = Self { method, path, headers: vec![("Accept", accept.to_owned())], body: None };
        match target.version {
            Version::V4 => operation.with("OData-MaxVersion", "4.0".to_owned()),
            Version::V2 => operation.with("MaxDataServiceVersion", "2.0".to_owned()),
        }
    }

    fn write(method: &'static str, path: String, target: &Target, plain_numbers: bool, fields: &Map<String, Value>) -> Self {
        let mut operation = Self::bare(method, path, target, plain_numbers);
        let content = match target.version {
            Version::V4 if !plain_numbers => "application/json;IEEE754Compatible=true",
            _ => "application/json",
        };
        // A JSON object whose keys are text always has a JSON form.
        operation.body = Some(serde_json::to_vec(fields).unwrap_or_default());
        let operation = operation.with("Content-Type", content.to_owned());
        match target.version {
            // The entity that was written is not wanted back (OData 4.01 Part 1, 8.2.8.7).
            Version::V4 => operation.with("OData-Version", "4.0".to_owned()).with("Prefer", "return=minimal".to_owned()),
            Version::V2 => operation,
        }
    }

    fn on(self, condition: Option<String>) -> Self {
        match condition {
            Some(condition) => self.with("If-Match", condition),
            None => self,
        }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
