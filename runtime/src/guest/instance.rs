//! Instances by world: each function is one call of the interface, with host types on both sides and what came back checked.

use std::sync::Arc;

use wasmtime::Store;

use super::call::{Entered, Live, yield_each_epoch};
use super::component::{Component, ComponentError, ComponentKind, Description, Pre};
use super::engine::Guests;
use super::lent::Lent;
use super::state::State;
use super::stdio::Stdio;
use super::v0_1::{sink, source, transform, types};
use super::{Context, Grants, GuestError};
use crate::batch::Batch;
use crate::capability::veil::Veil;
use crate::config::GuestLimits;
use crate::outcome::{Delta, Outcome, Polled, Verdict, Written};
use crate::telemetry::ConnectorMetrics;
use crate::topic_log::{BatchLimits, Position, TopicPartition};

/// A running source.
pub struct SourceGuest(Live<source::Source>);
/// A running sink.
pub struct SinkGuest(Live<sink::Sink>);
/// A running transform.
pub struct TransformGuest(Live<transform::Transform>);

macro_rules! debug_by_name {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
debug_by_name!(SourceGuest, SinkGuest, TransformGuest);

/// A store with its limits, ready for an instance.
fn store(guests: &Guests, grants: &Arc<Grants>, stdio: &Stdio) -> Result<Store<State>, ComponentError> {
    let state = State::new(Arc::clone(grants), guests.io.clone(), stdio)?;
    let mut store = Store::new(&guests.engine, state);
    store.limiter(|state| &mut state.memory);
    yield_each_epoch(&mut store);
    Ok(store)
}

macro_rules! start {
    ($component:expr, $grants:expr, $pre:path, $kind:expr) => {{
        let $pre(pre) = &$component.pre else {
            return Err($component.wrong_kind($kind));
        };
        let grants = Arc::new(cut($component, $grants));
        let stdio = Stdio::new(&grants.connector, grants.task, grants.veil());
        let mut store = store(&$component.guests, &grants, &stdio)?;
        let exports = pre.instantiate_async(&mut store).await.map_err(|e| ComponentError::Instantiate(format!("{e:#}")))?;
        Live::new(Arc::clone(&$component.guests), grants, stdio, Entered { store, exports })
    }};
}

/// What the operator grants AND the manifest asks for.
fn cut(component: &Component, mut grants: Grants) -> Grants {
    if !component.wants("http") {
        grants.http = None;
    }
    if !component.wants("sql") {
        grants.sql.clear();
    }
    if !component.wants("files") {
        grants.folders.clear();
    }
    if !component.wants("inbox") {
        grants.inbox = None;
    }
    grants
}

impl SourceGuest {
    /// # Errors
    /// [`ComponentError`] when the component is no source or no instance can be had.
    pub async fn start(component: &Component, grants: Grants) -> Result<Self, ComponentError> {
        Ok(Self(start!(component, grants, Pre::Source, ComponentKind::Source)))
    }

    /// # Errors
    /// What the guest says, or its death.
    pub async fn open(&mut self, context: Context, positions: &[Position]) -> Result<(), GuestError> {
        let positions: Vec<types::Position> = positions.iter().cloned().map(Into::into).collect();
        let context = context.into();
        let call = self.0.call(move |e| {
            Box::pin(async move { e.exports.wharf_connector_source_guest().call_open(&mut e.store, &context, &positions).await })
        });
        let answer = call.await?;
        self.0.heard(answer)
    }

    /// Reads on; waits at most `limits.linger` for the first record.
    ///
    /// # Errors
    /// What the guest says, or its death (also when the answer does not fit the interface).
    pub async fn poll(&mut self, limits: BatchLimits) -> Result<Polled, GuestError> {
        let limits = types::Limits {
            records: u32::try_from(limits.records).unwrap_or(u32::MAX),
            bytes: u32::try_from(limits.bytes).unwrap_or(u32::MAX),
            wait_ms: u32::try_from(limits.linger.as_millis()).unwrap_or(u32::MAX),
        };
        let call = self.0.call(move |e| {
            Box::pin(async move { e.exports.wharf_connector_source_guest().call_poll(&mut e.store, limits).await })
        });
        let answer = call.await?;
        let polled: Polled = self.0.heard(answer)?.into();
        polled.records.check().map_err(|e| self.0.malformed(e))?;
        check_outcomes(&polled.rejects, polled.records.len(), false).map_err(|e| self.0.malformed(e))?;
        Ok(polled)
    }

    /// # Errors
    /// What the guest says, or its death.
    pub async fn ack(&mut self, positions: Vec<Position>) -> Result<(), GuestError> {
        let positions: Vec<types::Position> = positions.into_iter().map(Into::into).collect();
        let call = self.0.call(move |e| {
            Box::pin(async move { e.exports.wharf_connector_source_guest().call_ack(&mut e.store, &positions).await })
        });
        let answer = call.await?;
        self.0.heard(answer)
    }

    /// Ends the instance; a dead one is left alone.
    ///
    /// # Errors
    /// The guest's death while closing.
    pub async fn close(mut self) -> Result<(), GuestError> {
        if self.0.is_dead() {
            return Ok(());
        }
        let call = self
            .0
            .call(move |e| Box::pin(async move { e.exports.wharf_connector_source_guest().call_close(&mut e.store).await }));
        call.await
    }
}

impl SinkGuest {
    /// # Errors
    /// [`ComponentError`] when the component is no sink or no instance can be had.
    pub async fn start(component: &Component, grants: Grants) -> Result<Self, ComponentError> {
        Ok(Self(start!(component, grants, Pre::Sink, ComponentKind::Sink)))
    }

    /// # Errors
    /// What the guest says, or its death.
    pub async fn open(&mut self, context: Context) -> Result<(), GuestError> {
        let context = context.into();
        let call = self.0.call(move |e| {
            Box::pin(async move { e.exports.wharf_connector_sink_guest().call_open(&mut e.store, &context).await })
        });
        let answer = call.await?;
        self.0.heard(answer)
    }

    /// Tells the whole list of partitions; answers, for each, the offset that the target itself keeps.
    ///
    /// # Errors
    /// What the guest says, or its death.
    pub async fn assign(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, GuestError> {
        let list: Vec<_> = partitions
            .iter()
            .map(|p| sink::exports::wharf::connector::sink_guest::Partition { topic: p.topic.to_string(), number: p.partition })
            .collect();
        let expected = list.len();
        let call = self.0.call(move |e| {
            Box::pin(async move { e.exports.wharf_connector_sink_guest().call_assign(&mut e.store, &list).await })
        });
        let answer = call.await?;
        let offsets = self.0.heard(answer)?;
        if offsets.len() != expected {
            return Err(self.0.malformed(format!("assign answered {} offsets for {expected} partitions", offsets.len())));
        }
        Ok(offsets)
    }

    /// Writes a batch, which is lent to the call and whole again after it.
    ///
    /// # Errors
    /// What the guest says, or its death.
    pub async fn write(&mut self, records: &mut Batch) -> Result<Written, GuestError> {
        let count = records.len();
        let lent = Lent::new(records);
        let records = lent.share();
        let call = self.0.call(move |e| {
            Box::pin(async move { e.exports.wharf_connector_sink_guest().call_write(&mut e.store, &records).await })
        });
        let answer = call.await?;
        let written: Written = self.0.heard(answer)?.into();
        check_outcomes(&written.outcomes, count, true).map_err(|e| self.0.malformed(e))?;
        Ok(written)
    }

    /// # Errors
    /// What the guest says, or its death.
    pub async fn flush(&mut self) -> Result<(), GuestError> {
        let call =
            self.0.call(move |e| Box::pin(async move { e.exports.wharf_connector_sink_guest().call_flush(&mut e.store).await }));
        let answer = call.await?;
        self.0.heard(answer)
    }

    /// Ends the instance; a dead one is left alone.
    ///
    /// # Errors
    /// The guest's death while closing.
    pub async fn close(mut self) -> Result<(), GuestError> {
        if self.0.is_dead() {
            return Ok(());
        }
        let call =
            self.0.call(move |e| Box::pin(async move { e.exports.wharf_connector_sink_guest().call_close(&mut e.store).await }));
        call.await
    }
}

impl TransformGuest {
    /// # Errors
    /// [`ComponentError`] when the component is no transform or no instance can be had.
    pub async fn start(component: &Component, grants: Grants) -> Result<Self, ComponentError> {
        Ok(Self(start!(component, grants, Pre::Transform, ComponentKind::Transform)))
    }

    /// # Errors
    /// What the guest says, or its death.
    pub async fn open(&mut self, context: Context) -> Result<(), GuestError> {
        let context = context.into();
        let call = self.0.call(move |e| {
            Box::pin(async move { e.exports.wharf_connector_transform_guest().call_open(&mut e.store, &context).await })
        });
        let answer = call.await?;
        self.0.heard(answer)
    }

    /// Applies it to a batch, which is lent to the call and whole again after it. The delta's columns are checked where it is
    /// applied (`transform/delta.rs`).
    ///
    /// # Errors
    /// What the guest says, or its death.
    pub async fn apply(&mut self, records: &mut Batch) -> Result<Delta, GuestError> {
        let count = records.len();
        let lent = Lent::new(records);
        let records = lent.share();
        let call = self.0.call(move |e| {
            Box::pin(async move { e.exports.wharf_connector_transform_guest().call_apply(&mut e.store, &records).await })
        });
        let answer = call.await?;
        let delta: Delta = self.0.heard(answer)?.into();
        check_outcomes(&delta.rejects, count, false).map_err(|e| self.0.malformed(e))?;
        Ok(delta)
    }

    /// The delta did not fit its input: drop the instance.
    pub fn malformed(&mut self, detail: impl std::fmt::Display) -> GuestError {
        self.0.malformed(detail)
    }
}

/// Outcomes ascend, name no index twice and none outside the batch; retry only where the interface allows it.
fn check_outcomes(outcomes: &[Outcome], records: usize, retry: bool) -> Result<(), String> {
    let mut next = 0;
    for outcome in outcomes {
        if outcome.index < next {
            return Err(format!("outcome {} is out of order", outcome.index));
        }
        if outcome.index as usize >= records {
            return Err(format!("outcome for record {} of {records}", outcome.index));
        }
        if !retry && matches!(outcome.verdict, Verdict::Retry(_)) {
            return Err(format!("verdict retry for record {}, where only reject is allowed", outcome.index));
        }
        next = outcome.index + 1;
    }
    Ok(())
}

/// Asks a component what it is, in an instance that reaches nothing.
pub(super) async fn describe(guests: &Arc<Guests>, pre: &Pre) -> Result<Description, ComponentError> {
    let grants = Arc::new(Grants {
        connector: "describe".to_owned(),
        task: 0,
        http: None,
        sql: std::collections::BTreeMap::new(),
        folders: Vec::new(),
        inbox: None,
        limits: GuestLimits::default(),
        metrics: Arc::new(ConnectorMetrics::default()),
    });
    let stdio = Stdio::new("describe", 0, Veil::default());
    let mut store = store(guests, &grants, &stdio)?;
    let failed = |e: wasmtime::Error| ComponentError::Instantiate(format!("{e:#}"));
    macro_rules! ask {
        ($pre:expr, $interface:ident) => {{
            let exports = $pre.instantiate_async(&mut store).await.map_err(failed)?;
            let mut live = Live::new(Arc::clone(guests), grants, stdio, Entered { store, exports });
            live.call(|e| Box::pin(async move { e.exports.$interface().call_describe(&mut e.store).await })).await
        }};
    }
    let described = match pre {
        Pre::Source(pre) => ask!(pre, wharf_connector_source_guest),
        Pre::Sink(pre) => ask!(pre, wharf_connector_sink_guest),
        Pre::Transform(pre) => ask!(pre, wharf_connector_transform_guest),
    };
    described.map(Into::into).map_err(|e| ComponentError::Describe(e.to_string()))
}
