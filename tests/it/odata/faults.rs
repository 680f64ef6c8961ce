//! Whatever breaks while pages are read, every entity arrives, and a restart repeats none.

use super::fixture::{Fault, Service};
use super::*;

async fn service(orders: u32) -> (Service, String) {
    let service = Service::default();
    for n in 0..orders {
        service.put(&format!("{n:02}"), n * 20, &format!("{n}.50"));
    }
    let address = service.start().await;
    (service, address)
}

fn config(address: &str) -> Value {
    serde_json::json!({
        "service": format!("http://{address}/odata/v4/sales"), "entity": "Orders", "cursor": "modifiedAt", "key": ["ID"], "interval": "2s"
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_read_brings_the_whole_set_and_a_restart_reads_nothing() {
    let (service, address) = service(10).await;
    let mut reading = start(&address, "secret", &config(&address), &[]).await;
    assert!(reading.read().await.is_empty());
    assert_eq!(reading.take(), service.expected());
    let pages = service.requests().len();
    let mut restarted = start(&address, "secret", &config(&address), &reading.stored()).await;
    restarted.read().await;
    assert!(restarted.take().is_empty() && restarted.positions.is_empty());
    assert!(service.requests()[pages].contains("$filter=modifiedAt ge 2024-05-01T10:02:00Z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_and_a_late_commit_come_through_once() {
    let (service, address) = service(5).await;
    let mut reading = start(&address, "secret", &config(&address), &[]).await;
    reading.read().await;
    reading.take();
    service.put("01", 90, "99.90");
    service.put("late", 75, "1");
    reading.read().await;
    let ids = |texts: &[String]| texts.iter().map(|t| t.split('"').nth(3).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&reading.take()), ["late", "01"]);
    reading.read().await;
    assert!(reading.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_while_pages_are_read_hides_no_other_entity() {
    let (service, address) = service(9).await;
    let mut reading = start(&address, "secret", &config(&address), &[]).await;
    while reading.records.is_empty() {
        reading.poll().await.unwrap();
    }
    assert_eq!(reading.records.len(), 3, "the first page");
    // Its rows move to the end, so that a link which counts rows would lead past what comes next.
    service.put("00", 600, "7");
    service.put("01", 601, "7");
    reading.read().await;
    let ids: std::collections::BTreeSet<String> = reading.records.iter().map(|(key, _)| key["ID"].to_string()).collect();
    assert_eq!((ids.len(), reading.records.len()), (9, 11));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_entities_of_one_instant_come_by_the_next_links() {
    let service = Service::default();
    (0..8).for_each(|n| service.put(&format!("{n:02}"), 5, "1"));
    let address = service.start().await;
    let mut reading = start(&address, "secret", &config(&address), &[]).await;
    reading.read().await;
    assert_eq!(reading.take(), service.expected());
    assert!(service.requests().iter().any(|url| url.ends_with("$skiptoken=6")), "{:?}", service.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_broken_and_wrong_answers_lose_and_repeat_nothing() {
    let (service, address) = service(24).await;
    // 401: credentials that were not taken once, as while they are changed.
    let (slow, refused) = (Fault::Slow(Duration::from_secs(2)), Fault::Status(401, 0));
    let faults =
        [Fault::Status(503, 0), Fault::CutOff, slow, Fault::NotJson, refused, Fault::Status(500, 0), Fault::Status(429, 0)];
    service.fail(&faults.map(|fault| [Some(fault), None]).concat());
    let mut config = config(&address);
    config["timeout"] = "500ms".into();
    let mut reading = start(&address, "secret", &config, &[]).await;
    let retries = reading.read().await;
    assert_eq!(retries.len(), faults.len(), "one page each: {retries:?}");
    assert_eq!(reading.take(), service.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_poll_loses_and_repeats_nothing() {
    let (service, address) = service(10).await;
    let mut all = Vec::new();
    let mut stored = Vec::new();
    for _ in 0..20 {
        // One poll that brings records, then the instance is gone.
        let mut reading = start(&address, "secret", &config(&address), &stored).await;
        while reading.records.is_empty() && !reading.poll().await.unwrap() {}
        if reading.records.is_empty() {
            break;
        }
        all.extend(reading.take());
        stored = reading.stored();
    }
    assert_eq!(all, service.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_tried_twice_and_then_stop_the_source() {
    let (_service, address) = service(1).await;
    let mut reading = start(&address, "wrong", &config(&address), &[]).await;
    assert!(matches!(reading.poll().await, Err(GuestError::Retry { .. })));
    assert!(matches!(reading.poll().await, Err(GuestError::Retry { .. })));
    let Err(GuestError::Fatal(text)) = reading.poll().await else { panic!("fatal") };
    assert!(text.contains("401") && text.contains("[source.auth."), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_link_to_another_host_stops_the_source_and_names_both() {
    let (service, address) = service(1).await;
    service.fail(&[Some(Fault::ForeignLink)]);
    let mut reading = start(&address, "secret", &config(&address), &[]).await;
    reading.poll().await.unwrap();
    let Err(GuestError::Fatal(text)) = reading.poll().await else { panic!("fatal") };
    assert!(text.contains("http://127.0.0.1:9") && text.contains(&address), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_without_its_key_is_rejected_as_it_came() {
    let (service, address) = service(2).await;
    let raw = r#"{"ID": null, "modifiedAt": "2024-05-01T10:00:10Z",  "total": 1}"#;
    service.put_raw(10, raw);
    let mut reading = start(&address, "secret", &config(&address), &[]).await;
    reading.read().await;
    assert_eq!(reading.take().len(), 2);
    assert_eq!(reading.rejects, [raw]);
    reading.read().await;
    assert_eq!(reading.rejects.len(), 1, "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_entity_set_is_answered_with_the_nearest_one() {
    let (_service, address) = service(1).await;
    let mut config = config(&address);
    config["entity"] = "Order".into();
    let mut reading = start(&address, "secret", &config, &[]).await;
    let Err(GuestError::Fatal(text)) = reading.poll().await else { panic!("fatal") };
    assert!(text.contains("did you mean `Orders`?"), "{text}");
}
