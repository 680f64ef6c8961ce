//! What values become in the table.

use super::*;

const COLUMNS: &str = "i8 Int8, u64 UInt64, i64 Int64, f32 Float32, f64 Float64, price Decimal(18, 4), big Decimal(38, 10), \
    small Decimal(9, 2), name String, code FixedString(3), day Date, at DateTime, kind Enum8('a' = 1, 'b c' = -2), \
    wide Enum16('x' = 300), note Nullable(String), list Array(Nullable(Int32)), nested Array(Array(String)), id UUID, \
    flag UInt8, named String DEFAULT concat(name, '!'), twice UInt64 MATERIALIZED u64 + 1";

/// Lines of the files in `in`, into topic `orders`.
const FILES: &str = r#"
[[source]]
name = "files"
component = "csv"
topic = "{t}orders"
allow.files = ["in"]
config = { path = "in", key = ["n"], interval = "50ms" }
"#;

#[tokio::test]
async fn values_arrive_with_all_their_digits() {
    let columns = format!("{COLUMNS}, {PLACE}");
    let Some(db) = Database::with_orders("values_arrive_with_all_their_digits", &columns).await else { return };
    let deployment = Deployment::embedded();
    let full = r#"{"i8": -128, "u64": 18446744073709551615, "i64": -9223372036854775808, "f32": 0.1, "f64": 0.1,
        "price": 12345678901234.5678, "big": "-1234567890123456789012345678.0123456789", "small": "-9999999.99",
        "name": "gr\u00fc\u00dfe\t\"\\", "code": "ab", "day": "2024-02-29", "at": "2024-05-01T12:00:00.000000+02:00", "kind": "b c",
        "wide": "x", "note": null, "list": [1, null, -3], "nested": [["a"], []], "id": "61f0c404-5cb3-11e7-907b-a6006ad3dba0",
        "flag": true, "named": "own"}"#;
    deployment.produce_values("orders", &[full, r#"{"name": "x"}"#]).await;
    let ended = deployment.until_done(&events(&db, "", "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(letters(&deployment).await, []);
    let columns = "i8, u64, i64, f32, toString(f64), price, big, small, hex(name), hex(code), toUInt16(day), toUnixTimestamp(at), kind, wide, \
        note, list, nested, id, flag, named, twice, _topic, _partition, _offset, _timestamp";
    let rows = db.query(&format!("SELECT {columns} FROM orders ORDER BY _offset")).await;
    let name = "6772C3BCC39F6509225C";
    assert_eq!(
        rows,
        [
            format!(
                "-128|18446744073709551615|-9223372036854775808|0.1|0.1|12345678901234.5678|\
                 -1234567890123456789012345678.0123456789|-9999999.99|{name}|616200|19782|1714557600|b c|x|\\N|[1,NULL,-3]|\
                 [['a'],[]]|61f0c404-5cb3-11e7-907b-a6006ad3dba0|1|own|0|orders|0|0|1700000000000"
            ),
            "0|0|0|0|0|0.0000|0.0000000000|0.00|78|000000|0|0|b c|x|\\N|[]|[]|00000000-0000-0000-0000-000000000000|0|x!|1|\
             orders|0|1|1700000000000"
                .to_owned(),
        ]
    );
    assert_eq!(counts(&ended.snapshot, "events"), [2, 0, 2, 0, 0]);
}

#[tokio::test]
async fn floats_and_times_are_the_same_bits_that_were_sent() {
    let columns = format!("f Float64, at DateTime('Asia/Tokyo'), {PLACE}");
    let Some(db) = Database::with_orders("floats_and_times_are_the_same_bits", &columns).await else { return };
    let deployment = Deployment::embedded();
    // Numbers that a fast reader of decimals gets wrong by a bit.
    let numbers = ["8.41e21", "9007199254740993.5", "2.2250738585072014e-308", "1.7976931348623157e308", "0.30000000000000004"];
    let values: Vec<String> = numbers.iter().map(|f| format!(r#"{{"f": {f}, "at": "2024-05-01T10:00:00Z"}}"#)).collect();
    produce(&deployment, 1, &values).await;
    assert_eq!(deployment.until_done(&events(&db, "", "")).await.outcome, Outcome::Clean);
    let expected: Vec<String> = numbers.iter().map(|f| format!("{}|1714557600", f.parse::<f64>().unwrap().to_bits())).collect();
    let query = "SELECT reinterpretAsUInt64(reinterpretAsString(f)), toUnixTimestamp(at) FROM orders ORDER BY _offset";
    assert_eq!(db.query(query).await, expected);
}

#[tokio::test]
async fn bad_values_go_to_the_dead_letters_alone() {
    let columns = format!("n UInt32, at DateTime, price Decimal(9, 2), {PLACE}");
    let Some(db) = Database::with_orders("bad_values_go_to_the_dead_letters_alone", &columns).await else { return };
    let deployment = Deployment::embedded();
    let values = [
        r#"{"n":0}"#,
        r#"{"n":4294967296}"#,
        r#"{"n":1,"price":"0.001"}"#,
        r#"{"n":2,"price":"0.010"}"#,
        r#"{"n":3,"at":"2024-05-01T10:00:00.5Z"}"#,
        r#"{"n":null}"#,
        r#"{"n":4,"colour":"red"}"#,
        r#"{"n":5,"_offset":7}"#,
        "[]",
        r#"{"n":6}"#,
    ];
    deployment.produce_values("orders", &values).await;
    let ended = deployment.until_done(&events(&db, "", "")).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(db.query("SELECT n, price FROM orders ORDER BY n").await, ["0|0.00", "2|0.01", "6|0.00"]);
    let dead = deployment.read("dlq.flow.events").await;
    let told: Vec<_> = dead.iter().map(|row| (row.code(), row.header("wharf.field"), row.text())).collect();
    let expected = [
        ("clickhouse.type", "/n", 1),
        ("clickhouse.type", "/price", 2),
        ("clickhouse.type", "/at", 4),
        ("clickhouse.type", "/n", 5),
        ("clickhouse.column", "/colour", 6),
        ("clickhouse.column", "/_offset", 7),
        ("value.object", "", 8),
    ];
    assert_eq!(told, expected.map(|(code, field, at)| (code, field, values[at].to_owned())));
    assert_eq!(counts(&ended.snapshot, "events"), [10, 0, 3, 0, 7]);
}

#[tokio::test]
async fn columns_of_low_cardinality_take_what_they_hold() {
    let Some(db) = Database::new("columns_of_low_cardinality").await else { return };
    // 18.16 makes such columns only for those who ask for them.
    let path = format!("/?database={}&allow_experimental_low_cardinality_type=1", db.name);
    let table = "CREATE TABLE orders (a LowCardinality(String), b LowCardinality(Nullable(String)), _topic LowCardinality(String), \
        _partition UInt32, _offset UInt64, _timestamp Int64) ENGINE = MergeTree ORDER BY tuple()";
    assert_eq!(database::send(&db.url, &path, table.as_bytes()).await.0, 200);
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &[r#"{"a":"x","b":null}"#, r#"{"a":"x","b":"y"}"#]).await;
    for _ in 0..2 {
        let ended = deployment.until_done(&events(&db, "", "")).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
        assert_eq!(
            db.query("SELECT a, b, _topic, _offset FROM orders ORDER BY _offset").await,
            ["x|\\N|orders|0", "x|y|orders|1"]
        );
        let log = rusqlite::Connection::open(deployment.path("state/log.sqlite")).unwrap();
        log.execute("DELETE FROM offsets", []).unwrap();
    }
}

#[tokio::test]
async fn a_column_that_is_added_while_the_sink_runs_takes_its_field() {
    let Some(db) = Database::with_orders("a_column_that_is_added", &format!("n UInt32, {PLACE}")).await else { return };
    let deployment = Deployment::embedded();
    deployment.write("in/a.jsonl", "{\"n\":1}\n");
    let running = deployment.start(&format!("{FILES}{}", events(&db, "", ""))).await;
    running.when_settled("events", 1).await;
    db.execute("ALTER TABLE orders ADD COLUMN colour String").await;
    deployment.append("in/a.jsonl", "{\"n\":2,\"colour\":\"red\"}\n");
    running.when_settled("events", 2).await;
    db.execute("ALTER TABLE orders DROP COLUMN colour").await;
    deployment.append("in/a.jsonl", "{\"n\":3}\n");
    running.when_settled("events", 3).await;
    let ended = running.drain().await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [3, 0, 3, 0, 0]));
    assert_eq!(db.query("SELECT n FROM orders ORDER BY n").await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_column_that_is_given_another_type_while_the_sink_runs_takes_rows_of_its_new_one() {
    let Some(db) = Database::with_orders("a_column_that_is_given_another_type", &format!("n UInt32, {PLACE}")).await else {
        return;
    };
    let deployment = Deployment::embedded();
    deployment.write("in/a.jsonl", "{\"n\":1}\n");
    let running = deployment.start(&format!("{FILES}{}", events(&db, "", ""))).await;
    running.when_settled("events", 1).await;
    // Of the same length in a row: the server cannot tell the bytes of the one from those of the other.
    db.execute("ALTER TABLE orders MODIFY COLUMN n Float32").await;
    deployment.append("in/a.jsonl", "{\"n\":2}\n");
    running.when_settled("events", 2).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    assert_eq!(db.query("SELECT n FROM orders ORDER BY n").await, ["1", "2"]);
}

#[tokio::test]
async fn times_and_dates_reach_to_the_ends_of_their_columns_and_no_further() {
    let Some(db) = Database::with_orders("times_and_dates_reach_to_the_ends", &format!("at DateTime, day Date, {PLACE}")).await
    else {
        return;
    };
    let deployment = Deployment::embedded();
    let values = [
        r#"{"at":"1970-01-01T00:00:00Z","day":"1970-01-01"}"#,
        r#"{"at":"2106-02-07T06:28:15Z","day":"2105-12-31"}"#,
        r#"{"at":"1969-12-31T23:59:59Z"}"#,
        r#"{"at":"2106-02-07T06:28:16Z"}"#,
        r#"{"day":"1969-12-31"}"#,
        r#"{"day":"2106-01-01"}"#,
    ];
    deployment.produce_values("orders", &values).await;
    assert_eq!(deployment.until_done(&events(&db, "", "")).await.outcome, Outcome::Clean);
    let rows = db.query("SELECT toUnixTimestamp(at), toString(day), toUInt16(day) FROM orders ORDER BY _offset").await;
    assert_eq!(rows, ["0|0000-00-00|0", "4294967295|2105-12-31|49672"]);
    let dead = letters(&deployment).await;
    assert_eq!(dead, values[2..].iter().map(|value| ("clickhouse.type".to_owned(), (*value).to_owned())).collect::<Vec<_>>());
}
