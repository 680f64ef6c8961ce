//! The source behind a network that breaks, and an Odoo that is busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::proxy::{self, Does};

#[tokio::test(flavor = "multi_thread")]
async fn each_record_comes_once_however_busy_odoo_is_and_wherever_its_answers_break_off() {
    let Some(erp) = Erp::new("oa_source").await else { return };
    let ids = erp.create(0..30).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let passes = Does::Passes;
    let in_turn =
        [Does::Refuses(429), passes, Does::Cuts, passes, passes, Does::Refuses(503), passes, Does::Loses, passes, passes, passes];
    let in_turn = move |_: &proxy::Request| in_turn[counter.fetch_add(1, Ordering::SeqCst) % in_turn.len()];
    let proxy = proxy::before(erp.odoo.authority(), in_turn).await;
    let more = "fields = [\"name\"]\npage-size = 7\ndeletions = \"sweep\"\nsweep-interval = \"300ms\"";
    let retry = "retry = { initial = \"10ms\", max = \"50ms\" }\n[source.config]";
    let body = erp.source(more).replace(erp.odoo.authority(), &proxy).replace("[source.config]", retry);
    let running = erp.deployment.start(&body).await;
    running.when_settled("erp", 1).await;
    when("30 records", async || erp.in_topic().await.len() >= 30).await;
    erp.odoo.write("res.partner", &ids[4..5], json!({ "name": "Changed" })).await;
    when("the change", async || erp.in_topic().await.len() >= 31).await;
    erp.odoo.unlink("res.partner", &ids[9..10]).await;
    when("the deletion", async || erp.in_topic().await.len() >= 32).await;
    // Reads and sweeps go on, and what comes too much comes now.
    let before = asked.load(Ordering::SeqCst);
    when("30 more requests", async || asked.load(Ordering::SeqCst) >= before + 30).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);

    // It goes on behind the last record.
    erp.odoo.write("res.partner", &ids[6..7], json!({ "name": "Later" })).await;
    let running = erp.deployment.start(&body).await;
    when("the later change", async || erp.in_topic().await.len() >= 33).await;
    let before = asked.load(Ordering::SeqCst);
    when("30 more requests", async || asked.load(Ordering::SeqCst) >= before + 30).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);

    let name = |value: Option<Value>| value.map(|value| value["name"].as_str().unwrap().to_owned());
    let topic: Vec<_> = erp.in_topic().await.into_iter().map(|(id, value)| (id, name(value))).collect();
    let mut expected: Vec<_> = ids.iter().enumerate().map(|(n, id)| (*id, Some(format!("Partner {n}")))).collect();
    expected.extend([(ids[4], Some("Changed".to_owned())), (ids[9], None), (ids[6], Some("Later".to_owned()))]);
    assert_eq!(topic, expected);
}
