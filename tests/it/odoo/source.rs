//! From Odoo into a topic, and by the `sql` sink into a table.

use super::*;

const FIELDS: &[&str] = &["name", "active", "country_id", "ref", "color"];

const TABLE: &str = r#"
[connection.warehouse]
url = "sqlite://warehouse.sqlite"

[[sink]]
name = "table"
component = "sql"
topics = ["partners"]
allow.sql = ["warehouse"]
config = { connection = "warehouse", table = "partners", key = ["id"] }
"#;

impl Erp {
    /// The partners as lines of their fields.
    async fn expected(&self) -> Vec<String> {
        let line = |partner: &Value| {
            let name = partner["name"].as_str().unwrap();
            let active = i64::from(partner["active"].as_bool().unwrap());
            let country = partner["country_id"].as_i64().map_or_else(String::new, |id| id.to_string());
            format!("{}|{name}|{active}|{country}|{}", partner["id"], partner["color"])
        };
        self.partners(FIELDS).await.iter().map(line).collect()
    }

    fn in_table(&self) -> Vec<String> {
        let made = "SELECT name FROM sqlite_master WHERE name = 'partners'";
        if !self.deployment.path("warehouse.sqlite").exists() || self.deployment.query(made).is_empty() {
            return Vec::new();
        }
        let all = "SELECT id || '|' || name || '|' || active || '|' || coalesce(country_id, '') || '|' || color FROM partners ORDER BY id";
        self.deployment.query(all)
    }

    /// Key and value of each record of the topic.
    pub(super) async fn in_topic(&self) -> Vec<(i64, Option<Value>)> {
        let id = |key: &str| serde_json::from_str::<Value>(key).unwrap()["id"].as_i64().unwrap();
        let rows = self.deployment.read("partners").await;
        let json = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap();
        rows.into_iter().map(|row| (id(row.key.as_deref().unwrap()), row.value.map(json))).collect()
    }

