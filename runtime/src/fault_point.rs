//! Points where the fault harness (`tests/chaos`) lets a worker die or stop in the midst of its work, and the rules that it
//! lets a worker break on purpose. Only with the cargo feature `chaos`: without it, as in every shipped binary, all calls
//! are empty. Decides nothing about delivery.

/// A point on the way of records. Up to its name nothing of the step behind it has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Source: a poll handed over records, nothing is appended.
    Poll,
    /// Source: records and positions are sent to the log, not committed.
    Transaction,
    /// Source: the log has committed, the guest has no acknowledgement.
    Committed,
    /// Sink: the target has the records, and this worker has not settled them: rows lie in the open database transaction, or
    /// an HTTP answer has come and the guest has not seen it.
    Write,
    /// Sink: dead letters are confirmed, nothing is committed.
    Buried,
    /// Sink: the database has committed, or the guest has accepted, and the log has no offsets.
    Written,
}

/// A rule that is broken on purpose, to see that the harness finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Positions and offsets move before delivery.
    CommitFirst,
    /// Records and positions, or rows and offsets, in two transactions.
    NoTransaction,
    /// The offsets in the database are written without a look at what is stored.
    NoCas,
}

#[cfg(not(feature = "chaos"))]
mod off {
    use super::{Mutant, Phase};

    /// Nothing, without the feature `chaos`.
    #[inline(always)]
    pub const fn pass(_phase: Phase, _records: usize) {}

    /// No rule is broken, without the feature `chaos`.
    #[must_use]
    #[inline(always)]
    pub const fn mutant() -> Option<Mutant> {
        None
    }
}

#[cfg(feature = "chaos")]
mod on {
    use std::str::FromStr;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::{Mutant, Phase};

    /// What is to happen at the n-th pass of a phase.
    struct Plan {
        phase: Phase,
        nth: u64,
        signal: Signal,
        passed: AtomicU64,
    }

    static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
        let named = [("WHARF_CHAOS_DIE", Signal::KILL), ("WHARF_CHAOS_STOP", Signal::STOP)];
        let plan = |(name, signal): (&str, Signal)| {
            let text = std::env::var(name).ok()?;
            let parsed = text.split_once(':').and_then(|(phase, nth)| Some((phase.parse().ok()?, nth.parse().ok()?)));
            let (phase, nth) = parsed.unwrap_or_else(|| unusable(name, &text));
            Some(Plan { phase, nth, signal, passed: AtomicU64::new(0) })
        };
        named.into_iter().filter_map(plan).collect()
    });

    static MUTANT: LazyLock<Option<Mutant>> = LazyLock::new(|| {
        let text = std::env::var("WHARF_CHAOS_MUTANT").ok()?;
        Some(text.parse().unwrap_or_else(|()| unusable("WHARF_CHAOS_MUTANT", &text)))
    });

    fn unusable<T>(name: &str, text: &str) -> T {
        tracing::error!(name, text, "cannot be read");
        std::process::exit(2);
    }

    /// Records pass this point. At the planned pass the process kills or stops itself: for the outside the same as a signal
    /// from there, but always at the same place.
    pub fn pass(phase: Phase, records: usize) {
        if records == 0 {
            return;
        }
        for plan in PLANS.iter().filter(|plan| plan.phase == phase) {
            if plan.passed.fetch_add(1, Ordering::SeqCst) + 1 != plan.nth {
                continue;
            }
            if let Err(error) = kill_process(getpid(), plan.signal) {
                tracing::error!(%error, "the process could not signal itself");
                std::process::exit(2);
            }
            if plan.signal == Signal::KILL {
                wait_for_the_end();
            }
        }
    }

    /// The signal is on its way: nothing behind the point may happen.
    fn wait_for_the_end() -> ! {
        loop {
            std::thread::park();
        }
    }

    /// The rule that this worker breaks.
    #[must_use]
    pub fn mutant() -> Option<Mutant> {
        *MUTANT
    }

    impl FromStr for Phase {
        type Err = ();

        fn from_str(text: &str) -> Result<Self, ()> {
            let all = [Self::Poll, Self::Transaction, Self::Committed, Self::Write, Self::Buried, Self::Written];
            all.into_iter().find(|phase| phase.name() == text).ok_or(())
        }
    }

    impl FromStr for Mutant {
        type Err = ();

        fn from_str(text: &str) -> Result<Self, ()> {
            let all = [Self::CommitFirst, Self::NoTransaction, Self::NoCas];
            all.into_iter().find(|mutant| mutant.name() == text).ok_or(())
        }
    }
}

#[cfg(not(feature = "chaos"))]
pub use off::{mutant, pass};
#[cfg(feature = "chaos")]
pub use on::{mutant, pass};

impl Phase {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Transaction => "transaction",
            Self::Committed => "committed",
            Self::Write => "write",
            Self::Buried => "buried",
            Self::Written => "written",
        }
    }
}

impl Mutant {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommitFirst => "commit-first",
            Self::NoTransaction => "no-transaction",
            Self::NoCas => "no-cas",
        }
    }
}
