//! Lists of statuses as an operator writes them. What a listed status means is the connector's.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Unexpected};

/// Statuses: single ones and ranges with both ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

impl Statuses {
    /// 200 to 299.
    #[must_use]
    pub fn accepted() -> Self {
        Self(vec![(200, 299)])
    }

    /// 408, 425, 429, 500 and 502 to 599.
    #[must_use]
    pub fn retried() -> Self {
        Self(vec![(408, 408), (425, 425), (429, 429), (500, 500), (502, 599)])
    }

    #[must_use]
    pub fn has(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Number(u16),
    Text(String),
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a status such as 409, or a range such as \"500..599\"";
        let items = Vec::<Item>::deserialize(deserializer)?;
        let range = |item| match item {
            Item::Number(status) => Some((status, status)),
            Item::Text(text) => {
                let (from, to) = text.split_once("..").unwrap_or((&text, &text));
                Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
            }
        };
        let valid = |(from, to): &(u16, u16)| 100 <= *from && from <= to && *to <= 599;
        let ranges: Option<Vec<_>> = items.into_iter().map(|item| range(item).filter(valid)).collect();
        ranges.map(Self).ok_or_else(|| D::Error::invalid_value(Unexpected::Other("a list with something else"), &EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_name_no_statuses_are_refused() {
        for list in ["[99]", "[\"599..500\"]", "[\"4xx\"]", "[600]", "[true]", "[70000]"] {
            assert!(serde_json::from_str::<Statuses>(list).is_err(), "{list}");
        }
    }

    #[test]
    fn ranges_have_both_ends() {
        let list: Statuses = serde_json::from_str(r#"[409, "500..502"]"#).unwrap();
        let has: Vec<_> = [408, 409, 499, 500, 502, 503].into_iter().filter(|status| list.has(*status)).collect();
        assert_eq!(has, [409, 500, 502]);
    }
}
