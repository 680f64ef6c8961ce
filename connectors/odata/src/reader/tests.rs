//! What is news, and from where a restart goes on: each test plays a service by hand.

use super::*;
use crate::config::Config;
use crate::edm::Model;
use crate::page::Links;

const V4: &str = include_str!("../../../shared/odata/tests/sales-v4.xml");
const V2: &str = include_str!("../../../shared/odata/tests/sales-v2.xml");
const URL: &str = "https://erp.example.com/s/Orders";

fn start(json: &str, xml: &str, place: Option<Vec<u8>>) -> Reader {
    let mut object: Map<String, Value> = serde_json::from_str(json).unwrap();
    object.insert("service".to_owned(), "https://erp.example.com/s".into());
    let config: Config = serde_json::from_value(Value::Object(object)).unwrap();
    let plan = Plan::new(&config, config.check().unwrap(), Some(Model::parse(xml).unwrap())).unwrap();
    Reader::new(plan, place.map(|bytes| Place::read(&bytes).unwrap()))
}

fn by_cursor(place: Option<Vec<u8>>) -> Reader {
    start(r#"{"entity": "Orders", "cursor": "modifiedAt"}"#, V4, place)
}

fn order(id: &str, second: u32, total: &str) -> String {
    format!(
        r#"{{"@odata.etag": "x", "ID": "{id}", "modifiedAt": "2024-05-01T10:{:02}:{:02}Z", "total": {total}}}"#,
        second / 60,
        second % 60
    )
}

/// The ids of what is news in a whole read of one page, and how the read ended.
fn read(reader: &mut Reader, entities: &[String], links: &Links) -> Vec<String> {
    let url = reader.begin().unwrap();
    let news = page(reader, entities);
    reader.page_end(links, &url).unwrap();
    news
}

fn page(reader: &mut Reader, entities: &[String]) -> Vec<String> {
    let mut news = Vec::new();
    for entity in entities {
        match reader.entry(entity.as_bytes()).unwrap() {
            Read::Record { key, .. } => news.push(String::from_utf8(key).unwrap()),
            Read::Deleted { key } => news.push(format!("-{}", String::from_utf8(key).unwrap())),
            Read::Unreadable { code, .. } => news.push(code.to_owned()),
            Read::Nothing => {}
        }
    }
    news
}

fn ids(list: &[&str]) -> Vec<String> {
    list.iter().map(|id| format!(r#"{{"ID":"{id}"}}"#)).collect()
}

#[test]
fn a_record_has_the_entity_its_key_and_the_time_of_its_cursor() {
    let mut reader = by_cursor(None);
    reader.begin().unwrap();
    let read = reader.entry(order("a", 1, "1.50").as_bytes()).unwrap();
    let value = br#"{"ID":"a","modifiedAt":"2024-05-01T10:00:01.000000Z","total":"1.50"}"#.to_vec();
    assert_eq!(read, Read::Record { key: br#"{"ID":"a"}"#.to_vec(), value, timestamp: Some(1_714_557_601_000) });
}

#[test]
fn a_second_read_of_the_same_entities_brings_nothing() {
    let mut reader = by_cursor(None);
    let all = [order("a", 1, "1"), order("b", 30, "2")];
    assert_eq!(read(&mut reader, &all, &Links::default()), ids(&["a", "b"]));
    assert!(reader.begin().unwrap().contains("modifiedAt%20ge%202024-05-01T09:59:30Z"));
    assert!(read(&mut reader, &all, &Links::default()).is_empty());
    let mut restarted = by_cursor(reader.place().unwrap());
    assert!(read(&mut restarted, &all, &Links::default()).is_empty());
    assert_eq!(restarted.place().unwrap(), reader.place().unwrap());
}

#[test]
fn an_update_and_a_late_commit_within_the_overlap_come_through() {
    let mut reader = by_cursor(None);
    read(&mut reader, &[order("a", 1, "1"), order("b", 30, "2")], &Links::default());
    let mut reader = by_cursor(reader.place().unwrap());
    let late = [order("a", 1, "1"), order("late", 20, "9"), order("b", 30, "2"), order("a", 40, "3")];
    assert_eq!(read(&mut reader, &late, &Links::default()), ids(&["late", "a"]));
    assert!(read(&mut reader, &late[1..], &Links::default()).is_empty());
}

#[test]
fn a_value_that_changed_back_is_news_again() {
    let mut reader = by_cursor(None);
    for total in ["1", "2", "1"] {
        assert_eq!(read(&mut reader, &[order("a", 1, total)], &Links::default()), ids(&["a"]));
    }
}

#[test]
fn what_is_out_of_the_overlap_is_not_kept_in_the_position() {
    let mut reader = by_cursor(None);
    let many: Vec<_> = (0..3000).map(|n| order(&format!("{n}"), n, "1")).collect();
    assert_eq!(read(&mut reader, &many, &Links::default()).len(), 3000);
    let place = Place::read(&reader.place().unwrap().unwrap()).unwrap();
    let kept = Seen::unpack(&place.seen, reader.now()).unwrap();
    assert_eq!(kept.len(), 61, "the last minute, its first second included");
}

#[test]
fn a_crash_between_pages_loses_nothing_and_repeats_nothing() {
    let all: Vec<_> = (0..10).map(|n| order(&format!("{n}"), n * 20, "1")).collect();
    let mut before = by_cursor(None);
    before.begin().unwrap();
    assert_eq!(page(&mut before, &all[..5]).len(), 5);
    let mut after = by_cursor(before.place().unwrap());
    let url = after.begin().unwrap();
    assert!(url.contains("ge%202024-05-01T10:00:20Z"), "{url}");
    assert_eq!(page(&mut after, &all[1..]), ids(&["5", "6", "7", "8", "9"]));
}

#[test]
fn the_position_never_falls_behind_while_the_overlap_is_read_again() {
    let mut reader = by_cursor(None);
    let all = [order("a", 1, "1"), order("b", 30, "2"), order("c", 59, "2")];
    read(&mut reader, &all, &Links::default());
    let stored = reader.place().unwrap();
    reader.begin().unwrap();
    page(&mut reader, &all[..1]);
    assert_eq!(reader.place().unwrap(), stored);
}

#[test]
fn entities_out_of_order_stop_the_reading() {
    let mut reader = by_cursor(None);
    reader.begin().unwrap();
    reader.entry(order("a", 30, "1").as_bytes()).unwrap();
    let error = reader.entry(order("b", 20, "1").as_bytes()).unwrap_err();
    assert_eq!(error, ReadError::Unordered("Orders".to_owned(), "modifiedAt".to_owned()));
}

#[test]
fn more_within_the_overlap_than_a_position_holds_names_the_setting() {
    let many: Vec<_> = (0..15_000).map(|n| order(&format!("{n}"), 1, "1")).collect();
    let mut reader = by_cursor(None);
    read(&mut reader, &many, &Links::default());
    let error = reader.place().unwrap_err().to_string();
    assert!(error.contains("15000 entities") && error.contains("`config.overlap`"), "{error}");
    let json = r#"{"entity": "Orders", "cursor": "modifiedAt", "overlap": "0s"}"#;
    let mut strict = start(json, V4, None);
    read(&mut strict, &many, &Links::default());
    let mut restarted = start(json, V4, strict.place().unwrap());
    let url = restarted.begin().unwrap().replace("%20", " ");
    assert!(
        url.contains("modifiedAt gt 2024-05-01T10:00:01Z or (modifiedAt eq 2024-05-01T10:00:01Z and (ID gt 14999))"),
        "{url}"
    );
}

#[test]
fn a_key_that_is_missing_or_null_is_rejected_once() {
    let mut reader = by_cursor(None);
    let bad = r#"{"ID": null, "modifiedAt": "2024-05-01T10:00:01Z"}"#.to_owned();
    reader.begin().unwrap();
    let read_once = reader.entry(bad.as_bytes()).unwrap();
    assert!(matches!(read_once, Read::Unreadable { code: "key.missing", field: Some(ref f), .. } if f == "/ID"), "{read_once:?}");
    assert_eq!(page(&mut reader, &["[1]".to_owned(), "7".to_owned()]), ["entry.object", "entry.object"]);
    let mut restarted = by_cursor(reader.place().unwrap());
    assert!(read(&mut restarted, &[bad], &Links::default()).is_empty());
}

#[test]
fn a_null_cursor_comes_once_and_a_bad_one_is_rejected() {
    let mut reader = by_cursor(None);
    let null = r#"{"ID": "n", "modifiedAt": null}"#.to_owned();
    let bad = r#"{"ID": "x", "modifiedAt": "soon"}"#.to_owned();
    assert_eq!(read(&mut reader, &[null, bad], &Links::default()), [ids(&["n"]), vec!["cursor.type".to_owned()]].concat());
    assert!(matches!(reader.entry(br#"{"ID": "y"}"#), Err(ReadError::CursorMissing(..))));
}

#[test]
fn a_date_as_cursor_is_read_again_by_whole_days_without_repeating_them() {
    let json = r#"{"entity": "Orders", "cursor": "day"}"#;
    let order = |id: &str, day: u32| format!(r#"{{"ID": "{id}", "day": "2024-05-{day:02}"}}"#);
    let all = [order("a", 1), order("b", 2), order("c", 3)];
    let mut reader = start(json, V4, None);
    assert_eq!(read(&mut reader, &all, &Links::default()), ids(&["a", "b", "c"]));
    let mut restarted = start(json, V4, reader.place().unwrap());
    assert!(restarted.begin().unwrap().contains("day%20ge%202024-05-02&"));
    assert!(read(&mut restarted, &all[1..], &Links::default()).is_empty());
}

#[test]
fn a_number_as_cursor_is_read_again_at_its_highest_value_only() {
    let json = r#"{"entity": "Customers", "cursor": "Number"}"#;
    let customer = |n: u32| format!(r#"{{"Country": "DE", "Number": {n}}}"#);
    let mut reader = start(json, V4, None);
    assert_eq!(read(&mut reader, &[customer(1), customer(2)], &Links::default()).len(), 2);
    let mut restarted = start(json, V4, reader.place().unwrap());
    assert!(restarted.begin().unwrap().contains("Number%20ge%202&"));
    assert_eq!(read(&mut restarted, &[customer(2), customer(3)], &Links::default()), [r#"{"Country":"DE","Number":3}"#]);
}

#[test]
fn full_reads_bring_only_what_changed() {
    let json = r#"{"entity": "Orders", "delta": "never"}"#;
    let mut full = start(json, V4, None);
    assert_eq!(read(&mut full, &[order("a", 1, "1"), order("b", 1, "1")], &Links::default()), ids(&["a", "b"]));
    assert_eq!(read(&mut full, &[order("a", 1, "1"), order("b", 1, "2")], &Links::default()), ids(&["b"]));
    let mut restarted = start(json, V4, full.place().unwrap());
    assert!(read(&mut restarted, &[order("a", 1, "1")], &Links::default()).is_empty());
    let all = [order("a", 1, "1"), order("b", 1, "2")];
    assert_eq!(read(&mut restarted, &all, &Links::default()), ids(&["b"]), "b was gone for a while");
}

#[test]
fn a_full_read_goes_on_at_its_page_after_a_crash() {
    let json = r#"{"entity": "Orders", "delta": "never"}"#;
    let mut before = start(json, V4, None);
    let url = before.begin().unwrap();
    page(&mut before, &[order("a", 1, "1")]);
    let links = Links { next: Some("Orders?$skiptoken=1".to_owned()), ..Links::default() };
    let next = before.page_end(&links, &url).unwrap();
    assert_eq!(next, Next::Page(format!("{URL}?$skiptoken=1")));
    page(&mut before, &[order("b", 1, "1")]);
    let mut after = start(json, V4, before.place().unwrap());
    assert_eq!(after.begin().unwrap(), format!("{URL}?$skiptoken=1"));
    assert_eq!(read(&mut after, &[order("b", 1, "1"), order("c", 1, "1")], &Links::default()), ids(&["c"]));
    assert!(read(&mut after, &[order("a", 1, "1"), order("b", 1, "1"), order("c", 1, "1")], &Links::default()).is_empty());
}

#[test]
fn delta_links_bring_changes_and_deletions() {
    let json = r#"{"entity": "Orders"}"#;
    let delta = |token: &str| Links { delta: Some(format!("Orders?$deltatoken={token}")), ..Links::default() };
    let mut full = start(json, V4, None);
    assert!(full.asks_for_tracking());
    assert_eq!(read(&mut full, &[order("a", 1, "1"), order("b", 1, "1")], &delta("1")), ids(&["a", "b"]));
    let mut restarted = start(json, V4, full.place().unwrap());
    assert_eq!(restarted.begin().unwrap(), format!("{URL}?$deltatoken=1"));
    let changes = [
        r#"{"@odata.context": "https://erp.example.com/s/$metadata#Orders/$deletedLink", "source": "Orders('a')"}"#.to_owned(),
        r#"{"@odata.context": "https://erp.example.com/s/$metadata#Orders/$deletedEntity", "id": "Orders(a)", "reason": "deleted"}"#.to_owned(),
        r#"{"@removed": {"reason": "changed"}, "@id": "https://erp.example.com/s/Orders(c)"}"#.to_owned(),
        r#"{"@removed": {"reason": "deleted"}, "ID": "d"}"#.to_owned(),
        order("b", 2, "2"),
    ];
    let expected = [r#"-{"ID":"a"}"#, r#"-{"ID":"c"}"#, r#"-{"ID":"d"}"#, r#"{"ID":"b"}"#];
    assert_eq!(read(&mut restarted, &changes, &delta("2")), expected);
    assert!(read(&mut restarted, &changes, &delta("3")).is_empty(), "the same changes under the next token");
    assert_eq!(read(&mut restarted, &[order("a", 3, "1")], &delta("4")), ids(&["a"]), "a deleted entity is back");
}

#[test]
fn deletions_of_a_v2_service_are_tombstones() {
    let mut reader = start(r#"{"entity": "ItemSet"}"#, V2, None);
    let gone = r#"{"__metadata": {"uri": "https://h/s/ItemSet(OrderID='1',Position=2L)", "deleted": true}}"#.to_owned();
    assert_eq!(page(&mut reader, &[gone]), [r#"-{"OrderID":"1","Position":2}"#]);
}

#[test]
fn a_delta_link_that_has_expired_begins_all_anew() {
    let mut reader = start(r#"{"entity": "Orders"}"#, V4, None);
    let delta = Links { delta: Some("Orders?$deltatoken=1".to_owned()), ..Links::default() };
    read(&mut reader, &[order("a", 1, "1")], &delta);
    assert!(reader.link_is_lost());
    assert!(reader.asks_for_tracking() && !reader.begin().unwrap().contains("deltatoken"));
    assert_eq!(read(&mut reader, &[order("a", 1, "1")], &delta), ids(&["a"]));
}

#[test]
fn a_delta_link_that_is_answered_without_the_next_one_stops() {
    let mut reader = start(r#"{"entity": "Orders"}"#, V4, None);
    let delta = Links { delta: Some("Orders?$deltatoken=1".to_owned()), ..Links::default() };
    read(&mut reader, &[order("a", 1, "1")], &delta);
    let url = reader.begin().unwrap();
    assert_eq!(reader.page_end(&Links::default(), &url), Err(ReadError::DeltaEnds("Orders".to_owned())));
}

#[test]
fn a_delta_link_that_was_not_wanted_is_not_used() {
    let mut reader = start(r#"{"entity": "Orders", "delta": "never"}"#, V4, None);
    let delta = Links { delta: Some("Orders?$deltatoken=1".to_owned()), ..Links::default() };
    read(&mut reader, &[order("a", 1, "1")], &delta);
    assert!(!reader.is_delta() && !reader.begin().unwrap().contains("deltatoken"));
}

#[test]
fn pages_that_this_connector_cuts_follow_each_other_by_cursor_and_key() {
    let json = r#"{"entity": "OrderSet", "cursor": "ChangedAt", "page-size": 2}"#;
    let order = |id: &str, millis: u64| format!(r#"{{"OrderID": "{id}", "ChangedAt": "/Date({millis})/"}}"#);
    let mut reader = start(json, V2, None);
    let url = reader.begin().unwrap();
    assert!(url.ends_with("$orderby=ChangedAt%20asc,OrderID%20asc&$top=2"), "{url}");
    page(&mut reader, &[order("1", 1_714_557_600_000), order("2", 1_714_557_600_000)]);
    let Next::Page(url) = reader.page_end(&Links::default(), &url).unwrap() else { panic!("a full page is followed by another") };
    let readable = url.replace("%20", " ");
    let at = "datetime'2024-05-01T10:00:00'";
    assert!(readable.contains(&format!("$filter=ChangedAt gt {at} or (ChangedAt eq {at} and (OrderID gt '2'))&")), "{readable}");
    page(&mut reader, &[order("3", 1_714_557_601_000)]);
    assert_eq!(reader.page_end(&Links::default(), &url).unwrap(), Next::End);
}

#[test]
fn a_page_full_of_one_instant_stops_instead_of_turning_in_circles() {
    let json = r#"{"entity": "OrderSet", "cursor": "ChangedAt", "page-size": 1}"#;
    let order = r#"{"OrderID": "1", "ChangedAt": "/Date(1714557600000)/"}"#.to_owned();
    let mut reader = start(json, V2, None);
    let url = reader.begin().unwrap();
    page(&mut reader, std::slice::from_ref(&order));
    let Next::Page(url) = reader.page_end(&Links::default(), &url).unwrap() else { panic!("a full page is followed by another") };
    page(&mut reader, &[order]);
    assert!(matches!(reader.page_end(&Links::default(), &url), Err(ReadError::Stuck(..))));
}

#[test]
fn a_position_by_another_cursor_or_host_is_not_gone_on_from() {
    let mut reader = by_cursor(None);
    read(&mut reader, &[order("a", 1, "1")], &Links::default());
    let place = reader.place().unwrap();
    let mut other = start(r#"{"entity": "Orders", "cursor": "number"}"#, V4, place);
    assert!(!other.begin().unwrap().contains("$filter"));
    let foreign = br#"{"delta": "https://old.example.com/s/Orders?$deltatoken=1"}"#.to_vec();
    let mut moved = start(r#"{"entity": "Orders"}"#, V4, Some(foreign));
    assert!(moved.begin().unwrap().starts_with(URL) && !moved.is_delta());
}

#[test]
fn next_links_are_followed_only_within_one_cursor() {
    let mut reader = by_cursor(None);
    let url = reader.begin().unwrap();
    let links = Links { next: Some("Orders?$skiptoken=2".to_owned()), ..Links::default() };
    page(&mut reader, &[order("a", 1, "1"), order("b", 2, "1")]);
    let Next::Page(url) = reader.page_end(&links, &url).unwrap() else { panic!("a page follows") };
    assert!(url.contains("$filter=modifiedAt%20ge%202024-05-01T10:00:02Z&"), "{url}");
    assert_eq!(page(&mut reader, &[order("b", 2, "1"), order("c", 2, "1")]), ids(&["c"]));
    assert_eq!(reader.page_end(&links, &url).unwrap(), Next::Page(format!("{URL}?$skiptoken=2")));
    assert_eq!(page(&mut reader, &[order("d", 2, "1"), order("e", 3, "1")]), ids(&["d", "e"]));
    let Next::Page(url) = reader.page_end(&links, &url).unwrap() else { panic!("a page follows") };
    assert!(url.contains("ge%202024-05-01T10:00:03Z&"), "{url}");
}

#[test]
fn links_to_other_hosts_stop_the_reading() {
    let mut reader = by_cursor(None);
    let url = reader.begin().unwrap();
    let links = Links { next: Some("https://evil.example.net/x".to_owned()), ..Links::default() };
    let error = reader.page_end(&links, &url).unwrap_err().to_string();
    assert!(error.contains("https://evil.example.net") && error.contains("https://erp.example.com"), "{error}");
}
