//! What a Wasm transform answers is believed only where it can be meant.
use super::delta::{DeltaError, apply_delta};
use super::*;
use crate::outcome::{Delta, Outcome, Verdict};

fn input() -> Batch {
    let headers: Vec<Header<'_>> = vec![(b"h", Some(b"1"))];
    batch(&[
        Record { headers, ..record(Some("k0"), Some(b"v0")) },
        Record { topic: "returns", offset: 41, ..record(None, None) },
        Record { offset: 42, attempt: 2, ..record(Some("k2"), Some(b"v2")) },
    ])
}

fn inputs(inputs: &[u32]) -> Delta {
    Delta { inputs: inputs.to_vec(), ..Delta::default() }
}

fn reject(index: u32) -> Outcome {
    Outcome { index, verdict: Verdict::Reject(Rejection::new("c", "m")) }
}

fn error(delta: Delta) -> DeltaError {
    apply_delta(&mut input(), delta).unwrap_err()
}

#[test]
fn a_delta_that_changes_nothing_hands_on_each_record_as_it_was() {
    let applied = apply_delta(&mut input(), inputs(&[0, 1, 2])).unwrap();
    assert_eq!(applied.records.records().collect::<Vec<_>>(), input().records().collect::<Vec<_>>());
    assert_eq!(applied.origin, [0, 1, 2]);
}

#[test]
fn a_delta_that_is_refused_leaves_its_input_whole() {
    for wrong in [Delta { data: vec![1], ..inputs(&[0, 1, 2]) }, Delta { rejects: vec![reject(1)], ..inputs(&[0, 1, 2]) }] {
        let mut batch = input();
        apply_delta(&mut batch, wrong).unwrap_err();
        assert_eq!(batch, input());
    }
}

#[test]
fn inputs_that_are_not_named_are_filtered() {
    let applied = apply_delta(&mut input(), inputs(&[2])).unwrap();
    assert_eq!(applied.records.records().collect::<Vec<_>>(), input().records().skip(2).collect::<Vec<_>>());
    assert!(apply_delta(&mut input(), Delta::default()).unwrap().records.is_empty());
}

#[test]
fn changed_parts_are_laid_over_and_the_others_stay() {
    let delta = Delta {
        key_lens: vec![-2, 1, -1],
        value_lens: vec![2, -2, 0],
        header_counts: vec![-1, 1, -1],
        header_lens: vec![1, -1],
        topic_of: vec![-1, -1, 0],
        topics: vec!["moved".to_owned()],
        data: b"newx".iter().chain(b"").copied().collect(),
        ..inputs(&[0, 1, 2])
    };
    let applied = apply_delta(&mut input(), delta).unwrap();
    let before = input();
    let before: Vec<_> = before.records().collect();
    let null_header: Vec<Header<'_>> = vec![(b"x", None)];
    let after = [
        Record { value: Some(b"ne"), ..before[0].clone() },
        Record { key: Some(b"w"), headers: null_header, ..before[1].clone() },
        Record { key: None, value: Some(b""), topic: "moved", ..before[2].clone() },
    ];
    assert_eq!(applied.records.records().collect::<Vec<_>>(), after);
}

#[test]
fn a_split_repeats_its_input_with_values_of_its_own() {
    let delta = Delta { value_lens: vec![1, 1, -1], data: b"ab".to_vec(), ..inputs(&[0, 0, 2]) };
    let applied = apply_delta(&mut input(), delta).unwrap();
    let got: Vec<_> = applied.records.records().map(|r| (r.offset, r.value.map(<[u8]>::to_vec))).collect();
    assert_eq!(got, [(40, Some(b"a".to_vec())), (40, Some(b"b".to_vec())), (42, None)]);
    assert_eq!(applied.origin, [0, 0, 2]);
}

#[test]
fn rejects_keep_code_and_place() {
    let applied = apply_delta(&mut input(), Delta { rejects: vec![reject(1)], ..inputs(&[0]) }).unwrap();
    assert_eq!(applied.rejects, [Reject { index: 1, stage: Stage::Transformation, rejection: Rejection::new("c", "m") }]);
}

#[test]
fn a_malformed_delta_is_refused_by_what_does_not_fit() {
    assert_eq!(error(inputs(&[3])), DeltaError::Input { index: 3, records: 3 });
    assert_eq!(error(inputs(&[1, 0])), DeltaError::Order { index: 0 });
    let short = Delta { key_lens: vec![-2], ..inputs(&[0, 1]) };
    assert_eq!(error(short), DeltaError::Column { column: "key-lens", found: 1, expected: 2 });
    assert_eq!(error(Delta { rejects: vec![reject(3)], ..inputs(&[]) }), DeltaError::RejectRange { index: 3, records: 3 });
    assert_eq!(error(Delta { rejects: vec![reject(1), reject(1)], ..inputs(&[]) }), DeltaError::RejectOrder { index: 1 });
    assert_eq!(error(Delta { rejects: vec![reject(1)], ..inputs(&[1]) }), DeltaError::Both { index: 1 });
    let retry = Outcome { index: 0, verdict: Verdict::Retry(None) };
    assert_eq!(error(Delta { rejects: vec![retry], ..inputs(&[]) }), DeltaError::Retry { index: 0 });
    let odd = |lens: i32| Delta { value_lens: vec![lens], ..inputs(&[0]) };
    assert_eq!(error(odd(-3)), DeltaError::Length { length: -3, column: "value-lens" });
    assert_eq!(error(odd(i32::MAX)), DeltaError::Arena { found: 0, expected: 2_147_483_647 });
    assert_eq!(error(Delta { data: vec![0], ..inputs(&[0]) }), DeltaError::Arena { found: 1, expected: 0 });
}

#[test]
fn malformed_headers_and_topics_are_refused() {
    let headers = |count: i32, lens: &[i32]| Delta {
        header_counts: vec![count],
        header_lens: lens.to_vec(),
        data: b"n".to_vec(),
        ..inputs(&[0])
    };
    assert_eq!(error(headers(-2, &[])), DeltaError::Length { length: -2, column: "header-counts" });
    assert_eq!(error(headers(i32::MAX, &[1, -1])), DeltaError::Headers { found: 2, expected: 2_147_483_647 });
    assert_eq!(error(headers(1, &[-1, -1])), DeltaError::Length { length: -1, column: "header-lens" });
    assert_eq!(error(headers(1, &[1, -2])), DeltaError::Length { length: -2, column: "header-lens" });
    assert_eq!(error(headers(0, &[1, -1])), DeltaError::Headers { found: 2, expected: 0 });
    let topic = |index: i32, name: &str| Delta { topic_of: vec![index], topics: vec![name.to_owned()], ..inputs(&[0]) };
    assert_eq!(error(topic(1, "t")), DeltaError::Topic { index: 1, topics: 1 });
    assert_eq!(error(topic(-2, "t")), DeltaError::Topic { index: -2, topics: 1 });
    assert_eq!(error(topic(0, "a/b")), DeltaError::TopicName("a/b".to_owned()));
}

#[test]
fn a_delta_of_no_input_can_only_be_empty() {
    assert_eq!(apply_delta(&mut Batch::default(), Delta::default()), Ok(Applied::default()));
    assert_eq!(apply_delta(&mut Batch::default(), inputs(&[0])), Err(DeltaError::Input { index: 0, records: 0 }));
}
