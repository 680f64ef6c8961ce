//! Mailchimp in the documented shapes, with rows that come, move and go while they are read.

use super::*;

mod reads;

/// 2024-05-01T10:00:00Z, when the campaign was sent.
const SENT: i64 = 1_714_557_600;

/// `action`, seconds, url.
type Done = (String, i64, String);

/// The service: its clock, its campaigns and their members' activity, and what it is told to answer instead.
#[derive(Default)]
struct Account {
    now: i64,
    campaigns: Vec<(String, i64)>,
    /// Of every campaign: member and events.
    activity: Vec<(String, Vec<Done>)>,
    unsubscribes: Vec<(String, i64)>,
    instead: Vec<Response>,
    /// Of so many requests for activity the answer has no row, but says how many there are.
    hollow: u32,
}

type Shared = Rc<RefCell<Account>>;

fn iso(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string().replace('Z', "+00:00")
}

fn seconds_of(text: &str) -> i64 {
    text.replace("%3A", ":").replace("%2B", "+").parse::<jiff::Timestamp>().unwrap().as_second()
}

impl Account {
    fn answer(&mut self, request: &Request) -> Response {
        if let Some(instead) = self.instead.pop() {
            return instead;
        }
        let number = |name| query(request, name).unwrap().parse::<usize>().unwrap();
        let path = request.url.split('?').next().unwrap();
        let parts: Vec<_> = path.rsplit('/').take(2).collect();
        let rows: Vec<Value> = match parts[0] {
            "reports" => {
                let since = seconds_of(query(request, "since_send_time").unwrap());
                let sent = self.campaigns.iter().filter(|(_, sent)| *sent > since);
                sent.map(|(id, sent)| json!({"id": id, "send_time": iso(*sent), "list_id": "l1"})).collect()
            }
            "email-activity" => {
                let since = seconds_of(query(request, "since").unwrap());
                let rows = self.activity.iter().filter_map(|(member, events)| {
                    let later = events.iter().filter(|(_, at, _)| *at > since);
                    let list: Vec<_> = later
                        .map(|(action, at, url)| json!({"action": action, "timestamp": iso(*at), "url": url, "ip": "198.51.100.7"}))
                        .collect();
                    (!list.is_empty()).then(|| json!({"email_id": member, "list_id": "l1", "activity": list}))
                });
                rows.collect()
            }
            "unsubscribed" => {
                assert_eq!(query(request, "since"), None, "there is no such parameter");
                let row = |(member, at): &(String, i64)| json!({"email_id": member, "timestamp": iso(*at), "reason": "too many", "list_id": "l1"});
                self.unsubscribes.iter().map(row).collect()
            }
            other => panic!("{other}"),
        };
        let name = match parts[0] {
            "reports" => "reports",
            "email-activity" => "emails",
            _ => "unsubscribes",
        };
        let hollow = parts[0] == "email-activity" && self.hollow > 0;
        self.hollow -= u32::from(hollow);
        let page: Vec<_> = rows.iter().filter(|_| !hollow).skip(number("offset")).take(number("count")).cloned().collect();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&jiff::Timestamp::from_second(self.now).unwrap());
        Response::new(200, json!({name: page, "total_items": rows.len()}).to_string()).with_header("Date", &date.unwrap())
    }

    fn does(&mut self, member: &str, action: &str, at: i64) {
        let event = (action.to_owned(), at, String::new());
        match self.activity.iter_mut().find(|(known, _)| known == member) {
            Some((_, events)) => events.push(event),
            None => self.activity.push((member.to_owned(), vec![event])),
        }
    }
}

fn account() -> (Shared, Sent) {
    let account = Account { now: SENT + 3600, campaigns: vec![("c1".to_owned(), SENT)], ..Account::default() };
    let (account, sent) = (Rc::new(RefCell::new(account)), Sent::default());
    let (answering, requests) = (Rc::clone(&account), Rc::clone(&sent));
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        Ok(answering.borrow_mut().answer(request))
    });
    (account, sent)
}

