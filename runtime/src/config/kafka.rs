//! librdkafka properties in `[kafka]`, `[source.kafka]` and `[sink.kafka]`: names with dots, secrets, and those that Wharf
//! keeps for itself. Opens no connection.

use std::collections::BTreeMap;

use toml::Spanned;

use crate::capability::secret::Secret;

use super::checker::Checker;
use super::diagnostic::Diagnostic;
use super::librdkafka::{self, Wrong};
use super::node::{Entries, Node, properties};

/// Properties that decide about delivery, with the reason why nobody else may set them.
const RESERVED: [(&str, &str); 11] = [
    ("group.id", "the group is `wharf.<name>.<sink>`: offsets belong to it"),
    (
        "transactional.id",
        "it is `wharf.<name>.<source>.<task>`, so that a predecessor is fenced; `exactly-once = false` switches it off",
    ),
    ("enable.auto.commit", "Wharf commits an offset only after delivery is confirmed"),
    ("enable.auto.offset.store", "Wharf stores an offset only after delivery is confirmed"),
    ("enable.idempotence", "sources always produce idempotently"),
    ("isolation.level", "sinks read committed records only"),
    ("auto.offset.reset", "use `start` of the sink"),
    ("enable.partition.eof", "a sink knows by it that it has caught up"),
    ("delivery.report.only.error", "a record counts as written when its delivery report says so"),
    ("topic.blacklist", "topics are chosen by `topics` of the sink"),
    ("partitioner", "it is murmur2_random everywhere, so that a key stays in its partition"),
];

fn reserved(name: &str) -> Option<&'static str> {
    let found = RESERVED.iter().find(|(reserved, _)| *reserved == name).map(|(_, why)| *why);
    let of_a_kind = || match name {
        _ if name.starts_with("enable.auto.") => Some("Wharf moves offsets itself, after delivery is confirmed"),
        _ if name.starts_with("test.mock.") => Some("with it librdkafka speaks to brokers of its own making"),
        _ => None,
    };
    found.or_else(of_a_kind)
}

/// Validated properties of one section.
pub fn kafka(checker: &mut Checker<'_>, entries: &Entries<Spanned<Node>>) -> BTreeMap<String, Secret> {
    let mut validated = BTreeMap::new();
    for property in properties(entries) {
        if let Some(reason) = reserved(&property.name) {
            let title = format!("`{}` is reserved", property.name);
            checker.push(Diagnostic::error(property.key, title).label("remove it").help(reason));
            continue;
        }
        let Some(text) = checker.scalar(&property.value) else { continue };
        let value = checker.secret(&text);
        // A reference that leads nowhere was told of.
        let is_known = !value.expose().is_empty() || text.get_ref().is_empty();
        match librdkafka::check(&property.name, value.expose()) {
            Err(Wrong::Name(help)) => {
                let title = format!("librdkafka has no property `{}`", property.name);
                checker.push(Diagnostic::error(property.key, title).label("not a property").help(help).cut());
            }
            Err(Wrong::Value(why)) if is_known => {
                let title = format!("`{}` cannot have this value", property.name);
                let at = property.value.span().start;
                checker.push(Diagnostic::error(at..at, title).label(why).cut());
            }
            Ok(()) | Err(Wrong::Value(_)) => {}
        }
        validated.insert(property.name, value);
    }
    validated
}
