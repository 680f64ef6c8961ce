//! The sandbox: each misbehaviour of a guest has its own end and its own words, and none touches the next instance.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wharf_runtime::batch::{Batch, Record};
use wharf_runtime::config::GuestLimits;
use wharf_runtime::guest::{Component, Context, Death, Grants, GuestError, Guests, SinkGuest};
use wharf_runtime::outcome::{Outcome, Verdict};

mod interface;
mod limits;
mod load;
mod reach;

/// An engine of its own for each test; compiled guests are shared on disk.
fn guests() -> Arc<Guests> {
    Arc::new(Guests::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-cache")).unwrap())
}

fn bytes(name: &str) -> &'static [u8] {
    wharf_guest_bundle::component(name).unwrap_or_else(|| panic!("no guest `{name}`: was WHARF_BUNDLE=skip set?"))
}

async fn load(guests: &Arc<Guests>, name: &str) -> Component {
    Component::load(guests, bytes(name)).await.unwrap()
}

fn nothing() -> Grants {
    Grants {
        connector: "sandboxed".to_owned(),
        task: 0,
        http: None,
        sql: BTreeMap::new(),
        folders: Vec::new(),
        inbox: None,
        limits: GuestLimits { memory: 64 << 20, call_cpu: Duration::from_secs(20), call_deadline: Duration::from_secs(60) },
        metrics: Arc::default(),
    }
}

fn context(config: &str) -> Context {
    Context { name: "sandboxed".to_owned(), task: 0, tasks: 1, config: config.to_owned() }
}

async fn sink(component: &Component, grants: Grants) -> SinkGuest {
    let mut sink = SinkGuest::start(component, grants).await.unwrap();
    sink.open(context("{}")).await.unwrap();
    sink
}

/// Records of topic `t`, partition 0, with these values at offsets from 0.
fn batch(values: &[&str]) -> Batch {
    let mut batch = Batch::default();
    for (offset, value) in (0..).zip(values) {
        batch.push(&record(offset, value));
    }
    batch
}

fn record(offset: i64, value: &str) -> Record<'_> {
    Record {
        topic: "t",
        partition: 0,
        offset,
        timestamp: 1,
        key: None,
        value: Some(value.as_bytes()),
        headers: Vec::new(),
        attempt: 1,
    }
}

/// How an instance ended.
fn death<T: std::fmt::Debug>(result: Result<T, GuestError>) -> (Death, String) {
    match result {
        Err(GuestError::Died { death, detail }) => (death, detail),
        other => panic!("no death: {other:?}"),
    }
}

/// Codes and messages of the rejected records.
fn rejections(outcomes: &[Outcome]) -> Vec<(&str, &str)> {
    let rejection = |outcome| match outcome {
        &Outcome { verdict: Verdict::Reject(ref r), .. } => (r.code.as_str(), r.message.as_str()),
        other => panic!("no rejection: {other:?}"),
    };
    outcomes.iter().map(rejection).collect()
}
