//! Rules of the boundary: what goes in comes out, and columns are as `wit/` says.

use crate::bindings::source::exports::wharf::connector::source_guest::Guest as _;
use crate::bindings::{sink, types};
use crate::testing;
use crate::*;

#[test]
fn record_views_give_back_what_was_pushed() {
    let mut out = Records::new();
    out.push(NewRecord::new().key("k").value("v1"));
    out.push(NewRecord::new().topic("b").headers(&[("h", Some(b"1")), ("n", None), ("h", Some(b""))]).timestamp(7));
    out.push(NewRecord::new().key("").value("v3").topic("c"));
    let batch = out.into_batch();
    let records: Vec<_> = batch.records().collect();
    assert_eq!((records[0].key, records[0].value, records[0].topic), (Some(&b"k"[..]), Some(&b"v1"[..]), ""));
    assert_eq!((records[0].timestamp, records[1].timestamp, records[2].timestamp), (None, Some(7), None));
    assert_eq!((records[1].key, records[1].value, records[1].topic), (None, None, "b"));
    let headers: Vec<_> = records[1].headers().collect();
    assert_eq!(headers, [(&b"h"[..], Some(&b"1"[..])), (b"n", None), (b"h", Some(b""))]);
    assert_eq!(
        (records[1].header("h"), records[1].header("n"), records[1].header("x")),
        (Some(Some(&b""[..])), Some(None), None)
    );
    assert_eq!((records[2].key, records[2].value, records[2].topic), (Some(&b""[..]), Some(&b"v3"[..]), "c"));
    assert_eq!(records[2].headers().count(), 0);
}

#[test]
fn columns_that_no_record_needs_stay_empty() {
    let mut out = Records::new();
    out.push(NewRecord::new().value("a"));
    out.push(NewRecord::new().value("b"));
    let (batch, _) = out.finish();
    assert!(batch.topics.is_empty() && batch.topic_of.is_empty() && batch.header_counts.is_empty());
    assert!(batch.timestamps.is_empty() && batch.partitions.is_empty() && batch.attempts.is_empty());
    assert_eq!((batch.key_lens, batch.value_lens, batch.data), (vec![-1, -1], vec![1, 1], b"ab".to_vec()));
}

#[test]
fn idempotency_key_is_topic_partition_offset() {
    let batch = testing::batch("erp.orders", [(None, Some("a")), (None, Some("b"))]);
    let keys: Vec<String> = batch.records().map(|r| r.idempotency_key().to_string()).collect();
    assert_eq!(keys, ["erp.orders/0/0", "erp.orders/0/1"]);
}

#[test]
fn value_that_is_no_json_is_a_rejection_not_a_panic() {
    let deep = "[".repeat(100_000);
    let batch = testing::batch("t", [(None, Some("{")), (None, None), (None, Some(&deep)), (Some("1"), Some("2"))]);
    let codes: Vec<_> = batch.records().map(|r| r.json::<serde_json::Value>().map_err(|e| e.code)).collect();
    assert_eq!(codes[..3], [Err("value.json".to_owned()), Err("value.null".to_owned()), Err("value.json".to_owned())]);
    let record = batch.records().last().unwrap();
    assert_eq!((record.json::<i64>().unwrap(), record.key_json::<i64>().unwrap()), (2, 1));
}

#[test]
fn outcomes_are_sparse_ascending_and_name_no_record_twice() {
    let mut outcomes = Outcomes::accepted();
    outcomes.retry(4);
    outcomes.reject(2, "a", "first");
    outcomes.reject(2, "b", "second").field("/x");
    outcomes.buffered();
    let written: sink::exports::wharf::connector::sink_guest::Written = outcomes.into();
    assert!(written.buffered);
    let [first, second] = &written.outcomes[..] else { panic!("{:?}", written.outcomes) };
    let types::Verdict::Reject(rejection) = &first.verdict else { panic!("{first:?}") };
    assert_eq!((first.index, rejection.code.as_str(), rejection.field.as_deref()), (2, "b", Some("/x")));
    assert!(matches!((second.index, &second.verdict), (4, types::Verdict::Retry(None))));
}

#[test]
fn delta_says_only_what_changed() {
    let batch = testing::batch("t", [(Some("k"), Some("v")), (None, Some("w")), (None, Some("x")), (None, Some("bad"))]);
    let records: Vec<_> = batch.records().collect();
    let mut out = Delta::new();
    out.keep(&records[0]);
    out.push(&records[1], Change::new().value("W1").topic("other").headers(&[("h", None)]));
    out.push(&records[1], Change::new().null_value().key("K"));
    out.reject(&records[3], Rejection::new("bad", "is bad"));
    let delta = out.finish();
    assert_eq!(delta.inputs, [0, 1, 1]);
    assert_eq!((delta.value_lens, delta.key_lens), (vec![-2, 2, -1], vec![-2, -2, 1]));
    assert_eq!((delta.header_counts, delta.header_lens), (vec![-1, 1, -1], vec![1, -1]));
    assert_eq!((delta.topic_of, delta.topics), (vec![-1, 0, -1], vec!["other".to_owned()]));
    assert_eq!(delta.data, b"W1hK");
    assert_eq!(delta.rejects.len(), 1);
}

