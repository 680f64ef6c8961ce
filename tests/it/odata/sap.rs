//! Against mock-sap: S/4-shaped services of both versions, with delta tokens.

use support::servers::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;

use super::*;

/// The tests change the same orders.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

const V4: &str = "/sap/opu/odata4/sap/api_salesorder/srvd_a2x/sap/api_salesorder/0001";
const V2: &str = "/sap/opu/odata/sap/API_SALES_ORDER_SRV";

/// A plain HTTP client, so that what is compared does not go through what is tested.
struct Plain {
    authority: String,
    token: String,
}

impl Plain {
    async fn new(base: &str) -> Self {
        let authority = base.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let mut plain = Self { authority, token: "Fetch".to_owned() };
        let (head, _) = plain.send("GET", &format!("{V4}/"), "").await;
        let token = head.lines().find_map(|line| line.strip_prefix("x-csrf-token: ").map(ToOwned::to_owned));
        plain.token = token.expect("a CSRF token");
        plain
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let mut stream = tokio::net::TcpStream::connect(&self.authority).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Basic c2FwOnNlY3JldA==\r\nx-csrf-token: {}\r\nif-match: *\r\n\
             accept: application/json\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.authority,
            self.token,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {head}\n{body}");
        (head.to_owned(), body.to_owned())
    }

    async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.send("GET", path, "").await.1).unwrap()
    }

    /// Order and customer reference of every order, by a V4 read.
    async fn orders(&self) -> BTreeMap<String, String> {
        let all = self.get(&format!("{V4}/SalesOrder")).await;
        let of = |order: &Value| (text(order, "SalesOrder"), text(order, "PurchaseOrderByCustomer"));
        all["value"].as_array().unwrap().iter().map(of).collect()
    }

    async fn rename(&self, order: &str, to: &str) {
        let body = format!(r#"{{"PurchaseOrderByCustomer": "{to}"}}"#);
        self.send("PATCH", &format!("{V4}/SalesOrder('{order}')"), &body).await;
    }
}

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_default().to_owned()
}

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
