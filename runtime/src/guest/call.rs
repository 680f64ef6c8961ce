//! One call into a guest: on the guests' runtime, with a budget of CPU time and a deadline. A call that ends badly takes its
//! store with it, as the store refuses to be entered again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Store, Trap, UpdateDeadline};

use super::engine::Guests;
use super::state::{AbortOnDrop, State};
use super::stdio::Stdio;
use super::unsent::Unsent;
use super::v0_1::types;
use super::waits::Waits;
use super::{Death, Grants, GuestError};

/// Exports of an instance with their store; `None` once the instance is dead.
pub(super) struct Live<E> {
    inner: Option<Box<Entered<E>>>,
    guests: Arc<Guests>,
    grants: Arc<Grants>,
    stdio: Stdio,
    waits: Waits,
    unsent: Unsent,
}

pub(super) struct Entered<E> {
    pub(super) store: Store<State>,
    pub(super) exports: E,
}

/// The future of one call, borrowing the instance.
pub(super) type Calling<'a, R> = Pin<Box<dyn Future<Output = wasmtime::Result<R>> + Send + 'a>>;

impl<E: Send + 'static> Live<E> {
    pub(super) fn new(guests: Arc<Guests>, grants: Arc<Grants>, stdio: Stdio, entered: Entered<E>) -> Self {
        let (waits, unsent) = (entered.store.data().waits.clone(), entered.store.data().unsent.clone());
        Self { inner: Some(Box::new(entered)), guests, grants, stdio, waits, unsent }
    }

    /// Runs one call.
    ///
    /// # Errors
    /// [`GuestError::Died`] when it trapped or broke a limit; the instance is then of no further use.
    pub(super) async fn call<R: Send + 'static>(
        &mut self,
        call: impl for<'a> FnOnce(&'a mut Entered<E>) -> Calling<'a, R> + Send + 'static,
    ) -> Result<R, GuestError> {
        let Some(mut entered) = self.inner.take() else {
            return Err(self.died(Death::Cancelled, "an earlier call of this instance did not end".to_owned()));
        };
        let limits = self.grants.limits.clone();
        let waits = self.waits.clone();
        waits.begin();
        self.unsent.begin();
        let task = self.guests.spawn(async move {
            let metered =
                Metered { call: call(&mut entered), used: Duration::ZERO, budget: limits.call_cpu, waits, rests: false };
            let (result, used) = metered.await;
            (entered, result, used)
        });
        let Some(task) = task else {
            return Err(self.died(Death::Cancelled, "the runtime is going down".to_owned()));
        };
        let mut task = AbortOnDrop(task);
        let Ok(joined) = tokio::time::timeout(limits.call_deadline, &mut task.0).await else {
            // Before the call is given up, and with it what it waits for.
            let (death, story) = self.waits.cut(limits.call_deadline);
            return Err(self.died(death, self.grants.veil().over(&story).into_owned()));
        };
        let (entered, result, used) =
            joined.map_err(|e| self.died(Death::Trap, format!("the call panicked on the host: {e}")))?;
        self.grants.metrics.guest_cpu(used);
        let memory = &entered.store.data().memory;
        self.grants.metrics.guest_memory(u64::try_from(memory.used).unwrap_or(u64::MAX));
        match result {
            Ok(value) => {
                self.inner = Some(entered);
                Ok(value)
            }
            Err(error) if error.is::<OverBudget>() => Err(self.died(Death::CpuLimit, format!("after {used:?} of CPU time"))),
            Err(error) => {
                let death = if memory.refused { Death::MemoryLimit } else { Death::Trap };
                Err(self.died(death, describe(&error)))
            }
        }
    }

    /// What the guest answered, its error without the credentials that a service may have echoed.
    ///
    /// # Errors
    /// What the guest says.
    pub(super) fn heard<R>(&self, answer: Result<R, types::Error>) -> Result<R, GuestError> {
        let veil = self.grants.veil();
        let hide = |text: String| veil.over(&text).into_owned();
        answer.map_err(|error| match error.into() {
            GuestError::Retry { message, after } => GuestError::Retry { message: hide(message), after },
            GuestError::Reject(reason) => GuestError::Reject(hide(reason)),
            GuestError::Fatal(reason) => GuestError::Fatal(hide(self.unsent.told(reason))),
            died @ GuestError::Died { .. } => died,
        })
    }

    fn died(&self, death: Death, detail: String) -> GuestError {
        let tail = self.stdio.tail();
        let detail = if tail.is_empty() { detail } else { format!("{detail}; its last output: {tail}") };
        GuestError::Died { death, detail }
    }

    /// The guest broke the interface: drop the instance.
    pub(super) fn malformed(&mut self, detail: impl std::fmt::Display) -> GuestError {
        self.inner = None;
        self.died(Death::Malformed, detail.to_string())
    }

    pub(super) const fn is_dead(&self) -> bool {
        self.inner.is_none()
    }
}

/// The trap's own words in one line, without the addresses of a backtrace.
fn describe(error: &wasmtime::Error) -> String {
    error.downcast_ref::<Trap>().map_or_else(|| format!("{:#}", error.root_cause()), ToString::to_string)
}

/// Makes a running guest come back every epoch, so that [`Metered`] can look at the clock.
pub(super) fn yield_each_epoch(store: &mut Store<State>) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        store.data().waits.interrupt();
        Ok(UpdateDeadline::Yield(1))
    });
}

#[derive(Debug, thiserror::Error)]
#[error("over budget")]
struct OverBudget;

/// Sums the CPU time of the thread inside `poll`: what the guest waits for does not count.
struct Metered<'a, R> {
    call: Calling<'a, R>,
    used: Duration,
    budget: Duration,
    waits: Waits,
    /// It came back to wait, not because it was interrupted.
    rests: bool,
}

impl<R> Future for Metered<'_, R> {
    type Output = (wasmtime::Result<R>, Duration);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.rests) {
            self.waits.wake();
        }
        let before = thread_cpu();
        let polled = self.call.as_mut().poll(context);
        self.used += thread_cpu().saturating_sub(before);
        match polled {
            Poll::Ready(result) => Poll::Ready((result, self.used)),
            Poll::Pending if self.used > self.budget => Poll::Ready((Err(OverBudget.into()), self.used)),
            Poll::Pending => {
                if !self.waits.was_interrupted() {
                    self.rests = true;
                    self.waits.rest();
                }
                Poll::Pending
            }
        }
    }
}

fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