/// Followed for long: the campaign of the tests is years old.
fn config(more: &Value) -> Value {
    let mut config =
        json!({"service": "mailchimp", "url": "https://us6.api.mailchimp.com/3.0", "follow": "36500d", "page-size": 2});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn reading(more: &Value) -> Reading {
    Reading::start(&config(more), &BTreeMap::new())
}

#[test]
fn events_arrive_with_their_key_time_and_without_an_address() {
    let (account, sent) = account();
    account.borrow_mut().activity.push((
        "m1".to_owned(),
        vec![
            ("open".to_owned(), SENT + 10, String::new()),
            ("click".to_owned(), SENT + 20, "https://shop.example.com/a".to_owned()),
        ],
    ));
    account.borrow_mut().unsubscribes.push(("m2".to_owned(), SENT + 30));
    let mut reading = reading(&json!({}));
    reading.round();
    let key = |action, second: &str| json!({"campaign": "c1", "member": if action == "unsubscribe" { "m2" } else { "m1" }, "action": action, "timestamp": format!("2024-05-01T10:00:{second}.000000Z")});
    let keys: Vec<_> = reading.records.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, [key("open", "10"), key("click", "20"), key("unsubscribe", "30")]);
    let click = &reading.records[1].1;
    assert_eq!((&click["list"], &click["url"]), (&json!("l1"), &json!("https://shop.example.com/a")));
    assert_eq!(reading.records[2].1["reason"], "too many");
    let all = format!("{:?}", reading.records);
    assert!(!all.contains("198.51.100.7"), "an IP address was not asked for: {all}");
    let asked = sent.borrow().iter().any(|request| query(request, "fields").unwrap().contains("email_address"));
    assert!(!asked, "not even the service is asked for addresses");
}

#[test]
fn addresses_come_only_where_they_are_configured() {
    let (account, sent) = account();
    account.borrow_mut().instead = vec![
        Response::new(200, json!({"emails": [{"email_id": "m1", "email_address": "a@example.com", "activity": [{"action": "open", "timestamp": iso(SENT), "ip": "198.51.100.7"}]}], "total_items": 1}).to_string()),
        Response::new(200, json!({"reports": [{"id": "c1", "send_time": iso(SENT)}], "total_items": 1}).to_string()),
    ];
    let mut reading = reading(&json!({"addresses": true, "events": ["open"]}));
    reading.round();
    let value = &reading.records[0].1;
    assert_eq!((&value["address"], &value["ip"]), (&json!("a@example.com"), &json!("198.51.100.7")));
    assert!(query(&sent.borrow()[1], "fields").unwrap().contains("emails.email_address"));
}

#[test]
fn a_second_round_brings_only_what_is_new_and_what_came_late() {
    let (account, sent) = account();
    account.borrow_mut().does("m1", "open", SENT + 3500);
    let mut reading = reading(&json!({}));
    reading.round();
    assert_eq!(reading.take(), ["open m1 2024-05-01T10:58:20.000000Z"]);
    account.borrow_mut().now += 60;
    // Within the overlap of 15 minutes before the first round: recorded late.
    account.borrow_mut().does("m2", "bounce", SENT + 2800);
    account.borrow_mut().does("m1", "click", SENT + 3630);
    reading.round();
    assert_eq!(reading.take(), ["bounce m2 2024-05-01T10:46:40.000000Z", "click m1 2024-05-01T11:00:30.000000Z"]);
    let last = sent.borrow().iter().rfind(|request| request.url.contains("email-activity")).unwrap().clone();
    assert_eq!(seconds_of(query(&last, "since").unwrap()), SENT + 3600 - 900);
    reading.round();
    assert_eq!(reading.take(), [""; 0]);
}

#[test]
fn an_unsubscribe_that_is_recorded_hours_late_is_not_missed() {
    let (account, _) = account();
    let mut reading = reading(&json!({}));
    reading.round();
    account.borrow_mut().now += 86_400;
    account.borrow_mut().unsubscribes.push(("m9".to_owned(), SENT + 5));
    reading.round();
    assert_eq!(reading.take(), ["unsubscribe m9 2024-05-01T10:00:05.000000Z"]);
    reading.round();
    assert_eq!(reading.take(), [""; 0]);
}

#[test]
fn a_restart_at_any_poll_loses_nothing_and_repeats_nothing() {
    let expected = {
        let (account, _) = account();
        fill(&account);
        let mut reading = reading(&json!({}));
        reading.round();
        reading.take()
    };
    assert_eq!(expected.len(), 25);
    for cut in 0..40 {
        let (account, _) = account();
        fill(&account);
        let mut first = reading(&json!({}));
        let few = Limits { records: 1 + cut % 3, ..LIMITS };
        for _ in 0..cut {
            first.poll(few).unwrap();
        }
        let mut all = std::mem::take(&mut first.records);
        let mut second = Reading::start(&config(&json!({})), &first.positions);
        second.round();
        second.round();
        all.extend(std::mem::take(&mut second.records));
        second.records = all;
        assert_eq!(second.take(), expected, "cut after {cut} polls");
    }
}

