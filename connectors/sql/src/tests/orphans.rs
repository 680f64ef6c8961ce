//! Records that a foreign key refuses, by a clock of the test's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wharf_sdk::{Batch, Rejection};

use super::*;
use crate::orphans::Orphans;

const MINUTE: Duration = Duration::from_secs(60);

/// Records of one partition, and those of them that are refused.
fn judged(orphans: &mut Orphans, records: &Batch, refused: &[u32], now: Instant) -> Outcomes {
    let mut outcomes = Outcomes::accepted();
    judge(orphans, records, refused, now, &mut outcomes);
    outcomes
}

fn judge(orphans: &mut Orphans, records: &Batch, refused: &[u32], now: Instant, outcomes: &mut Outcomes) {
    let refusal = |record: &u32| (*record, Rejection::new("sql.foreign-key", "violates `orders_customer`"));
    orphans.judge(records, refused.iter().map(refusal).collect::<BTreeMap<_, _>>(), now, outcomes);
}

fn orders(count: usize) -> Batch {
    testing::batch("orders", values(&vec!["{}"; count]))
}

/// `again`, or the code, by index.
fn shown(outcomes: &Outcomes) -> Vec<(u32, &str)> {
    let verdict = |verdict| match verdict {
        &Verdict::Retry(None) => "again",
        Verdict::Retry(Some(_)) => "again at a time",
        Verdict::Reject(rejection) => &rejection.code,
    };
    outcomes.iter().map(|(index, of)| (index, verdict(of))).collect()
}

#[test]
fn refused_record_is_asked_for_again_until_its_wait_is_over() {
    let (mut orphans, start) = (Orphans::new(MINUTE, true), Instant::now());
    for seconds in [0, 1, 59] {
        let outcomes = judged(&mut orphans, &orders(1), &[0], start + Duration::from_secs(seconds));
        assert_eq!(shown(&outcomes), [(0, "again")], "{seconds}");
    }
    // The call may be rolled back for another partition's sake, and comes again then.
    for seconds in [60, 61] {
        let outcomes = judged(&mut orphans, &orders(1), &[0], start + Duration::from_secs(seconds));
        assert_eq!(shown(&outcomes), [(0, "sql.foreign-key")], "{seconds}");
        let Some(Verdict::Reject(rejection)) = outcomes.get(0) else { panic!("{outcomes:?}") };
        assert_eq!(rejection.message, "violates `orders_customer`; it stayed so for 60s");
    }
}

#[test]
fn without_a_wait_it_is_rejected_at_once_in_the_databases_words() {
    let mut orphans = Orphans::new(Duration::ZERO, true);
    let outcomes = judged(&mut orphans, &orders(2), &[1], Instant::now());
    let Some(Verdict::Reject(rejection)) = outcomes.get(1) else { panic!("{outcomes:?}") };
    assert_eq!((outcomes.len(), rejection.message.as_str()), (1, "violates `orders_customer`"));
}

#[test]
fn what_stands_behind_a_record_that_waits_is_written_after_it_and_rows_without_a_key_only_once() {
    for (keyed, expected) in
        [(true, vec![(1, "again"), (2, "again"), (3, "value.json")]), (false, vec![(1, "again"), (3, "value.json")])]
    {
        let mut outcomes = Outcomes::accepted();
        outcomes.reject(3, "value.json", "no JSON");
        judge(&mut Orphans::new(MINUTE, keyed), &orders(4), &[1], Instant::now(), &mut outcomes);
        assert_eq!(shown(&outcomes), expected);
    }
}

#[test]
fn each_record_has_a_wait_of_its_own_that_ends_when_it_is_taken() {
    let (mut orphans, start) = (Orphans::new(MINUTE, false), Instant::now());
    let mut at = |seconds, refused: &[u32]| {
        let outcomes = judged(&mut orphans, &orders(3), refused, start + Duration::from_secs(seconds));
        shown(&outcomes).into_iter().map(|(index, verdict)| format!("{index} {verdict}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(at(0, &[0, 1]), "0 again, 1 again");
    assert_eq!(at(30, &[1, 2]), "1 again, 2 again");
    assert_eq!(at(60, &[0, 1, 2]), "0 again, 1 sql.foreign-key, 2 again", "the first one was taken meanwhile");
}

#[test]
fn refusal_of_a_foreign_key_waits_as_configured_and_any_other_does_not() {
    for (wait, expected) in [("", "sql.foreign-key"), (r#","foreign-key-wait":"1h""#, "again")] {
        let (mut sink, told) = open(&format!(r#"{{"connection":"warehouse","table":"orders","key":["ID"]{wait}}}"#));
        for (row, code) in [(0, "sql.foreign-key"), (1, "sql.check")] {
            told.borrow_mut().refuses.push(Rejected { row, code: code.to_owned(), reason: "no".to_owned(), column: None });
        }
        let outcomes = sink.write(&testing::batch("t", values(&[r#"{"ID":1}"#, r#"{"ID":2}"#]))).unwrap();
        assert_eq!(shown(&outcomes), [(0, expected), (1, "sql.check")]);
    }
}
