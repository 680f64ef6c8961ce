//! What an instance waits for within a call, so that a call which is cut at its deadline tells a service that does not answer from
//! a guest that hangs. `call.rs` says when the guest runs and when it waits, the host's functions say for what. Decides only what
//! the end of a call is called; knows no wasmtime.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, Uri};

use super::Death;

/// Longest part of a request's path in a message.
const PATH: usize = 200;
/// Waits named in a message.
const NAMED: usize = 3;

/// Something outside of the guest that its call asks.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Http {
        method: Method,
        uri: Uri,
    },
    /// `what`: the function of the interface.
    Sql {
        connection: String,
        what: &'static str,
    },
    /// Requests that may come: nobody owes an answer.
    Inbox,
}

/// The waits of one instance; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Waits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The guest was interrupted by an epoch since this was taken last: it computes.
    interrupted: AtomicBool,
    ledger: Mutex<Ledger>,
}

#[derive(Debug)]
struct Ledger {
    /// Folders are outside of the guest, too, and their reads are not told.
    folders: bool,
    open: Vec<Open>,
    next: u64,
    /// The service that was asked last, and when that ended.
    last: Option<(Asked, Instant)>,
    of_call: OfCall,
}

/// What is not answered yet.
#[derive(Debug)]
struct Open {
    id: u64,
    asked: Asked,
    /// When it was asked, or a piece of its answer came last.
    since: Instant,
}

/// Of the call that is running.
#[derive(Debug)]
struct OfCall {
    begun: Instant,
    /// Since when the guest waits; `None`: it runs, or could.
    idle: Option<Instant>,
    /// Time that it waited before that.
    waited: Duration,
    /// A service was asked.
    asked: bool,
    /// One has answered.
    answered: bool,
    /// The longest that one has let it wait, so far as that is over.
    longest: Duration,
}

/// A service that was asked, until it has answered in full or is given up (drop).
#[derive(Debug)]
pub(super) struct Waiting {
    waits: Waits,
    id: u64,
}

impl Waits {
    pub(super) fn new(folders: bool) -> Self {
        let of_call = OfCall::new(Instant::now());
        let ledger = Ledger { folders, open: Vec::new(), next: 0, last: None, of_call };
        Self(Arc::new(Shared { interrupted: AtomicBool::new(false), ledger: Mutex::new(ledger) }))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins.
    pub(super) fn begin(&self) {
        self.ledger().of_call = OfCall::new(Instant::now());
    }

    /// The guest is interrupted by an epoch, while it computes.
    pub(super) fn interrupt(&self) {
        self.0.interrupted.store(true, Ordering::Relaxed);
    }

    /// Whether that is why the guest came back, asked each time that it did without an end.
    pub(super) fn was_interrupted(&self) -> bool {
        self.0.interrupted.swap(false, Ordering::Relaxed)
    }

    /// From now on the guest waits.
    pub(super) fn rest(&self) {
        self.ledger().of_call.idle = Some(Instant::now());
    }

    /// The guest goes on.
    pub(super) fn wake(&self) {
        let mut ledger = self.ledger();
        let rested = ledger.of_call.idle.take().map(|since| since.elapsed()).unwrap_or_default();
        ledger.of_call.waited += rested;
    }

    /// The guest asks something outside.
    pub(super) fn ask(&self, asked: Asked) -> Waiting {
        let mut ledger = self.ledger();
        let id = ledger.next;
        ledger.next += 1;
        ledger.of_call.asked |= asked.owes_an_answer();
        ledger.open.push(Open { id, asked, since: Instant::now() });
        Waiting { waits: self.clone(), id }
    }

    /// What a call is that is cut now, at its deadline, and its story for people.
    ///
    /// It has waited for a service when it was cut while it did, or when all its waits together took half of its time, so that a
    /// guest which asks again and again is known by more than the moment that it was cut in. Only a call that has asked a service
    /// can have waited for one: one that sleeps by the clock alone hangs.
    pub(super) fn cut(&self, deadline: Duration) -> (Death, String) {
        self.ledger().cut(deadline, Instant::now())
    }
}

impl Waiting {
    /// Some of the answer has come.
    pub(super) fn moved(&self) {
        let now = Instant::now();
        let mut ledger = self.waits.ledger();
        let Ledger { open, of_call, .. } = &mut *ledger;
        if let Some(open) = open.iter_mut().find(|open| open.id == self.id) {
            of_call.note(open, now);
            of_call.answered |= open.asked.owes_an_answer();
            open.since = now;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut ledger = self.waits.ledger();
        let Some(at) = ledger.open.iter().position(|open| open.id == self.id) else { return };
        let open = ledger.open.remove(at);
        ledger.of_call.note(&open, now);
        if open.asked.owes_an_answer() {
            ledger.last = Some((open.asked, now));
        }
    }
}

impl OfCall {
    const fn new(begun: Instant) -> Self {
        Self { begun, idle: None, waited: Duration::ZERO, asked: false, answered: false, longest: Duration::ZERO }
    }