    /// Runs until the source has handed over so many records in all, and drains.
    pub(super) async fn run_until(&self, body: &str, records: u64) -> Ended {
        let running = self.deployment.start(body).await;
        running.when_settled("erp", records).await;
        // What comes too much comes now.
        tokio::time::sleep(Duration::from_millis(700)).await;
        running.drain().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_odoo_holds_is_in_topic_and_table_over_kills_and_nothing_comes_twice() {
    let Some(erp) = Erp::new("od_table").await else { return };
    let more = format!("fields = {FIELDS:?}\narchived = true\npage-size = 7\ndeletions = \"sweep\"\nsweep-interval = \"500ms\"");
    // Small transactions, so that a kill comes between two.
    let source = erp.source(&more).replace("[source.config]", "batch = { records = 4 }\n[source.config]");
    let body = format!("{TABLE}{source}");
    let mut ids = Vec::new();
    for kill in 0..3 {
        ids.extend(erp.create(kill * 15..kill * 15 + 15).await);
        let running = erp.deployment.start(&body).await;
        running.when_settled("erp", 1).await;
        running.kill().await;
    }
    ids.extend(erp.create(45..50).await);
    let running = erp.deployment.start(&body).await;
    when("all of them in the table", async || erp.in_table().len() == 50).await;
    assert_eq!(erp.in_table(), erp.expected().await);

    erp.odoo.write("res.partner", &ids[..3], json!({ "name": "Changed", "country_id": false })).await;
    erp.odoo.write("res.partner", &ids[3..4], json!({ "active": false })).await;
    erp.odoo.unlink("res.partner", &ids[4..6]).await;
    when("48 rows", async || erp.in_table().len() == 48 && erp.in_table()[3].contains("|0|")).await;
    assert_eq!(erp.in_table(), erp.expected().await);
    running.kill().await;

    // Changed, archived and deleted while nothing runs.
    erp.odoo.write("res.partner", &ids[10..12], json!({ "color": 7 })).await;
    erp.odoo.unlink("res.partner", &ids[20..21]).await;
    let running = erp.deployment.start(&body).await;
    when("47 rows", async || erp.in_table().len() == 47 && erp.in_table()[9].ends_with("|7")).await;
    assert_eq!(erp.in_table(), erp.expected().await);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);

    let topic = erp.in_topic().await;
    let tombstones: BTreeSet<i64> = topic.iter().filter(|(_, value)| value.is_none()).map(|(id, _)| *id).collect();
    assert_eq!(tombstones, BTreeSet::from([ids[4], ids[5], ids[20]]));
    assert_eq!(topic.len(), 50 + 3 + 1 + 2 + 2 + 1, "each state once, each deletion once");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_one_second_whose_microseconds_go_against_their_ids_all_come_once() {
    let Some(erp) = Erp::new("od_second").await else { return };
    let Some(postgres) = database(&erp.odoo, "od_second").await else { return };
    let ids = erp.create(0..9).await;
    for (n, id) in ids.iter().enumerate() {
        // Two seconds, in each the highest id first.
        let at = format!("2024-05-01 10:00:0{}.{}", n / 5, 9 - n % 5);
        postgres.batch_execute(&format!("UPDATE res_partner SET write_date = '{at}' WHERE id = {id}")).await.unwrap();
    }
    for page_size in [1, 2, 4, 100] {
        let topic = format!("partners{page_size}");
        let body =
            erp.source(&format!("fields = [\"name\"]\npage-size = {page_size}")).replace("\"partners\"", &format!("\"{topic}\""));
        let body = body.replace("\"erp\"", &format!("\"erp{page_size}\""));
        let running = erp.deployment.start(&body).await;
        running.when_settled(&format!("erp{page_size}"), 9).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        running.drain().await;
        let rows = erp.deployment.read(&topic).await;
        let keys: Vec<_> = rows.iter().map(|row| row.key.clone().unwrap()).collect();
        assert_eq!(keys, ids.iter().map(|id| format!("{{\"id\":{id}}}")).collect::<Vec<_>>(), "pages of {page_size}");
        assert_eq!(rows[8].timestamp, 1_714_557_601_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_commits_late_is_found_within_the_overlap() {
    let Some(erp) = Erp::new("od_late").await else { return };
    let Some(mut postgres) = database(&erp.odoo, "od_late").await else { return };
    let ids = erp.create(0..2).await;
    let body = erp.source("fields = [\"name\"]");
    let running = erp.deployment.start(&body).await;
    running.when_settled("erp", 2).await;
    let late = postgres.transaction().await.unwrap();
    let change = format!(
        "UPDATE res_partner SET name = 'Late', write_date = now() AT TIME ZONE 'utc' WHERE id = {}; SELECT pg_sleep(1.5)",
        ids[0]
    );
    late.batch_execute(&change).await.unwrap();
    erp.odoo.write("res.partner", &ids[1..], json!({ "name": "Soon" })).await;
    running.when_settled("erp", 3).await;
    late.commit().await.unwrap();
    running.when_settled("erp", 4).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    running.drain().await;
    let topic = erp.in_topic().await;
    let names: Vec<_> = topic.iter().map(|(id, value)| (*id, value.as_ref().unwrap()["name"].as_str().unwrap())).collect();
    assert_eq!(names, [(ids[0], "Partner 0"), (ids[1], "Partner 1"), (ids[1], "Soon"), (ids[0], "Late")]);
    let at = |n: usize| topic[n].1.as_ref().unwrap()["write_date"].as_str().unwrap().to_owned();
    assert!(at(3) < at(2), "it came with a time that was over: {topic:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_domain_is_a_tombstone_and_what_comes_into_it_without_a_change_is_read() {
    let Some(erp) = Erp::new("od_domain").await else { return };
    let ids = erp.create(0..3).await;
    let parent = erp
        .odoo
        .create("res.partner", &[json!({ "name": "Parent", "ref": "od_domain-p", "is_company": true, "comment": "in" })])
        .await;
    erp.odoo.write("res.partner", &ids[..2], json!({ "parent_id": parent[0] })).await;
    let body = erp.source("fields = [\"name\"]\ndeletions = \"sweep\"\nsweep-interval = \"300ms\"");
    let body = body.replace("domain = [", "domain = [[\"parent_id.comment\", \"=like\", \"%in%\"], ");
    erp.run_until(&body, 2).await;
    let keys = async || erp.in_topic().await.into_iter().map(|(id, value)| (id, value.is_some())).collect::<Vec<_>>();
    assert_eq!(keys().await, [(ids[0], true), (ids[1], true)]);
    erp.odoo.write("res.partner", &parent, json!({ "comment": "out" })).await;
    erp.run_until(&body, 2).await;
    assert_eq!(keys().await[2..], [(ids[0], false), (ids[1], false)]);
    erp.odoo.write("res.partner", &parent, json!({ "comment": "in again" })).await;
    erp.run_until(&body, 2).await;
    assert_eq!(keys().await[4..], [(ids[0], true), (ids[1], true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_stored_fields_of_a_model_have_the_values_that_odoo_has() {
    let Some(erp) = Erp::new("od_fields").await else { return };
    let values = json!({
        "name": "Ann \"Ä\" <b>", "ref": "od_fields-1", "country_id": 57, "partner_latitude": 52.520008, "comment": "<p>Tea</p>",
        "category_id": [[0, 0, { "name": "Gold" }]], "color": 3
    });
    let id = erp.odoo.create("res.partner", &[values]).await[0];
    erp.run_until(&erp.source(""), 1).await;
    let topic = erp.in_topic().await;
    let value = topic[0].1.clone().unwrap();
    let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(fields.len() > 40 && !fields.contains(&"image_1920") && !fields.contains(&"child_ids"), "{fields:?}");
    let described = erp.odoo.call("res.partner", "fields_get", &json!({ "attributes": ["type"] })).await;
    let odoo = erp.partners(&fields).await.remove(0);
    for name in fields {
        let expected = match (described[name]["type"].as_str().unwrap(), &odoo[name]) {
            ("boolean", own) => own.clone(),
            (_, Value::Bool(false)) => Value::Null,
            ("datetime", own) => format!("{}.000000Z", own.as_str().unwrap().replace(' ', "T")).into(),
            (_, own) => own.clone(),
        };
        assert_eq!(value[name], expected, "{name}");
    }
    assert_eq!((&value["id"], value["category_id"].as_array().unwrap().len()), (&json!(id), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_stops_the_source_and_says_why() {
    let Some(erp) = Erp::new("od_faults").await else { return };
    for (from, to, expected) in [
        ("interval =", "fields = [\"names\"]\ninterval =", "did you mean `name`?"),
        ("model = \"res.partner\"", "model = \"res.partnr\"", "res.partnr"),
        ("database = \"", "database = \"no-", "config.database"),
        ("domain = [", "domain = [[\"nope\", \"=\", 1], ", "Invalid field res.partner.nope"),
        ("bearer = \"", "bearer = \"no", "Invalid apikey"),
    ] {
        let body = erp.source("").replacen(from, to, 1);
        let running = erp.deployment.start(&body).await;
        let snapshot = running.when_failed("erp").await;
        let why = reason(&snapshot, "erp");
        assert!(why.contains(expected), "{to}: {why}");
        running.drain().await;
    }
}
