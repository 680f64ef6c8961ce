//! What can be the name of a topic (Kafka's `Topic.validate`).

/// 1 to 249 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
#[must_use]
pub fn is_topic_name(name: &str) -> bool {
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    fits && (1..=249).contains(&name.len()) && name != "." && name != ".."
}
