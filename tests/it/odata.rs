//! The bundled source `odata` in the real host: against a service that breaks in the ways services break, and against
//! mock-sap. What was read is compared with what the service holds. The sink is under `sink.rs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wharf_runtime::capability::http::{ClientOptions, HttpAccess, SharedClients};
use wharf_runtime::capability::secret::Secret;
use wharf_runtime::config::{AllowedHost, Auth, GuestLimits};
use wharf_runtime::guest::{Component, Context, Grants, GuestError, Guests, SourceGuest};
use wharf_runtime::telemetry::ConnectorMetrics;
use wharf_runtime::topic_log::{BatchLimits, Position};

mod faults;
mod fixture;
mod sap;
mod sink;

/// A running source and what it has handed over.
struct Reading {
    guest: SourceGuest,
    /// Key and value of each record, in order; `None` is a tombstone.
    records: Vec<(Value, Option<Value>)>,
    rejects: Vec<String>,
    positions: BTreeMap<String, Position>,
}

/// Starts the bundled source at `positions`; credentials are for `host:port`.
async fn start(authority: &str, password: &str, config: &Value, positions: &[Position]) -> Reading {
    let guests = Arc::new(Guests::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-cache")).unwrap());
    let bytes = wharf_bundle::component("odata").expect("the bundle has odata: was WHARF_BUNDLE=skip set?");
    let component = Component::load(&guests, bytes).await.unwrap();
    let (host, port) = authority.rsplit_once(':').unwrap();
    let allowed = AllowedHost { https: false, host: host.to_owned(), port: port.parse().unwrap(), private: true };
    let auth = Auth::Basic { user: Secret::new("sap".to_owned()), password: Secret::new(password.to_owned()) };
    let clients = SharedClients::new(&ClientOptions::default()).unwrap();
    let http = HttpAccess::new(&clients, "erp", &[allowed], &BTreeMap::from([(authority.to_owned(), auth)])).unwrap();
    let grants = Grants {
        connector: "erp".to_owned(),
        task: 0,
        http: Some(http),
        sql: BTreeMap::new(),
        folders: Vec::new(),
        inbox: None,
        limits: GuestLimits { call_cpu: Duration::from_secs(20), ..GuestLimits::default() },
        metrics: Arc::new(ConnectorMetrics::default()),
    };
    let mut guest = SourceGuest::start(&component, grants).await.unwrap();
    let context = Context { name: "erp".to_owned(), task: 0, tasks: 1, config: config.to_string() };
    guest.open(context, positions).await.unwrap();
    Reading { guest, records: Vec::new(), rejects: Vec::new(), positions: BTreeMap::new() }
}

impl Reading {
    /// One poll; answers whether the read has come to its end.
    async fn poll(&mut self) -> Result<bool, GuestError> {
        let limits = BatchLimits { records: 4, bytes: 1 << 20, linger: Duration::from_millis(100) };
        let polled = self.guest.poll(limits).await?;
        let rejected: Vec<u32> = polled.rejects.iter().map(|outcome| outcome.index).collect();
        for (index, record) in (0..).zip(polled.records.records()) {
            if rejected.contains(&index) {
                self.rejects.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                continue;
            }
            let json = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap();
            self.records.push((json(record.key.unwrap()), record.value.map(json)));
        }
        for position in polled.positions {
            self.positions.insert(position.slice.clone(), position);
        }
        Ok(!polled.idle.is_zero())
    }

    /// Polls to the end of the read, and through what may be retried; answers the messages of the retries.
    async fn read(&mut self) -> Vec<String> {
        let mut retries = Vec::new();
        for _ in 0..500 {
            match self.poll().await {
                Ok(true) => return retries,
                Ok(false) => {}
                Err(GuestError::Retry { message, .. }) => retries.push(message),
                Err(other) => panic!("{other}"),
            }
        }
        panic!("the read does not come to an end");
    }

    fn stored(&self) -> Vec<Position> {
        self.positions.values().cloned().collect()
    }

    /// The records taken so far, as one text each, and none left.
    fn take(&mut self) -> Vec<String> {
        let texts = self.records.iter().map(|(key, value)| value.as_ref().map_or_else(|| format!("-{key}"), Value::to_string));
        let texts = texts.collect();
        self.records.clear();
        texts
    }
}
