//! Against mock-sap: S/4-shaped services of both versions, with delta tokens.

use support::sap::{Plain, V2, V4, text};
use support::servers::Server;
use tokio::sync::Mutex;

use super::*;

/// The tests change the same orders.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn config(plain: &Plain, root: &str, more: &Value) -> Value {
    let mut config = serde_json::json!({ "service": format!("http://{}{root}", plain.authority) });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

impl Reading {
    fn orders(&self) -> BTreeMap<String, String> {
        let of = |(_, value): &(Value, Option<Value>)| {
            let value = value.as_ref()?;
            Some((text(value, "SalesOrder"), text(value, "PurchaseOrderByCustomer")))
        };
        self.records.iter().filter_map(of).collect()
    }
}

async fn by_cursor(root: &str, entity: &str, test: &str) {
    let Some(base) = Server::MockSap.address(test) else { return };
    let _one = ONE_AT_A_TIME.lock().await;
    let plain = Plain::new(&base).await;
    let more = serde_json::json!({ "entity": entity, "cursor": "LastChangeDate", "page-size": 7 });
    let config = config(&plain, root, &more);
    let mut reading = start(&plain.authority, "secret", &config, &[]).await;
    reading.read().await;
    let expected = plain.orders().await;
    assert!(expected.len() > 20, "{}", expected.len());
    assert_eq!((reading.orders(), reading.records.len()), (expected.clone(), expected.len()));

    let mut restarted = start(&plain.authority, "secret", &config, &reading.stored()).await;
    restarted.read().await;
    assert_eq!(restarted.records, [], "nothing has changed");

    let order = expected.keys().next().unwrap();
    let reference = format!("W-{entity}");
    plain.rename(order, &reference).await;
    restarted.read().await;
    assert_eq!(restarted.orders(), BTreeMap::from([(order.clone(), reference)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_v4_set_is_read_by_its_cursor() {
    by_cursor(V4, "SalesOrder", "a_v4_set_is_read_by_its_cursor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_v2_set_is_read_by_its_cursor_in_pages_of_its_own() {
    by_cursor(V2, "A_SalesOrder", "a_v2_set_is_read_by_its_cursor_in_pages_of_its_own").await;
}

async fn by_delta(root: &str, entity: &str, test: &str) {
    let Some(base) = Server::MockSap.address(test) else { return };
    let _one = ONE_AT_A_TIME.lock().await;
    let plain = Plain::new(&base).await;
    let config = config(&plain, root, &serde_json::json!({ "entity": entity }));
    let mut reading = start(&plain.authority, "secret", &config, &[]).await;
    reading.read().await;
    let expected = plain.orders().await;
    assert_eq!((reading.orders(), reading.records.len()), (expected.clone(), expected.len()));

    let mut restarted = start(&plain.authority, "secret", &config, &reading.stored()).await;
    let (changed, deleted) = (expected.keys().next().unwrap(), expected.keys().next_back().unwrap());
    let reference = format!("D-{entity}");
    plain.rename(changed, &reference).await;
    plain.send("DELETE", &format!("{V2}/A_SalesOrder('{deleted}')"), "").await;
    restarted.read().await;
    assert_eq!(restarted.orders(), BTreeMap::from([(changed.clone(), reference)]));
    let tombstones: Vec<_> = restarted.records.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.clone()).collect();
    assert_eq!(tombstones, [serde_json::json!({ "SalesOrder": deleted })]);
    restarted.records.clear();
    restarted.read().await;
    assert_eq!(restarted.records, [], "the next token brings nothing again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_v4_delta_link_brings_changes_and_deletions() {
    by_delta(V4, "SalesOrder", "a_v4_delta_link_brings_changes_and_deletions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_v2_delta_token_brings_changes_and_deletions() {
    by_delta(V2, "A_SalesOrder", "a_v2_delta_token_brings_changes_and_deletions").await;
}
