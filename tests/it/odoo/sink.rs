//! From a topic into Odoo.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::proxy::{self, Does};

impl Erp {
    /// Puts records into the topic: the key's `id`, and the value.
    pub(super) async fn produce(&self, records: &[(usize, Option<Value>)]) {
        let texts: Vec<_> =
            records.iter().map(|(id, value)| (format!("{{\"id\":{id}}}"), value.as_ref().map(Value::to_string))).collect();
        let bytes: Vec<_> = texts.iter().map(|(key, value)| (Some(key.as_str()), value.as_deref().map(str::as_bytes))).collect();
        self.deployment.produce("partners", 1, &bytes).await;
    }

    pub(super) fn partner(&self, n: usize, more: &Value) -> (usize, Option<Value>) {
        let mut value = json!({ "id": n, "name": format!("Partner {n}"), "ref": format!("{}-{n:02}", self.test) });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (n, Some(value))
    }

    /// Name and further fields of the partners, in the order of `ref`.
    pub(super) async fn lines(&self, fields: &[&str]) -> Vec<String> {
        let mut partners = self.partners(&[&["ref", "name"], fields].concat()).await;
        partners.sort_by_key(|partner| partner["ref"].to_string());
        let line = |partner: &Value| {
            let rest: String = fields.iter().map(|field| format!("|{}", partner[*field])).collect();
            format!("{}{rest}", partner["name"].as_str().unwrap())
        };
        partners.iter().map(line).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_created_and_changed_by_their_keys_and_a_second_delivery_makes_none_anew() {
    let Some(erp) = Erp::new("os_twice").await else { return };
    let mut records: Vec<_> = (0..30).map(|n| erp.partner(n, &json!({}))).collect();
    let values =
        json!({ "name": "Änn", "country_id": {"external": "base.de"}, "active": false, "partner_latitude": "52.52", "color": 3 });
    records.push(erp.partner(7, &values));
    erp.produce(&records).await;
    let ended = erp.deployment.until_done(&erp.sink(&erp.odoo.url, "max-batch = 12")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "to-erp")), (Outcome::Clean, [31, 0, 31, 0, 0]));
    let expected: Vec<_> =
        (0..30).map(|n| if n == 7 { "Änn|57|false|52.52".to_owned() } else { format!("Partner {n}|false|true|0.0") }).collect();
    let fields = ["country_id", "active", "partner_latitude"];
    assert_eq!(erp.lines(&fields).await, expected);

