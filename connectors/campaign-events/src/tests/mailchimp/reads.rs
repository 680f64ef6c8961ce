//! Reads of many pages, campaigns that come and go, and what a position holds.

use super::*;

#[test]
fn where_rows_went_while_pages_were_read_the_cursor_waits_and_nothing_is_passed_over() {
    let (account, sent) = account();
    (0..6).for_each(|member| account.borrow_mut().does(&format!("m{member}"), "open", SENT + 100 + member));
    let mut reading = reading(&json!({"events": ["open"]}));
    reading.poll(LIMITS).unwrap();
    reading.poll(LIMITS).unwrap();
    // A member is erased: what was the third row is the second now, and the next page begins after it.
    account.borrow_mut().activity.remove(0);
    account.borrow_mut().activity.remove(0);
    reading.round();
    account.borrow_mut().now += 7200;
    reading.round();
    let members: Vec<_> = reading.take().iter().map(|text| text[5..7].to_owned()).collect();
    assert_eq!(members, ["m0", "m1", "m2", "m3", "m4", "m5"], "each once");
    let sinces: Vec<_> = sent.borrow().iter().filter_map(|r| query(r, "since").map(seconds_of)).collect();
    assert!(sinces.iter().all(|since| *since == SENT - 86_400), "the cursor has not moved: {sinces:?}");
    reading.round();
    let since = sent.borrow().iter().rev().find_map(|r| query(r, "since").map(seconds_of)).unwrap();
    assert_eq!(since, SENT + 3600 + 7200 - 900, "after a whole read it does");
}

#[test]
fn a_first_page_without_the_rows_that_it_counts_is_read_once_more_before_it_is_believed() {
    for (hollow, told) in [(1, 1), (2, 0)] {
        let (account, _) = account();
        account.borrow_mut().does("m0", "open", SENT + 100);
        account.borrow_mut().hollow = hollow;
        let mut reading = reading(&json!({"events": ["open"]}));
        for _ in 0..4 {
            reading.round();
            account.borrow_mut().now += 7200;
        }
        assert_eq!(reading.take().len(), told, "{hollow}");
    }
}

#[test]
fn where_a_row_moved_to_the_front_while_pages_were_read_it_is_not_passed_over() {
    let (account, _) = account();
    (0..4).for_each(|member| account.borrow_mut().does(&format!("m{member}"), "open", SENT + 100 + member));
    let mut reading = reading(&json!({"events": ["open"]}));
    reading.poll(LIMITS).unwrap();
    reading.poll(LIMITS).unwrap();
    let last = account.borrow_mut().activity.pop().unwrap();
    account.borrow_mut().activity.insert(0, last);
    reading.round();
    account.borrow_mut().now += 7200;
    reading.round();
    let members: Vec<_> = reading.take().iter().map(|text| text[5..7].to_owned()).collect();
    assert_eq!(members, ["m0", "m1", "m2", "m3"], "each once");
}

#[test]
fn a_read_that_is_made_again_and_again_stores_no_more_than_one_overlap() {
    let (account, _) = account();
    let mut reading = reading(&json!({"events": ["open"]}));
    let mut largest = 0;
    for _ in 0..20 {
        let now = account.borrow().now;
        (0..4).for_each(|member| account.borrow_mut().does(&format!("m{member}"), "open", now - 10));
        reading.poll(LIMITS).unwrap();
        reading.poll(LIMITS).unwrap();
        account.borrow_mut().activity.rotate_right(1);
        reading.round();
        let place: Value = serde_json::from_slice(&reading.positions["c1/email-activity"]).unwrap();
        largest = largest.max(place["seen"].as_str().unwrap_or_default().len());
        account.borrow_mut().now += 1200;
    }
    // About 13 characters an event: those of one round, and of the pages under way.
    assert!(largest < 13 * 12, "{largest}");
    reading.round();
    assert_eq!(reading.take().len(), 80, "each once");
}

#[test]
fn what_happens_after_a_read_began_is_left_to_the_next_one() {
    let (account, _) = account();
    (0..4).for_each(|member| account.borrow_mut().does(&format!("m{member}"), "open", SENT + 100 + member));
    let config = config(&json!({"events": ["open"]}));
    let mut first = Reading::start(&config, &BTreeMap::new());
    first.poll(LIMITS).unwrap();
    first.poll(LIMITS).unwrap();
    assert_eq!(first.take().len(), 2);
    // A day passes before the read goes on.
    (0..4).for_each(|member| account.borrow_mut().does(&format!("m{member}"), "open", SENT + 4000 + member));
    account.borrow_mut().now += 86_400;
    let mut second = Reading::start(&config, &first.positions);
    second.poll(LIMITS).unwrap();
    second.poll(LIMITS).unwrap();
    second.poll(LIMITS).unwrap();
    let old = second.take();
    assert!(old.iter().all(|text| text.contains("T10:01:4")), "{old:?}");
    assert_eq!(old.len(), 2);
    second.round();
    second.round();
    assert_eq!(second.take().len(), 4, "and nothing is passed over");
}

