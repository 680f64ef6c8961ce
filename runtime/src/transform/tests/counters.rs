//! Invariant 3 for any chain over any batch: every input ends, and the counters add up.
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::pipeline::Tally;

fn a_value() -> impl Strategy<Value = Option<&'static [u8]>> {
    select(vec![
        None,
        Some(b"".as_slice()),
        Some(b"null"),
        Some(b"5"),
        Some(b"{"),
        Some(b"\xff"),
        Some(br#"{"a":1,"b":"x","t":"eu"}"#),
        Some(br#"{"a":"12","b":null}"#),
        Some(br#"{"a":{"b":[1,{"c":2}]},"t":"no topic"}"#),
        Some(br#"{"a_b":1,"a":{"b":2}}"#),
        Some(br#"[{"a":"x"},{"a":3}]"#),
    ])
}

fn a_step() -> impl Strategy<Value = TransformStep> {
    let steps: Vec<fn() -> TransformStep> = vec![
        || TransformStep::Rename(vec![(path("a"), path("b")), (path("b"), path("a"))]),
        || TransformStep::Keep(paths(&["a", "t"])),
        || TransformStep::Drop(paths(&["b"])),
        || TransformStep::Mask { fields: paths(&["b"]), how: MaskHow::Last(2) },
        || TransformStep::Cast(vec![(path("a"), CastTo::Int)]),
        || TransformStep::Set(vec![(path("a.z"), SetFrom::Offset)]),
        || TransformStep::Flatten { separator: "_".to_owned() },
        || TransformStep::Key(paths(&["a"])),
        || TransformStep::Route(Route::Field { field: path("t"), template: "x.{}".to_owned() }),
        || TransformStep::Filter(Predicate::FieldExists(path("a"))),
        || TransformStep::Filter(Predicate::Not(Box::new(Predicate::Tombstone))),
    ];
    select(steps).prop_map(|step| step())
}

fn a_predicate() -> impl Strategy<Value = Option<Predicate>> {
    let predicates: Vec<fn() -> Option<Predicate>> = vec![
        || None,
        || Some(Predicate::Tombstone),
        || Some(Predicate::Not(Box::new(Predicate::FieldExists(path("b"))))),
        || Some(Predicate::FieldMatches { field: path("b"), pattern: regex("x") }),
    ];
    select(predicates).prop_map(|predicate| predicate())
}

fn a_chain() -> impl Strategy<Value = Vec<TransformConfig>> {
    proptest::collection::vec((a_predicate(), a_step()).prop_map(|(when, step)| TransformConfig { when, step }), 0..6)
}

fn a_format() -> impl Strategy<Value = Option<Format>> {
    select(vec![None, Some(Format::Json), Some(Format::JsonEnvelope), Some(Format::Text), Some(Format::Bytes)])
}

proptest! {
    #[test]
    fn every_record_ends_once_and_the_counters_add_up(
        values in proptest::collection::vec(a_value(), 0..30),
        chain in a_chain(),
        decode in a_format(),
        encode in a_format(),
    ) {
        let records: Vec<_> = (0i64..).zip(&values).map(|(offset, v)| Record { offset, ..record(Some("k"), *v) }).collect();
        let applied = BuiltIns::new(decode, chain, encode).apply(batch(&records));

        prop_assert_eq!(applied.records.check(), Ok(()));
        prop_assert_eq!(applied.records.len(), applied.origin.len());
        prop_assert!(applied.origin.is_sorted_by(|a, b| a < b), "{:?}", applied.origin);
        prop_assert!(applied.rejects.is_sorted_by(|a, b| a.index < b.index));
        prop_assert!(applied.rejects.iter().all(|r| applied.origin.binary_search(&r.index).is_err()));
        for (record, origin) in applied.records.records().zip(&applied.origin) {
            prop_assert_eq!(record.offset, i64::from(*origin));
        }
        let tally = Tally::of(values.len(), &applied.origin, applied.rejects.iter().map(|r| r.index));
        prop_assert_eq!(tally.read, values.len() as u64);
        prop_assert_eq!(tally.read + tally.split, tally.delivered + tally.filtered + tally.dead_lettered);
        prop_assert_eq!(tally.delivered, applied.records.len() as u64);
        prop_assert_eq!(tally.dead_lettered, applied.rejects.len() as u64);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Json, Format::JsonEnvelope, Format::Text] {
            let steps = vec![always(TransformStep::Keep(paths(&["a"])))];
            let applied = BuiltIns::new(Some(format), steps, None).apply(batch(&[record(None, Some(&bytes))]));
            prop_assert_eq!(applied.origin.len() + applied.rejects.len(), 1);
        }
    }
}
