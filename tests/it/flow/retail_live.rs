//! The example `retail-live` from end to end: the shipped TOML between a real Kafka, PostgreSQL, ClickHouse, Odoo and SAP's services,
//! with bad records among the good ones, an expired token and a kill. What arrived is compared with what plain clients read.

use std::collections::BTreeMap;

use serde_json::json;
use wharf_runtime::redrive::{Filter, Redrive, Request};
use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::Snapshot;
use wharf_runtime::topic_log::open;

use self::day::{ARTICLES, CUSTOMERS, DECISIONS, DRAFT, EARLY_DECISION, ORDERS, SESSIONS, UNKNOWN};
use self::deployment::Running;
use self::site::{FILE, Site};
use super::*;

mod day;
mod rows;
mod shop;
mod site;

#[tokio::test]
async fn a_retailer_s_records_arrive_row_by_row_and_each_bad_one_ends_where_it_should() {
    let Some(site) = Site::new("flow_retail_live").await else { return };
    let customers = site.create_customers(0..CUSTOMERS).await;
    site.create_articles(0..ARTICLES).await;
    site.shop.accept("first", u32::MAX);
    let running = site.start().await;
    // Topics have no order among each other: what others refer to comes first.
    site.when_rows("customers", CUSTOMERS).await;
    site.when_rows("products", ARTICLES).await;
    running.when_settled("products-to-odoo", ARTICLES as u64).await;
    site.count_all();
    running.when_settled("stock-to-odoo", ARTICLES as u64 + 1).await;
    let (orders, running) = tokio::join!(site.order(&customers), the_token_expires_and_the_worker_is_killed(&site, running));
    assert_eq!(get(&format!("http://{}/health", site.listen)).await.0, 200);
    site.decide(DECISIONS / 2..DECISIONS).await;
    site.count_again();
    consents_and_withdrawals(&site, &running).await;
    site.when_rows("orders", ORDERS).await;
    site.when_rows("promotion_decisions", DECISIONS - 2).await;
    assert_eq!(site.decisions().await, site.decisions_of_shop(false));
    an_order_is_changed_and_one_is_cancelled(&site, &orders).await;
    site.when_rows("sessions", SESSIONS - 1).await;
    the_early_decision_lands_when_its_customer_is_there(&site).await;
    site.when_still(&running).await;
    the_metrics_add_up(&site).await;
    let ended = running.drain().await;
    assert_eq!(ended.outcome, Outcome::Clean);
    every_destination_holds_what_its_source_holds(&site, &orders).await;
    every_bad_record_is_a_dead_letter_with_its_code_and_place(&site, &ended.snapshot).await;
}

/// The token of the shop's API ends in the middle of the sessions, and the worker in the middle of the orders.
async fn the_token_expires_and_the_worker_is_killed(site: &Site, running: Running) -> Running {
    site.shop.accept("first", 1);
    site.browse();
    let snapshot = running.when_failed("sessions").await;
    assert!(reason(&snapshot, "sessions").contains("401"), "{}", reason(&snapshot, "sessions"));
    assert_eq!((site.shop.refused(), get(&format!("http://{}/health", site.listen)).await.0), (3, 503));
    // All others run on.
    assert_eq!(shop::post(&site.listen, "/hooks/promotions", &site.decision(0), "guess").await, 401);
    site.decide(0..DECISIONS / 2).await;
    running.when_settled("orders-to-warehouse", ORDERS as u64 / 4).await;
    running.kill().await;
    let arrived = site.orders().await.len();
    assert!((1..ORDERS).contains(&arrived), "{arrived} orders before the kill");
    site.deployment.write("secrets/shop-token", "second");
    site.shop.accept("second", u32::MAX);
    site.start().await
}

/// Customers agree in May and leave by the link in a mail in June. One said no in the shop, one agrees again in July.
async fn consents_and_withdrawals(site: &Site, running: &Running) {
    for n in [0, 1, 2, 4, 5] {
        site.consent(n, json!(true), 5).await;
    }
    site.consent(3, json!(false), 6).await;
    site.consent(8, json!("perhaps"), 5).await;
    running.when_settled("consents-to-audience", 7).await;
    assert_eq!(site.members().await, ["000 false", "001 false", "002 false", "004 false", "005 false"]);
    site.unsubscribe(&[5, 6, 7]).await;
    running.when_settled("unsubscribes-to-audience", 3).await;
    site.when_withdrawn(&[3, 5, 6, 7]).await;
    // The consents from before come last.
    site.consent(3, json!(true), 5).await;
    site.consent(5, json!(true), 5).await;
    site.consent(6, json!(true), 5).await;
    site.consent(7, json!(true), 7).await;
    running.when_settled("consents-to-audience", 11).await;
}

async fn an_order_is_changed_and_one_is_cancelled(site: &Site, orders: &[i64]) {
    site.odoo.write("sale.order", &orders[1..2], json!({ "client_order_ref": "changed" })).await;
    site.when(&format!("SELECT reference FROM orders WHERE id = {}", orders[1]), &["changed".to_owned()]).await;
    site.odoo.call("sale.order", "action_cancel", &json!({ "ids": [orders[0]] })).await;
    site.when(&format!("SELECT id FROM orders WHERE id = {}", orders[0]), &[]).await;
}

