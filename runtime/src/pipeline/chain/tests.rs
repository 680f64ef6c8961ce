//! Chains of built-in steps: what became of each input, and where records that a Wasm step did not see go back to.
use proptest::prelude::*;

use super::*;
use crate::batch::Record;
use crate::config::FieldPath;

fn batch(values: &[String]) -> Batch {
    let mut batch = Batch::default();
    for (offset, value) in (0i64..).zip(values) {
        let value = Some(value.as_bytes());
        let record = Record { topic: "t", partition: 0, offset, timestamp: 0, key: None, value, headers: Vec::new(), attempt: 1 };
        batch.push(&record);
    }
    batch
}

fn values(batch: &Batch) -> Vec<String> {
    batch.records().map(|r| String::from_utf8(r.value.unwrap().to_vec()).unwrap()).collect()
}

fn numbered(n: usize) -> Vec<String> {
    (0..n).map(|n| n.to_string()).collect()
}

proptest! {
    #[test]
    fn records_that_a_step_did_not_see_keep_their_places(chosen in proptest::collection::vec((any::<bool>(), 0usize..3), 0..40)) {
        let input = batch(&numbered(chosen.len()));
        let seen: Vec<bool> = chosen.iter().map(|(seen, _)| *seen).collect();
        // The step answers each record it saw as often as it likes: not at all is a rejection.
        let mut step = Applied::unchanged(Batch::default());
        let shown = input.select(|i| seen[i]);
        for ((index, record), copies) in (0u32..).zip(shown.records()).zip(chosen.iter().filter(|(s, _)| *s).map(|(_, c)| *c)) {
            (0..copies).for_each(|_| {
                step.records.push(&record);
                step.origin.push(index);
            });
            if copies == 0 {
                step.reject(index as usize, Rejection::new("c", "m"));
            }
        }
        let merged = merge(&input, &seen, step);
        let expected: Vec<usize> = chosen.iter().enumerate().flat_map(|(i, (seen, copies))| vec![i; if *seen { *copies } else { 1 }]).collect();
        prop_assert_eq!(merged.origin.iter().map(|&o| o as usize).collect::<Vec<_>>(), &expected[..]);
        prop_assert_eq!(values(&merged.records), expected.iter().map(ToString::to_string).collect::<Vec<_>>());
        let rejected: Vec<usize> = chosen.iter().enumerate().filter(|(_, (s, c))| *s && *c == 0).map(|(i, _)| i).collect();
        prop_assert_eq!(merged.rejects.iter().map(|r| r.index as usize).collect::<Vec<_>>(), rejected);
    }
}

#[tokio::test]
async fn a_chain_without_steps_hands_on_what_came() {
    let mut chain = Chain::new(Some(Format::Json), &[], None, |_, _| unreachable!()).unwrap();
    let input = batch(&["not json".to_owned()]);
    assert_eq!(chain.apply(input.clone()).await.unwrap(), Applied::unchanged(input));
}

#[tokio::test]
async fn rejections_name_the_input_also_behind_a_filter() {
    let path = |name: &str| FieldPath(vec![name.to_owned()]);
    let filter = TransformStep::Filter(Predicate::FieldExists(path("keep")));
    let steps = [filter, TransformStep::Key(vec![path("id")])].map(|step| TransformConfig { when: None, step });
    let mut chain = Chain::new(Some(Format::Json), &steps, None, |_, _| unreachable!()).unwrap();
    let input = [r#"{"id":1}"#, r#"{"keep":1,"id":2}"#, "{", r#"{"keep":1}"#].map(str::to_owned);
    let applied = chain.apply(batch(&input)).await.unwrap();
    assert_eq!(applied.origin, [1]);
    let rejects: Vec<_> = applied.rejects.iter().map(|r| (r.index, r.rejection.code.as_str())).collect();
    assert_eq!(rejects, [(2, "json.syntax"), (3, "key.missing")]);
}
