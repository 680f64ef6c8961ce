//! Which topics a sink takes, ready to be compared. A pattern holds for whole names.

use std::collections::BTreeSet;
use std::fmt;

use super::{LogError, TopicSelection, positions_topic};

/// A [`TopicSelection`] whose pattern was read.
#[derive(Debug, Clone)]
pub enum Wanted {
    Names(BTreeSet<String>),
    Pattern(Pattern),
}

/// A pattern, and names that are not meant whatever it says.
#[derive(Debug, Clone)]
pub struct Pattern {
    pattern: regex::Regex,
    without: BTreeSet<String>,
}

impl fmt::Display for Wanted {
    /// As it stands in the configuration: names, or the pattern.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names(names) => f.write_str(&names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
            Self::Pattern(Pattern { pattern, .. }) => {
                let whole = pattern.as_str();
                f.write_str(whole.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(whole))
            }
        }
    }
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
        let whole = whole.map_err(|error| LogError::Fatal(format!("`{pattern}` is not a pattern of topics: {error}")))?;
        Ok(Self::Pattern(Pattern { pattern: whole, without: BTreeSet::new() }))
    }

    /// What a sink of a deployment takes: by a pattern never its own dead letters, which would come back without end, nor what
    /// Wharf keeps for itself.
    ///
    /// # Errors
    /// As [`Wanted::parse`].
    pub fn of_sink(selection: &TopicSelection, deployment: &str, dead_letters: Option<&str>) -> Result<Self, LogError> {
        let mut wanted = Self::parse(selection)?;
        if let Self::Pattern(pattern) = &mut wanted {
            pattern.without = dead_letters.map(str::to_owned).into_iter().chain([positions_topic(deployment)]).collect();
        }
        Ok(wanted)
    }

    #[must_use]
    pub fn takes(&self, topic: &str) -> bool {
        match self {
            Self::Names(names) => names.contains(topic),
            Self::Pattern(Pattern { pattern, without }) => pattern.is_match(topic) && !without.contains(topic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_never_takes_the_sinks_own_dead_letters_nor_the_positions() {
        let all = TopicSelection::Pattern(".*".to_owned());
        let wanted = Wanted::of_sink(&all, "retail", Some("dlq.retail.out")).unwrap();
        let takes = |topic| wanted.takes(topic);
        assert!(takes("orders") && takes("dlq.retail.other") && takes("wharf.retail.positions.old"));
        assert!(!takes("dlq.retail.out") && !takes("wharf.retail.positions"));
        assert!(Wanted::of_sink(&all, "retail", None).unwrap().takes("dlq.retail.out"));
    }
}
