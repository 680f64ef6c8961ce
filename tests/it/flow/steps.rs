//! Transforms and transactions of sources, as they show in the topics.

use wharf_runtime::supervisor::Outcome;

use super::*;

#[tokio::test]
async fn key_mask_and_route_act_in_the_order_they_are_written() {
    let deployment = Deployment::embedded();
    let lines = concat!(
        "{\"id\":1,\"kind\":\"click\",\"email\":\"a@example.com\",\"phone\":\"0401234567\"}\n",
        "{\"id\":2,\"kind\":\"open\",\"email\":\"b@example.com\",\"phone\":\"0407654321\"}\n",
        "{\"id\":3,\"email\":\"c@example.com\"}\n",
        "{\"kind\":\"open\"}\n",
        "{\"id\":5,\"kind\":\"test\"}\n",
        "{\"id\":6,\"kind\":\"jane@example.com\"}\n",
    );
    deployment.write("in/a.jsonl", lines);
    let body = r#"
[topic."events.click"]
[topic."events.open"]

[[source]]
name = "files"
component = "csv"
topic = "events"
allow.files = ["in"]
config = { path = "in" }
dead-letter.value = "omit"

[[source.transform]]
filter = { not = { field = "kind", equals = "test" } }
[[source.transform]]
key = "email"
when = { field = "email", exists = true }
[[source.transform]]
key = "id"
[[source.transform]]
mask = { fields = ["email"], redact = "***" }
[[source.transform]]
mask = { fields = ["phone"], last = 4 }
[[source.transform]]
route = { field = "kind", to = "events.{}" }
"#;
    let ended = deployment.until_done(body).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    let shown = |rows: Vec<deployment::Row>| {
        rows.into_iter().map(|row| format!("{} {}", row.key.clone().unwrap_or_default(), row.text())).collect::<Vec<_>>()
    };
    let click = shown(deployment.read("events.click").await);
    assert_eq!(click, [r#"{"id":1} {"id":1,"kind":"click","email":"***","phone":"******4567"}"#]);
    let open = shown(deployment.read("events.open").await);
    assert_eq!(open, [r#"{"id":2} {"id":2,"kind":"open","email":"***","phone":"******4321"}"#]);
    assert_eq!(deployment.read("events").await, []);
    let dead = deployment.read("dlq.flow.files").await;
    assert_eq!(dead.iter().map(deployment::Row::code).collect::<Vec<_>>(), ["route.missing", "key.missing", "route.topic"]);
    let letters = format!("{dead:?}");
    assert!(!letters.contains("jane"), "a reason quotes what is to be omitted: {letters}");
    assert!(dead.iter().all(|row| row.value.is_none() && row.header("wharf.omitted").contains("value")));
    assert_eq!(counts(&ended.snapshot, "files"), [6, 0, 2, 1, 3]);
}

#[tokio::test]
async fn polls_of_one_transaction_keep_their_own_topics_keys_and_times() {
    let deployment = Deployment::embedded();
    let body = r#"
[topic.other]

[[source]]
name = "script"
component = "script"
topic = "orders"
format = "bytes"

[source.config]
scenes = [
  { records = [{ value = "a", timestamp = 1700000000000, key = "k" }, { value = "b", topic = "other" }] },
  { records = [{ value = "c" }, { value = "d", topic = "other", timestamp = 1700000000001 }] },
  { records = [] },
  { records = [{ value = "e" }] },
]
"#;
    let ended = deployment.until_done(body).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    let (orders, other) = (deployment.read("orders").await, deployment.read("other").await);
    assert_eq!((texts(&orders), texts(&other)), (vec!["a".into(), "c".into(), "e".into()], vec!["b".into(), "d".into()]));
    assert_eq!((orders[0].timestamp, orders[0].key.as_deref(), orders[1].key.as_deref()), (1_700_000_000_000, Some("k"), None));
    assert_eq!(other[1].timestamp, 1_700_000_000_001);
    // A record without a time has that of its transaction.
    assert!([&orders[1], &orders[2], &other[0]].iter().all(|row| row.timestamp > 1_750_000_000_000));
    assert_eq!(deployment.positions("script"), ["scenes|4"]);
    assert_eq!(counts(&ended.snapshot, "script"), [5, 0, 5, 0, 0]);
}

#[tokio::test]
async fn envelopes_written_by_a_source_are_opened_by_a_sink() {
    let deployment = Deployment::embedded();
    deployment.write("in/a.csv", "id,price,name\n1,2.50,one\n2,3.75,two\n");
    let body = r#"
[connection.warehouse]
url = "sqlite://warehouse.sqlite"

[[source]]
name = "files"
component = "csv"
topic = "orders"
format = "json-envelope"
allow.files = ["in"]
config = { path = "in", key = ["id"], types = { id = "int", price = "decimal" } }

[[sink]]
name = "table"
component = "sql"
topics = ["orders"]
format = "json-envelope"
allow.sql = ["warehouse"]
config = { connection = "warehouse", table = "orders", key = ["id"], columns = { price = "decimal" } }
"#;
    let ended = deployment.until_done(body).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    let topic = deployment.read("orders").await;
    assert!(
        topic.iter().all(|row| row.text().starts_with("{\"schema\":{") && row.key.as_ref().unwrap().starts_with("{\"schema\":{"))
    );
    assert_eq!(deployment.query("SELECT id, price, name FROM orders ORDER BY id"), ["1|2.50|one", "2|3.75|two"]);
    assert_eq!(counts(&ended.snapshot, "table"), [2, 0, 2, 0, 0]);
}

#[tokio::test]
async fn a_record_alone_is_buried_when_it_is_routed_to_a_topic_that_is_not_there() {
    a_record_routed_to_no_topic_is_buried_alone(&Deployment::embedded(), r#"{ field = "kind" }"#).await;
}

pub async fn a_record_routed_to_no_topic_is_buried_alone(deployment: &Deployment, route: &str) {
    deployment
        .write("in/a.jsonl", "{\"id\":1,\"kind\":\"orders\"}\n{\"id\":2,\"kind\":\"nowhere\"}\n{\"id\":3,\"kind\":\"orders\"}\n");
    let body = r#"
[[source]]
name = "files"
component = "csv"
topic = "{t}orders"
allow.files = ["in"]
config = { path = "in" }
[[source.transform]]
"#;
    let ended = deployment.until_done(&format!("{body}route = {route}\n")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    let orders = texts(&deployment.read("orders").await);
    assert_eq!(orders, [r#"{"id":1,"kind":"orders"}"#, r#"{"id":3,"kind":"orders"}"#]);
    let dead = deployment.read_dead("files").await;
    assert_eq!(
        dead.iter().map(|row| (row.code(), row.text())).collect::<Vec<_>>(),
        [("topic.unknown", r#"{"id":2,"kind":"nowhere"}"#.to_owned())]
    );
    assert!(dead[0].header("__connect.errors.exception.message").contains(&format!("`{}`", deployment.topic("nowhere"))));
    assert_eq!(counts(&ended.snapshot, "files"), [3, 0, 2, 0, 1]);
}
