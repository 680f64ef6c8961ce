//! The source `http` against an API that misbehaves: what arrives in the topic is each record once, in order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf_runtime::supervisor::Outcome;

use self::api::{Api, Fault, record};
use super::*;

mod api;
mod requests;

/// How each way of paging is asked for.
const PAGINGS: [(&str, &str); 4] = [
    ("link", r#"pagination = "link", query = { since = "{{ since }}" }"#),
    ("cursor", r#"pagination = "cursor", next = "$.after", query = { after = "{{ cursor }}", since = "{{ since }}" }"#),
    ("page", r#"pagination = "page", query = { page = "{{ page }}", since = "{{ since }}" }"#),
    ("offset", r#"pagination = "offset", query = { offset = "{{ offset }}", since = "{{ since }}" }"#),
];

/// The source `api` of the list at this path.
fn source(port: u16, path: &str, config: &str) -> String {
    format!(
        "\n[[source]]\nname = \"api\"\ncomponent = \"http-source\"\ntopic = \"{{t}}orders\"\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         retry = {{ initial = \"1ms\", max = \"20ms\" }}\nbatch = {{ records = 5 }}\n\
         config = {{ url = \"http://127.0.0.1:{port}/{path}\", records = \"$.data\", key = [\"id\"], interval = \"100ms\", {config} }}\n"
    )
}

/// These records as they were first.
fn records(ids: impl IntoIterator<Item = u32>) -> Vec<String> {
    ids.into_iter().map(|id| record(id, 1000 + id, 1)).collect()
}

#[tokio::test]
async fn each_record_arrives_once_and_in_order_whatever_goes_wrong_with_its_page() {
    for (path, paging) in PAGINGS {
        let deployment = Deployment::embedded();
        let (api, port) = Api::start(40).await;
        let faults = [
            Fault::Status(503, 0),
            Fault::CutOff,
            Fault::NotJson,
            Fault::ErrorObject,
            Fault::Status(500, 0),
            Fault::Status(429, 0),
            Fault::Slow(Duration::from_secs(2)),
        ];
        api.fail(&faults.map(|fault| [Some(fault), None]).concat());
        let body = source(port, path, &format!("{paging}, cursor = \"at\", timeout = \"500ms\""));
        let ended = deployment.until_done(&body).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{path}: {ended:#?}");
        let topic = deployment.read("orders").await;
        assert_eq!(texts(&topic), records(1..=40), "{path}");
        assert_eq!(topic[39].key.as_deref(), Some(r#"{"id":40}"#));
        assert_eq!(counts(&ended.snapshot, "api"), [40, 0, 40, 0, 0]);
        // Another run reads what is new, and nothing again.
        api.add(41, 45);
        // A round of several pages is followed by one from the same cursor, as numbers know no clock.
        for _ in 0..2 {
            assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
        }
        assert_eq!(texts(&deployment.read("orders").await), records(1..=45), "{path}");
        assert!(api.requests().iter().any(|url| url.contains("since=1040")), "{path}: {:?}", api.requests());
    }
}

#[tokio::test]
async fn after_kills_in_the_middle_of_pages_every_record_arrives_exactly_once() {
    for (path, paging) in PAGINGS {
        for order in ["any", "ascending"] {
            let deployment = Deployment::embedded();
            let (api, port) = Api::start(60).await;
            let body = source(port, path, &format!("{paging}, cursor = \"at\", order = \"{order}\""));
            for kill in 1..=3 {
                // Slow pages, so that it is killed while it reads.
                api.fail(&[Some(Fault::Slow(Duration::from_millis(30))); 12]);
                let running = deployment.start(&body).await;
                running.when_settled("api", 5 + kill * 4).await;
                running.kill().await;
                api.add(60 + u32::try_from(kill).unwrap() * 10 - 9, 60 + u32::try_from(kill).unwrap() * 10);
            }
            let ended = deployment.until_done(&body).await;
            assert_eq!(ended.outcome, Outcome::Clean, "{path} {order}: {ended:#?}");
            assert_eq!(texts(&deployment.read("orders").await), records(1..=90), "{path} {order}");
        }
    }
}

#[tokio::test]
async fn the_newest_first_and_killed_in_the_middle_no_older_one_is_left_out() {
    for (path, paging) in [PAGINGS[2], PAGINGS[3]] {
        let deployment = Deployment::embedded();
        let (api, port) = Api::start(60).await;
        let body = source(port, &format!("{path}?newest-first=1"), &format!("{paging}, cursor = \"at\""));
        for kill in 1..=2_u32 {
            api.fail(&[Some(Fault::Slow(Duration::from_millis(30))); 12]);
            let running = deployment.start(&body).await;
            running.when_settled("api", 5).await;
            running.kill().await;
            // They push the others on by some places.
            api.add(60 + kill * 3 - 2, 60 + kill * 3);
        }
        assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
        let mut found = texts(&deployment.read("orders").await);
        found.sort_by_key(|text| text.split([' ', ',']).nth(1).and_then(|id| id.parse::<u32>().ok()));
        assert_eq!(found, records(1..=66), "{path}");
    }
}

#[tokio::test]
async fn in_ascending_order_records_that_change_while_pages_are_read_hide_no_other_ones() {
    // Not by its links, which count rows: they are the API's own business.
    for (path, paging) in [PAGINGS[1], PAGINGS[2], PAGINGS[3]] {
        let deployment = Deployment::embedded();
        let (api, port) = Api::start(40).await;
        // Rows of pages that were read move to the end, and all others move forward by as many places.
        api.change_before(3, |list| (1..=5).for_each(|id| list.touch(id)));
        api.change_before(5, |list| (8..=12).for_each(|id| list.touch(id)));
        let body = source(port, path, &format!("{paging}, cursor = \"at\", order = \"ascending\""));
        assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
        let changed = (1..=5).chain(8..=12).zip(1041..).map(|(id, at)| record(id, at, 2));
        let expected: Vec<_> = records(1..=40).into_iter().chain(changed).collect();
        assert_eq!(texts(&deployment.read("orders").await), expected, "{path}");
    }
}

#[tokio::test]
async fn records_that_vanish_while_pages_are_read_hide_no_other_ones() {
    // By a key to go on behind in whatever order, and by numbers where the API sorts by the cursor.
    for ((path, paging), order) in
        [(PAGINGS[1], "any"), (PAGINGS[1], "ascending"), (PAGINGS[2], "ascending"), (PAGINGS[3], "ascending")]
    {
        let deployment = Deployment::embedded();
        let (api, port) = Api::start(40).await;
        // Rows of pages that were read go, and all others move forward by as many places; one goes before it was read.
        api.change_before(3, |list| list.remove(|id| id <= 5));
        api.change_before(4, |list| list.remove(|id| id == 8 || id == 36));
        let body = source(port, path, &format!("{paging}, cursor = \"at\", order = \"{order}\""));
        assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
        let expected = records((1..=40).filter(|id| *id != 36));
        assert_eq!(texts(&deployment.read("orders").await), expected, "{path} {order}");
    }
}

#[tokio::test]
async fn an_api_is_left_alone_for_as_long_as_its_retry_after_says() {
    let deployment = Deployment::embedded();
    let (api, port) = Api::start(3).await;
    api.fail(&[Some(Fault::Status(429, 2))]);
    let body = source(port, "link", PAGINGS[0].1);
    assert_eq!(deployment.until_done(&body.replace("{ since = \"{{ since }}\" }", "{}")).await.outcome, Outcome::Clean);
    assert_eq!(texts(&deployment.read("orders").await), records(1..=3));
    assert!(api.pauses()[0] >= Duration::from_secs(2), "{:?}", api.pauses());
}

#[tokio::test]
async fn a_record_without_its_key_becomes_a_dead_letter_as_it_came_and_once() {
    let deployment = Deployment::embedded();
    let (api, port) = Api::start(20).await;
    let odd = r#"{"id": null,  "at": 1001}"#;
    api.add_odd(odd);
    api.add_odd(r#"{"id": 99}"#);
    let body = source(port, "page", &format!("{}, cursor = \"at\", overlap = 1000000", PAGINGS[2].1));
    for _ in 0..2 {
        assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
    }
    assert_eq!(texts(&deployment.read("orders").await), records(1..=20));
    let dead = deployment.read_dead("api").await;
    let told: Vec<_> = dead.iter().map(|row| (row.code(), row.text())).collect();
    assert_eq!(told, [("key.missing", odd.to_owned()), ("cursor.missing", r#"{"id": 99}"#.to_owned())]);
}

#[tokio::test]
async fn links_that_lead_to_another_host_or_in_a_circle_stop_the_source_and_say_so() {
    for (fault, expected) in [(Fault::ForeignLink, "127.0.0.1:9"), (Fault::Circle, "the pages lead in a circle")] {
        let deployment = Deployment::embedded();
        let (api, port) = Api::start(20).await;
        api.fail(&[None, Some(fault), Some(fault)]);
        let ended = deployment.until_done(&source(port, "link", &format!("{}, cursor = \"at\"", PAGINGS[0].1))).await;
        assert_eq!(ended.outcome, Outcome::AllFailed);
        let why = reason(&ended.snapshot, "api");
        assert!(why.contains(expected), "{why}");
        assert_eq!(texts(&deployment.read("orders").await), records(1..=14), "what was read before is there");
    }
}
