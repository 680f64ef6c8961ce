//! Which records the source reads: those that `domain` and `archived` choose.

use super::*;

impl Erp {
    /// Id of each record of the topic, and whether it is there.
    async fn there(&self) -> Vec<(i64, bool)> {
        self.in_topic().await.into_iter().map(|(id, value)| (id, value.is_some())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_records_are_not_read_and_one_that_is_archived_later_is_a_tombstone_of_the_next_sweep() {
    let Some(erp) = Erp::new("oc_archived").await else { return };
    let ids = erp.create(0..3).await;
    erp.odoo.write("res.partner", &ids[..1], json!({ "active": false })).await;
    let body = erp.source("fields = [\"name\", \"active\"]\ndeletions = \"sweep\"\nsweep-interval = \"300ms\"");
    let running = erp.deployment.start(&body).await;
    running.when_settled("erp", 1).await;
    when("2 records", async || erp.there().await.len() >= 2).await;
    // Some reads and sweeps.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(erp.there().await, [(ids[1], true), (ids[2], true)]);
    erp.odoo.write("res.partner", &ids[1..2], json!({ "active": false })).await;
    when("a tombstone", async || erp.there().await.len() >= 3).await;
    erp.odoo.write("res.partner", &ids[..1], json!({ "active": true })).await;
    when("the one that is back", async || erp.there().await.len() >= 4).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    assert_eq!(erp.there().await[2..], [(ids[1], false), (ids[0], true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_with_or_and_not_chooses_what_odoo_finds_by_it_in_reads_and_sweeps() {
    let Some(erp) = Erp::new("oc_domain").await else { return };
    let ids = erp.create(0..8).await;
    for (color, id) in ids.iter().enumerate() {
        erp.odoo.write("res.partner", &[*id], json!({ "color": color })).await;
    }
    // All that are 1, or from 3 on and not Partner 5. Two conditions without an operator are both to hold.
    let domain = json!([
        ["ref", "=like", "oc_domain-%"],
        "|",
        ["color", "=", 1],
        "&",
        ["color", ">=", 3],
        "!",
        ["name", "=", "Partner 5"]
    ]);
    let found = erp.odoo.read("res.partner", &domain, &["id"]).await;
    let found: Vec<i64> = found.iter().map(|partner| partner["id"].as_i64().unwrap()).collect();
    assert_eq!(found, [1, 3, 4, 6, 7].map(|n| ids[n]), "what Odoo finds");
    let body = erp.source("fields = [\"color\"]\npage-size = 2\ndeletions = \"sweep\"\nsweep-interval = \"300ms\"");
    let body = body.replace(&format!("domain = {}", erp.domain()), &format!("domain = {domain}"));
    assert!(body.contains("\"!\""), "{body}");
    let running = erp.deployment.start(&body).await;
    running.when_settled("erp", 1).await;
    when("5 records", async || erp.there().await.len() >= 5).await;
    erp.odoo.write("res.partner", &ids[4..5], json!({ "color": 2 })).await;
    when("the tombstone of what left it", async || erp.there().await.len() >= 6).await;
    erp.odoo.write("res.partner", &ids[5..6], json!({ "name": "Other" })).await;
    when("what came into it", async || erp.there().await.len() >= 7).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    let mut expected: Vec<_> = found.iter().map(|id| (*id, true)).collect();
    expected.extend([(ids[4], false), (ids[5], true)]);
    assert_eq!(erp.there().await, expected);
}
