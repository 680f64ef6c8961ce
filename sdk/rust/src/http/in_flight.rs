//! Several requests at once, answered in whatever order they come. Knows no limit: how many are under way is the caller's choice.

use super::{Request, Response};
use crate::error::Result;

#[cfg(target_arch = "wasm32")]
use super::wasi::{Pending, first_ready};

/// Outside Wharf a request is answered when it starts.
#[cfg(not(target_arch = "wasm32"))]
type Pending = Response;

/// Requests under way, each with a tag by which its answer is known.
#[derive(Debug)]
pub struct InFlight<T>(Vec<Waiting<T>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    tag: T,
    place: String,
    /// An error: it could not even start.
    pending: Result<Pending>,
}

impl<T> Waiting<T> {
    pub(super) fn start(tag: T, request: &Request) -> Self {
        Self { tag, place: request.place(), pending: start(request) }
    }

    /// Its answer, waited for.
    pub(super) fn answer(self) -> (T, Result<Response>) {
        let Self { tag, place, pending } = self;
        match pending.and_then(answer) {
            Ok(answer) => (tag, Ok(Response { place, ..answer })),
            Err(error) => (tag, Err(error.context(place))),
        }
    }
}

impl<T> Default for InFlight<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> InFlight<T> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests that are not answered yet.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands a request to the host and goes on; where it cannot start, that is its answer. Waits only where a body is longer than the
    /// host takes at once (1 MiB).
    pub fn start(&mut self, tag: T, request: &Request) {
        self.0.push(Waiting::start(tag, request));
    }

    /// The next answer, waited for, as [`Request::send`] gives it; `None` where nothing is under way. Whoever drops the rest gives it up.
    pub fn answer(&mut self) -> Option<(T, Result<Response>)> {
        if self.0.is_empty() {
            return None;
        }
        Some(self.0.remove(self.ready()).answer())
    }

    /// The place of the first that has its answer.
    fn ready(&self) -> usize {
        let failed = self.0.iter().position(|waiting| waiting.pending.is_err());
        failed.unwrap_or_else(|| first_ready(self.0.iter().filter_map(|waiting| waiting.pending.as_ref().ok())))
    }
}

#[cfg(target_arch = "wasm32")]
fn start(request: &Request) -> Result<Pending> {
    Pending::start(request)
}

#[cfg(not(target_arch = "wasm32"))]
fn start(request: &Request) -> Result<Pending> {
    super::url::Url::parse(&request.url)?;
    crate::testing::send(request)
}

#[cfg(target_arch = "wasm32")]
fn answer(pending: Pending) -> Result<Response> {
    pending.answer()
}

#[cfg(not(target_arch = "wasm32"))]
const fn answer(pending: Pending) -> Result<Response> {
    Ok(pending)
}

#[cfg(not(target_arch = "wasm32"))]
fn first_ready<'a>(_: impl Iterator<Item = &'a Pending>) -> usize {
    0
}
