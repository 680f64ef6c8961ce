//! Values that come back, answers that are older than the ones before, and rounds that are begun again.

use super::rounds::{ids, list, parameter};
use super::*;

/// One page of these records, whatever is asked for.
fn served(records: &[&str]) -> Rc<RefCell<Vec<String>>> {
    let records = Rc::new(RefCell::new(records.iter().map(ToString::to_string).collect::<Vec<_>>()));
    let served = Rc::clone(&records);
    answers(move |_| json(format!("[{}]", served.borrow().join(", "))));
    records
}

/// The stock of an article, as of a day.
fn stock(id: u32, stock: u32) -> String {
    format!(r#"{{"id": {id}, "stock": {stock}, "on": "2024-05-01"}}"#)
}

const BY_DAY: &str = r#", "key": ["id"], "cursor": "on""#;

#[test]
fn a_value_that_is_as_it_was_before_the_last_change_comes_again_though_its_cursor_is_the_same() {
    for config in [
        BY_DAY,
        r#", "cursor": "on""#,
        r#", "key": ["id"], "cursor": "on", "order": "ascending", "query": {"since": "{{ since }}"}, "page-size": 9"#,
    ] {
        let records = served(&[&stock(1, 5), &stock(2, 1)]);
        let mut reading = open(config, &[]).unwrap();
        assert_eq!(reading.round(), [stock(1, 5), stock(2, 1)]);
        for now in [0, 5, 0] {
            records.borrow_mut()[0] = stock(1, now);
            assert_eq!(reading.round(), [stock(1, now)], "{config}");
            assert_eq!(reading.round(), [""; 0], "{config}");
        }
        // Over restarts too.
        for now in [5, 0, 5] {
            records.borrow_mut()[0] = stock(1, now);
            reading = open(config, &reading.positions).unwrap();
            assert_eq!(reading.round(), [stock(1, now)], "{config}");
        }
    }
}

#[test]
fn a_value_that_is_back_comes_again_after_a_stop_in_the_middle_of_a_round() {
    for config in [BY_DAY, r#", "key": ["id"]"#] {
        let records = served(&[&stock(1, 5), &stock(2, 1), &stock(3, 1)]);
        let mut reading = open(config, &[]).unwrap();
        assert_eq!(reading.round().len(), 3);
        assert_eq!(reading.round(), [""; 0]);
        records.borrow_mut()[0] = stock(1, 0);
        assert!(!reading.poll(1).unwrap());
        assert_eq!(reading.values, [stock(1, 0)]);
        records.borrow_mut()[0] = stock(1, 5);
        let mut restarted = open(config, &reading.positions).unwrap();
        assert_eq!(restarted.round(), [stock(1, 5)], "{config}");
        records.borrow_mut()[0] = stock(1, 0);
        assert_eq!(restarted.round(), [stock(1, 0)], "{config}");
    }
}

#[test]
fn a_value_that_is_back_comes_again_where_the_round_is_begun_again() {
    let (stocked, expired) = (Rc::new(RefCell::new(5)), Rc::new(RefCell::new(false)));
    let (value, gone) = (Rc::clone(&stocked), Rc::clone(&expired));
    answers(move |url| match parameter(url, "page") {
        None => json(format!("[{}]", stock(1, *value.borrow()))).with_header("Link", "</orders?page=2>; rel=\"next\""),
        Some(_) if gone.replace(false) => {
            value.replace(5);
            Response::new(410, "expired")
        }
        Some(_) => json(format!("[{}]", stock(2, 1))),
    });
    for config in [BY_DAY, r#", "key": ["id"]"#] {
        stocked.replace(5);
        let mut reading = open(&format!(r#"{config}, "pagination": "link""#), &[]).unwrap();
        assert_eq!((reading.round().len(), reading.round().len()), (2, 0));
        stocked.replace(0);
        expired.replace(true);
        assert!(!reading.poll(9).unwrap());
        assert!(matches!(reading.poll(9), Err(Error::Retry { .. })));
        assert_eq!(reading.round(), [stock(1, 0), stock(1, 5)], "{config}");
    }
}

#[test]
fn an_older_answer_that_was_never_read_does_not_come_behind_a_later_one() {
    let row = |at: &str| format!(r#"{{"id": 7, "at": "2024-05-01T10:00:{at}Z"}}"#);
    let records = served(&[&row("02")]);
    let mut reading = open(r#", "key": ["id"], "cursor": "at""#, &[]).unwrap();
    assert_eq!(reading.round(), [row("02")]);
    // A replica that lags.
    records.borrow_mut()[0] = row("00");
    assert_eq!(reading.round(), [""; 0]);
    records.borrow_mut()[0] = row("02");
    assert_eq!(reading.round(), [""; 0]);
    records.borrow_mut()[0] = row("03");
    assert_eq!(reading.round(), [row("03")]);
}

#[test]
fn what_a_lagging_replica_brings_after_a_restart_is_followed_by_what_is_true() {
    let row = |at: &str| format!(r#"{{"id": 7, "at": "2024-05-01T10:00:{at}Z"}}"#);
    let records = served(&[&row("02")]);
    let config = r#", "key": ["id"], "cursor": "at""#;
    let mut reading = open(config, &[]).unwrap();
    assert_eq!(reading.round(), [row("02")]);
    records.borrow_mut()[0] = row("00");
    let mut restarted = open(config, &reading.positions).unwrap();
    restarted.round();
    records.borrow_mut()[0] = row("02");
    let last = [std::mem::take(&mut restarted.values), restarted.round()].concat();
    assert_eq!(last, [row("02")]);
}

#[test]
fn a_replica_that_does_not_have_a_record_yet_brings_nothing_twice() {
    let records = served(&[&stock(1, 5), &stock(2, 1)]);
    let mut reading = open(BY_DAY, &[]).unwrap();
    assert_eq!(reading.round().len(), 2);
    let behind = records.borrow_mut().pop().unwrap();
    assert_eq!(reading.round(), [""; 0]);
    let all = records.take();
    assert_eq!(reading.round(), [""; 0], "none at all");
    records.borrow_mut().extend([all, vec![behind]].concat());
    assert_eq!(reading.round(), [""; 0]);
}

#[test]
fn changes_that_are_listed_oldest_first_come_once() {
    served(&[r#"{"id": 7, "at": 10}"#, r#"{"id": 7, "at": 11}"#, r#"{"id": 7, "at": 11, "x": 1}"#]);
    for config in [r#", "key": ["id"], "cursor": "at", "overlap": 5"#, r#", "key": ["id"]"#] {
        let mut reading = open(config, &[]).unwrap();
        assert_eq!(reading.round().len(), 3, "{config}");
        for _ in 0..3 {
            assert_eq!(reading.round(), [""; 0], "{config}");
            reading = open(config, &reading.positions).unwrap();
            assert_eq!(reading.round(), [""; 0], "{config}");
        }
    }
}

#[test]
fn numbers_of_pages_begin_at_the_first_one_after_a_restart_however_long_the_round_is() {
    let gone = Rc::new(RefCell::new(0));
    let before = Rc::clone(&gone);
    answers(move |url| {
        let from = parameter(url, "from").unwrap_or(0) + *before.borrow();
        json(list(&(from..(from + 5_000).min(30_000)).map(|id| (id, 1)).collect::<Vec<_>>()))
    });
    let config = r#", "key": ["id"], "cursor": "at", "pagination": "offset", "query": {"from": "{{ offset }}"}"#;
    let mut reading = open(config, &[]).unwrap();
    for _ in 0..5 {
        assert!(!reading.poll(5_000).unwrap());
    }
    assert_eq!(reading.values.len(), 25_000);
    // Three hundred of those that were read are gone: what follows has moved to the front.
    gone.replace(300);
    let mut restarted = open(config, &reading.positions).unwrap();
    while !restarted.poll(5_000).unwrap() {}
    let mut all = [ids(&reading.values), ids(&restarted.values)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 30_000);
}

#[test]
fn a_restart_in_a_round_that_a_position_cannot_hold_finds_what_changes_meanwhile() {
    let changed = Rc::new(RefCell::new(false));
    let first = Rc::clone(&changed);
    answers(move |url| {
        let page = parameter(url, "page").unwrap_or(0);
        let mut rows: Vec<_> = (page * 5_000..(page + 1) * 5_000).map(|id| (id, id + 1)).collect();
        if *first.borrow() && page == 0 {
            rows[3].1 = 20_000;
        }
        let since = parameter(url, "since").unwrap_or(0);
        rows.retain(|(_, at)| *at >= since);
        let link = if page < 5 { format!("</orders?page={}&since={since}>; rel=\"next\"", page + 1) } else { String::new() };
        json(list(&rows)).with_header("Link", &link)
    });
    let config = r#", "key": ["id"], "cursor": "at", "pagination": "link", "query": {"since": "{{ since }}"}"#;
    let mut reading = open(config, &[]).unwrap();
    for _ in 0..5 {
        assert!(!reading.poll(5_000).unwrap());
    }
    changed.replace(true);
    let mut restarted = open(config, &reading.positions).unwrap();
    while !restarted.poll(5_000).unwrap() {}
    restarted.values.clear();
    while !restarted.poll(5_000).unwrap() {}
    assert!(restarted.values.contains(&r#"{"id": 3, "at": 20000}"#.to_owned()), "{}", restarted.values.len());
}

#[test]
fn a_round_without_an_answer_moves_nothing() {
    for empty in [204, 404, 200] {
        let turn = Rc::new(RefCell::new(0));
        let now = Rc::clone(&turn);
        let asked = answers(move |url| match (*now.borrow(), parameter(url, "page")) {
            (1, _) => Response::new(empty, if empty == 200 { "[]" } else { "" }),
            (0, None) => json(list(&[(1, 10)])).with_header("Link", "</orders?page=2>; rel=\"next\""),
            (0, Some(_)) => json(list(&[(2, 30)])),
            // Changed while the second page of the first round was read.
            _ => json(list(&[(1, 25), (2, 30)])),
        });
        let config = r#", "key": ["id"], "cursor": "at", "pagination": "link", "end": [404], "query": {"since": "{{ since }}"}"#;
        let mut reading = open(config, &[]).unwrap();
        assert_eq!(ids(&reading.round()), [1, 2]);
        turn.replace(1);
        assert_eq!(reading.round(), [""; 0]);
        turn.replace(2);
        assert_eq!(ids(&reading.round()), [1], "{empty}: {:?}", urls(&asked));
    }
}

#[test]
fn the_time_of_a_record_is_never_one_that_lies_ahead() {
    let hour = |hours: i64| jiff::Timestamp::now().saturating_add(jiff::SignedDuration::from_hours(hours)).unwrap();
    let with_zone = |hours| format!(r#"{{"at": "{}"}}"#, hour(hours));
    let without = |hours| with_zone(hours).replace('Z', "");
    let records = [with_zone(-2), with_zone(2), without(-2), without(2), r#"{"at": "2099-01-01"}"#.to_owned()];
    served(&records.each_ref().map(String::as_str));
    let mut reading = open(r#", "cursor": "at""#, &[]).unwrap();
    let limits = Limits { records: 9, bytes: 4 << 20, wait: Duration::ZERO };
    let batch = reading.source.poll(limits).unwrap().records.into_batch();
    let times: Vec<_> =
        batch.into_iter().map(|record| record.timestamp.map(|at| (at - hour(0).as_millisecond()) / 60_000)).collect();
    assert_eq!(times, [Some(-120), None, Some(-120), None, None]);
}

#[test]
fn a_round_that_ends_by_the_clock_forgets_nothing_of_what_lies_behind_it() {
    let clock = Rc::new(RefCell::new(10));
    let now = Rc::clone(&clock);
    answers(move |url| {
        let since = url.split("10%3A00%3A").nth(1).map_or(1, |rest| rest[..2].parse().unwrap());
        let rows: Vec<_> = (since..=10).take(2).map(|n| format!(r#"{{"id": {n}, "at": "2024-05-01T10:00:{n:02}Z"}}"#)).collect();
        let date = format!("Wed, 01 May 2024 10:00:{:02} GMT", now.borrow());
        json(format!("[{}]", rows.join(", "))).with_header("Date", &date)
    });
    let config = r#", "cursor": "at", "order": "ascending", "page-size": 2, "query": {"since": "{{ since }}"}"#;
    let mut reading = open(config, &[]).unwrap();
    assert_eq!(ids(&reading.round()), (1..=10).collect::<Vec<_>>());
    for second in [5, 10] {
        // Another server, whose clock is behind.
        clock.replace(second);
        assert_eq!(reading.round(), [""; 0], "{second}");
    }
}

#[test]
fn the_position_has_room_for_a_long_link_beside_a_long_list() {
    let rows: Vec<_> = (0..20_000).map(|id| (id, 1)).collect();
    let (body, long) = (list(&rows), "x".repeat(40_000));
    answers(move |url| match url.contains("next") {
        true => json("[]"),
        false => json(body.clone()).with_header("Link", &format!("</next?x={long}>; rel=\"next\"")),
    });
    let mut reading = open(r#", "key": ["id"], "cursor": "at", "pagination": "link""#, &[]).unwrap();
    assert!(!reading.poll(20_000).unwrap());
    assert!(reading.positions[0].place.len() > 200_000);
}

#[test]
fn numbers_of_twenty_digits_are_forgotten_like_others() {
    let all = Rc::new(RefCell::new((0..2_000_u64).collect::<Vec<_>>()));
    let rows = Rc::clone(&all);
    answers(move |_| {
        let row = |n: &u64| format!(r#"{{"id": {n}, "at": {}}}"#, 20_240_501_100_000_000_000_u128 + u128::from(*n) * 1_000_000);
        json(format!("[{}]", rows.borrow().iter().map(row).collect::<Vec<_>>().join(", ")))
    });
    let mut reading = open(r#", "key": ["id"], "cursor": "at", "overlap": 5000000"#, &[]).unwrap();
    assert!(reading.poll(9_000).unwrap());
    assert!(reading.positions[0].place.len() < 400, "{}", reading.positions[0].place.len());
    all.borrow_mut().push(2_000);
    reading.values.clear();
    assert_eq!(ids(&reading.round()), [2_000]);
}
