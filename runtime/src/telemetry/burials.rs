//! Dead letters as they are told in the log: the first of a connector at once, then one line in a while for all that came since.
//! Counters tell every one.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;

/// Between two lines of one connector.
const QUIET: Duration = Duration::from_secs(30);

/// Dead letters that were written and confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buried {
    pub letters: u64,
    /// Of the first of them: why, and its record's place.
    pub code: String,
    pub place: String,
    /// The dead-letter topic.
    pub topic: String,
}

/// Those of one connector, over its tasks.
#[derive(Debug, Default)]
pub(super) struct Burials(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Option<Instant>,
    waiting: Option<Buried>,
}

impl Burials {
    pub(super) fn add(&self, buried: Buried) {
        let waiting = &mut lock(&self.0).waiting;
        match waiting {
            Some(waiting) => waiting.letters += buried.letters,
            None => *waiting = Some(buried),
        }
    }

    /// Tells what waits to be told, once it is time.
    pub(super) fn tell(&self, connector: &str) {
        if let Some(Buried { letters, code, place, topic }) = self.due(Instant::now()) {
            tracing::warn!(connector, letters, code, place, topic, "records became dead letters; `wharf dlq ls` counts them");
        }
    }

    fn due(&self, now: Instant) -> Option<Buried> {
        let mut state = lock(&self.0);
        if state.told.is_some_and(|told| now.duration_since(told) < QUIET) {
            return None;
        }
        let due = state.waiting.take()?;
        state.told = Some(now);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_told_at_once_and_then_once_in_a_while_with_their_number() {
        let burials = Burials::default();
        let of =
            |letters, code: &str| Buried { letters, code: code.to_owned(), place: "t/0/7".to_owned(), topic: "dlq".to_owned() };
        let now = Instant::now();
        assert_eq!(burials.due(now), None);
        burials.add(of(1, "sql.check"));
        assert_eq!(burials.due(now), Some(of(1, "sql.check")));
        burials.add(of(3, "sql.type"));
        burials.add(of(4, "sql.check"));
        assert_eq!(burials.due(now + Duration::from_secs(29)), None);
        assert_eq!(burials.due(now + Duration::from_secs(30)), Some(of(7, "sql.type")));
        assert_eq!(burials.due(now + Duration::from_secs(90)), None, "nothing came since");
    }
}