#[test]
fn a_campaign_is_read_once_more_when_its_time_is_over_and_then_forgotten_for_good() {
    let now = jiff::Timestamp::now().as_second();
    let (account, sent) = account();
    account.borrow_mut().campaigns = vec![("c1".to_owned(), now - 86_390)];
    account.borrow_mut().now = now;
    let config = config(&json!({"follow": "1d"}));
    let mut reading = Reading::start(&config, &BTreeMap::new());
    reading.round();
    assert!(reading.positions.contains_key("c1/email-activity"));
    account.borrow_mut().now = now + 600;
    account.borrow_mut().does("m1", "open", now + 500);
    reading.round();
    assert_eq!(reading.take().len(), 1, "what came before the end is read");
    assert_eq!(reading.positions.keys().collect::<Vec<_>>(), ["campaigns"]);
    // A restart, and a service whose filter takes more than was asked for.
    let mut again = Reading::start(&config, &reading.positions);
    sent.borrow_mut().clear();
    let listed = json!({"reports": [{"id": "c1", "send_time": iso(now - 86_390)}], "total_items": 1}).to_string();
    account.borrow_mut().instead = vec![Response::new(200, listed)];
    again.round();
    assert_eq!((sent.borrow().len(), again.take()), (1, Vec::new()));
}

#[test]
fn a_campaign_that_was_forgotten_is_not_taken_up_where_the_service_s_clock_goes_back() {
    let now = jiff::Timestamp::now().as_second();
    let (account, _) = account();
    account.borrow_mut().campaigns = vec![("c1".to_owned(), now - 86_390)];
    account.borrow_mut().does("m1", "open", now - 8000);
    account.borrow_mut().now = now;
    let mut reading = Reading::start(&config(&json!({"follow": "1d"})), &BTreeMap::new());
    reading.round();
    account.borrow_mut().now = now + 600;
    reading.round();
    assert_eq!((reading.take().len(), reading.positions.len()), (1, 1));
    account.borrow_mut().now = now - 7200;
    reading.round();
    reading.round();
    assert_eq!(reading.take(), [""; 0]);
}

#[test]
fn a_campaign_that_was_sent_while_the_source_stood_still_for_long_is_taken_up() {
    let now = jiff::Timestamp::now().as_second();
    let (account, _) = account();
    account.borrow_mut().campaigns.clear();
    account.borrow_mut().now = now - 30 * 86_400;
    let config = config(&json!({"follow": "1d"}));
    let mut reading = Reading::start(&config, &BTreeMap::new());
    reading.round();
    assert_eq!(reading.positions.keys().collect::<Vec<_>>(), ["campaigns"]);
    account.borrow_mut().campaigns.push(("c2".to_owned(), now - 20 * 86_400));
    account.borrow_mut().does("m1", "open", now - 19 * 86_400);
    account.borrow_mut().now = now;
    let mut again = Reading::start(&config, &reading.positions);
    again.round();
    assert_eq!(again.take().len(), 1);
}

#[test]
fn a_page_of_more_events_than_a_position_holds_is_read_in_smaller_ones() {
    let (account, sent) = account();
    let events = || (0..3000).map(|second| ("open".to_owned(), SENT + second, format!("https://shop.example.com/{second}")));
    account.borrow_mut().activity = (0..10).map(|member| (format!("m{member}"), events().collect())).collect();
    let mut reading = reading(&json!({"events": ["open"], "page-size": 10}));
    let many = Limits { records: 4000, bytes: 64 << 20, ..LIMITS };
    while !reading.poll(many).unwrap() {}
    assert_eq!(reading.take().len(), 30_000);
    let counts: Vec<_> = sent.borrow().iter().map(|request| query(request, "count").unwrap().to_owned()).collect();
    assert_eq!(counts[..4], ["10", "10", "5", "2"]);
    reading.poll(many).unwrap();
    reading.poll(many).unwrap();
    assert_eq!(query(sent.borrow().last().unwrap(), "count"), Some("10"), "the next read begins anew");
}

#[test]
fn what_the_configuration_does_not_ask_for_any_more_is_not_read_on() {
    let (account, sent) = account();
    account.borrow_mut().does("m1", "open", SENT + 10);
    let mut first = reading(&json!({}));
    first.round();
    assert_eq!(first.positions.len(), 3, "{:?}", first.positions.keys());
    for (more, expected) in [(json!({"list": "l2"}), 1), (json!({"list": "l1"}), 3), (json!({"events": ["unsubscribe"]}), 2)] {
        sent.borrow_mut().clear();
        Reading::start(&config(&more), &first.positions).round();
        assert_eq!(sent.borrow().len(), expected, "{more}");
    }
}

