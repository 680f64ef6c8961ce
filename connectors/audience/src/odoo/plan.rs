//! What is to be changed at Odoo for some members, as its calls take it. Sends nothing.

use serde_json::{Map, Value, json};

use super::{Contact, Subscription};
use crate::entry::Entry;

/// What is to be changed for some members.
#[derive(Default)]
pub struct Plan {
    pub create: Vec<Value>,
    pub write: Vec<(i64, Map<String, Value>)>,
    /// Commands for the subscriptions of the list: `[0, 0, values]` makes one, `[1, id, values]` changes one. Of those who leave.
    pub leave: Vec<Value>,
    /// Of those who come.
    pub join: Vec<Value>,
}

impl Plan {
    /// Nothing is left to change.
    pub const fn is_empty(&self) -> bool {
        self.create.is_empty() && self.write.is_empty() && self.leave.is_empty() && self.join.is_empty()
    }

    /// Makes the contact, or changes what differs, and brings it onto the list. `known`: what it has of the list already.
    pub fn subscribe(&mut self, entry: &Entry, contacts: &[Contact], known: &[&Subscription], list: i64) {
        let Some(first) = contacts.first() else {
            let mut values = entry.fields.0.clone();
            values.insert("email".to_owned(), entry.address.text().into());
            values.insert("subscription_ids".to_owned(), json!([[0, 0, {"list_id": list}]]));
            self.create.push(values.into());
            return;
        };
        let is_new = |(name, value): &(&String, &Value)| first.fields.get(*name) != Some(*value);
        let changed: Map<_, _> =
            entry.fields.0.iter().filter(is_new).map(|(name, value)| (name.clone(), value.clone())).collect();
        if !changed.is_empty() {
            self.write.push((first.id, changed));
        }
        if known.is_empty() {
            self.join.push(json!([0, 0, {"contact_id": first.id}]));
        }
        let left = known.iter().filter(|subscription| subscription.opt_out);
        self.join.extend(left.map(|subscription| json!([1, subscription.id, {"opt_out": false}])));
    }
}