/// Five members with four events each, of which some lie within the overlap, and five unsubscribes.
fn fill(account: &Shared) {
    for member in 0..5 {
        for event in 0..4 {
            account.borrow_mut().does(&format!("m{member}"), "open", SENT + 100 + event * 1100 + member);
        }
        account.borrow_mut().unsubscribes.push((format!("m{member}"), SENT + 200 + member));
    }
}

#[test]
fn what_is_no_event_goes_to_the_dead_letter_topic_once_and_without_an_address() {
    let (account, _) = account();
    let rows = json!({"emails": [
        {"email_id": "m1", "email_address": "a@example.com", "activity": [{"action": "forward", "timestamp": iso(SENT), "ip": "198.51.100.7"}, {"action": "open", "timestamp": "yesterday"}]},
        {"email_address": "b@example.com", "activity": [{"action": "open", "timestamp": iso(SENT)}]},
        {"email_id": "m3", "contact": {"who": "c@example.com"}, "tags": ["d@example.com"]},
        7], "total_items": 4});
    let page = || Response::new(200, rows.to_string());
    let listed = || Response::new(200, json!({"reports": [{"id": "c1", "send_time": iso(SENT)}], "total_items": 1}).to_string());
    account.borrow_mut().instead = vec![page(), listed(), page(), listed()];
    let mut reading = reading(&json!({"events": ["open"]}));
    reading.round();
    let codes: Vec<_> = reading.rejects.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["event.action", "event.timestamp", "event.member", "event.activity", "event.activity"]);
    assert_eq!(reading.rejects[0].1, json!({"campaign": "c1", "action": "forward", "timestamp": iso(SENT), "email_id": "m1"}));
    let all = format!("{:?}", reading.rejects);
    assert!(!all.contains("example.com") && !all.contains("198.51"), "{all}");
    assert_eq!(reading.records, []);
    reading.round();
    assert_eq!(reading.rejects.len(), 5, "told once");
}

#[test]
fn what_is_no_event_and_comes_with_each_read_is_told_once() {
    for overlap in ["15m", "10s"] {
        let (account, _) = account();
        let config = config(&json!({"events": ["open"], "overlap": overlap}));
        let mut reading = Reading::start(&config, &BTreeMap::new());
        for round in 0..6 {
            let now = SENT + 3600 + round * 600;
            account.borrow_mut().now = now;
            let date = jiff::fmt::rfc2822::DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&jiff::Timestamp::from_second(now).unwrap())
                .unwrap();
            reading.poll(LIMITS).unwrap();
            let odd = json!({"emails": [{"email_id": "m1"}], "total_items": 1}).to_string();
            account.borrow_mut().instead.push(Response::new(200, odd).with_header("Date", &date));
            reading.round();
            if round == 3 {
                reading.source = Reading::start(&config, &reading.positions).source;
            }
        }
        assert_eq!(reading.rejects.len(), 1, "{overlap}");
    }
}

#[test]
fn links_and_rows_of_another_kind_show_no_address_either() {
    for (addresses, expected) in
        [(false, "https://shop.example.com/a"), (true, "https://shop.example.com/a?to=ada@example.org#x")]
    {
        let (account, _) = account();
        let click = json!({"action": "click", "timestamp": iso(SENT), "url": "https://shop.example.com/a?to=ada@example.org#x"});
        let share = json!({"action": "share", "timestamp": iso(SENT), "url": "https://shop.example.com/a?to=ada@example.org#x"});
        let rows = json!({"emails": [{"email_id": "m1", "activity": [click, share, "ada@example.org"]}, ["ada@example.org"]], "total_items": 2});
        let listed = json!({"reports": [{"id": "c1", "send_time": iso(SENT)}], "total_items": 1});
        account.borrow_mut().instead = vec![Response::new(200, rows.to_string()), Response::new(200, listed.to_string())];
        let mut reading = reading(&json!({"events": ["click"], "addresses": addresses}));
        reading.round();
        assert_eq!(reading.records[0].1["url"], expected);
        let codes: Vec<_> = reading.rejects.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(codes, ["event.action", "event.object", "event.activity"]);
        assert_eq!(reading.rejects[0].1["url"], expected);
        let all = format!("{:?} {:?}", reading.records, reading.rejects);
        assert_eq!(all.contains("ada@example.org"), addresses, "{all}");
    }
}

