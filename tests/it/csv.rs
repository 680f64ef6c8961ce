//! The bundled `csv` and `webhook` sources in the real host: what they reach, and what they hand over.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use wharf_runtime::config::{AllowedFolder, GuestLimits};
use wharf_runtime::guest::{Component, ComponentKind, Context, Grants, GuestError, Guests, SourceGuest};
use wharf_runtime::outcome::{Polled, Verdict};
use wharf_runtime::telemetry::ConnectorMetrics;
use wharf_runtime::topic_log::{BatchLimits, Position};

const LIMITS: BatchLimits = BatchLimits { records: 1_000, bytes: 1 << 20, linger: Duration::ZERO };
const RETAIL: &str =
    r#"{"path":"wms","pattern":"*.csv","key":["sku","warehouse","counted_on"],"types":{"quantity":"int"},"interval":"2s"}"#;

async fn load(name: &str) -> Component {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-cache");
    let guests = Arc::new(Guests::new(&cache).unwrap());
    let bytes = wharf_bundle::component(name).expect("a bundled connector: was WHARF_BUNDLE=skip set?");
    Component::load(&guests, bytes).await.unwrap()
}

/// An instance that may read `folder` under the name `wms`.
async fn start(component: &Component, folder: Option<&Path>) -> SourceGuest {
    let folders = folder.map(|host| AllowedFolder { host: host.to_owned(), guest: "wms".to_owned() });
    let grants = Grants {
        connector: "stock".to_owned(),
        task: 0,
        http: None,
        sql: BTreeMap::new(),
        folders: folders.into_iter().collect(),
        inbox: None,
        limits: GuestLimits::default(),
        metrics: Arc::new(ConnectorMetrics::default()),
    };
    SourceGuest::start(component, grants).await.unwrap()
}

fn context(config: &str) -> Context {
    Context { name: "stock".to_owned(), task: 0, tasks: 1, config: config.to_owned() }
}

/// (key, value, line) of each record that was not rejected, and the codes of the others.
fn read(polled: &Polled) -> (Vec<(String, String, String)>, Vec<String>) {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let rejected = |index: usize| polled.rejects.iter().any(|r| r.index as usize == index);
    let records = polled.records.records().enumerate().filter(|(index, _)| !rejected(*index)).map(|(_, r)| {
        let line = r.headers.iter().find(|(name, _)| *name == b"wharf.line").and_then(|(_, value)| *value);
        (text(r.key), text(r.value), text(line))
    });
    let codes = polled.rejects.iter().map(|r| match &r.verdict {
        Verdict::Reject(rejection) => rejection.code.clone(),
        Verdict::Retry(_) => "retry".to_owned(),
    });
    (records.collect(), codes.collect())
}

fn keep(stored: &mut Vec<Position>, polled: Polled) {
    for position in polled.positions {
        stored.retain(|known| known.slice != position.slice);
        if !position.place.is_empty() {
            stored.push(position);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_reads_a_granted_folder_and_goes_on_from_its_positions_in_a_fresh_instance() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("stock.csv");
    fs::write(&file, "sku,warehouse,counted_on,quantity\nA,HH,2024-03-10,12\nB,HH,2024-03-10,many\n").unwrap();
    let component = load("csv").await;
    let mut source = start(&component, Some(folder.path())).await;
    source.open(context(RETAIL), &[]).await.unwrap();
    let polled = source.poll(LIMITS).await.unwrap();
    assert_eq!(polled.idle, Duration::from_secs(2));
    let key = r#"{"sku":"A","warehouse":"HH","counted_on":"2024-03-10"}"#;
    let value = r#"{"sku":"A","warehouse":"HH","counted_on":"2024-03-10","quantity":12}"#;
    let first = (vec![(key.to_owned(), value.to_owned(), "2".to_owned())], vec!["csv.type".to_owned()]);
    assert_eq!(read(&polled), first);
    let mut stored = Vec::new();
    keep(&mut stored, polled);
    source.close().await.unwrap();

    // While it was away the file grew and was rotated, and a new one began.
    let mut content = fs::read(&file).unwrap();
    content.extend_from_slice(b"C,HH,2024-03-11,3\n");
    fs::write(&file, content).unwrap();
    fs::rename(&file, folder.path().join("stock.csv.1")).unwrap();
    fs::write(&file, "sku,warehouse,counted_on,quantity\nD,HH,2024-03-12,4\n").unwrap();
    let mut source = start(&component, Some(folder.path())).await;
    source.open(context(RETAIL), &stored).await.unwrap();
    let polled = source.poll(LIMITS).await.unwrap();
    let (records, codes) = read(&polled);
    let lines: Vec<_> = records.iter().map(|(key, _, line)| (key.get(8..9).unwrap(), line.as_str())).collect();
    assert_eq!((lines, codes), (vec![("D", "2"), ("C", "4")], Vec::new()));
    keep(&mut stored, polled);
    let mut slices: Vec<_> = stored.iter().map(|p| p.slice.clone()).collect();
    slices.sort();
    assert_eq!(slices, ["stock.csv", "stock.csv.1"]);
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_names_a_folder_that_was_not_granted_and_asks_to_be_called_again() {
    let component = load("csv").await;
    let mut source = start(&component, None).await;
    source.open(context(RETAIL), &[]).await.unwrap();
    match source.poll(LIMITS).await {
        Err(GuestError::Retry { message, .. }) => {
            assert!(message.contains("`wms`") && message.contains("allow.files"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_finds_a_single_file_in_a_granted_folder() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.jsonl"), "{\"id\": 1}\n").unwrap();
    fs::write(folder.path().join("b.jsonl"), "{\"id\": 2}\n").unwrap();
    let component = load("csv").await;
    let mut source = start(&component, Some(folder.path())).await;
    source.open(context(r#"{"path":"./wms/b.jsonl","key":["id"]}"#), &[]).await.unwrap();
    let polled = source.poll(LIMITS).await.unwrap();
    let expected = ("{\"id\":2}".to_owned(), "{\"id\": 2}".to_owned(), "1".to_owned());
    assert_eq!(read(&polled), (vec![expected], Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_ask_for_what_they_need_and_nothing_else() {
    for (name, wants) in [("csv", "files"), ("webhook", "inbox")] {
        let component = load(name).await;
        let description = component.description();
        assert_eq!((component.kind(), description.name.as_str()), (ComponentKind::Source, name));
        assert_eq!(description.wants, [wants]);
        let manifest: serde_json::Value = serde_json::from_str(&description.manifest).unwrap();
        assert_eq!(manifest["config"]["additionalProperties"], false, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_without_requests_gives_nothing_and_does_not_keep_a_transaction_open() {
    let component = load("webhook").await;
    let mut source = start(&component, None).await;
    source.open(context("{}"), &[]).await.unwrap();
    let polled = source.poll(LIMITS).await.unwrap();
    assert_eq!((polled.records.len(), polled.positions.len(), polled.finished), (0, 0, false));
    assert!(!polled.idle.is_zero());
}