/// As `wharf dlq redrive retail-live.toml decisions-to-warehouse --code sql.foreign-key` does it.
async fn the_early_decision_lands_when_its_customer_is_there(site: &Site) {
    site.create_customers(UNKNOWN..UNKNOWN + 1).await;
    site.when_rows("customers", CUSTOMERS + 1).await;
    let config = site.deployment.parse_file(FILE);
    let mut request = Request::new(&config, "decisions-to-warehouse").unwrap();
    request.filter = Filter { codes: vec!["sql.foreign-key".to_owned()], ..Filter::default() };
    let log = open::open_beside(&config).unwrap();
    let mut redrive = Redrive::begin(log.as_ref(), request).await.unwrap().unwrap();
    assert_eq!(redrive.send(log.as_ref(), None, |_| ()).await.unwrap().records, 1);
    tokio::task::spawn_blocking(move || drop((redrive, log))).await.unwrap();
    let decision = site.number(EARLY_DECISION);
    site.when(&format!("SELECT decision FROM promotion_decisions WHERE decision = '{decision}'"), &[decision]).await;
}

/// Of each connector: what was read is what became of it.
async fn the_metrics_add_up(site: &Site) {
    let (status, text) = get(&format!("http://{}/metrics", site.listen)).await;
    assert_eq!(status, 200);
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("wharf_records_") else { continue };
        let (name, rest) = rest.split_once('{').unwrap();
        let connector = rest.split("connector=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let value: i64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        *sums.entry(connector).or_default() += match name {
            "read_total" | "split_total" => value,
            "delivered_total" | "filtered_total" | "dead_lettered_total" => -value,
            _ => 0,
        };
    }
    assert!(sums.len() == 21 && sums.values().all(|sum| *sum == 0), "{sums:?}");
}

async fn every_destination_holds_what_its_source_holds(site: &Site, orders: &[i64]) {
    let found = site.customers().await;
    assert_eq!((found.len(), &found), (CUSTOMERS + 1, &site.customers_of_odoo().await));
    let hashes = "SELECT count(DISTINCT email) FROM customers WHERE email ~ '^[0-9a-f]{64}$'";
    site.when(hashes, &[(CUSTOMERS + 1).to_string()]).await;
    let found = site.orders().await;
    assert_eq!((found.len(), &found), (ORDERS - 1, &site.orders_of_odoo(None).await));
    // What is no order yet is in no topic, and so in neither table.
    let orders_in_topic = texts(&site.deployment.read("orders").await);
    assert!(orders_in_topic.len() >= ORDERS && !orders_in_topic.iter().any(|order| order.contains(DRAFT)));
    // The facts keep what was cancelled, as it was.
    assert_eq!(site.orders_of_facts().await, site.orders_of_odoo(Some(orders)).await);
    let found = site.sessions().await;
    assert_eq!((found.len(), &found), (SESSIONS - 1, &site.sessions_of_shop()));
    assert_eq!(site.sessions_of_facts().await, found);
    for table in ["orders", "sessions"] {
        assert_eq!(site.facts_twice(table).await, ["0"], "{table}");
    }
    assert_eq!(site.decisions().await, site.decisions_of_shop(true));
    let products = site.products().await;
    assert_eq!((products.len(), &products), (ARTICLES, &site.products_of_sap().await));
    let counted = site.counted();
    let of = |each: &dyn Fn(&str, &str) -> String| counted.iter().map(|(sku, quantity)| each(sku, quantity)).collect::<Vec<_>>();
    assert_eq!(site.inventory().await, of(&|sku, quantity| format!("{sku}|{quantity}|2024-05-01 10:00:00")));
    let name = |sku: &str| products.iter().find(|row| row.starts_with(sku)).unwrap().clone();
    assert_eq!(site.stock_of_odoo().await, of(&|sku, quantity| format!("{}|{quantity}", name(sku))));
    let category = |quantity: &str| if quantity == "0" { "BANS" } else { "NORM" };
    assert_eq!(site.categories_of_sap().await, of(&|sku, quantity| format!("{sku}|{}", category(quantity))));
    assert_eq!(site.members().await, ["000 false", "001 false", "002 false", "004 false", "005 true", "007 false"]);
}

async fn every_bad_record_is_a_dead_letter_with_its_code_and_place(site: &Site, snapshot: &Snapshot) {
    let expected = site.expected_letters();
    for row in snapshot.connectors() {
        // Its counters add up.
        counts(snapshot, &row.connector);
        let letters = site.deployment.read_dead(&row.connector).await;
        let wanted = expected.iter().find(|(connector, _)| *connector == row.connector).map(|(_, wanted)| wanted.as_slice());
        let told: Vec<_> = letters.iter().map(|letter| (letter.code().to_owned(), letter.text())).collect();
        assert_eq!(letters.len(), wanted.unwrap_or_default().len(), "{}: {told:?}", row.connector);
        for (code, of) in wanted.unwrap_or_default() {
            let letter = letters.iter().find(|letter| letter.code() == *code && letter.text().contains(of));
            let letter = letter.unwrap_or_else(|| panic!("{}: no {code} of {of} in {told:?}", row.connector));
            if row.connector == "counts" {
                let place = ["wharf.file", "wharf.line"].map(|name| letter.header(name));
                assert_eq!((letter.header("__connect.errors.stage"), place), ("TASK_POLL", ["count-1.csv", "15"]));
                continue;
            }
            let place = |name: &str| letter.header(&format!("__connect.errors.{name}"));
            let base = place("topic").strip_prefix(&format!("{}.", site.deployment.name())).unwrap();
            let at = (place("partition").parse().unwrap(), place("offset").parse().unwrap());
            let rows = site.deployment.read(base).await;
            let origin = rows.iter().find(|row| (row.partition, row.offset) == at).unwrap();
            assert_eq!((&origin.key, &origin.value), (&letter.key, &letter.value), "{}: {code}", row.connector);
        }
    }
}