    // The same topic by another group: all of it comes again.
    let again = erp.sink(&erp.odoo.url, "").replace("\"to-erp\"", "\"once-more\"");
    let ended = erp.deployment.until_done(&again).await;
    assert_eq!(counts(&ended.snapshot, "once-more"), [31, 0, 31, 0, 0]);
    assert_eq!(erp.lines(&fields).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_odoo_refuses_is_buried_and_relations_are_found_by_their_keys() {
    let Some(erp) = Erp::new("os_refused").await else { return };
    let records = [
        erp.partner(1, &json!({ "parent_id": null })),
        erp.partner(2, &json!({ "parent_id": 1 })),
        erp.partner(3, &json!({ "parent_id": 99 })),
        erp.partner(4, &json!({ "parent_id": 1, "name": "" })),
        erp.partner(5, &json!({ "parent_id": 2 })),
        erp.partner(6, &json!({ "color": "red" })),
        erp.partner(7, &json!({ "nope": 1 })),
        erp.partner(8, &json!({ "country_id": 999_999 })),
        erp.partner(9, &json!({})),
    ];
    erp.produce(&records).await;
    let more = "relations = { parent_id = \"os_refused\" }";
    let ended = erp.deployment.until_done(&erp.sink(&erp.odoo.url, more)).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "to-erp")), (Outcome::Clean, [9, 0, 4, 0, 5]));
    let ids: BTreeMap<String, i64> = erp
        .partners(&["name"])
        .await
        .iter()
        .map(|p| (p["name"].as_str().unwrap().to_owned(), p["id"].as_i64().unwrap()))
        .collect();
    let (one, two) = (ids["Partner 1"], ids["Partner 2"]);
    let expected =
        ["Partner 1|false".to_owned(), format!("Partner 2|{one}"), format!("Partner 5|{two}"), "Partner 9|false".to_owned()];
    assert_eq!(erp.lines(&["parent_id"]).await, expected);
    let dead = erp.deployment.read_dead("to-erp").await;
    let codes: BTreeMap<_, _> = dead.iter().map(|row| (row.key.clone().unwrap(), row.code().to_owned())).collect();
    let expected = [(3, "odoo.refused"), (4, "odoo.refused"), (6, "value.type"), (7, "field.unknown"), (8, "odoo.refused")];
    let expected: BTreeMap<_, _> = expected.iter().map(|(id, code)| (format!("{{\"id\":{id}}}"), (*code).to_owned())).collect();
    assert_eq!(codes, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_archives_or_deletes_its_record_alone() {
    for (tombstones, expected) in
        [("archive", "Partner 1|true Partner 2|false Partner 3|true"), ("delete", "Partner 1|true Partner 3|true")]
    {
        let Some(erp) = Erp::new(if tombstones == "archive" { "os_archive" } else { "os_delete" }).await else { return };
        let records: Vec<_> = (1..=3).map(|n| erp.partner(n, &json!({}))).chain([(2, None), (99, None)]).collect();
        erp.produce(&records).await;
        let ended = erp.deployment.until_done(&erp.sink(&erp.odoo.url, &format!("tombstones = \"{tombstones}\""))).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "to-erp")), (Outcome::Clean, [5, 0, 5, 0, 0]));
        assert_eq!(erp.lines(&["active"]).await.join(" "), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_answer_is_lost_is_made_again_and_creates_nothing_twice() {
    let Some(erp) = Erp::new("os_lost").await else { return };
    let lost = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&lost);
    let first_two = move |request: &proxy::Request| {
        let is_lost = request.path() == "/json/2/res.partner/load" && counter.load(Ordering::SeqCst) < 2;
        counter.fetch_add(usize::from(is_lost), Ordering::SeqCst);
        if is_lost { Does::Loses } else { Does::Passes }
    };
    let proxy = proxy::before(erp.odoo.authority(), first_two).await;
    erp.produce(&(0..10).map(|n| erp.partner(n, &json!({}))).collect::<Vec<_>>()).await;
    let ended = erp.deployment.until_done(&erp.sink(&format!("http://{proxy}"), "")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "to-erp")), (Outcome::Clean, [10, 0, 10, 0, 0]));
    assert_eq!(lost.load(Ordering::SeqCst), 2, "two answers were lost");
    assert_eq!(erp.lines(&[]).await, (0..10).map(|n| format!("Partner {n}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_else_changes_meanwhile_is_written_again_and_not_buried() {
    let Some(erp) = Erp::new("os_race").await else { return };
    let Some(mut postgres) = database(&erp.odoo, "os_race").await else { return };
    let body = erp.sink(&erp.odoo.url, "");
    erp.produce(&(0..3).map(|n| erp.partner(n, &json!({}))).collect::<Vec<_>>()).await;
    erp.deployment.until_done(&body).await;
    let other = postgres.transaction().await.unwrap();
    other.batch_execute("UPDATE res_partner SET color = 9 WHERE ref = 'os_race-01'").await.unwrap();
    erp.produce(&(0..3).map(|n| erp.partner(n, &json!({ "name": format!("Changed {n}") }))).collect::<Vec<_>>()).await;
    let running = erp.deployment.start(&body).await;
    // The import waits for the row by now; then it finds it changed since it began, and tells so as an error of the row.
    tokio::time::sleep(Duration::from_secs(2)).await;
    other.commit().await.unwrap();
    running.when_settled("to-erp", 3).await;
    let ended = running.drain().await;
    assert_eq!(counts(&ended.snapshot, "to-erp"), [3, 0, 3, 0, 0]);
    assert_eq!(erp.lines(&["color"]).await, ["Changed 0|0", "Changed 1|9", "Changed 2|0"]);
}
