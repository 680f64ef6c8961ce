//! Input that cannot be delivered: each gives a dead letter with its reason, or the sender's answer, and nothing else stops.

use wharf_runtime::supervisor::Outcome;

use super::*;

/// A table `orders` by `id` of topic `orders`; `more` are keys of the sink's section.
fn table(more: &str) -> String {
    format!(
        r#"
[connection.warehouse]
url = "sqlite://warehouse.sqlite"

[[sink]]
name = "table"
component = "sql"
topics = ["orders"]
allow.sql = ["warehouse"]
config = {{ connection = "warehouse", table = "orders", key = ["id"] }}
{more}
"#
    )
}

const FILES: &str = r#"
[[source]]
name = "files"
component = "csv"
topic = "orders"
allow.files = ["in"]
config = { path = "in", key = ["id"], types = { id = "int", n = "int" } }
"#;

fn codes(rows: &[deployment::Row]) -> Vec<&str> {
    rows.iter().map(deployment::Row::code).collect()
}

#[tokio::test]
async fn bad_rows_of_a_file_become_dead_letters_as_they_stand_and_the_others_arrive() {
    let deployment = Deployment::embedded();
    let rows: &[&[u8]] =
        &[b"id,n,name\n", b"1,10,one\n", b"2,20\n", b"3,many,three\n", b"4,40,\xff\xfe\n", b"5,50,\"a\"b\n", b"6,60,six\n"];
    deployment.write("in/a.csv", rows.concat());
    let ended = deployment.until_done(&format!("{FILES}{}", table(""))).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(deployment.query("SELECT id, n, name FROM orders ORDER BY id"), ["1|10|one", "6|60|six"]);
    let dead = deployment.read("dlq.flow.files").await;
    assert_eq!(codes(&dead), ["csv.width", "csv.type", "csv.utf8", "csv.quote"]);
    let values: Vec<_> = dead.iter().map(|row| row.value.clone().unwrap()).collect();
    let bad: Vec<_> = rows[2..6].iter().map(|row| row[..row.len() - 1].to_vec()).collect();
    assert_eq!(values, bad, "byte for byte");
    assert_eq!(dead[1].header("wharf.field"), "/n");
    assert!(dead.iter().all(|row| row.header("__connect.errors.stage") == "TASK_POLL"));
    assert_eq!(counts(&ended.snapshot, "files"), [6, 0, 2, 0, 4]);
    assert_eq!(counts(&ended.snapshot, "table"), [2, 0, 2, 0, 0]);
}

#[tokio::test]
async fn a_line_of_50_megabytes_is_one_dead_letter_and_its_neighbours_arrive() {
    let deployment = Deployment::embedded();
    let mut lines = b"{\"id\":1}\n{\"id\":2,\"blob\":\"".to_vec();
    lines.resize(lines.len() + 50_000_000, b'x');
    lines.extend_from_slice(b"\"}\n{\"id\":3}\n");
    // Above what a record may have, below what a line may have.
    lines.extend_from_slice(b"{\"id\":4,\"blob\":\"");
    lines.resize(lines.len() + 2_000_000, b'y');
    lines.extend_from_slice(b"\"}\n{\"id\":5}\n");
    deployment.write("in/a.jsonl", lines);
    let ended = deployment.until_done(&format!("{FILES}{}", table(""))).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(deployment.query("SELECT id FROM orders ORDER BY id"), ["1", "3", "5"]);
    let dead = deployment.read("dlq.flow.files").await;
    assert_eq!(codes(&dead), ["csv.line-too-long", "record.oversize"]);
    assert!(dead[1].header("wharf.truncated").contains("value"), "{:?}", dead[1].header("wharf.truncated"));
    assert_eq!(dead[1].header("wharf.size"), "2000018");
    assert_eq!(counts(&ended.snapshot, "files"), [5, 0, 3, 0, 2]);
    assert_eq!(row(&ended.snapshot, "files").restarts, 0);
}

