//! mock-sap as a plain client sees it: what the tests compare with, and change. Uses nothing of Wharf.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Root of the sales orders, V4 and V2.
pub const V4: &str = "/sap/opu/odata4/sap/api_salesorder/srvd_a2x/sap/api_salesorder/0001";
pub const V2: &str = "/sap/opu/odata/sap/API_SALES_ORDER_SRV";

/// A plain HTTP client, so that what is compared does not go through what is tested.
#[derive(Debug)]
pub struct Plain {
    pub authority: String,
    token: String,
}

impl Plain {
    /// With a CSRF token, which writing needs.
    pub async fn new(base: &str) -> Self {
        let authority = base.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let mut plain = Self { authority, token: "Fetch".to_owned() };
        let (head, _) = plain.send("GET", &format!("{V4}/"), "").await;
        let token = head.lines().find_map(|line| line.strip_prefix("x-csrf-token: ").map(ToOwned::to_owned));
        plain.token = token.expect("a CSRF token");
        plain
    }

    /// Head and body of an answer of status 2xx.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let (head, body) = self.ask(method, path, body).await;
        assert!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {head}\n{body}");
        (head, body)
    }

    /// Head and body of an answer, whatever its status.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> (String, String) {
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
        (head.to_owned(), body.to_owned())
    }

    pub async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.send("GET", path, "").await.1).unwrap()
    }

    /// An entity by its path; `None` where there is none.
    pub async fn find(&self, path: &str) -> Option<Value> {
        let (head, body) = self.ask("GET", path, "").await;
        match head.split(' ').nth(1) {
            Some("404") => None,
            Some("200") => Some(serde_json::from_str(&body).unwrap()),
            _ => panic!("GET {path}: {head}\n{body}"),
        }
    }

    /// The products whose names begin so, by name, read by V2, which writes a decimal with all its digits.
    pub async fn products(&self, prefix: &str) -> BTreeMap<String, Value> {
        let all = self.get(&format!("{PRODUCTS_V2}/A_Product?$filter=startswith(Product,%27{prefix}%27)&$format=json")).await;
        let of = |product: &Value| (text(product, "Product"), product.clone());
        all["d"]["results"].as_array().unwrap().iter().map(of).collect()
    }

    /// A rule by which the next requests fail: `{"match": "…", "status": 503, "count": 1}`.
    pub async fn fault(&self, rule: &Value) {
        self.send("POST", "/_mock/faults", &rule.to_string()).await;
    }

    /// Order and customer reference of every order, by a V4 read.
    pub async fn orders(&self) -> BTreeMap<String, String> {
        let all = self.get(&format!("{V4}/SalesOrder")).await;
        let of = |order: &Value| (text(order, "SalesOrder"), text(order, "PurchaseOrderByCustomer"));
        all["value"].as_array().unwrap().iter().map(of).collect()
    }

    /// Changes an order.
    pub async fn rename(&self, order: &str, to: &str) {
        let body = format!(r#"{{"PurchaseOrderByCustomer": "{to}"}}"#);
        self.send("PATCH", &format!("{V4}/SalesOrder('{order}')"), &body).await;
    }
}

/// Root of the products, V4 and V2: the sink writes them, and nothing else changes them.
pub const PRODUCTS_V4: &str = "/sap/opu/odata4/sap/api_product/srvd_a2x/sap/api_product/0001";
pub const PRODUCTS_V2: &str = "/sap/opu/odata/sap/API_PRODUCT_SRV";
/// Root of the business partners, V4 and V2.
pub const PARTNERS_V4: &str = "/sap/opu/odata4/sap/api_businesspartner/srvd_a2x/sap/api_businesspartner/0001";
pub const PARTNERS_V2: &str = "/sap/opu/odata/sap/API_BUSINESS_PARTNER_SRV";

/// A member that is a text; empty where it is none.
#[must_use]
pub fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_default().to_owned()
}
