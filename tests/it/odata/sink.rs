//! The bundled sink `odata` in whole pipelines: from a topic into mock-sap, which is then read by a client that is none of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::sap::{PARTNERS_V2, PARTNERS_V4, PRODUCTS_V2, PRODUCTS_V4, Plain, text};
use support::servers::Server;
use wharf_runtime::supervisor::Outcome;
use wharf_runtime::telemetry::TaskState;

use crate::flow::deployment::{Deployment, counts, reason, task};

mod conflicts;
mod faults;
mod forbidden;
mod line;
mod rows;

use line::{Fault, Line};

/// One way of writing into one service.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// In the names of what it writes.
    name: &'static str,
    root: &'static str,
    set: &'static str,
    config: &'static str,
}

const V2: Way = Way { name: "V2", root: PRODUCTS_V2, set: "A_Product", config: "" };
const V4: Way = Way { name: "V4", root: PRODUCTS_V4, set: "Product", config: "" };
const V4_JSON: Way = Way { name: "J4", config: "batch-format = \"json\"\n", ..V4 };
const V2_SINGLE: Way = Way { name: "S2", config: "batch = 1\n", ..V2 };

/// All that differ in what goes over the line.
const WAYS: [Way; 4] = [V2, V4, V4_JSON, V2_SINGLE];

/// A sink `erp` of topic `products`; `config` are lines of its configuration, `more` of its section.
fn sink(authority: &str, way: Way, config: &str, more: &str) -> String {
    let Way { root, set, config: own, .. } = way;
    format!(
        "\n[[sink]]\nname = \"erp\"\ncomponent = \"odata\"\ntopics = [\"products\"]\nallow.http = [\"http://{authority}\"]\n\
         retry = {{ initial = \"20ms\", max = \"100ms\" }}\n{more}\n\
         [sink.config]\nservice = \"http://{authority}{root}\"\nentity = \"{set}\"\n{own}{config}\n\
         [sink.auth.\"{authority}\"]\nbasic = {{ user = \"sap\", password = \"secret\" }}\n"
    )
}

/// mock-sap as this test sees it, and a beginning for names that no other test and no other run has.
async fn service(test: &str, way: Way) -> Option<(Plain, String)> {
    let base = Server::MockSap.address(test)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() % 10_000_000_000;
    Some((Plain::new(&base).await, format!("{}{now:010}-", way.name)))
}

/// A record of a product, with its key.
fn record(name: &str, fields: &Value) -> (String, Option<String>) {
    let mut value = json!({ "Product": name });
    value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    (json!({ "Product": name }).to_string(), Some(value.to_string()))
}

async fn produce(deployment: &Deployment, records: &[(String, Option<String>)]) {
    let records: Vec<_> = records.iter().map(|(key, value)| (Some(key.as_str()), value.as_ref().map(String::as_bytes))).collect();
    deployment.produce("products", 2, &records).await;
}

/// Name to group of the products that begin so.
async fn groups(plain: &Plain, prefix: &str) -> BTreeMap<String, String> {
    plain.products(prefix).await.into_iter().map(|(name, product)| (name, text(&product, "ProductGroup"))).collect()
}
