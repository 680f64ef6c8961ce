//! Which topics a sink takes, ready to be compared. A pattern holds for whole names.

use std::collections::BTreeSet;

use super::{LogError, TopicSelection};

/// A [`TopicSelection`] whose pattern was read.
#[derive(Debug, Clone)]
pub enum Wanted {
    Names(BTreeSet<String>),
    Pattern(regex::Regex),
}

impl Wanted {
    /// # Errors
    /// [`LogError::Fatal`] for a pattern that is none.
    pub fn parse(selection: &TopicSelection) -> Result<Self, LogError> {
        let pattern = match selection {
            TopicSelection::Names(names) => return Ok(Self::Names(names.iter().cloned().collect())),
            TopicSelection::Pattern(pattern) => pattern,
        };
        let whole = regex::Regex::new(&format!("^(?:{pattern})$"));
        whole.map(Self::Pattern).map_err(|error| LogError::Fatal(format!("`{pattern}` is not a pattern of topics: {error}")))
    }

    #[must_use]
    pub fn takes(&self, topic: &str) -> bool {
        match self {
            Self::Names(names) => names.contains(topic),
            Self::Pattern(pattern) => pattern.is_match(topic),
        }
    }
}
