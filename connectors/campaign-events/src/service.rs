//! What the source asks of a service: pages of events, and where reading stands. Two services implement it.

use std::time::Duration;

use wharf_sdk::{Position, Result};

use crate::event::Found;

/// The most that a position may hold.
pub const LARGEST: usize = 256 << 10;
/// The most events that a position holds, at about 13 characters each.
pub const MOST_HELD: usize = 19_000;
/// Where more came within one overlap, that of this read is shortened, but not below this: what is recorded late is recorded within it.
/// Microseconds.
pub const LEAST_OVERLAP: i64 = 60_000_000;
/// A position that moved without an event is stored this often.
pub const QUIET: Duration = Duration::from_secs(600);

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something was asked; what it brought is handed out by [`Service::next`].
    Asked,
    /// All is read for now.
    RoundOver,
}

/// A service that is read in rounds, page by page.
pub trait Service: std::fmt::Debug {
    /// Goes on by at most one request. To be called when [`Service::next`] has nothing more.
    ///
    /// # Errors
    /// `retry`, after which the same step is made again, or `fatal`.
    fn step(&mut self) -> Result<Step>;

    /// The next event of the page that was not handed over before.
    fn next(&mut self) -> Option<Found>;

    /// The positions that changed with what was handed over since the last call.
    ///
    /// # Errors
    /// `fatal` where a position would be larger than the host takes.
    fn positions(&mut self) -> Result<Vec<Position>>;
}