#[test]
fn a_campaign_that_was_deleted_is_left_out_and_the_others_are_read() {
    let (account, _) = account();
    account.borrow_mut().campaigns.push(("c2".to_owned(), SENT));
    account.borrow_mut().does("m1", "open", SENT + 10);
    let mut reading = reading(&json!({"events": ["open"]}));
    reading.poll(LIMITS).unwrap();
    account.borrow_mut().instead.push(Response::new(404, r#"{"title": "Resource Not Found"}"#));
    reading.round();
    assert_eq!(reading.records.iter().map(|(key, _)| key["campaign"].clone()).collect::<Vec<_>>(), ["c2"]);
}

#[test]
fn a_report_that_is_not_found_once_is_read_on_from_where_it_stood() {
    let (account, _) = account();
    account.borrow_mut().does("m1", "open", SENT + 10);
    let config = config(&json!({"events": ["open"]}));
    let mut reading = Reading::start(&config, &BTreeMap::new());
    reading.round();
    assert_eq!(reading.take().len(), 1);
    let gone = || Response::new(404, r#"{"title": "Resource Not Found"}"#);
    for restart in [false, true] {
        account.borrow_mut().now += 7200;
        reading.poll(LIMITS).unwrap();
        account.borrow_mut().instead.push(gone());
        reading.round();
        if restart {
            reading = Reading::start(&config, &reading.positions);
        }
        reading.round();
        assert_eq!(reading.take(), [""; 0], "what was read is not read again");
    }
    let now = account.borrow().now;
    account.borrow_mut().does("m1", "click", now - 5);
    account.borrow_mut().does("m1", "open", now - 5);
    reading.round();
    assert_eq!(reading.take().len(), 1, "and what is new is");
}

#[test]
fn a_report_that_stays_away_is_left_out_after_three_rounds_until_its_campaign_is_listed_again() {
    let (account, sent) = account();
    account.borrow_mut().does("m1", "open", SENT + 10);
    let mut reading = reading(&json!({"events": ["open"]}));
    reading.round();
    assert_eq!(reading.take().len(), 1);
    let listed = std::mem::take(&mut account.borrow_mut().campaigns);
    let gone = || Response::new(404, r#"{"title": "Resource Not Found"}"#);
    for asked in [2, 2, 2, 1, 1] {
        sent.borrow_mut().clear();
        reading.poll(LIMITS).unwrap();
        if asked == 2 {
            account.borrow_mut().instead.push(gone());
        }
        reading.round();
        assert_eq!(sent.borrow().len(), asked);
    }
    assert!(reading.positions.contains_key("c1/email-activity"), "where it stood is kept");
    account.borrow_mut().campaigns = listed;
    account.borrow_mut().now += 7200;
    account.borrow_mut().does("m2", "open", SENT + 3600 + 7000);
    reading.round();
    assert_eq!(reading.take(), ["open m2 2024-05-01T12:56:40.000000Z"]);
}

#[test]
fn more_events_of_a_campaign_within_one_overlap_than_a_position_holds_arrive_once_each() {
    let (account, _) = account();
    for member in 0..30_000_i64 {
        let event = ("open".to_owned(), SENT + 3600 - 700 + member * 600 / 30_000, String::new());
        account.borrow_mut().activity.push((format!("m{member}"), vec![event]));
    }
    let many = Limits { records: 4000, bytes: 64 << 20, ..LIMITS };
    let mut reading = reading(&json!({"events": ["open"], "page-size": 1000}));
    while !reading.poll(many).unwrap() {}
    account.borrow_mut().now += 60;
    while !reading.poll(many).unwrap() {}
    let members: std::collections::BTreeSet<_> = reading.records.iter().map(|(key, _)| key["member"].to_string()).collect();
    assert_eq!((members.len(), reading.records.len()), (30_000, 30_000));
}

#[test]
fn more_unsubscribes_than_a_position_holds_stop_the_source_by_name_of_the_setting() {
    let (account, _) = account();
    account.borrow_mut().unsubscribes = (0..22_000).map(|n| (format!("m{n}"), SENT + n)).collect();
    let mut reading = reading(&json!({"page-size": 1000}));
    let text = loop {
        match reading.poll(Limits { records: 1000, ..LIMITS }) {
            Ok(_) => {}
            Err(Error::Fatal(text)) => break text,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(text.contains("config.events") && text.contains("256 KiB"), "{text}");
    assert!(reading.records.len() > 20_000, "{}", reading.records.len());
}
