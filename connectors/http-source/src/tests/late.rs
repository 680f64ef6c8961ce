//! What changes while a round goes on, what comes late, and times that are none of today.

use super::rounds::{ids, list, parameter};
use super::*;

const NOON: &str = "Wed, 01 May 2024 12:00:00 GMT";

/// `12:` and this, as a record.
fn at_noon(id: u32, minutes: &str) -> String {
    format!(r#"{{"id": {id}, "at": "2024-05-01T12:{minutes}Z"}}"#)
}

/// Two pages by link: the first answer is of noon, the second of ten past.
fn two_pages(first: impl Fn() -> String + 'static, second: impl Fn() -> String + 'static) -> Asked {
    answers(move |url| match parameter(url, "page") {
        Some(_) => json(second()).with_header("Date", "Wed, 01 May 2024 12:10:00 GMT"),
        None => json(first()).with_header("Link", "</orders?page=2>; rel=\"next\"").with_header("Date", NOON),
    })
}

const BY_TIME: &str = r#", "key": ["id"], "cursor": "at", "pagination": "link", "query": {"since": "{{ since }}"}"#;

#[test]
fn what_changes_on_a_page_that_was_read_is_found_by_the_next_round_in_spite_of_later_ones() {
    let changed = Rc::new(RefCell::new(false));
    let first = Rc::clone(&changed);
    let asked = two_pages(
        move || {
            format!(
                "[{}]",
                if *first.borrow() { at_noon(1, "05:00") } else { r#"{"id": 1, "at": "2024-04-01T00:00:00Z"}"#.to_owned() }
            )
        },
        || format!("[{}]", at_noon(2, "09:30")),
    );
    let mut reading = open(BY_TIME, &[]).unwrap();
    assert_eq!(ids(&reading.round()), [1, 2]);
    changed.replace(true);
    let requests = asked.borrow().len();
    let mut restarted = open(BY_TIME, &reading.positions).unwrap();
    assert_eq!((ids(&reading.round()), ids(&restarted.round())), (vec![1], vec![1]));
    assert!(urls(&asked)[requests].ends_with("since=2024-05-01T11%3A59%3A00Z"), "{:?}", urls(&asked));
}

#[test]
fn a_restart_in_a_round_keeps_when_it_began() {
    let asked = two_pages(|| format!("[{}]", at_noon(1, "00:00")), || format!("[{}]", at_noon(2, "09:30")));
    let mut reading = open(BY_TIME, &[]).unwrap();
    assert!(!reading.poll(9).unwrap());
    let mut restarted = open(BY_TIME, &reading.positions).unwrap();
    assert_eq!(ids(&restarted.round()), [2]);
    let requests = asked.borrow().len();
    restarted.round();
    assert!(urls(&asked)[requests].ends_with("since=2024-05-01T11%3A59%3A00Z"), "{:?}", urls(&asked));
}

#[test]
fn where_no_clock_tells_a_round_of_several_pages_is_followed_by_one_from_the_same_cursor() {
    for date in ["", NOON] {
        let at = Rc::new(RefCell::new(10));
        let first = Rc::clone(&at);
        let asked = answers(move |url| {
            let page = parameter(url, "page");
            let body = if page.is_some() { list(&[(2, 30)]) } else { list(&[(1, *first.borrow())]) };
            let link = if page.is_some() { "" } else { "</orders?page=2>; rel=\"next\"" };
            json(body).with_header("Link", link).with_header("Date", date)
        });
        let config = r#", "key": ["id"], "cursor": "at", "pagination": "link", "query": {"since": "{{ since }}"}"#;
        let mut reading = open(config, &[]).unwrap();
        assert_eq!(ids(&reading.round()), [1, 2]);
        at.replace(25);
        let mut restarted = open(config, &reading.positions).unwrap();
        assert_eq!(ids(&restarted.round()), [1]);
        assert_eq!(ids(&reading.round()), [1]);
        assert_eq!(reading.round(), [""; 0]);
        assert!(urls(&asked).iter().any(|url| url.ends_with("since=30")), "and then goes on: {:?}", urls(&asked));
    }
}

#[test]
fn a_time_that_lies_ahead_hides_no_other_one() {
    for ahead in ["2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
        let records = Rc::new(RefCell::new(vec![format!(r#"{{"id": 1, "at": "{ahead}"}}"#), at_noon(2, "00:00")]));
        let served = Rc::clone(&records);
        answers(move |_| json(format!("[{}]", served.borrow().join(", "))));
        let config = r#", "key": ["id"], "cursor": "at""#;
        let mut reading = open(config, &[]).unwrap();
        assert_eq!(ids(&reading.round()), [1, 2], "{ahead}");
        records.borrow_mut().push(at_noon(3, "01:00"));
        assert_eq!(ids(&reading.round()), [3], "{ahead}");
        records.borrow_mut().push(at_noon(4, "02:00"));
        let mut restarted = open(config, &reading.positions).unwrap();
        assert_eq!(ids(&restarted.round()), [4], "{ahead}");
    }
}

#[test]
fn a_date_that_comes_late_is_within_the_overlap() {
    let days = Rc::new(RefCell::new(vec![(1, "2024-05-01")]));
    let served = Rc::clone(&days);
    let asked = answers(move |_| {
        let records: Vec<_> = served.borrow().iter().map(|(id, at)| format!(r#"{{"id": {id}, "at": "{at}"}}"#)).collect();
        json(format!("[{}]", records.join(", ")))
    });
    let config = r#", "key": ["id"], "cursor": "at", "query": {"since": "{{ since }}"}"#;
    let mut reading = open(config, &[]).unwrap();
    assert_eq!(ids(&reading.round()), [1]);
    days.borrow_mut().push((2, "2024-04-30"));
    assert_eq!(ids(&reading.round()), [2]);
    assert!(urls(&asked).last().unwrap().ends_with("since=2024-04-30"), "{:?}", urls(&asked));
    assert_eq!(reading.round(), [""; 0]);
    assert_eq!(open(config, &reading.positions).unwrap().round(), [""; 0]);
}

#[test]
fn a_restart_compares_cursors_as_before() {
    let days = Rc::new(RefCell::new(vec![(1, "2024-04-29"), (2, "2024-04-30")]));
    let served = Rc::clone(&days);
    answers(move |_| {
        let records: Vec<_> = served.borrow().iter().map(|(id, at)| format!(r#"{{"id": {id}, "at": "{at}"}}"#)).collect();
        json(format!("[{}]", records.join(", ")))
    });
    let config = r#", "key": ["id"], "cursor": "at""#;
    let mut reading = open(config, &[]).unwrap();
    assert_eq!(ids(&reading.round()), [1, 2]);
    // For a first read these would be numbers, most of them.
    *days.borrow_mut() = vec![(3, "2024-05-01"), (4, "7"), (5, "8")];
    assert_eq!(ids(&open(config, &reading.positions).unwrap().round()), [3]);
}

#[test]
fn a_restart_in_a_round_of_several_pages_knows_what_was_known_before_it() {
    let at = Rc::new(RefCell::new(10));
    let first = Rc::clone(&at);
    answers(move |url| {
        let page = parameter(url, "page").unwrap_or(1);
        let link = if page < 3 { format!("</orders?page={}>; rel=\"next\"", page + 1) } else { String::new() };
        json(if page == 1 { list(&[(1, *first.borrow())]) } else { list(&[(page, page * 10 + 10)]) }).with_header("Link", &link)
    });
    let config = r#", "key": ["id"], "cursor": "at", "pagination": "link""#;
    let mut reading = open(config, &[]).unwrap();
    assert!(!reading.poll(9).unwrap() && !reading.poll(9).unwrap());
    at.replace(25);
    let mut restarted = open(config, &reading.positions).unwrap();
    assert_eq!((ids(&reading.values), ids(&restarted.round())), (vec![1, 2], vec![3]));
    assert_eq!(ids(&restarted.round()), [1]);
}

#[test]
fn in_ascending_order_too_a_time_of_later_today_hides_no_other_one() {
    let minutes = Rc::new(RefCell::new(vec![(1, "59:00")]));
    let served = Rc::clone(&minutes);
    answers(move |_| {
        let mut found = served.borrow().clone();
        found.sort_by_key(|(_, minutes)| *minutes);
        let records: Vec<_> = found.iter().map(|(id, minutes)| at_noon(*id, minutes)).collect();
        json(format!("[{}]", records.join(", "))).with_header("Date", NOON)
    });
    let config = r#", "key": ["id"], "cursor": "at", "order": "ascending", "query": {"since": "{{ since }}"}, "page-size": 9"#;
    let mut reading = open(config, &[]).unwrap();
    assert_eq!(ids(&reading.round()), [1]);
    minutes.borrow_mut().push((2, "00:30"));
    let mut restarted = open(config, &reading.positions).unwrap();
    assert_eq!((ids(&reading.round()), ids(&restarted.round())), (vec![2], vec![2]));
    assert_eq!(restarted.round(), [""; 0]);
}
