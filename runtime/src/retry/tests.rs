//! Backoff over simulated time: no test waits.
use proptest::prelude::*;

use super::*;
use crate::config::AfterBudget;

const SECOND: Duration = Duration::from_secs(1);

fn config(initial: Duration, max: Duration, budget: Option<Duration>) -> Retry {
    Retry { initial, max, budget, then: AfterBudget::Stop }
}

fn backoff(budget: Option<Duration>) -> Backoff {
    Backoff::new(&config(SECOND, SECOND * 60, budget), 7)
}

/// Waits of failures that follow each other, each right after the wait of the one before, until it gives up.
fn waits(backoff: &mut Backoff, most: usize) -> Vec<Duration> {
    let mut now = Instant::now();
    let mut waits = Vec::new();
    while let Some(wait) = backoff.next(now, None).filter(|_| waits.len() < most) {
        now += wait;
        waits.push(wait);
    }
    waits
}

#[test]
fn the_delay_doubles_up_to_the_cap_and_half_of_it_is_random() {
    let mut full = SECOND;
    for wait in waits(&mut backoff(None), 40) {
        assert!(wait >= full / 2 && wait <= full, "{wait:?} of {full:?}");
        full = (full * 2).min(SECOND * 60);
    }
}

#[test]
fn two_tasks_do_not_come_back_together() {
    let of = |seed| waits(&mut Backoff::new(&config(SECOND, SECOND * 60, None), seed), 10);
    assert_ne!(of(0), of(1));
    assert_eq!(of(1), of(1));
}

#[test]
fn the_budget_counts_from_the_first_failure_and_the_last_try_falls_on_its_end() {
    let waits = waits(&mut backoff(Some(SECOND * 100)), 1_000);
    assert_eq!(waits.iter().sum::<Duration>(), SECOND * 100);
}

#[test]
fn without_a_budget_it_never_gives_up() {
    assert_eq!(waits(&mut backoff(None), 1_000).len(), 1_000);
}

#[test]
fn a_longer_wait_that_the_target_asks_for_wins_even_over_the_cap() {
    let now = Instant::now();
    assert_eq!(backoff(None).next(now, Some(SECOND * 300)), Some(SECOND * 300));
    let shorter = backoff(None).next(now, Some(Duration::from_millis(1))).unwrap();
    assert!(shorter >= SECOND / 2, "a shorter one does not make it hurry");
}

#[test]
fn a_wait_beyond_the_budget_is_cut_to_it_and_one_last_try_follows() {
    let mut backoff = backoff(Some(SECOND * 10));
    let now = Instant::now();
    assert_eq!(backoff.next(now, Some(SECOND * 4)), Some(SECOND * 4));
    assert_eq!(backoff.next(now + SECOND * 4, Some(SECOND * 7_200)), Some(SECOND * 6));
    assert_eq!(backoff.next(now + SECOND * 10, Some(SECOND * 7_200)), None);
    assert_eq!(
        backoff.given_up(),
        "gave up after 3 tries, when the retry budget of 10s was used up, while the target asked to wait 7200s"
    );
}

#[test]
fn without_a_budget_a_target_is_left_alone_as_it_asks_up_to_an_hour() {
    let years = SECOND * 86_400 * 400;
    let mut backoff = backoff(None);
    let mut now = Instant::now();
    for (asked, kept) in
        [(SECOND * 3_599, 3_599), (LONGEST_ASKED, 3_600), (SECOND * 3_601, 3_600), (years, 3_600), (Duration::MAX, 3_600)]
    {
        assert_eq!(backoff.next(now, Some(asked)), Some(SECOND * kept));
        now += SECOND * kept;
    }
    // The operator's own backoff may be longer.
    let day = SECOND * 86_400;
    let wait = Backoff::new(&config(day, day, None), 7).next(now, Some(years)).unwrap();
    assert!(wait >= day / 2 && wait <= day, "{wait:?}");
}

#[test]
fn what_is_told_of_a_wait_says_when_the_next_try_is_and_that_the_target_asked_for_more() {
    let at = SystemTime::UNIX_EPOCH + SECOND * 1_700_000_000;
    let mut backoff = backoff(None);
    let mut told = |asked| {
        let wait = backoff.next(Instant::now(), asked).unwrap();
        backoff.told("shop answers 503", wait, at)
    };
    assert_eq!(told(Some(SECOND * 90)), "shop answers 503; next try at 2023-11-14T22:14:50Z");
    assert_eq!(
        told(Some(SECOND * 86_400)),
        "shop answers 503; next try at 2023-11-14T23:13:20Z, sooner than asked for: the target said to wait 86400s"
    );
    assert!(self::backoff(None).told("m", Duration::MAX, at).contains("next try in "), "a time that no calendar has");
}

#[test]
fn after_a_success_the_next_failure_is_a_first_one() {
    let mut backoff = backoff(Some(SECOND * 100));
    let now = Instant::now();
    (0..5).for_each(|_| assert!(backoff.next(now, Some(SECOND * 50)).is_some()));
    assert_eq!(backoff.attempt(), 6);
    backoff.reset();
    assert_eq!(backoff.attempt(), 1);
    let wait = backoff.next(now + SECOND * 1_000, None).expect("the budget begins anew");
    assert!(!backoff.told("m", wait, SystemTime::now()).contains("asked"), "what was asked for earlier is over");
    assert!(wait <= SECOND);
}

#[test]
fn a_clock_that_stands_or_goes_back_is_no_fault() {
    let mut backoff = backoff(Some(SECOND));
    let now = Instant::now() + SECOND;
    assert!(backoff.next(now, None).is_some());
    assert!(backoff.next(now - SECOND, None).is_some());
}

/// Up to the longest that there is.
fn a_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0u64..100_000).prop_map(Duration::from_millis),
        (any::<u64>(), 0u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n)),
        Just(Duration::MAX)
    ]
}

proptest! {
    #[test]
    fn no_configuration_breaks_the_bounds(
        initial in a_duration(),
        max in a_duration(),
        budget in proptest::option::of(a_duration()),
        seed in any::<u64>(),
        failures in proptest::collection::vec((0u64..10_000, proptest::option::of(a_duration())), 1..80),
    ) {
        let mut backoff = Backoff::new(&config(initial, max, budget), seed);
        let mut now = Instant::now();
        let mut first = None;
        for (later, after) in failures {
            now += Duration::from_millis(later);
            let first = *first.get_or_insert(now);
            let left = budget.map(|b| b.saturating_sub(now - first));
            let kept = after.unwrap_or_default().min(LONGEST_ASKED);
            match backoff.next(now, after) {
                None => prop_assert!(left.is_some_and(|left| left.is_zero())),
                Some(wait) => {
                    prop_assert!(wait >= kept.min(left.unwrap_or(kept)));
                    prop_assert!(wait <= max.max(initial).max(kept));
                    prop_assert!(left.is_none_or(|left| wait <= left), "{:?} with {:?} left", wait, left);
                }
            }
        }
    }
}