#[tokio::test]
async fn values_and_keys_that_a_table_cannot_take_become_dead_letters_and_a_tombstone_deletes() {
    let deployment = Deployment::embedded();
    let deep = format!("{{\"id\":7,\"deep\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let records: &[(Option<&str>, Option<&[u8]>)] = &[
        (Some("{\"id\":1}"), Some(b"{\"id\":1,\"name\":\"one\"}")),
        (Some("{\"id\":2}"), Some(b"{\"id\":2,\"name\":\"two\"}")),
        (Some("{\"id\":7}"), Some(deep.as_bytes())),
        (Some("{\"id\":8}"), Some(b"{\"id\":8,")),
        (Some("{\"id\":9}"), Some(b"\xff\xfe")),
        (Some("{\"id\":10}"), Some(b"[1]")),
        // Without a key: the value has it; a value that has none; a tombstone that says of no row that it went.
        (None, Some(b"{\"id\":3,\"name\":\"three\"}")),
        (None, Some(b"{\"name\":\"nobody\"}")),
        (Some("{\"id\":null}"), Some(b"{\"id\":null,\"name\":\"null\"}")),
        (None, None),
        // A bare scalar is the key of one column.
        (Some("1"), None),
        (Some("{\"id\":2}"), Some(b"{\"id\":2,\"name\":\"zwei\"}")),
    ];
    deployment.produce("orders", 1, records).await;
    let ended = deployment.until_done(&table("")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(deployment.query("SELECT id, name FROM orders ORDER BY id"), ["2|zwei", "3|three"]);
    let dead = deployment.read("dlq.flow.table").await;
    assert!(dead.iter().all(|row| !row.header("wharf.topic-id").is_empty()), "{dead:?}");
    let expected = ["value.depth", "value.json", "value.json", "value.object", "key.missing", "key.missing", "key.missing"];
    assert_eq!(codes(&dead), expected, "{dead:#?}");
    assert_eq!(dead[0].text(), deep, "byte for byte");
    assert!(dead[6].key.is_none() && dead[6].value.is_none(), "a tombstone stays one");
    assert_eq!(counts(&ended.snapshot, "table"), [12, 0, 5, 0, 7]);
}

#[tokio::test]
async fn json_of_200_levels_is_a_dead_letter_also_where_a_transform_looks_into_it() {
    let deployment = Deployment::embedded();
    let deep = format!("{{\"id\":7,\"deep\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let records: &[(Option<&str>, Option<&[u8]>)] =
        &[(None, Some(b"{\"id\":1}")), (None, Some(deep.as_bytes())), (None, Some(b"{\"id\":2}"))];
    deployment.produce("orders", 1, records).await;
    let ended = deployment.until_done(&table("[[sink.transform]]\nset = { seen = { constant = true } }")).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(deployment.query("SELECT id, seen FROM orders ORDER BY id"), ["1|1", "2|1"]);
    let dead = deployment.read("dlq.flow.table").await;
    assert_eq!((codes(&dead), dead[0].text()), (vec!["json.depth"], deep));
    assert_eq!(counts(&ended.snapshot, "table"), [3, 0, 2, 0, 1]);
}

#[tokio::test]
async fn connects_envelopes_are_opened_for_the_table_and_what_is_none_is_a_dead_letter() {
    let deployment = Deployment::embedded();
    let schema = |fields: &str| format!("{{\"type\":\"struct\",\"optional\":true,\"fields\":[{fields}]}}");
    let id = "{\"field\":\"id\",\"type\":\"int64\",\"optional\":false}";
    let more = format!(
        "{id},{{\"field\":\"day\",\"type\":\"int32\",\"name\":\"org.apache.kafka.connect.data.Date\",\"version\":1,\"optional\":true}},\
         {{\"field\":\"at\",\"type\":\"int64\",\"name\":\"org.apache.kafka.connect.data.Timestamp\",\"version\":1,\"optional\":true}},\
         {{\"field\":\"price\",\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,\
         \"parameters\":{{\"scale\":\"2\"}},\"optional\":true}}"
    );
    // 19797 days are 2024-03-15; ASs= is 299 (bytes 01 2B), with scale 2 it is 2.99.
    let value = |id: i64| {
        let payload = format!("{{\"id\":{id},\"day\":19797,\"at\":1710500000123,\"price\":\"ASs=\"}}");
        format!("{{\"schema\":{},\"payload\":{payload}}}", schema(&more))
    };
    let key = |number: i64| format!("{{\"schema\":{},\"payload\":{{\"id\":{number}}}}}", schema(id));
    let (one, two) = (value(1), value(2));
    let gone = "{\"schema\":null,\"payload\":null}";
    let keys = [key(1), key(2), key(1)];
    let records: &[(Option<&str>, Option<&[u8]>)] = &[
        (Some(&keys[0]), Some(one.as_bytes())),
        (Some(&keys[1]), Some(two.as_bytes())),
        (Some("{\"id\":3}"), Some(b"{\"id\":3}")),
        (Some(&keys[2]), Some(gone.as_bytes())),
    ];
    deployment.produce("orders", 1, records).await;
    let ended = deployment.until_done(&table("format = \"json-envelope\"")).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(
        deployment.query("SELECT id, day, at, price FROM orders"),
        ["2|2024-03-15|2024-03-15T10:53:20.123000Z|2.99"],
        "the null payload is a tombstone and deletes"
    );
    let dead = deployment.read("dlq.flow.table").await;
    assert_eq!((codes(&dead), dead[0].header("__connect.errors.stage")), (vec!["envelope.shape"], "VALUE_CONVERTER"));
    assert_eq!(counts(&ended.snapshot, "table"), [4, 0, 3, 0, 1]);
}

#[tokio::test]
async fn a_letter_of_a_source_that_its_topic_refuses_for_its_size_is_cut_and_the_rest_arrives() {
    let deployment = Deployment::embedded();
    let long = "x".repeat(100_000);
    deployment.write("in/a.csv", format!("id,n,name\n1,10,one\n2,many,{long}\n3,few,three\n4,40,four\n"));
    let topic = "[topic.\"dlq.flow.files\"]\nconfig = { \"max.message.bytes\" = \"80000\" }\n";
    let ended = deployment.until_done(&format!("\n{topic}{FILES}{}", table(""))).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(deployment.query("SELECT id, n, name FROM orders ORDER BY id"), ["1|10|one", "4|40|four"]);
    let dead = deployment.read("dlq.flow.files").await;
    let mut told: Vec<_> =
        dead.iter().map(|row| (row.code(), row.value.clone().unwrap().len(), row.header("wharf.size").to_owned())).collect();
    told.sort();
    assert_eq!(told, [("csv.type", 11, String::new()), ("csv.type", 65_536, "100007".to_owned())]);
    assert_eq!(counts(&ended.snapshot, "files"), [4, 0, 2, 0, 2]);
}
