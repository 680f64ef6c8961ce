//! Who is subscribed, and what is written down before and after.

use super::*;

#[test]
fn nobody_is_subscribed_where_a_withdrawal_of_the_same_time_or_later_is_known() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    put_row(&world, "ada", "withdrawn", 5);
    for second in [4, 5] {
        assert!(sink.write(&batch(&[customer("ada", "yes", second)])).unwrap().is_empty(), "accepted");
    }
    assert_eq!(sent(&world), [""; 0]);
    assert!(sink.write(&batch(&[customer("ADA", "yes", 6)])).unwrap().is_empty());
    assert_eq!(sent(&world), ["ada subscribed"]);
}

#[test]
fn a_withdrawal_goes_through_whatever_is_known_and_is_written_down_before_it_is_sent() {
    let (mut sink, world) = sink(&json!({}), |request, world| {
        let is_written = rows(world, "ada").contains(&("withdrawn".to_owned(), 3));
        if is_written { taken(request) } else { Response::new(500, "") }
    });
    put_row(&world, "ada", "subscribed", 9);
    put_row(&world, "ada", "withdrawn", 8);
    assert!(sink.write(&batch(&[customer("ada", "no", 3)])).unwrap().is_empty());
    assert_eq!(sent(&world), ["ada unsubscribed"]);
}

#[test]
fn a_withdrawal_that_the_service_refuses_is_known_all_the_same() {
    let (mut sink, world) = sink(&json!({}), |_, _| Response::new(400, r#"{"title": "Invalid Resource"}"#));
    let outcomes = sink.write(&batch(&[customer("ada", "no", 3), customer("ada", "yes", 2)])).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("http.400"), None));
    assert_eq!(sent(&world), ["ada unsubscribed"]);
}

#[test]
fn records_of_one_member_in_one_call_count_in_their_order() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    let decisions = [("yes", 1), ("no", 2), ("yes", 2), ("yes", 3), ("no", 1)];
    let values: Vec<_> = decisions.iter().map(|(status, second)| customer("ada", status, *second)).collect();
    assert!(sink.write(&batch(&values)).unwrap().is_empty());
    assert_eq!(sent(&world), ["ada subscribed", "ada unsubscribed", "ada subscribed", "ada unsubscribed"]);
}

#[test]
fn a_withdrawal_that_comes_while_a_subscription_is_sent_is_sent_after_it() {
    let (mut sink, world) = sink(&json!({}), |request, world| {
        put_row(world, "ada", "withdrawn", 5);
        taken(request)
    });
    assert!(sink.write(&batch(&[customer("ada", "yes", 3)])).unwrap().is_empty());
    assert_eq!(sent(&world), ["ada subscribed", "ada unsubscribed"]);
    assert_eq!(rows(&world, "ada"), [("withdrawn".to_owned(), 5)]);
}

#[test]
fn a_call_that_was_cut_short_between_sending_and_looking_again_is_made_good_by_the_next() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    // Reading and writing succeed, then the second reading fails: as if the process had ended there.
    world.borrow_mut().database_fails_after = Some(2);
    assert!(matches!(sink.write(&batch(&[customer("ada", "yes", 3)])), Err(Error::Retry { .. })));
    assert_eq!(rows(&world, "ada"), [("subscribing".to_owned(), 3)]);
    put_row(&world, "ada", "withdrawn", 5);
    assert!(sink.write(&batch(&[customer("ada", "yes", 3)])).unwrap().is_empty());
    assert_eq!(sent(&world), ["ada subscribed", "ada unsubscribed"]);
    assert_eq!(rows(&world, "ada"), [("withdrawn".to_owned(), 5)], "and it is done with");
}

#[test]
fn a_later_subscription_is_not_undone_for_an_older_call_that_was_cut_short() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    put_row(&world, "ada", "subscribing", 3);
    put_row(&world, "ada", "withdrawn", 5);
    put_row(&world, "ada", "subscribed", 7);
    assert!(sink.write(&batch(&[customer("ada", "yes", 3)])).unwrap().is_empty());
    assert_eq!(sent(&world), [""; 0]);
}

#[test]
fn what_one_record_has_settled_says_nothing_of_another_of_the_same_time_that_was_cut_short() {
    let (mut shop, world) = sink(&json!({}), |request, world| {
        // The first request has no answer: it is carried out when all else was.
        if world.borrow().requests.len() == 1 { Response::new(503, "") } else { taken(request) }
    });
    let shops = || testing::batch("shop", [(None, Some(customer("ada", "yes", 10).as_str()))]);
    assert!(matches!(shop.write(&shops()), Err(Error::Retry { .. })));
    let mut crm = Audience::open(&Context::new("crm", config(&json!({})))).unwrap();
    assert!(crm.write(&batch(&[customer("ada", "yes", 10)])).unwrap().is_empty());
    assert!(crm.write(&batch(&[customer("ada", "no", 11)])).unwrap().is_empty());
    assert!(shop.write(&shops()).unwrap().is_empty());
    assert_eq!(sent(&world), ["ada subscribed", "ada subscribed", "ada unsubscribed", "ada unsubscribed"]);
    assert!(!rows(&world, "ada").contains(&("subscribing".to_owned(), 10)), "and it is done with");
}