/// Puts out two of each record, the second with everything changed; rejects tombstones.
struct Doubling;

impl Transform for Doubling {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, records: &Batch, out: &mut Delta) -> Result<()> {
        for record in records {
            if record.value.is_none() {
                out.reject(&record, Rejection::new("gone", "is a tombstone").at("/x"));
                continue;
            }
            out.keep(&record);
            out.push(&record, Change::new().key("K").null_value().topic("other").headers(&[("h", Some(b"1")), ("n", None)]));
        }
        Ok(())
    }
}

#[test]
fn a_test_sees_what_a_transform_makes_of_its_records() {
    let batch = testing::batch("t", [(Some("a"), Some("1")), (None, None), (None, Some("2"))]);
    let out = testing::transform(&mut Doubling, &batch).unwrap();
    assert_eq!(out.origin, [0, 0, 2, 2]);
    assert_eq!(out.rejected, [(1, Rejection::new("gone", "is a tombstone").at("/x"))]);
    let seen: Vec<_> = out.records.records().map(|r| (r.topic, r.offset, r.key, r.value)).collect();
    let changed = |offset| ("other", offset, Some(&b"K"[..]), None);
    assert_eq!(seen, [("t", 0, Some(&b"a"[..]), Some(&b"1"[..])), changed(0), ("t", 2, None, Some(b"2")), changed(2)]);
    let headers: Vec<_> = out.records.records().map(|r| r.headers().collect::<Vec<_>>()).collect();
    let new = vec![(&b"h"[..], Some(&b"1"[..])), (b"n", None)];
    assert_eq!(headers, [vec![], new.clone(), vec![], new]);
}

struct Counting(u64);

impl Source for Counting {
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let from = positions.iter().find(|p| p.slice == context.name).map(Position::read).transpose()?;
        Ok(Self(from.unwrap_or(0)))
    }

    fn poll(&mut self, limits: Limits) -> Result<Polled> {
        let mut polled = Polled::default();
        while !limits.reached(&polled.records) {
            self.0 += 1;
            polled.records.push(NewRecord::new().value(&self.0.to_string()));
        }
        polled.records.push_unreadable(NewRecord::new().value("raw"), Rejection::new("csv.width", "too wide"));
        polled.positions.push(Position::json("numbers", &self.0)?);
        Ok(polled)
    }
}

export_source!(Counting, manifest = "name = \"counting\"\nkind = \"source\"\nsummary = \"Counts.\"\n");

#[test]
fn exported_source_goes_on_from_its_stored_position() {
    assert!(matches!(__WharfExport::ack(vec![]), Err(types::Error::Fatal(_))), "not opened yet");
    let context =
        types::Context { name: "numbers".to_owned(), task: 0, tasks: 1, config: "{}".to_owned(), extra: "{}".to_owned() };
    let stored = types::Position { slice: "numbers".to_owned(), place: b"41".to_vec() };
    __WharfExport::open(context, vec![stored]).unwrap();
    let polled = __WharfExport::poll(types::Limits { records: 2, bytes: 1000, wait_ms: 0 }).unwrap();
    assert_eq!(polled.records.data, b"4243raw");
    assert_eq!((polled.rejects.len(), polled.rejects[0].index), (1, 2));
    assert_eq!(polled.positions[0].place, b"43");
    __WharfExport::close();
    assert!(matches!(__WharfExport::ack(vec![]), Err(types::Error::Fatal(_))), "closed");
    assert_eq!(__WharfExport::describe().version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn null_absent_and_present_are_kept_apart_by_row() {
    use crate::sql::{Column, Kind, Value};
    let mut column = Column::new("a", Kind::Text);
    for _ in 0..9 {
        column.push(Value::Text("x")).unwrap();
    }
    column.push_null();
    column.push_absent();
    column.push(Value::Text("y")).unwrap();
    assert!(column.push(Value::Int(1)).is_err());
    let raw = column.into_raw();
    assert_eq!(raw.validity, [0xff, 0b1001]);
    assert_eq!(raw.present, [0xff, 0b1011]);
    let back = Column::from_raw(raw);
    let values: Vec<_> = back.iter().skip(8).collect();
    assert_eq!(values, [Some(Value::Text("x")), None, None, Some(Value::Text("y"))]);
    assert!(back.is_present(9) && !back.is_present(10) && back.is_present(11) && !back.is_present(12));
    let mut deletes = sql::Bitmap::new();
    assert!(deletes.padded(20).is_empty());
    deletes.set(2);
    assert_eq!(deletes.padded(20), [4, 0, 0]);
    let plain = Column::ints("n", [Some(1), Some(2)]).into_raw();
    assert!(plain.validity.is_empty() && plain.present.is_empty());
}

/// The crate is published with its own copy; `/wit/v0.1` is the original.
#[test]
fn copy_of_the_interface_is_the_interface() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let original = here.join("../../wit/v0.1");
    let list = |dir: &std::path::Path| {
        let mut files: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name(), std::fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    };
    assert_eq!(list(&here.join("wit")), list(&original), "copy wit/v0.1/*.wit to sdk/rust/wit");
}
