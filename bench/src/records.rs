//! Records as a shop's order topic holds them.

use std::fmt::Write;

use wharf_runtime::batch::{Batch, Record};

/// A batch of `count` records of one partition: a key of 8 bytes, a JSON object of about `bytes` as value, no headers. Every
/// other order is open.
#[must_use]
pub fn orders(count: usize, bytes: usize) -> Batch {
    let mut batch = Batch::default();
    for (offset, id) in (0i64..).zip(0..count) {
        let (key, value) = (format!("{id:08}"), order(id, bytes));
        batch.push(&Record {
            topic: "shop.orders",
            partition: 0,
            offset,
            timestamp: 1_795_000_000_000 + offset,
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: Vec::new(),
            attempt: 1,
        });
    }
    batch
}

fn order(id: usize, bytes: usize) -> String {
    let status = if id.is_multiple_of(2) { "open" } else { "paid" };
    let mut order = format!(
        r#"{{"id":{id},"status":"{status}","email":"customer.{id}@example.com","city":"Rotterdam","total":"{}.95","lines":["#,
        id % 900
    );
    let mut line = 1;
    while line == 1 || order.len() + 40 < bytes {
        let comma = if line == 1 { "" } else { "," };
        // Writing into a string cannot fail.
        if write!(order, r#"{comma}{{"sku":"A-{:05}","quantity":{},"price":"9.95"}}"#, id + line, line % 7).is_err() {
            break;
        }
        line += 1;
    }
    order.push_str("]}");
    order
}
