//! The records of a comparison: orders of 890 B with 10 fields, a tenth of them updates of an order that came long before, so that
//! no system meets one key twice in a batch. A run of `rows` records leaves `rows - rows / 10` orders, and the sum of their versions is `rows`.

use std::fmt::Write as _;

/// Bytes of a value.
pub const BYTES: usize = 890;
/// Bytes that all fields fit into.
const ALL_FIELDS: usize = 300;
/// Partitions of the topic; an order is in the one of its id.
pub const PARTITIONS: i32 = 4;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub id: u64,
    /// 2 for an update.
    pub version: u64,
}

impl Order {
    /// Its partition of a topic with so many.
    #[must_use]
    pub fn partition(self, partitions: i32) -> i32 {
        i32::try_from(self.id % u64::from(partitions.unsigned_abs().max(1))).unwrap_or_default()
    }

    /// The record's key.
    #[must_use]
    pub fn key(self) -> String {
        format!(r#"{{"id":{}}}"#, self.id)
    }

    /// The record's value: JSON of `bytes` bytes, with all fields where they fit, else with `id`, `version` and `note` alone. `into` is
    /// emptied first.
    pub fn value(self, bytes: usize, into: &mut String) {
        const STATUS: [&str; 4] = ["open", "paid", "packed", "shipped"];
        const CHANNEL: [&str; 2] = ["web", "store"];
        const NOTE: &str =
            "Leave at the side door and ring twice; the customer asked for a gift receipt and as little packaging as can be. ";
        let Self { id, version } = self;
        let turn = |list: &[&'static str]| list.get(usize::try_from(id).unwrap_or(0) % list.len()).copied().unwrap_or_default();
        into.clear();
        let written = if bytes < ALL_FIELDS {
            write!(into, r#"{{"id":{id},"version":{version},"note":""#)
        } else {
            write!(
                into,
                r#"{{"id":{id},"customer":"C-{:07}","email":"customer.{}@example.com","status":"{}","channel":"{}","quantity":{},"total":"{}.{:02}","created":"2026-11-{:02}T{:02}:{:02}:{:02}.{:06}Z","version":{version},"note":""#,
                id % 250_000,
                id % 250_000,
                turn(&STATUS),
                turn(&CHANNEL),
                id % 9 + 1,
                id % 900 + 5,
                id % 100,
                id % 28 + 1,
                id % 24,
                id % 60,
                id % 59,
                id % 1_000_000,
            )
        };
        // Writing into a string cannot fail.
        debug_assert!(written.is_ok(), "a string takes all");
        while into.len() + 2 < bytes {
            let part = NOTE.get(..(bytes - into.len() - 2).min(NOTE.len())).unwrap_or_default();
            into.push_str(part);
        }
        into.push_str("\"}");
    }
}

/// All records of a run, in the order they are sent.
pub fn orders(rows: u64) -> impl Iterator<Item = Order> {
    let (updates, distance) = (rows / 10, (rows / 10).min(50_000));
    let begin = 2 * distance;
    let step = (rows - begin) / updates.max(1);
    let mut new = 0;
    (0..rows).map(move |index| {
        let since = index.checked_sub(begin).filter(|since| since.is_multiple_of(step.max(1)));
        match since.map(|since| since / step.max(1)) {
            Some(update) if update < updates => Order { id: update, version: 2 },
            _ => {
                new += 1;
                Order { id: new - 1, version: 1 }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{BYTES, Order, orders};

    #[test]
    fn a_tenth_are_updates_of_an_order_that_came_long_before() {
        for rows in [1_000, 100_000, 1_000_000] {
            let (mut seen, mut nearest) = (BTreeMap::new(), u64::MAX);
            for (index, order) in (0..).zip(orders(rows)) {
                if let Some((before, version)) = seen.insert(order.id, (index, order.version)) {
                    nearest = nearest.min(index - before);
                    assert_eq!((version, order.version), (1, 2));
                }
            }
            assert_eq!(seen.len() as u64, rows - rows / 10);
            // Of what stays.
            assert_eq!(seen.values().map(|(_, version)| version).sum::<u64>(), rows);
            assert!(nearest >= (rows / 10).min(50_000), "{nearest} of {rows}");
        }
    }

    #[test]
    fn a_value_is_json_of_its_size() {
        let mut value = String::new();
        for id in [0, 7, 999_999] {
            for bytes in [100, 299, 300, BYTES, 100_000] {
                Order { id, version: 1 }.value(bytes, &mut value);
                assert_eq!(value.len(), bytes);
                let read: serde_json::Value = serde_json::from_str(&value).expect(&value);
                assert_eq!(read["id"], id);
                assert_eq!(read.as_object().map(serde_json::Map::len), Some(if bytes < 300 { 3 } else { 10 }));
            }
        }
    }
}
