//! Odoo with answers as a server of version 19 gave them (`tests/odoo-*.json`), and with rows that are written again.

use super::*;

const TRACES: &str = include_str!("../../tests/odoo-mailing.trace.json");
const SUBSCRIPTIONS: &str = include_str!("../../tests/odoo-mailing.subscription.json");
const BLACKLIST: &str = include_str!("../../tests/odoo-mail.blacklist.json");

/// A server's clock, and the rows of its tables.
struct Server {
    now: i64,
    tables: BTreeMap<String, Vec<Value>>,
    instead: Vec<Response>,
}

type Shared = Rc<RefCell<Server>>;

/// 2026-11-30T18:12:00Z, half a minute after the recording.
const NOW: i64 = 1_796_062_320;

fn stamp(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string().replace(['T'], " ").replace('Z', "")
}

impl Server {
    /// What `search_read` does, as far as the source asks for it.
    fn answer(&mut self, request: &Request) -> Response {
        if let Some(instead) = self.instead.pop() {
            return instead;
        }
        let model = request.url.split('/').nth(5).unwrap();
        let query: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(query["order"], "id");
        let holds = |row: &Value| {
            query["domain"].as_array().unwrap().iter().all(|condition| match condition[0].as_str().unwrap() {
                "id" if condition[1] == "in" => condition[2].as_array().unwrap().contains(&row["id"]),
                "id" => row["id"].as_i64() > condition[2].as_i64(),
                "write_date" => row["write_date"].as_str() >= condition[2].as_str(),
                _ => true,
            })
        };
        let asked: Vec<_> = query["fields"].as_array().unwrap().iter().map(|field| field.as_str().unwrap()).collect();
        let shown = |row: &Value| {
            let row = row.as_object().unwrap().iter();
            Value::Object(
                row.filter(|(name, _)| *name == "id" || asked.contains(&name.as_str()))
                    .map(|(n, v)| (n.clone(), v.clone()))
                    .collect(),
            )
        };
        let rows = self.tables.get(model).map(Vec::as_slice).unwrap_or_default();
        let limit = usize::try_from(query["limit"].as_u64().unwrap()).unwrap();
        let page: Vec<_> = rows.iter().filter(|row| holds(row)).take(limit).map(shown).collect();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&jiff::Timestamp::from_second(self.now).unwrap());
        Response::new(200, serde_json::to_vec(&page).unwrap()).with_header("Date", &date.unwrap())
    }

    fn table(&mut self, model: &str) -> &mut Vec<Value> {
        self.tables.entry(model.to_owned()).or_default()
    }
}

fn server() -> (Shared, Sent) {
    let recorded = [("mailing.trace", TRACES), ("mailing.subscription", SUBSCRIPTIONS), ("mail.blacklist", BLACKLIST)];
    let tables = recorded.map(|(model, rows)| (model.to_owned(), serde_json::from_str(rows).unwrap())).into();
    let (server, sent) = (Rc::new(RefCell::new(Server { now: NOW, tables, instead: Vec::new() })), Sent::default());
    let (answering, requests) = (Rc::clone(&server), Rc::clone(&sent));
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        Ok(answering.borrow_mut().answer(request))
    });
    (server, sent)
}