#[test]
fn a_subscription_that_cannot_be_undone_is_told_of() {
    let (mut sink, world) = sink(&json!({}), |request, world| {
        put_row(world, "ada", "withdrawn", 5);
        let is_first = String::from_utf8_lossy(&request.body).contains("\"subscribed\"");
        if is_first { taken(request) } else { Response::new(400, r#"{"title": "Invalid Resource"}"#) }
    });
    let outcomes = sink.write(&batch(&[customer("ada", "yes", 3)])).unwrap();
    assert_eq!(code(&outcomes, 0), Some("audience.not-undone"));
    let pending = ("subscribing".to_owned(), 3);
    assert!(rows(&world, "ada").contains(&pending), "the next that is forbidden tries again");
    let outcomes = sink.write(&batch(&[customer("ada", "yes", 3)])).unwrap();
    assert_eq!((code(&outcomes, 0), rows(&world, "ada").contains(&pending)), (Some("audience.not-undone"), true));
}

#[test]
fn a_call_whose_partitions_may_be_another_s_by_now_settles_nothing() {
    let slow = std::cell::Cell::new(true);
    let (mut sink, world) = sink(&json!({}), move |request, _| {
        if slow.replace(false) {
            std::thread::sleep(Duration::from_millis(120));
        }
        taken(request)
    });
    sink.clock = Clock { patience: Duration::from_millis(60), end: Duration::from_millis(100), ..sink.clock };
    let both = batch(&[customer("ada", "yes", 3), customer("bob", "yes", 3)]);
    let Err(Error::Retry { message, .. }) = sink.write(&both) else { panic!("retry") };
    assert!(message.contains("another owner"), "{message}");
    assert_eq!(rows(&world, "ada"), [("subscribing".to_owned(), 3)]);
    assert_eq!(sink.most, 1, "in smaller parts");
    assert!(sink.write(&both).unwrap().is_empty());
    assert_eq!(rows(&world, "ada"), [("subscribed".to_owned(), 3)]);
}

#[test]
fn no_subscription_is_begun_when_partitions_may_go_before_it_ends() {
    let clock = sink(&json!({}), |request, _| taken(request)).0.clock;
    let given_back = Duration::from_secs(30);
    assert!(clock.patience < clock.end && clock.end < given_back, "{clock:?}");
    let (mut sink, world) = sink(&json!({"timeout": "45s"}), |request, _| taken(request));
    assert!(sink.write(&batch(&[customer("ada", "yes", 3)])).unwrap().is_empty());
    assert!(world.borrow().requests[0].timeout.unwrap() <= clock.end);
}

#[test]
fn a_subscription_that_was_overtaken_is_undone_though_the_time_of_its_call_is_over() {
    let (mut sink, world) = sink(&json!({}), |request, world| {
        std::thread::sleep(Duration::from_millis(60));
        put_row(world, "ada", "withdrawn", 5);
        taken(request)
    });
    sink.clock.patience = Duration::from_millis(30);
    assert!(sink.write(&batch(&[customer("ada", "yes", 3)])).unwrap().is_empty());
    assert_eq!(sent(&world), ["ada subscribed", "ada unsubscribed"]);
}

#[test]
fn a_member_that_may_be_coming_back_is_unsubscribed_and_not_forgotten_for_an_older_erasure() {
    for (coming, expected) in [(None, "POST lists/"), (Some(7), "ada unsubscribed")] {
        let (mut sink, world) = sink(&json!({"tombstones": "erase"}), |request, _| taken(request));
        for (mark, second) in [("subscribing", 3), ("withdrawn", 5), ("erased", 5)] {
            put_row(&world, "ada", mark, second);
        }
        coming.into_iter().for_each(|second| put_row(&world, "ada", "subscribing", second));
        assert!(sink.write(&batch(&[customer("ada", "yes", 3)])).unwrap().is_empty());
        let sent = sent(&world);
        assert!(sent.len() == 1 && sent[0].starts_with(expected), "{sent:?}");
    }
}

#[test]
fn without_what_is_known_nothing_is_sent() {
    for calls in [0, 1] {
        let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
        world.borrow_mut().database_fails_after = Some(calls);
        let both = batch(&[customer("ada", "yes", 3), customer("bob", "no", 3)]);
        assert!(matches!(sink.write(&both), Err(Error::Retry { .. })));
        assert!(world.borrow().requests.is_empty());
    }
}

#[test]
fn a_table_that_cannot_be_made_stops_the_sink_and_no_record_is_at_fault() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    world.borrow_mut().refuses_table = true;
    let Err(Error::Fatal(text)) = sink.write(&batch(&[customer("ada", "yes", 3)])) else { panic!("fatal") };
    assert_eq!(text, "no right to make a table");
}

#[test]
fn rows_that_say_less_than_others_are_removed() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    (1..5).for_each(|second| put_row(&world, "ada", "withdrawn", second));
    for second in 6..12 {
        sink.write(&batch(&[customer("ada", "yes", second)])).unwrap();
    }
    assert_eq!(rows(&world, "ada"), [("subscribed".to_owned(), 10), ("subscribed".to_owned(), 11), ("withdrawn".to_owned(), 4)]);
    for second in 20..30 {
        sink.write(&batch(&[customer("bob", "no", second)])).unwrap();
    }
    assert_eq!(rows(&world, "bob"), [("withdrawn".to_owned(), 28), ("withdrawn".to_owned(), 29)]);
}

#[test]
fn no_address_is_written_down() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    sink.write(&batch(&[customer("ada", "yes", 1), customer("bob", "no", 1)])).unwrap();
    let all = format!("{:?} {sink:?}", world.borrow().ledger);
    assert!(!all.contains("ada") && !all.contains("example.com"), "{all}");
}