    /// Of a wait that is over; what came before the call is not its own.
    fn note(&mut self, open: &Open, now: Instant) {
        if open.asked.owes_an_answer() {
            self.longest = self.longest.max(now.saturating_duration_since(open.since.max(self.begun)));
        }
    }
}

impl Ledger {
    fn cut(&self, deadline: Duration, now: Instant) -> (Death, String) {
        let call = &self.of_call;
        let resting = call.idle.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        let waited = call.waited + resting;
        let took = now.saturating_duration_since(call.begun);
        let owing: Vec<&Open> = self.open.iter().filter(|open| open.asked.owes_an_answer()).collect();
        let outside = call.asked || self.folders || !owing.is_empty();
        // Cut by chance in one of many short waits: then their sum says more.
        let in_a_wait = call.idle.is_some() && resting >= deadline / 20;
        let story = format!("after {took:.1?}, of which it waited {waited:.1?}, {}", self.doing(now));
        if !outside || !(in_a_wait || waited * 2 >= took) {
            return (Death::Deadline, story);
        }
        let since = owing.iter().map(|open| open.since.max(call.begun)).min();
        let longest = call.longest.max(since.map(|since| now.saturating_duration_since(since)).unwrap_or_default());
        if call.answered && longest * 2 < deadline {
            return (Death::Slow, format!("{story}. Give it fewer records (`batch.records`) or a longer `limits.call-deadline`"));
        }
        (Death::Waited, format!("{story}. Its own time limit (`timeout`) has to be well below `limits.call-deadline`"))
    }

    /// What it does, the longest wait first.
    fn doing(&self, now: Instant) -> String {
        let ago = |since: Instant| now.saturating_duration_since(since);
        let mut open: Vec<&Open> = self.open.iter().collect();
        open.sort_by_key(|open| open.since);
        if !open.is_empty() {
            let named: Vec<_> = open.iter().take(NAMED).map(|o| format!("{} ({:.1?})", o.asked, ago(o.since))).collect();
            let more = open.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            return format!("in the end for {}{more}", named.join(", "));
        }
        let place = match (self.of_call.idle, self.folders) {
            (None, _) => "and was computing in the end".to_owned(),
            (Some(since), true) => format!("in the end by the clock or for a file ({:.1?})", ago(since)),
            (Some(since), false) => format!("in the end by the clock ({:.1?})", ago(since)),
        };
        match &self.last {
            Some((asked, at)) => format!("{place}; the last service that it asked was {asked}, {:.1?} before", ago(*at)),
            None => format!("{place}; it had asked no service"),
        }
    }
}

impl Asked {
    const fn owes_an_answer(&self) -> bool {
        !matches!(self, Self::Inbox)
    }
}

impl fmt::Display for Asked {
    /// Without the query: it holds values more often than the path does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { method, uri } => {
                let scheme = uri.scheme_str().unwrap_or("http");
                let (host, port) = (uri.host().unwrap_or_default(), uri.port().map(|port| format!(":{port}")));
                let path: String = uri.path().chars().take(PATH).collect();
                write!(f, "{method} {scheme}://{host}{}{path}", port.unwrap_or_default())
            }
            Self::Sql { connection, what } => write!(f, "connection `{connection}` ({what})"),
            Self::Inbox => f.write_str("requests to its inbox"),
        }
    }
}

#[cfg(test)]
mod tests;