fn config(more: &Value) -> Value {
    let mut config = json!({"service": "odoo", "url": "https://odoo.example.com/", "database": "shop", "page-size": 3});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn reading(more: &Value) -> Reading {
    Reading::start(&config(more), &BTreeMap::new())
}

/// A recorded row, written again so many seconds after `NOW`.
fn rewritten(row: &Value, seconds: i64, changes: &[(&str, Value)]) -> Value {
    let mut row = row.clone();
    row["write_date"] = stamp(NOW + seconds).into();
    changes.iter().for_each(|(name, value)| row[*name] = value.clone());
    row
}

#[test]
fn what_a_server_recorded_becomes_events_without_an_address_or_a_name() {
    let (_, sent) = server();
    let mut reading = reading(&json!({}));
    reading.round();
    let all = format!("{:?}", reading.records);
    assert!(!all.contains("example.com") && !all.contains("Ada"), "{all}");
    assert_eq!(
        reading.records[2],
        (
            json!({"campaign": 2, "member": "mailing.contact/6", "action": "click", "timestamp": "2026-11-30T18:11:31.000000Z"}),
            json!({"campaign": 2, "member": "mailing.contact/6", "action": "click", "timestamp": "2026-11-30T18:11:31.000000Z"})
        )
    );
    let unsubscribed = json!({"campaign": null, "member": "mailing.contact/7", "action": "unsubscribe", "timestamp": "2026-11-30T18:11:31.000000Z", "list": 3, "reason": "I never subscribed to this list"});
    assert_eq!(reading.records[8].1, unsubscribed);
    assert_eq!(reading.records[9].1["type"], "blacklist");
    let expected = [
        "bounce mailing.contact/9 2026-11-30T18:11:31.000000Z",
        "click mailing.contact/6 2026-11-30T18:11:31.000000Z",
        "open mailing.contact/6 2026-11-30T18:11:31.000000Z",
        "open mailing.contact/7 2026-11-30T18:11:31.000000Z",
        "sent mailing.contact/6 2026-11-30T18:11:30.000000Z",
        "sent mailing.contact/7 2026-11-30T18:11:30.000000Z",
        "sent mailing.contact/8 2026-11-30T18:11:30.000000Z",
        "sent mailing.contact/9 2026-11-30T18:11:30.000000Z",
        "unsubscribe mail.blacklist/1 2026-11-30T18:11:31.000000Z",
        "unsubscribe mailing.contact/7 2026-11-30T18:11:31.000000Z",
    ];
    assert_eq!(reading.take(), expected);
    let first = sent.borrow()[0].clone();
    assert_eq!(
        (first.method.as_str(), first.url.as_str()),
        ("POST", "https://odoo.example.com/json/2/mailing.trace/search_read")
    );
    assert!(first.headers.contains(&("x-odoo-database".to_owned(), "shop".to_owned())));
    assert!(sent.borrow().iter().all(|request| !String::from_utf8_lossy(&request.body).contains("email")));
    reading.round();
    assert_eq!(reading.take(), [""; 0], "within the overlap, and known");
}

#[test]
fn who_has_left_a_list_is_told_by_the_address_of_its_contact_where_addresses_are_wanted() {
    let (server, sent) = server();
    {
        let mut server = server.borrow_mut();
        let row = server.table("mailing.subscription")[0].clone();
        let gone = rewritten(&row, 0, &[("id", json!(8)), ("contact_id", json!([8, "Ada 2"]))]);
        let nameless = rewritten(&row, 0, &[("id", json!(9)), ("contact_id", json!([9, "Ada 3"]))]);
        server.table("mailing.subscription").extend([gone, nameless]);
        *server.table("mailing.contact") = vec![json!({"id": 7, "email": "ada1@example.com"}), json!({"id": 9, "email": false})];
    }
    let mut reading = reading(&json!({"addresses": true, "events": ["unsubscribe"]}));
    reading.round();
    let told: Vec<_> = reading.records.iter().map(|(_, value)| (value["member"].clone(), value["address"].clone())).collect();
    let of = |n: u32| json!(format!("mailing.contact/{n}"));
    assert_eq!(told[..3], [(of(7), json!("ada1@example.com")), (of(8), Value::Null), (of(9), Value::Null)]);
    let asked = |sent: &Sent| sent.borrow().iter().filter(|request| request.url.contains("mailing.contact/")).count();
    assert_eq!(asked(&sent), 1, "once for a page that has rows, and not for the empty one behind it");
    // Without them nobody asks.
    sent.borrow_mut().clear();
    let mut reading = self::reading(&json!({"events": ["unsubscribe"]}));
    reading.round();
    assert_eq!((asked(&sent), reading.records.iter().any(|(_, value)| value.get("address").is_some())), (0, false));
}

#[test]
fn a_row_whose_state_moved_on_brings_the_new_event_alone() {
    let (server, sent) = server();
    let mut reading = reading(&json!({"addresses": true}));
    reading.round();
    assert_eq!(reading.records[0].1["address"], "ada0b@example.com");
    reading.take();
    // An hour later, when the overlap has forgotten what was handed over.
    server.borrow_mut().now = NOW + 3600;
    reading.round();
    let row = server.borrow_mut().table("mailing.trace")[2].clone();
    let opened = rewritten(&row, 3700, &[("trace_status", "open".into()), ("open_datetime", stamp(NOW + 3700).into())]);
    server.borrow_mut().table("mailing.trace")[2] = opened;
    server.borrow_mut().now = NOW + 3720;
    reading.round();
    assert_eq!(reading.take(), ["open mailing.contact/8 2026-11-30T19:13:40.000000Z"]);
    let last: Value = serde_json::from_slice(&sent.borrow().iter().rfind(|r| r.url.contains("trace")).unwrap().body).unwrap();
    assert_eq!(last["domain"][1], json!(["write_date", ">=", stamp(NOW + 3600 - 900)]));
}

#[test]
fn a_row_that_is_written_again_while_pages_are_read_is_not_passed_over() {
    let (server, _) = server();
    let mut reading = reading(&json!({"events": ["sent", "click"], "page-size": 2}));
    reading.poll(LIMITS).unwrap();
    let row = server.borrow_mut().table("mailing.trace")[1].clone();
    let clicked = rewritten(&row, 10, &[("links_click_datetime", stamp(NOW + 10).into())]);
    server.borrow_mut().table("mailing.trace")[1] = clicked;
    server.borrow_mut().now = NOW + 60;
    reading.round();
    reading.round();
    let all = reading.take();
    assert_eq!(all.iter().filter(|text| text.starts_with("sent")).count(), 4, "{all:?}");
    assert!(all.contains(&"click mailing.contact/7 2026-11-30T18:12:10.000000Z".to_owned()), "{all:?}");
    assert_eq!(all.len(), 6);
}

#[test]
fn what_is_written_after_a_read_began_is_left_to_the_next_one_and_old_events_of_its_rows_are_not_passed_over() {
    let (server, _) = server();
    let more = json!({"events": ["sent", "open"], "page-size": 2});
    let mut first = reading(&more);
    first.poll(LIMITS).unwrap();
    first.take();
    // A day passes before the read goes on; meanwhile a message of the next page was opened.
    let row = server.borrow_mut().table("mailing.trace")[2].clone();
    let opened = rewritten(&row, 80_000, &[("trace_status", "open".into()), ("open_datetime", stamp(NOW + 80_000).into())]);
    server.borrow_mut().table("mailing.trace")[2] = opened;
    server.borrow_mut().now = NOW + 86_400;
    let mut second = Reading::start(&config(&more), &first.positions);
    second.poll(LIMITS).unwrap();
    assert_eq!(
        second.take(),
        ["sent mailing.contact/8 2026-11-30T18:11:30.000000Z", "sent mailing.contact/9 2026-11-30T18:11:30.000000Z"]
    );
    second.round();
    second.round();
    assert_eq!(second.take(), ["open mailing.contact/8 2026-12-01T16:25:20.000000Z"]);
}

#[test]
fn a_withdrawal_that_tells_a_time_of_long_ago_arrives() {
    let (server, _) = server();
    let mut reading = reading(&json!({"events": ["unsubscribe"]}));
    reading.round();
    reading.take();
    server.borrow_mut().now = NOW + 7200;
    reading.round();
    let row = json!({"id": 12, "contact_id": [8, "Ada 2"], "list_id": [3, "News"], "opt_out_datetime": "2020-01-01 00:00:00", "opt_out_reason_id": false, "write_date": stamp(NOW + 7190)});
    server.borrow_mut().table("mailing.subscription").push(row);
    server.borrow_mut().now = NOW + 7260;
    reading.round();
    reading.round();
    assert_eq!(reading.take(), ["unsubscribe mailing.contact/8 2020-01-01T00:00:00.000000Z"]);
}

#[test]
fn a_restart_at_any_poll_loses_nothing_and_repeats_nothing() {
    for cut in 0..20 {
        let (_, _) = server();
        let mut first = reading(&json!({"page-size": 2}));
        for _ in 0..cut {
            first.poll(Limits { records: 1 + cut % 3, ..LIMITS }).unwrap();
        }
        let mut all = std::mem::take(&mut first.records);
        let mut second = Reading::start(&config(&json!({"page-size": 2})), &first.positions);
        second.round();
        second.round();
        all.extend(std::mem::take(&mut second.records));
        second.records = all;
        let mut taken = second.take();
        assert_eq!(taken.len(), 10, "cut after {cut} polls: {taken:?}");
        taken.dedup();
        assert_eq!(taken.len(), 10, "cut after {cut} polls");
    }
}

#[test]
fn a_reason_that_is_told_afterwards_comes_with_the_unsubscribe_once_more() {
    let (server, _) = server();
    let mut reading = reading(&json!({"events": ["unsubscribe"]}));
    reading.round();
    let keys: Vec<_> = reading.records.drain(..).map(|(key, _)| key).collect();
    for (model, reason) in [("mailing.subscription", "Other"), ("mail.blacklist", "I have too many emails")] {
        let row = server.borrow_mut().table(model)[0].clone();
        server.borrow_mut().table(model)[0] = rewritten(&row, 30, &[("opt_out_reason_id", json!([3, reason]))]);
    }
    server.borrow_mut().now = NOW + 60;
    reading.round();
    reading.round();
    let again: Vec<_> = reading.records.iter().map(|(key, value)| (key.clone(), value["reason"].clone())).collect();
    assert_eq!(again[0], (keys[0].clone(), json!("Other")), "a subscription tells when it was left: the same key");
    // The blacklist has no time but that of the row.
    let mut later = keys[1].clone();
    later["timestamp"] = "2026-11-30T18:12:30.000000Z".into();
    assert_eq!(again[1..], [(later, json!("I have too many emails"))]);
}

/// So many messages that were sent within the ten minutes before `NOW`, beside nothing else.
fn burst(server: &Shared, count: i64) {
    let row = server.borrow_mut().table("mailing.trace")[2].clone();
    let sent = |n: i64| {
        let at = stamp(NOW - 600 + n * 500 / count);
        let mut row = row.clone();
        (row["id"], row["res_id"]) = (json!(n + 1), json!(n));
        (row["sent_datetime"], row["write_date"]) = (json!(at), json!(at));
        row
    };
    *server.borrow_mut().table("mailing.trace") = (0..count).map(sent).collect();
}

#[test]
fn a_mailing_of_more_messages_than_a_position_holds_arrives_once_and_whole_also_after_a_restart() {
    const COUNT: i64 = 30_000;
    let many = Limits { records: 4000, bytes: 64 << 20, ..LIMITS };
    for restart_after in [None, Some(25)] {
        let (server, sent) = server();
        burst(&server, COUNT);
        let more = json!({"events": ["sent"], "page-size": 1000});
        let mut reading = reading(&more);
        let mut polls = 0;
        while !reading.poll(many).unwrap() {
            polls += 1;
            if restart_after == Some(polls) {
                reading.source = Reading::start(&config(&more), &reading.positions).source;
            }
        }
        let members: std::collections::BTreeSet<_> = reading.records.iter().map(|(key, _)| key["member"].to_string()).collect();
        assert_eq!((members.len(), reading.records.len()), (30_000, 30_000));
        reading.records.clear();
        // What comes late is not missed, as far as the overlap could be held; and never in the last minute.
        let late = rewritten(
            &server.borrow_mut().table("mailing.trace")[7].clone(),
            -60,
            &[("id", json!(COUNT + 1)), ("res_id", json!(7_000_000)), ("sent_datetime", json!(stamp(NOW - 60)))],
        );
        server.borrow_mut().table("mailing.trace").push(late);
        server.borrow_mut().now = NOW + 60;
        while !reading.poll(many).unwrap() {}
        assert_eq!(reading.take(), [format!("sent mailing.contact/7000000 {}.000000Z", stamp(NOW - 60).replace(' ', "T"))]);
        let last: Value = serde_json::from_slice(&sent.borrow().last().unwrap().body).unwrap();
        let since = last["domain"][1][2].as_str().unwrap().to_owned();
        assert!(since > stamp(NOW - 900) && since <= stamp(NOW - 60), "the overlap is shorter for this once: {since}");
    }
}

#[test]
fn more_events_in_one_minute_than_a_position_holds_stop_the_source_and_a_shorter_overlap_lets_it_go_on() {
    let (server, _) = server();
    burst(&server, 30_000);
    for row in server.borrow_mut().table("mailing.trace") {
        (row["sent_datetime"], row["write_date"]) = (json!(stamp(NOW - 20)), json!(stamp(NOW - 20)));
    }
    let many = Limits { records: 4000, bytes: 64 << 20, ..LIMITS };
    let mut reading = reading(&json!({"events": ["sent"], "page-size": 1000}));
    let text = loop {
        match reading.poll(many) {
            Ok(_) => {}
            Err(Error::Fatal(text)) => break text,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(text.contains("`mailing.trace`") && text.contains("config.overlap"), "{text}");
    let more = json!({"events": ["sent"], "page-size": 1000, "overlap": "10s"});
    reading.source = Reading::start(&config(&more), &reading.positions).source;
    while !reading.poll(many).unwrap() {}
    let members: std::collections::BTreeSet<_> = reading.records.iter().map(|(key, _)| key["member"].to_string()).collect();
    assert_eq!(members.len(), 30_000);
}

#[test]
fn rows_that_name_nobody_go_to_the_dead_letter_topic_without_an_address() {
    let (server, _) = server();
    let bad = json!({"id": 9, "model": false, "res_id": 6, "email": "ada@example.com", "trace_status": "sent", "sent_datetime": "2026-11-30 18:11:30", "write_date": "2026-11-30 18:11:30"});
    server.borrow_mut().table("mailing.trace").push(bad);
    let mut reading = reading(&json!({}));
    reading.round();
    let codes: Vec<_> = reading.rejects.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!((codes, reading.records.len()), (vec!["event.member"], 10));
    assert!(!format!("{:?}", reading.rejects).contains("example.com"));
}

#[test]
fn a_list_narrows_what_is_asked_for() {
    let (_, sent) = server();
    reading(&json!({"list": "3"})).round();
    let domain = |at: usize| serde_json::from_slice::<Value>(&sent.borrow()[at].body).unwrap()["domain"].clone();
    assert_eq!(domain(0), json!([["is_test_trace", "=", false], ["mass_mailing_id.contact_list_ids", "in", [3]]]));
    assert_eq!(domain(2), json!([["opt_out", "=", true], ["list_id", "=", 3]]));
}

#[test]
fn what_a_server_refuses_stops_the_source_or_is_asked_again() {
    let missing = || {
        Response::new(404, r#"{"name": "werkzeug.exceptions.NotFound", "message": "the model 'mailing.trace' does not exist"}"#)
    };
    let (server, _) = server();
    server.borrow_mut().instead.push(missing());
    let Err(Error::Fatal(text)) = reading(&json!({})).poll(LIMITS) else { panic!("fatal") };
    assert!(text.contains("Email Marketing") && text.contains("`mailing.trace`"), "{text}");
    let invalid = || Response::new(401, r#"{"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"}"#);
    server.borrow_mut().instead = vec![Response::new(200, "[{\"id\": 1"), Response::new(502, ""), invalid()];
    let named = |status, name| Response::new(status, json!({"name": name, "message": "Record does not exist"}).to_string());
    server.borrow_mut().instead.extend([
        named(404, "odoo.exceptions.MissingError"),
        named(409, "odoo.exceptions.ConcurrencyError"),
        named(423, "odoo.exceptions.LockError"),
    ]);
    let mut reading = reading(&json!({}));
    for expected in ["423", "409", "404", "401", "502", "cut off"] {
        let Err(Error::Retry { message, .. }) = reading.poll(LIMITS) else { panic!("retry") };
        assert!(message.contains(expected) && message.contains("odoo.example.com"), "{message}");
    }
    reading.round();
    assert_eq!(reading.take().len(), 10);
}
