//! How long a task could not get on, and how often it tried: said once, when it gets on again.

use std::time::{Duration, Instant};

/// Trouble that was over sooner is not worth a line.
const TELL: Duration = Duration::from_secs(3);

/// What a task has been trying, from the first failure on.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    tries: u32,
}

/// What is said of one that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) lasted: Duration,
    pub(super) tries: u32,
}

impl Trouble {
    /// One more failure.
    pub(super) fn met(&mut self) {
        self.since.get_or_insert_with(Instant::now);
        self.tries += 1;
    }

    /// The task is over, or another has its work.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The task gets on. `None`: there was nothing to speak of.
    pub(super) fn over(&mut self) -> Option<Over> {
        let Self { since, tries } = std::mem::take(self);
        let lasted = since?.elapsed();
        (lasted >= TELL).then_some(Over { lasted, tries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_of_some_seconds_is_told_once_with_its_tries() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.over(), None);
        trouble.met();
        assert_eq!(trouble.over(), None, "too short");
        trouble.met();
        trouble.met();
        trouble.since = Instant::now().checked_sub(Duration::from_secs(42));
        let over = trouble.over().unwrap();
        assert_eq!((over.lasted.as_secs(), over.tries), (42, 2));
        assert_eq!(trouble.over(), None);
    }
}
