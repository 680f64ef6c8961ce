//! One event of one recipient: its key and value as JSON. Owns the form of a record; knows no service.

use serde_json::{Map, Value};
use wharf_packing::hash;
use wharf_sdk::Rejection;

/// What a recipient did, or what became of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Sent,
    Open,
    Click,
    Bounce,
    Unsubscribe,
}

impl Action {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Open => "open",
            Self::Click => "click",
            Self::Bounce => "bounce",
            Self::Unsubscribe => "unsubscribe",
        }
    }
}

/// An event that can be told apart from every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The service's id of the mailing; `None` where the service does not say which.
    pub campaign: Option<Value>,
    /// The service's pseudonym of the recipient, never the address.
    pub member: String,
    pub action: Action,
    /// Microseconds since 1970.
    pub at: i64,
    /// When the service recorded it, as far as it tells: a read that asks from this time on finds it again.
    pub recorded: i64,
    /// What else the service says: `list`, `type`, `url`, `reason` and, where configured, `address` and `ip`.
    pub more: Map<String, Value>,
}

/// What a row of an answer comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Event(Event),
    /// To the dead-letter topic: the row as far as it was read, and why it went no further.
    Unreadable(Vec<u8>, Rejection),
}

/// RFC 3339 in UTC with microseconds: how Wharf's records hold times.
#[must_use]
pub fn rfc3339(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |at| format!("{at:.6}"))
}

impl Event {
    fn head(&self) -> Map<String, Value> {
        let mut head = Map::new();
        head.insert("campaign".to_owned(), self.campaign.clone().unwrap_or(Value::Null));
        head.insert("member".to_owned(), self.member.clone().into());
        head.insert("action".to_owned(), self.action.name().into());
        head.insert("timestamp".to_owned(), rfc3339(self.at).into());
        head
    }

    /// `{"campaign","member","action","timestamp"}`.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        Value::Object(self.head()).to_string().into_bytes()
    }

    /// The key's fields, and what else is known.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        let mut value = self.head();
        value.extend(self.more.clone());
        Value::Object(value).to_string().into_bytes()
    }

    /// By what it is known again: two links clicked within one second are two events, and a reason that is told later is news.
    #[must_use]
    pub fn identity(&self) -> u64 {
        let mut identity = self.key();
        for name in ["url", "type", "list", "reason"] {
            if let Some(value) = self.more.get(name) {
                identity.extend(value.to_string().into_bytes());
            }
        }
        hash(&identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn click(url: &str) -> Event {
        let more = Map::from_iter([("url".to_owned(), Value::from(url))]);
        let campaign = Some("42694e9e57".into());
        Event { campaign, member: "62eeb292".to_owned(), action: Action::Click, at: 1_714_557_600_000_000, recorded: 0, more }
    }

    #[test]
    fn key_and_value_are_objects_of_the_same_first_fields() {
        let event = click("https://shop.example.com/");
        let key = r#"{"campaign":"42694e9e57","member":"62eeb292","action":"click","timestamp":"2024-05-01T10:00:00.000000Z"}"#;
        assert_eq!(String::from_utf8(event.key()).unwrap(), key);
        let value = key.replace('}', r#","url":"https://shop.example.com/"}"#);
        assert_eq!(String::from_utf8(event.value()).unwrap(), value);
    }

    #[test]
    fn clicks_of_one_second_on_two_links_are_two_events() {
        assert_eq!(click("a").identity(), click("a").identity());
        assert_ne!(click("a").identity(), click("b").identity());
    }
}
