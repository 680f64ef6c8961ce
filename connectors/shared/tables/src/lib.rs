//! What the sinks of tables share: the table that a topic's records go to, the key of a record, and what JSON says a value is. Knows of no database.

pub mod key;
mod shape;

use std::collections::BTreeMap;

pub use shape::Shape;
use wharf_sdk::{Error, Result};

/// What stands for the topic's name in `table`.
const TOPIC: &str = "{topic}";

/// The table that records of a topic go to: its own under `tables`, or `table`, in which `{topic}` stands for its name.
/// `taken` are the topics that are written, each with its table.
///
/// # Errors
/// `fatal` where the configuration names none, or where two topics give the same one by accident: `a.b` and `a-b` are both `a_b`.
pub fn table_of<'a>(
    topic: &str,
    table: Option<&str>,
    tables: &BTreeMap<String, String>,
    taken: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<String> {
    if let Some(table) = tables.get(topic) {
        return Ok(table.clone());
    }
    let Some(table) = table else {
        return Err(Error::fatal(format!("topic `{topic}` has no table: add it to `tables` of `config`, or set `table`")));
    };
    let name = table.replace(TOPIC, &identifier(topic));
    match taken.into_iter().find(|(_, other)| **other == name) {
        Some((other, _)) if table.contains(TOPIC) => Err(Error::fatal(format!(
            "the topics `{other}` and `{topic}` both give the table `{name}`: name their tables under `tables`"
        ))),
        _ => Ok(name),
    }
}

/// A topic's name as (part of) a table's: what is no letter, digit or `_` becomes `_`.
fn identifier(topic: &str) -> String {
    topic.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(topic, table)| ((*topic).to_owned(), (*table).to_owned())).collect()
    }

    #[test]
    fn table_of_a_topic_is_its_own_or_the_named_one_or_made_of_its_name() {
        let tables = map(&[("erp.orders", "sales.orders")]);
        assert_eq!(table_of("erp.orders", Some("raw_{topic}"), &tables, []).unwrap(), "sales.orders");
        assert_eq!(table_of("shop-1.items", Some("raw_{topic}"), &tables, []).unwrap(), "raw_shop_1_items");
        assert_eq!(table_of("shop-1.items", Some("all"), &tables, []).unwrap(), "all");
        assert!(matches!(table_of("c", None, &tables, []), Err(Error::Fatal(_))));
    }

    #[test]
    fn two_topics_share_a_table_only_where_the_configuration_says_so() {
        let taken = map(&[("a.b", "a_b")]);
        let error = table_of("a-b", Some("{topic}"), &map(&[]), &taken).unwrap_err();
        assert!(error.message().contains("`a.b` and `a-b` both give the table `a_b`"), "{}", error.message());
        assert_eq!(table_of("a-b", Some("a_b"), &map(&[]), &taken).unwrap(), "a_b");
        assert_eq!(table_of("a-b", Some("{topic}"), &map(&[("a-b", "a_b")]), &taken).unwrap(), "a_b");
    }
}
