//! The records of one call that are not decided yet, in their order. Owns the rule that nothing newer of an entity is sent before what is
//! older of it is decided. Sends nothing.

use std::collections::HashSet;
use std::time::Duration;

use crate::entry::Entry;

/// What waits.
#[derive(Debug, Default)]
pub struct Waiting {
    entries: Vec<Waits>,
    /// Entities of which something has to come again later: all that is newer of them does, too.
    held: HashSet<String>,
}

#[derive(Debug)]
struct Waits {
    entry: Entry,
    /// How long the service asked to wait; meaningful where the entity is held.
    after: Option<Duration>,
}

impl Waiting {
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(Waits { entry, after: None });
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Places of what can be sent beside each other: the oldest of each entity, at most `most`.
    #[must_use]
    pub fn next(&self, most: usize) -> Vec<usize> {
        let mut taken = HashSet::new();
        let mut places = Vec::new();
        for (place, Waits { entry, .. }) in self.entries.iter().enumerate() {
            if places.len() == most {
                break;
            }
            if !self.held.contains(&entry.order) && taken.insert(entry.order.as_str()) {
                places.push(place);
            }
        }
        places
    }

    pub fn get(&self, place: usize) -> Option<&Entry> {
        self.entries.get(place).map(|waits| &waits.entry)
    }

    pub fn get_mut(&mut self, place: usize) -> Option<&mut Entry> {
        self.entries.get_mut(place).map(|waits| &mut waits.entry)
    }

    /// This one has to come again, and with it all that is newer of its entity.
    pub fn hold(&mut self, place: usize, after: Option<Duration>) {
        if let Some(waits) = self.entries.get_mut(place) {
            waits.after = after;
            self.held.insert(waits.entry.order.clone());
        }
    }

    /// A record that was held, and what is newer of its entity, may go on; answers its place.
    pub fn release(&mut self, index: u32) -> Option<usize> {
        let place = self.entries.iter().position(|waits| waits.entry.index == index)?;
        self.held.remove(&self.entries.get(place)?.entry.order);
        Some(place)
    }

    /// Takes out what is decided.
    pub fn remove(&mut self, decided: &[u32]) {
        self.entries.retain(|waits| !decided.contains(&waits.entry.index));
    }

    /// Index and wait of what is left, in order. `after` is how long the service as a whole wants to be left alone.
    pub fn rest(&self, after: Option<Duration>) -> impl Iterator<Item = (u32, Option<Duration>)> {
        self.entries.iter().map(move |waits| (waits.entry.index, waits.after.max(after)))
    }
}
