//! Whatever breaks between the sink and the service: every record is there in the end, in the order of its entity, and none is a dead
//! letter.

use super::*;

/// Of four products three groups each, the last of which has to stand.
fn rounds(prefix: &str) -> Vec<(String, Option<String>)> {
    let of = |n: u32| record(&format!("{prefix}{}", n % 4), &json!({ "ProductGroup": format!("G{}", n / 4) }));
    (0..12).map(of).collect()
}

fn last(prefix: &str) -> BTreeMap<String, String> {
    (0..4).map(|n| (format!("{prefix}{n}"), "G2".to_owned())).collect()
}

async fn arrives(way: Way, config: &str, faults: &[Fault]) {
    let Some((plain, prefix)) = service("odata_sink_faults", way).await else { return };
    let line = Line::to(&plain.authority, faults).await;
    let deployment = Deployment::embedded();
    produce(&deployment, &rounds(&prefix)).await;
    let ended = deployment.until_done(&sink(&line.authority, way, config, "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{way:?} {faults:?}: {:#?}", ended.snapshot);
    assert_eq!(groups(&plain, &prefix).await, last(&prefix), "{way:?} {faults:?}");
    assert_eq!(counts(&ended.snapshot, "erp"), [12, 0, 12, 0, 0]);
    line.assert_well();
}

#[tokio::test]
async fn requests_and_answers_that_are_lost_lose_no_record() {
    use Fault::{Cut, Lost, None, Unanswered};
    for way in WAYS {
        arrives(way, "", &[Lost, Cut, None, Unanswered, None, Cut, Cut, Lost]).await;
    }
    for way in [V2, V4, V4_JSON] {
        arrives(way, "batch = 3", &[None, Cut, Unanswered, None, Lost, None, Cut]).await;
    }
}

#[tokio::test]
async fn a_part_that_says_later_holds_up_what_is_newer_of_its_entity() {
    for way in [V2, V4, V4_JSON] {
        arrives(way, "", &[Fault::BusyPart, Fault::BusyPart, Fault::None, Fault::BusyPart]).await;
    }
}

#[tokio::test]
async fn a_service_that_is_busy_is_asked_again() {
    for way in [V2, V4, V4_JSON] {
        arrives(way, "", &[Fault::Status(503), Fault::Status(429), Fault::None, Fault::Status(500)]).await;
    }
    // By rules of mock-sap itself: they tell requests apart by their path, and that of a `$batch` is one for all tests.
    for rule in [json!({ "status": 503 }), json!({ "status": 429 }), json!({ "status": 500 }), json!({ "scenario": "lock" })] {
        let Some((plain, prefix)) = service("odata_sink_busy", V2_SINGLE).await else { return };
        let mut of_one = json!({ "match": format!("A_Product.*{prefix}2"), "method": "MERGE", "count": 3 });
        of_one.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        plain.fault(&of_one).await;
        let deployment = Deployment::embedded();
        produce(&deployment, &rounds(&prefix)).await;
        let ended = deployment.until_done(&sink(&plain.authority, V2_SINGLE, "", "")).await;
        assert_eq!((ended.outcome, groups(&plain, &prefix).await), (Outcome::Clean, last(&prefix)), "{rule}");
        assert_eq!(counts(&ended.snapshot, "erp"), [12, 0, 12, 0, 0]);
        assert!(task(&ended.snapshot, "erp").retried >= 3, "{rule}: {:?}", task(&ended.snapshot, "erp"));
    }
}

#[tokio::test]
async fn an_expired_token_costs_no_record_and_no_wait() {
    let Some((plain, prefix)) = service("odata_sink_token", V2_SINGLE).await else { return };
    plain.fault(&json!({ "match": format!("A_Product.*{prefix}2"), "method": "MERGE", "scenario": "csrf", "count": 1 })).await;
    let line = Line::to(&plain.authority, &[]).await;
    let deployment = Deployment::embedded();
    produce(&deployment, &rounds(&prefix)).await;
    let ended = deployment.until_done(&sink(&line.authority, V2_SINGLE, "", "")).await;
    assert_eq!(groups(&plain, &prefix).await, last(&prefix));
    assert_eq!((counts(&ended.snapshot, "erp"), task(&ended.snapshot, "erp").retried), ([12, 0, 12, 0, 0], 0));
    line.assert_well();
    let of = |line: &String| line.starts_with("MERGE") && line.contains(&format!("{prefix}2"));
    assert_eq!(line.writes().iter().filter(|line| of(line)).count(), 4, "three records, one of them twice");
}

#[tokio::test]
async fn a_restart_in_the_middle_leaves_nothing_out_and_inserts_nothing_twice() {
    for (way, write) in [(V2, "insert"), (V4, "insert"), (V4_JSON, "upsert"), (V2_SINGLE, "insert")] {
        let Some((plain, prefix)) = service("odata_sink_restart", way).await else { return };
        let records: Vec<_> = (0..40)
            .map(|n| record(&format!("{prefix}{n:02}"), &json!({ "ProductGroup": format!("G{n}"), "GrossWeight": "1.5" })))
            .collect();
        let deployment = Deployment::embedded();
        produce(&deployment, &records).await;
        // The answer to the third write is lost, the fourth is slow enough to be killed over, with what went before it uncommitted or not.
        let line = Line::to(&plain.authority, &[Fault::None, Fault::None, Fault::Unanswered, Fault::Slow]).await;
        let size = if way.name == "S2" { "" } else { "\nbatch = 5" };
        let body = sink(&line.authority, way, &format!("write = \"{write}\"{size}"), "batch = { records = 10 }");
        let running = deployment.start(&body).await;
        running.when("the third write", |_| line.writes().len() >= 3).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        running.kill().await;
        let before = plain.products(&prefix).await.len();
        assert!((1..40).contains(&before), "{way:?}: {before}");
        let ended = deployment.until_done(&body).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{way:?}");
        let expected: BTreeMap<_, _> = (0..40).map(|n| (format!("{prefix}{n:02}"), format!("G{n}"))).collect();
        assert_eq!(groups(&plain, &prefix).await, expected, "{way:?}");
        assert_eq!(counts(&ended.snapshot, "erp")[4], 0, "{way:?}: {:?}", deployment.read_dead("erp").await);
    }
}

#[tokio::test]
async fn wrong_credentials_stop_the_sink_and_reject_no_record() {
    let Some((plain, prefix)) = service("odata_sink_credentials", V2).await else { return };
    let deployment = Deployment::embedded();
    produce(&deployment, &rounds(&prefix)).await;
    let body = sink(&plain.authority, V2, "", "").replace("\"secret\"", "\"wrong\"");
    let running = deployment.start(&body).await;
    let snapshot = running.when_failed("erp").await;
    let why = reason(&snapshot, "erp");
    assert!(why.contains("401") && why.contains("[sink.auth.") && !why.contains("wrong"), "{why}");
    assert_eq!(task(&snapshot, "erp").state, TaskState::Failed);
    running.drain().await;
    assert!(plain.products(&prefix).await.is_empty());
    let running = deployment.until_done(&sink(&plain.authority, V2, "", "")).await;
    assert_eq!((groups(&plain, &prefix).await, counts(&running.snapshot, "erp")), (last(&prefix), [12, 0, 12, 0, 0]));
}