#[test]
fn a_report_that_is_none_does_not_hold_up_the_others() {
    let (account, _) = account();
    account.borrow_mut().does("m1", "open", SENT + 10);
    let listed = json!({"reports": [7, {"send_time": iso(SENT)}, {"id": "c1", "send_time": iso(SENT)}], "total_items": 3});
    account.borrow_mut().instead = vec![Response::new(200, listed.to_string())];
    let mut reading = reading(&json!({"events": ["open"], "page-size": 3}));
    reading.round();
    assert_eq!(reading.take().len(), 1);
}

#[test]
fn a_listing_that_does_not_tell_its_length_ends_with_a_short_page() {
    let (account, sent) = account();
    let page = |ids: &[&str]| {
        let reports: Vec<_> = ids.iter().map(|id| json!({"id": id, "send_time": iso(SENT)})).collect();
        Response::new(200, json!({"reports": reports, "total_items": 0}).to_string())
    };
    account.borrow_mut().instead = vec![page(&["c3"]), page(&["c1", "c2"])];
    let mut reading = reading(&json!({"events": ["unsubscribe"]}));
    reading.round();
    let read: Vec<_> = sent.borrow().iter().map(|r| r.url.split("/reports").nth(1).unwrap()[..4].to_owned()).collect();
    assert_eq!(read, ["?fie", "?fie", "/c1/", "/c2/", "/c3/"]);
}

#[test]
fn busy_broken_and_cut_answers_are_asked_for_again() {
    let busy = || Response::new(429, r#"{"title": "Too Many Requests", "status": 429, "detail": "a@example.com"}"#);
    for (answer, after) in [
        (busy().with_header("Retry-After", "7"), Some(Duration::from_secs(7))),
        (Response::new(503, "<html>"), None),
        (Response::new(200, r#"{"reports": [{"id": "c1", "send"#), None),
        (Response::new(200, "<html>Sign in</html>"), None),
        (Response::new(200, r#"{"total_items": 3}"#), None),
    ] {
        let (account, _) = account();
        account.borrow_mut().does("m1", "open", SENT + 10);
        let shown = format!("{answer:?}");
        account.borrow_mut().instead.push(answer);
        let mut reading = reading(&json!({}));
        let Err(Error::Retry { message, after: waits }) = reading.poll(LIMITS) else { panic!("retry: {shown}") };
        assert_eq!(waits, after, "{shown}");
        assert!(message.contains("us6.api.mailchimp.com") && !message.contains("example.com"), "{message}");
        reading.round();
        assert_eq!(reading.take().len(), 1);
    }
}

#[test]
fn refused_credentials_are_tried_twice_and_then_stop_the_source() {
    let refused = || Response::new(401, r#"{"title": "API Key Invalid", "status": 401}"#);
    let (account, _) = account();
    account.borrow_mut().instead = vec![refused(), refused(), refused()];
    let mut reading = reading(&json!({}));
    assert!(matches!(reading.poll(LIMITS), Err(Error::Retry { .. })));
    assert!(matches!(reading.poll(LIMITS), Err(Error::Retry { .. })));
    let Err(Error::Fatal(text)) = reading.poll(LIMITS) else { panic!("fatal") };
    assert!(text.contains(r#"[source.auth."us6.api.mailchimp.com"]"#) && text.contains("API Key Invalid"), "{text}");
}

#[test]
fn other_refusals_and_redirects_stop_the_source_and_say_what_to_change() {
    for (answer, expected) in [
        (Response::new(404, ""), "/3.0"),
        (Response::new(302, "").with_header("Location", "https://login.example.net/x?y=1"), "login.example.net (302)"),
        (Response::new(400, r#"{"title": "Invalid Resource"}"#), "400 for reports: Invalid Resource"),
    ] {
        let (account, _) = account();
        account.borrow_mut().instead.push(answer);
        let Err(Error::Fatal(text)) = reading(&json!({})).poll(LIMITS) else { panic!("fatal: {expected}") };
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_second_task_has_nothing_to_read() {
    let context = Context::new("events", config(&json!({})).to_string()).as_task(1, 2);
    let mut source = CampaignEvents::open(&context, Vec::new()).unwrap();
    assert!(source.poll(LIMITS).unwrap().finished);
}
