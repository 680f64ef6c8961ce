//! Tables: what they have to have, what is known of them, and what is asked of them.

use wharf_sdk::Error;

use super::*;

fn fatal(mut sink: ClickHouse) -> String {
    match sink.write(&orders(&[1])) {
        Err(Error::Fatal(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_without_the_columns_of_the_place_is_refused_with_what_adds_them() {
    let fake = server();
    fake.borrow_mut().described.1 = ORDERS.replace("\"_offset\"", "\"off\"");
    let text = fatal(sink(""));
    assert!(text.contains("ALTER TABLE `default`.`orders` ADD COLUMN `_offset` Int64"), "{text}");
    assert!(sink(r#", "place": {"offset": "off"}"#).write(&orders(&[1])).unwrap().is_empty());
    fake.borrow_mut().described.1 = ORDERS.replace("\"Int32\"", "\"Int16\"");
    assert!(fatal(sink("")).contains("ordinary column of type Int32"));
}

#[test]
fn an_engine_that_merges_rows_away_cannot_tell_a_repetition() {
    let fake = server();
    fake.borrow_mut().engine = "ReplacingMergeTree";
    assert!(fatal(sink("")).contains("is a ReplacingMergeTree"));
    assert!(sink(r#", "deduplicate": "none""#).write(&orders(&[1])).unwrap().is_empty());
    assert_eq!(sent(&fake), [vec![(1, 0)]], "the columns of the place are filled where they are there");
}

#[test]
fn without_deduplication_the_table_is_asked_nothing_and_needs_no_columns_for_the_place() {
    let fake = server();
    fake.borrow_mut().described.1 = ORDERS.replace("\"_", "\"kafka_");
    fake.borrow_mut().held = vec![(0, -1, 1)];
    assert!(sink(r#", "deduplicate": "none""#).write(&orders(&[1])).unwrap().is_empty());
    assert_eq!(fake.borrow().inserts.len(), 1);
    assert!(!fake.borrow().queries.iter().any(|query| query.contains("max(") || query.contains("system.processes")));
}

#[test]
fn settings_are_sent_where_the_server_knows_them() {
    let urls = |settings, more: &str| {
        let fake = server();
        fake.borrow_mut().settings = settings;
        let mut sink = sink(more);
        for _ in 0..2 {
            assert!(sink.write(&orders(&[1])).unwrap().is_empty());
        }
        fake.borrow().inserts.iter().map(|request| request.url.split("query_id=").nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let old = urls("insert_distributed_sync", "");
    assert!(old.iter().all(|url| url.ends_with("&insert_distributed_sync=1") && !url.contains("decompress")), "{old:?}");
    let framed = urls("http_native_compression_disable_checksumming_on_decompress", "");
    let expected = "&decompress=1&http_native_compression_disable_checksumming_on_decompress=1";
    assert!(framed.iter().all(|url| url.ends_with(expected)), "{framed:?}");
    let all = "insert_distributed_sync async_insert wait_for_async_insert insert_deduplicate insert_deduplication_token";
    let new = urls(all, "");
    let expected = "&insert_distributed_sync=1&async_insert=0&wait_for_async_insert=1&insert_deduplicate=0";
    assert!(new.iter().all(|url| url.ends_with(expected)), "{new:?}");
    // The same rows have the same token, by which a replicated table knows a repetition.
    let tokens: Vec<_> = urls(all, r#", "deduplicate": "none""#)
        .iter()
        .map(|url| {
            assert!(!url.contains("insert_deduplicate="), "{url}");
            url.split("insert_deduplication_token=").nth(1).unwrap().to_owned()
        })
        .collect();
    assert!(tokens.len() == 2 && tokens[0].len() == 64 && tokens[0] == tokens[1], "{tokens:?}");
}

#[test]
fn settings_of_a_server_that_was_upgraded_while_the_sink_runs_are_sent() {
    let fake = server();
    let mut sink = sink("");
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    fake.borrow_mut().settings = "async_insert wait_for_async_insert use_query_cache";
    assert!(sink.write(&at(1, orders(&[2]))).unwrap().is_empty());
    let url = fake.borrow().inserts.last().unwrap().url.clone();
    assert!(url.contains("use_query_cache=0") && url.ends_with("&async_insert=0&wait_for_async_insert=1"), "{url}");
    assert!(!url.contains("insert_distributed_sync"), "{url}");
}

#[test]
fn a_column_that_was_added_while_the_sink_runs_is_found_before_its_field_is_rejected() {
    let fake = server();
    let mut sink = sink("");
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    fake.borrow_mut().described.1 = ORDERS.replace("\"noted\"", "\"more\"");
    let outcomes = sink.write(&at(1, batch(&[r#"{"id": 2, "more": 1}"#, r#"{"id": 3, "none": 1}"#]))).unwrap();
    assert_eq!(codes(&outcomes, 2), ["", "clickhouse.column"]);
    assert!(fake.borrow().inserts.last().unwrap().statement.contains("more"));
}

#[test]
fn a_column_that_was_given_another_type_between_two_calls_gets_rows_of_its_new_one() {
    let fake = server();
    let mut sink = sink("");
    assert!(sink.write(&orders(&[1])).unwrap().is_empty());
    fake.borrow_mut().described.1 = ORDERS.replacen("\"UInt32\"", "\"UInt64\"", 1);
    assert!(sink.write(&at(1, orders(&[2]))).unwrap().is_empty());
    let body = fake.borrow().inserts.last().unwrap().body.clone();
    assert_eq!((body.len(), &body[..8]), (row(0, 0).len() + 4, &2_u64.to_le_bytes()[..]));
}

#[test]
fn a_table_that_is_altered_all_the_time_is_waited_for() {
    let fake = server();
    fake.borrow_mut().altering = Some(ORDERS.replacen("\"UInt32\"", "\"UInt64\"", 1));
    assert!(matches!(sink("").write(&orders(&[1])), Err(Error::Retry { message, .. }) if message.contains("altered 3 times")));
    assert!(fake.borrow().inserts.is_empty());
}

#[test]
fn an_insert_that_does_not_fit_a_table_altered_meanwhile_is_made_again_by_its_new_columns() {
    let fake = server();
    let mut sink = sink("");
    fake.borrow_mut().refuse = Box::new(|_| Some(Ok(Response::new(500, NO_COLUMN))));
    fake.borrow_mut().altered = Some(ORDERS.replace(r#""name": "name""#, r#""name": "title""#));
    assert!(matches!(sink.write(&orders(&[2])), Err(Error::Retry { message, .. }) if message.contains("was altered")));
    fake.borrow_mut().refuse = Box::new(|_| None);
    assert!(sink.write(&orders(&[2])).unwrap().is_empty());
    assert!(fake.borrow().inserts.last().unwrap().statement.contains("title"));
}

#[test]
fn two_topics_do_not_get_one_table_by_accident() {
    server();
    let config = r#"{"url": "http://ch:8123", "table": "{topic}"}"#;
    let mut sink = ClickHouse::open(&Context::new("events", config)).unwrap();
    let partition = |topic: &str| Partition { topic: topic.to_owned(), number: 0 };
    assert_eq!(sink.assign(&[partition("a.b"), partition("a-b")]), Ok(vec![None; 2]));
    let of = |topic| testing::batch(topic, [(None, Some(r#"{"id": 1}"#))]);
    assert!(sink.write(&of("a.b")).unwrap().is_empty());
    let Err(Error::Fatal(text)) = sink.write(&of("a-b")) else { panic!("fatal") };
    assert!(text.contains("`a.b` and `a-b`") && text.contains("`tables`"), "{text}");
}

#[test]
fn what_a_profile_may_say_of_answers_does_not_hold_for_those_that_tell_what_a_table_has() {
    let fake = server();
    let known = "send_progress_in_http_headers use_query_cache read_overflow_mode timeout_overflow_mode result_overflow_mode \
        group_by_overflow_mode set_overflow_mode limit";
    fake.borrow_mut().settings = known;
    fake.borrow_mut().held = vec![(0, -1, 1)];
    assert!(sink("").write(&orders(&[1])).unwrap().is_empty());
    let (urls, queries) = (fake.borrow().urls.clone(), fake.borrow().queries.clone());
    assert!(
        queries[0].contains("system.settings") && urls[0].ends_with("database=default"),
        "asked before anything else: {urls:?}"
    );
    assert!(urls.len() > 4);
    for url in &urls[1..] {
        let values = ["&send_progress_in_http_headers=0", "&use_query_cache=0", "&limit=0"];
        assert!(values.iter().all(|value| url.contains(value)), "{url}");
        assert_eq!(url.matches("_overflow_mode=throw").count(), 5, "{url}");
        assert!(!url.contains("offset="), "which this server does not know: {url}");
    }
}

#[test]
fn records_that_differ_in_anything_have_another_token() {
    let fake = server();
    fake.borrow_mut().settings = "insert_deduplication_token";
    let named = |sink: &str| {
        let config = r#"{"url": "http://ch:8123", "table": "orders", "deduplicate": "none"}"#;
        ClickHouse::open(&Context::new(sink, config)).unwrap()
    };
    let later = |batch: Batch| {
        let mut raw: wharf_sdk::__private::types::Batch = batch.into();
        raw.timestamps = vec![1_700_000_000_000];
        Batch::from(raw)
    };
    assert!(named("events").write(&orders(&[1])).unwrap().is_empty());
    assert!(named("events").write(&orders(&[1])).unwrap().is_empty());
    assert!(named("others").write(&orders(&[1])).unwrap().is_empty());
    // From a topic made anew, a mended transform, or an earlier offset.
    assert!(named("events").write(&later(orders(&[1]))).unwrap().is_empty());
    assert!(named("events").write(&orders(&[2])).unwrap().is_empty());
    assert!(named("events").write(&at(1, orders(&[1]))).unwrap().is_empty());
    let tokens: Vec<String> =
        fake.borrow().inserts.iter().map(|r| r.url.split("insert_deduplication_token=").nth(1).unwrap().to_owned()).collect();
    assert_eq!((tokens.len(), &tokens[0]), (6, &tokens[1]));
    assert_eq!(tokens.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "{tokens:?}");
    // Place and time stand in the rows of this table: without them, too.
    fake.borrow_mut().inserts.clear();
    fake.borrow_mut().described.1 = ORDERS.replace("\"_", "\"kafka_");
    assert!(named("events").write(&orders(&[1])).unwrap().is_empty());
    assert!(named("events").write(&later(orders(&[1]))).unwrap().is_empty());
    assert!(named("events").write(&at(1, orders(&[1]))).unwrap().is_empty());
    let inserts = fake.borrow().inserts.clone();
    assert!(inserts.iter().all(|insert| insert.body == inserts[0].body));
    let tokens: std::collections::BTreeSet<_> = inserts.iter().map(|insert| insert.url.split("token=").nth(1)).collect();
    assert_eq!((inserts.len(), tokens.len()), (3, 3), "{tokens:?}");
}
