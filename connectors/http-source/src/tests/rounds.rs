//! Rounds: what comes once and what comes again, in which order of answers and restarts ever.

use super::*;

/// Records of an id and a cursor, as a list.
pub fn list(records: &[(u32, u32)]) -> String {
    let records = records.iter().map(|(id, at)| format!(r#"{{"id": {id}, "at": {at}}}"#));
    format!("[{}]", records.collect::<Vec<_>>().join(", "))
}

pub fn ids(values: &[String]) -> Vec<u32> {
    let id = |value: &String| value.strip_prefix("{\"id\": ")?.split(',').next()?.parse().ok();
    values.iter().filter_map(id).collect()
}

/// The value of a parameter.
pub fn parameter(url: &str, name: &str) -> Option<u32> {
    url.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// A list that is sorted by its cursor and answers what is at or after `since`, in pages of two by number.
fn sorted_list(records: &Rc<RefCell<Vec<(u32, u32)>>>) -> Asked {
    let records = Rc::clone(records);
    answers(move |url| {
        let since = parameter(url, "since").unwrap_or(0);
        let page = parameter(url, "page").unwrap_or(1) as usize;
        let mut found: Vec<_> = records.borrow().iter().filter(|(_, at)| *at >= since).copied().collect();
        found.sort_by_key(|(id, at)| (*at, *id));
        json(list(found.chunks(2).nth(page - 1).unwrap_or_default()))
    })
}

#[test]
fn what_changed_since_the_cursor_comes_and_nothing_twice() {
    let records = Rc::new(RefCell::new(vec![(1, 10), (2, 20), (3, 30)]));
    let asked = sorted_list(&records);
    let config = r#", "key": ["id"], "cursor": "at", "overlap": 5, "query": {"since": "{{ since }}", "page": "{{ page }}"}, "pagination": "page""#;
    let mut reading = open(config, &[]).unwrap();
    assert_eq!(ids(&reading.round()), [1, 2, 3]);
    // Numbers cannot be compared with a clock: what changed while there were several pages is looked for once more.
    assert_eq!(reading.round(), [""; 0]);
    assert!(!urls(&asked).last().unwrap().contains("since"), "{:?}", urls(&asked));
    assert_eq!(reading.round(), [""; 0]);
    assert!(urls(&asked).last().unwrap().contains("since=25"), "{:?}", urls(&asked));
    records.borrow_mut().extend([(4, 28), (5, 31)]);
    records.borrow_mut()[0].1 = 32;
    assert_eq!(ids(&reading.round()), [4, 5, 1]);
    records.borrow_mut().push((6, 33));
    let mut restarted = open(config, &reading.positions).unwrap();
    assert_eq!(ids(&restarted.round()), [6]);
}

#[test]
fn an_api_that_does_not_know_since_brings_nothing_twice_either() {
    let records = Rc::new(RefCell::new(vec![(3, 30), (2, 20), (1, 10)]));
    let served = Rc::clone(&records);
    answers(move |_| json(list(&served.borrow())));
    let mut reading = open(r#", "key": ["id"], "cursor": "at""#, &[]).unwrap();
    assert_eq!(ids(&reading.round()), [3, 2, 1]);
    records.borrow_mut().insert(0, (4, 40));
    assert_eq!(ids(&reading.round()), [4]);
}

#[test]
fn of_one_key_each_change_that_is_listed_comes_once() {
    let records = Rc::new(RefCell::new(vec![(7, 11), (7, 10)]));
    let served = Rc::clone(&records);
    answers(move |_| json(list(&served.borrow())));
    for config in [r#", "key": ["id"], "cursor": "at", "overlap": 5"#, r#", "key": ["id"]"#] {
        let mut reading = open(config, &[]).unwrap();
        assert_eq!(reading.round(), [r#"{"id": 7, "at": 11}"#, r#"{"id": 7, "at": 10}"#], "{config}");
        assert_eq!(reading.round(), [""; 0], "{config}");
        let mut restarted = open(config, &reading.positions).unwrap();
        assert_eq!(restarted.round(), [""; 0], "{config}");
    }
}

#[test]
fn an_older_answer_of_a_record_brings_nothing_again() {
    let records = Rc::new(RefCell::new(vec![(7, 10)]));
    let served = Rc::clone(&records);
    answers(move |_| json(list(&served.borrow())));
    let mut reading = open(r#", "key": ["id"], "cursor": "at", "overlap": 5"#, &[]).unwrap();
    assert_eq!(ids(&reading.round()), [7]);
    records.borrow_mut()[0].1 = 12;
    assert_eq!(ids(&reading.round()), [7]);
    // Of a replica that lags.
    records.borrow_mut()[0].1 = 10;
    assert_eq!(reading.round(), [""; 0]);
}

#[test]
fn a_crash_after_any_poll_loses_and_repeats_nothing() {
    for (config, descending) in [
        (r#", "pagination": "page""#, false),
        (r#", "pagination": "page""#, true),
        (r#", "pagination": "page", "order": "ascending""#, false),
    ] {
        let config = format!(
            r#", "key": ["id"], "cursor": "at", "query": {{"since": "{{{{ since }}}}", "page": "{{{{ page }}}}"}}{config}"#
        );
        let last = Rc::new(RefCell::new(9));
        let served = Rc::clone(&last);
        answers(move |url| {
            let since = parameter(url, "since").unwrap_or(0);
            let page = parameter(url, "page").unwrap_or(1) as usize;
            let mut found: Vec<_> = (1..=*served.borrow()).map(|id| (id, id * 10)).filter(|(_, at)| *at >= since).collect();
            if descending {
                found.reverse();
            }
            json(list(found.chunks(2).nth(page - 1).unwrap_or_default()))
        });
        let (mut all, mut positions) = (Vec::new(), Vec::new());
        for turn in 0..60 {
            // Half way through there is more, so that a later round is cut short too.
            if turn == 30 {
                last.replace(15);
            }
            // One poll that brings a record, then the instance is gone.
            let mut reading = open(&config, &positions).unwrap();
            while !reading.poll(1).unwrap() && reading.values.is_empty() {}
            positions.clone_from(&reading.positions);
            all.extend(ids(&reading.values));
        }
        let expected: Vec<u32> = if descending { (1..=9).rev().chain((10..=15).rev()).collect() } else { (1..=15).collect() };
        assert_eq!(all, expected, "{config} {descending}");
    }
}

#[test]
fn a_record_that_moves_while_pages_are_read_hides_no_other_one_where_the_order_is_ascending() {
    let records = Rc::new(RefCell::new((1..=6).map(|id| (id, id * 10)).collect::<Vec<_>>()));
    sorted_list(&records);
    let config = r#", "key": ["id"], "cursor": "at", "order": "ascending",
        "query": {"since": "{{ since }}", "page": "{{ page }}"}, "pagination": "page""#;
    let mut reading = open(config, &[]).unwrap();
    assert!(!reading.poll(9).unwrap());
    // Pages by number would go on behind 4 now.
    records.borrow_mut()[0].1 = 70;
    records.borrow_mut()[1].1 = 80;
    assert_eq!(ids(&reading.round()), [1, 2, 3, 4, 5, 6, 1, 2]);
    assert_eq!(reading.round(), [""; 0]);
}

#[test]
fn more_records_of_one_cursor_than_a_page_holds_come_by_the_pages() {
    let records = Rc::new(RefCell::new((1..=5).map(|id| (id, 10)).chain([(6, 20)]).collect::<Vec<_>>()));
    sorted_list(&records);
    let config = r#", "key": ["id"], "cursor": "at", "order": "ascending",
        "query": {"since": "{{ since }}", "page": "{{ page }}"}, "pagination": "page""#;
    assert_eq!(ids(&open(config, &[]).unwrap().round()), [1, 2, 3, 4, 5, 6]);
    let config = r#", "key": ["id"], "cursor": "at", "order": "ascending", "query": {"since": "{{ since }}"}, "page-size": 2"#;
    let mut reading = open(config, &[]).unwrap();
    assert!(!reading.poll(9).unwrap());
    assert!(fatal(reading.poll(9)).contains("shares one cursor"));
}

#[test]
fn an_api_that_does_not_sort_as_it_should_stops_the_source() {
    answers(|_| json(list(&[(1, 10), (2, 30), (3, 20)])));
    let config = r#", "cursor": "at", "order": "ascending", "query": {"since": "{{ since }}"}, "page-size": 9"#;
    assert!(fatal(open(config, &[]).unwrap().poll(9)).contains("do not come in the order of `at`"));
}

#[test]
fn pages_by_link_and_by_cursor_go_on_after_a_restart_where_they_were() {
    for config in [
        r#", "pagination": "link", "key": ["id"]"#,
        r#", "pagination": "cursor", "next": "$[-1].after", "query": {"page": "{{ cursor }}"}, "key": ["id"]"#,
    ] {
        let asked = answers(|url| {
            let page = parameter(url, "page").unwrap_or(1);
            let after = if page < 4 { format!(", \"after\": {}", page + 1) } else { String::new() };
            let body = format!(r#"[{{"id": {}, "x": 1}}, {{"id": {}, "x": 1{after}}}]"#, page * 2 - 1, page * 2);
            let link = if page < 4 { format!("<?page={}>; rel=\"next\"", page + 1) } else { String::new() };
            json(body).with_header("Link", &link)
        });
        let mut reading = open(config, &[]).unwrap();
        // To the middle of the second page.
        reading.poll(2).unwrap();
        reading.poll(1).unwrap();
        assert_eq!(ids(&reading.values), [1, 2, 3]);
        let requests = asked.borrow().len();
        let mut restarted = open(config, &reading.positions).unwrap();
        assert_eq!(ids(&restarted.round()), [4, 5, 6, 7, 8]);
        assert!(urls(&asked)[requests].ends_with("page=2"), "{:?}", urls(&asked));
    }
}

#[test]
fn a_page_that_the_api_no_longer_takes_begins_the_round_again_and_repeats_nothing() {
    let config = r#", "pagination": "cursor", "next": "$[-1].after", "query": {"page": "{{ cursor }}"}, "key": ["id"]"#;
    let bodies = |page: u32| format!(r#"[{{"id": {page}, "after": {}}}]"#, page + 1);
    answers(move |url| match parameter(url, "page") {
        None => json(bodies(1)),
        Some(2) => json(bodies(2)),
        Some(_) => json("[]"),
    });
    let mut reading = open(config, &[]).unwrap();
    reading.poll(1).unwrap();
    let once = RefCell::new(true);
    answers(move |url| match parameter(url, "page") {
        None => json(bodies(1)),
        Some(2) if once.replace(false) => Response::new(410, "expired"),
        Some(2) => json(bodies(2)),
        Some(_) => json("[]"),
    });
    let mut restarted = open(config, &reading.positions).unwrap();
    let Err(Error::Retry { message, .. }) = restarted.poll(1) else { panic!("later, not at once") };
    assert!(message.contains("410: expired") && message.contains("this round begins again"), "{message}");
    assert_eq!(ids(&restarted.round()), [2]);
    answers(|url| if url.contains('?') { Response::new(410, "expired") } else { json(r#"[{"id": 1, "after": 2}]"#) });
    let mut reading = open(config, &[]).unwrap();
    let mut errors = (0..10).filter_map(|_| reading.poll(1).err());
    assert!(matches!((errors.next(), errors.next()), (Some(Error::Retry { .. }), Some(Error::Retry { .. }))));
    let ended = errors.next().unwrap();
    assert!(matches!(&ended, Error::Fatal(text) if text.contains("410: expired")), "{ended:?}");
}

#[test]
fn without_a_cursor_unchanged_records_come_once_or_each_time() {
    let records = Rc::new(RefCell::new(vec![(1, 10), (2, 20)]));
    let served = Rc::clone(&records);
    answers(move |_| json(list(&served.borrow())));
    let mut reading = open(r#", "key": ["id"]"#, &[]).unwrap();
    assert_eq!(ids(&reading.round()), [1, 2]);
    assert_eq!(reading.round(), [""; 0]);
    records.borrow_mut()[0].1 = 11;
    let mut restarted = open(r#", "key": ["id"]"#, &reading.positions).unwrap();
    assert_eq!(ids(&restarted.round()), [1]);
    records.borrow_mut().remove(0);
    restarted.round();
    records.borrow_mut().push((1, 11));
    assert_eq!(ids(&restarted.round()), [1], "it was gone and is here again");
    let all = records.take();
    assert_eq!(restarted.round(), [""; 0]);
    records.replace(all);
    let mut restarted = open(r#", "key": ["id"]"#, &restarted.positions).unwrap();
    assert_eq!(ids(&restarted.round()), [2, 1], "all were gone, which a position says too");

    let send = r#", "key": ["id"], "unchanged": "send""#;
    let mut reading = open(send, &[]).unwrap();
    assert_eq!((ids(&reading.round()), ids(&reading.round())), (vec![2, 1], vec![2, 1]));
    let mut reading = open(send, &reading.positions).unwrap();
    reading.poll(1).unwrap();
    let mut restarted = open(send, &reading.positions).unwrap();
    assert_eq!(ids(&restarted.round()), [1], "the rest of the round alone");
    assert_eq!(ids(&restarted.round()), [2, 1]);
}

#[test]
fn what_was_read_before_pages_lead_nowhere_is_handed_over() {
    answers(|url| match parameter(url, "page") {
        None => json(r#"[{"id": 1, "x": 1}]"#).with_header("Link", "<?page=2>; rel=\"next\""),
        Some(page) => {
            json(format!(r#"[{{"id": {page}, "x": 1}}]"#)).with_header("Link", "<?page=2>; rel=\"next\", <?page=9>; rel=last")
        }
    });
    let mut reading = open(r#", "key": ["id"], "pagination": "link""#, &[]).unwrap();
    assert!(!reading.poll(9).unwrap());
    assert!(!reading.poll(9).unwrap());
    assert_eq!(ids(&reading.values), [1, 2]);
    let error = fatal(reading.poll(9));
    assert!(error.contains("the pages lead in a circle: `https://api.example.com/orders`"), "{error}");
}

#[test]
fn a_list_that_a_position_cannot_hold_stops_the_source_unless_all_of_it_is_sent() {
    let all: Vec<(u32, u32)> = (0..30_000).map(|id| (id, 1)).collect();
    let body = list(&all);
    answers(move |_| json(body.clone()));
    let mut reading = open(r#", "key": ["id"]"#, &[]).unwrap();
    let error = fatal(reading.poll(40_000));
    assert!(error.contains("lists 30000 records") && error.contains("unchanged = \"send\""), "{error}");
    let mut reading = open(r#", "key": ["id"], "unchanged": "send""#, &[]).unwrap();
    assert!(reading.poll(40_000).unwrap());
    assert_eq!(reading.values.len(), 30_000);
}

#[test]
fn more_records_in_the_overlap_than_a_position_holds_stop_nothing_and_few_come_twice() {
    let all: Vec<(u32, u32)> = (0..30_000).map(|id| (id, 1)).collect();
    let body = list(&all);
    answers(move |_| json(body.clone()));
    let config = r#", "key": ["id"], "cursor": "at""#;
    let mut reading = open(config, &[]).unwrap();
    assert!(reading.poll(40_000).unwrap());
    assert_eq!(reading.values.len(), 30_000);
    reading.values.clear();
    assert!(reading.poll(40_000).unwrap());
    assert_eq!(reading.values.len(), 0, "all are known until a restart");
    let mut restarted = open(config, &reading.positions).unwrap();
    assert!(restarted.poll(40_000).unwrap());
    assert!((5_000..15_000).contains(&restarted.values.len()), "{}", restarted.values.len());
    let all: Vec<(u32, u32)> = (0..30_000).map(|id| (id, id)).collect();
    let body = list(&all);
    answers(move |_| json(body.clone()));
    let mut reading = open(config, &[]).unwrap();
    assert!(reading.poll(40_000).unwrap());
    assert!(reading.positions[0].place.len() < 1000, "the overlap alone is kept");
}

#[test]
fn a_position_of_another_list_is_not_gone_on_from() {
    answers(|url| json(if url.contains("since") { "[]".to_owned() } else { list(&[(1, 10)]) }));
    let config = r#", "key": ["id"], "cursor": "at", "query": {"since": "{{ since }}"}"#;
    let mut reading = open(config, &[]).unwrap();
    assert_eq!(ids(&reading.round()), [1]);
    assert_eq!(open(config, &reading.positions).unwrap().round(), [""; 0]);
    let other = format!(r#"{config}, "records": "$[*]""#);
    assert_eq!(ids(&open(&other, &reading.positions).unwrap().round()), [1]);
    let by_another = config.replace("\"cursor\": \"at\"", "\"cursor\": \"$.at\"");
    assert_eq!(ids(&open(&by_another, &reading.positions).unwrap().round()), [1]);
}

#[test]
fn a_position_that_is_written_by_hand_need_hold_the_cursor_alone() {
    let asked = answers(|_| json(list(&[(3, 30)])));
    let by_hand = [Position::new(SLICE, br#"{"by": "at", "high": 25}"#.to_vec())];
    let mut reading = open(r#", "key": ["id"], "cursor": "at", "query": {"since": "{{ since }}"}"#, &by_hand).unwrap();
    assert_eq!(ids(&reading.round()), [3]);
    assert!(urls(&asked)[0].ends_with("since=25"), "{:?}", urls(&asked));
}

#[test]
fn an_odd_cursor_on_the_first_page_does_not_say_what_the_others_are() {
    for (odd, overlap) in
        [("\"n/a\"", ""), ("0", ""), ("\"0000-00-00 00:00:00\"", ""), ("\"0000-00-00 00:00:00\"", "60s"), ("0", "60s")]
    {
        let page = RefCell::new(0);
        answers(move |_| {
            *page.borrow_mut() += 1;
            let time = |id: u32| format!(r#"{{"id": {id}, "at": "2026-05-0{id}T00:00:00Z"}}"#);
            let first = format!(r#"{{"id": 1, "at": {odd}}}, {}, {}"#, time(2), time(3));
            json(if *page.borrow() == 1 { format!("[{first}]") } else { format!("[{first}, {}]", time(4)) })
        });
        let overlap = if overlap.is_empty() { String::new() } else { format!(r#", "overlap": "{overlap}""#) };
        let mut reading = open(&format!(r#", "cursor": "at"{overlap}"#), &[]).unwrap();
        let first = reading.round();
        assert_eq!((first[0].as_str(), ids(&first[1..])), ("(cursor.type)", vec![2, 3]), "{odd}");
        assert_eq!(ids(&reading.round()), [4], "{odd}");
    }
}

#[test]
fn texts_are_cursors_where_the_configuration_says_so_alone() {
    let orders = || json(r#"[{"id": 1, "at": "v-1"}, {"id": 2, "at": "v-2"}]"#);
    answers(move |_| orders());
    assert_eq!(open(r#", "cursor": "at""#, &[]).unwrap().round(), ["(cursor.type)", "(cursor.type)"]);
    assert_eq!(ids(&open(r#", "cursor": "at", "cursor-type": "text""#, &[]).unwrap().round()), [1, 2]);
}
