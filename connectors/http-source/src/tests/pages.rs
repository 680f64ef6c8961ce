//! Pages in ascending order, and pages that an API does not take.

use super::rounds::{ids, list, parameter};
use super::*;

const ASCENDING: &str = r#", "key": ["id"], "cursor": "at", "order": "ascending", "query": {"since": "{{ since }}"}"#;

#[test]
fn an_api_to_which_records_come_all_the_time_has_rounds_that_end() {
    let now = RefCell::new(100);
    let late = Rc::new(RefCell::new(Vec::new()));
    let served = Rc::clone(&late);
    let asked = answers(move |url| {
        // Three more with each request.
        *now.borrow_mut() += 3;
        let all = (1..=*now.borrow()).map(|at| (at, at)).filter(|(id, _)| *id != 50 && *id != 90);
        let mut found: Vec<_> = all.chain(served.borrow().iter().copied()).collect();
        found.retain(|(_, at)| *at >= parameter(url, "since").unwrap_or(0));
        found.sort_by_key(|(_, at)| *at);
        json(list(&found))
    });
    let mut reading = open(&format!(r#"{ASCENDING}, "page-size": 1000, "overlap": 30"#), &[]).unwrap();
    reading.round();
    assert!(asked.borrow().len() <= 3, "{:?}", urls(&asked));
    late.borrow_mut().push((90, 90));
    assert!(ids(&reading.round()).contains(&90), "what comes late is within the overlap");
}

#[test]
fn a_round_of_full_pages_ends_where_it_has_reached_its_beginning() {
    let second = RefCell::new(0);
    let asked = answers(move |_| {
        *second.borrow_mut() += 1;
        let at = format!("2024-05-01T12:00:{:02}Z", second.borrow().min(59));
        json(format!(r#"[{{"id": {}, "at": "{at}"}}]"#, second.borrow())).with_header("Date", "Wed, 01 May 2024 12:00:05 GMT")
    });
    let mut reading = open(&format!(r#"{ASCENDING}, "page-size": 1"#), &[]).unwrap();
    assert_eq!(ids(&reading.round()), [1, 2, 3, 4, 5]);
    assert_eq!(asked.borrow().len(), 5);
}

#[test]
fn times_without_a_zone_end_no_round_by_the_clock() {
    // Of a place that is ahead by two hours.
    let second = RefCell::new(0);
    answers(move |_| {
        *second.borrow_mut() += 1;
        let at = format!("2024-05-01T14:00:{:02}", second.borrow().min(20));
        let records =
            if *second.borrow() > 20 { String::new() } else { format!(r#"{{"id": {}, "at": "{at}"}}"#, second.borrow()) };
        json(format!("[{records}]")).with_header("Date", "Wed, 01 May 2024 12:00:05 GMT")
    });
    let mut reading = open(&format!(r#"{ASCENDING}, "page-size": 1"#), &[]).unwrap();
    assert_eq!(reading.round().len(), 20);
}

#[test]
fn one_cursor_that_fills_a_page_stops_the_source_though_the_api_gives_less_than_it_was_asked_for() {
    // No more than ten at a time, and 15 share a cursor.
    let all: Vec<_> = (1..=20).map(|id| (id, id)).chain((21..=35).map(|id| (id, 21))).collect();
    answers(move |url| {
        let since = parameter(url, "since").unwrap_or(0);
        json(list(&all.iter().filter(|(_, at)| *at >= since).take(10).copied().collect::<Vec<_>>()))
    });
    let mut reading = open(&format!(r#"{ASCENDING}, "page-size": 50"#), &[]).unwrap();
    let error = (0..20).find_map(|_| reading.poll(50).err()).unwrap();
    assert!(fatal(Err::<(), _>(error)).contains("shares one cursor"));
    assert_eq!(reading.values.len(), 30, "what was read before is handed over");
}

#[test]
fn one_cursor_that_fills_a_page_with_more_behind_it_stops_the_source() {
    answers(|_| json(r#"{"d": [{"id": 1, "at": 5}, {"id": 2, "at": 5}], "more": true}"#));
    let config = format!(r#"{ASCENDING}, "page-size": 50, "records": "$.d", "more": "$.more""#);
    let mut reading = open(&config, &[]).unwrap();
    let error = (0..5).find_map(|_| reading.poll(9).err()).unwrap();
    assert!(fatal(Err::<(), _>(error)).contains("shares one cursor"));
}

#[test]
fn records_that_share_the_highest_cursor_stop_nothing_as_long_as_they_fill_no_page() {
    let all = Rc::new(RefCell::new((1..=20).map(|id| (id, 7)).collect::<Vec<_>>()));
    let served = Rc::clone(&all);
    answers(move |url| {
        let since = parameter(url, "since").unwrap_or(0);
        json(list(&served.borrow().iter().filter(|(_, at)| *at >= since).copied().collect::<Vec<_>>()))
    });
    let mut reading = open(&format!(r#"{ASCENDING}, "page-size": 50"#), &[]).unwrap();
    assert_eq!(reading.round().len(), 20);
    for night in 8..12 {
        all.borrow_mut().iter_mut().for_each(|record| record.1 = night);
        assert_eq!(reading.round().len(), 20, "{night}");
        assert_eq!(reading.round(), [""; 0]);
    }
}

/// Pages of one record each by link, of which that one is refused so often.
fn refusing(refused: u32, times: u32) -> Asked {
    let left = RefCell::new(times);
    answers(move |url| {
        let page = parameter(url, "page").unwrap_or(1);
        if page == refused && *left.borrow() > 0 {
            *left.borrow_mut() -= 1;
            return Response::new(410, "expired");
        }
        let since = parameter(url, "since").unwrap_or(0);
        let first = if url.contains("page") { page } else { since.max(1) };
        let link = if first < 6 { format!("</orders?page={}>; rel=\"next\"", first + 1) } else { String::new() };
        json(list(&[(first, first)])).with_header("Link", &link)
    })
}

const LINKS: &str = r#", "key": ["id"], "cursor": "at", "pagination": "link", "query": {"since": "{{ since }}"}"#;

#[test]
fn in_ascending_order_a_round_that_begins_again_goes_on_where_it_was() {
    let asked = refusing(5, 1);
    let mut reading = open(&format!(r#"{LINKS}, "order": "ascending", "overlap": 1"#), &[]).unwrap();
    let error = (0..9).find_map(|_| reading.poll(1).err()).unwrap();
    assert!(matches!(error, Error::Retry { .. }), "{error:?}");
    assert_eq!(ids(&reading.round()), [1, 2, 3, 4, 5, 6], "each once");
    assert!(urls(&asked).iter().any(|url| url.ends_with("since=3")), "{:?}", urls(&asked));
}

#[test]
fn a_page_that_is_never_taken_stops_the_source_however_many_are_read_before_it() {
    let asked = refusing(3, 1000);
    let mut reading = open(LINKS, &[]).unwrap();
    let error = (0..50).filter_map(|_| reading.poll(1).err()).find(|error| matches!(error, Error::Fatal(_))).unwrap();
    assert!(error.message().contains("410: expired"), "{error:?}");
    assert_eq!(asked.borrow().len(), 9, "three times");
    refusing(3, 2);
    let mut reading = open(LINKS, &[]).unwrap();
    let errors = (0..50).filter_map(|_| reading.poll(1).err()).count();
    assert_eq!((errors, ids(&reading.values)), (2, vec![1, 2, 3, 4, 5, 6]));
}

#[test]
fn an_api_that_always_names_a_next_page_is_left_alone_while_they_are_empty() {
    let page = RefCell::new(0);
    let asked = answers(move |_| {
        *page.borrow_mut() += 1;
        let records = if *page.borrow() == 130 { r#"[{"id": 1}]"# } else { "[]" };
        json(format!(r#"{{"d": {records}, "next": "t{}"}}"#, page.borrow()))
    });
    let config = r#", "records": "$.d", "pagination": "cursor", "next": "$.next", "query": {"after": "{{ cursor }}"}"#;
    let mut reading = open(config, &[]).unwrap();
    assert_eq!(reading.round(), [""; 0]);
    assert_eq!(asked.borrow().len(), 100);
    assert_eq!(reading.round(), [""; 0]);
    assert!(urls(&asked)[100].ends_with("after=t100"), "it goes on where it was: {:?}", urls(&asked));
    while reading.values.is_empty() {
        reading.poll(1).unwrap();
    }
    assert_eq!((reading.values.as_slice(), asked.borrow().len()), (&[r#"{"id": 1}"#.to_owned()][..], 130));
}

#[test]
fn a_long_stretch_of_empty_pages_is_read_in_one_round() {
    let asked = answers(|url| {
        let page = parameter(url, "page").unwrap_or(0);
        let records = if page == 90 { r#"[{"id": 1, "at": 1}]"# } else { "[]" };
        let answer = json(records);
        if page < 150 { answer.with_header("Link", &format!("</orders?page={}>; rel=\"next\"", page + 1)) } else { answer }
    });
    let mut reading = open(LINKS, &[]).unwrap();
    while !reading.poll(3).unwrap() {}
    assert_eq!((ids(&reading.values), asked.borrow().len()), (vec![1], 151));
}

#[test]
fn a_status_that_is_to_stop_the_source_does_so_behind_a_link_too() {
    refusing(2, 1);
    let mut reading = open(&format!(r#"{LINKS}, "stop": [410]"#), &[]).unwrap();
    let error = (0..9).find_map(|_| reading.poll(1).err()).unwrap();
    assert!(fatal(Err::<(), _>(error)).contains("410: expired"));
}

#[test]
fn an_api_whose_pages_do_not_follow_each_other_in_order_stops_the_source() {
    answers(|url| match parameter(url, "page") {
        None => json(list(&[(1, 10), (2, 30)])).with_header("Link", "</orders?page=2>; rel=\"next\""),
        Some(_) => json(list(&[(3, 20)])),
    });
    let mut reading = open(&format!(r#"{LINKS}, "order": "ascending""#), &[]).unwrap();
    assert!(!reading.poll(9).unwrap());
    assert!(fatal(reading.poll(9)).contains("do not come in the order of `at`"));
}

/// At most so many of these at a time, from `since` on.
fn capped(all: Rc<RefCell<Vec<(u32, u32)>>>, most: usize) -> Asked {
    answers(move |url| {
        let since = parameter(url, "since").unwrap_or(0);
        json(list(&all.borrow().iter().filter(|(_, at)| *at >= since).take(most).copied().collect::<Vec<_>>()))
    })
}

#[test]
fn one_cursor_that_fills_the_first_page_stops_the_source_once_there_is_more_behind_it() {
    // No more than a hundred at a time, and 150 share a cursor.
    let all = Rc::new(RefCell::new((1..=150).map(|id| (id, 7)).collect::<Vec<_>>()));
    capped(Rc::clone(&all), 100);
    let mut reading = open(&format!(r#"{ASCENDING}, "page-size": 1000"#), &[]).unwrap();
    assert_eq!(reading.round().len(), 33 * 3 + 1);
    all.borrow_mut().push((151, 8));
    let error = (0..100).find_map(|_| reading.poll(50).err()).unwrap();
    assert!(fatal(Err::<(), _>(error)).contains("100 records) shares one cursor"));
    assert_eq!(reading.values, [""; 0], "what lies behind is left for then");
    let mut mended = open(&format!(r#"{ASCENDING}, "page-size": 100"#), &reading.positions).unwrap();
    assert!(fatal((0..100).find_map(|_| mended.poll(50).err()).map_or(Ok(()), Err)).contains("shares one cursor"));
}

#[test]
fn what_comes_while_it_is_looked_behind_one_cursor_stops_nothing() {
    let all = Rc::new(RefCell::new((1..=20).map(|id| (id, 7)).collect::<Vec<_>>()));
    let served = Rc::clone(&all);
    answers(move |url| {
        let since = parameter(url, "since").unwrap_or(0);
        if since == 8 && served.borrow().len() == 20 {
            served.borrow_mut().push((21, 8));
        }
        json(list(&served.borrow().iter().filter(|(_, at)| *at >= since).copied().collect::<Vec<_>>()))
    });
    let mut reading = open(&format!(r#"{ASCENDING}, "page-size": 50"#), &[]).unwrap();
    assert_eq!(ids(&reading.round()), (1..=21).collect::<Vec<_>>());
}

#[test]
fn an_empty_page_with_more_behind_it_ends_no_round() {
    let asked = answers(|url| match parameter(url, "page") {
        Some(page @ (2 | 4)) => json(format!(r#"{{"d": [{{"id": {page}, "at": {page}}}], "more": {}}}"#, page < 4)),
        _ => json(r#"{"d": [], "more": true}"#),
    });
    for order in ["any", "ascending"] {
        let config = format!(
            r#", "records": "$.d", "more": "$.more", "pagination": "page", "page-size": 3, "cursor": "at", "order": "{order}",
            "query": {{"page": "{{{{ page }}}}", "since": "{{{{ since }}}}"}}"#
        );
        if order == "any" {
            assert_eq!(ids(&open(&config, &[]).unwrap().round()), [2, 4]);
            assert_eq!(asked.borrow().len(), 4);
        } else {
            let mut reading = open(&config, &[]).unwrap();
            while reading.values.is_empty() {
                reading.poll(9).unwrap();
            }
            assert_eq!(ids(&reading.values), [2]);
        }
    }
}

#[test]
fn more_without_a_next_page_is_asked_for_again() {
    let whole = Rc::new(RefCell::new(false));
    let served = Rc::clone(&whole);
    answers(move |url| {
        if url.contains("after") {
            return json(r#"{"d": [{"id": 2}], "more": false}"#);
        }
        json(format!(r#"{{"d": [{{"id": 1}}], "more": true, "next": {}}}"#, if *served.borrow() { "7" } else { "null" }))
    });
    let config =
        r#", "records": "$.d", "more": "$.more", "next": "$.next", "pagination": "cursor", "query": {"after": "{{ cursor }}"}"#;
    let mut reading = open(config, &[]).unwrap();
    assert!(!reading.poll(9).unwrap());
    let Err(Error::Retry { message, .. }) = reading.poll(9) else { panic!("later") };
    assert!(message.contains("names no next page"), "{message}");
    whole.replace(true);
    assert_eq!([std::mem::take(&mut reading.values), reading.round()].concat(), [r#"{"id": 1}"#, r#"{"id": 2}"#]);
}
