//! `wharf dlq`: letters are shown, the cause is mended, and their records arrive, once, where they were missing.

use serde_json::{Value, json};

use crate::shown;
use crate::site::Site;
use crate::stdout;

/// One sink that refuses large quantities, and one that takes every row and shows what comes twice.
fn sinks(more: &str) -> String {
    format!(
        r#"
[[sink]]
name = "store"
component = "sql"
topics = ["{{t}}"]
config = {{ connection = "warehouse", table = "stock", key = ["sku"] }}
allow.sql = ["warehouse"]
{more}

[[sink]]
name = "copy"
component = "sql"
topics = ["{{t}}"]
config = {{ connection = "warehouse", table = "copy" }}
allow.sql = ["warehouse"]
"#
    )
}

const STRICT: &str = "CREATE TABLE stock (sku TEXT PRIMARY KEY, quantity INTEGER CHECK (quantity < 100))";
const MENDED: &str = "ALTER TABLE stock RENAME TO strict; CREATE TABLE stock (sku TEXT PRIMARY KEY, quantity INTEGER);
    INSERT INTO stock SELECT * FROM strict; DROP TABLE strict";

fn stock(site: &Site) -> Vec<String> {
    site.rows("SELECT sku, quantity FROM stock ORDER BY sku")
}

fn redrive(site: &Site, more: &[&str]) -> String {
    site.said(&[&["dlq", "redrive", "wharf.toml", "store"], more].concat())
}

fn counts(site: &Site) -> Value {
    let list = site.json(&["dlq", "ls", "wharf.toml", "--json"]);
    let one = |row: &Value| ["connector", "code", "stage", "letters", "redriven"].map(|name| row[name].clone());
    json!(list.as_array().unwrap().iter().map(one).collect::<Vec<_>>())
}

fn records_come_back_once_after_the_cause_is_mended(site: &Site) {
    site.configure(&sinks(""));
    site.execute(STRICT);
    site.feed("a.csv", &["A,1", "B,500", "C,600", "D,700"]);
    site.run();
    site.feed("b.csv", &["D,4", "E,5"]);
    site.run();
    assert_eq!(stock(site), ["A|1", "D|4", "E|5"]);
    assert_eq!(counts(site), json!([["store", "sql.check", "TASK_PUT", 3, 0]]));

    let said = site.said(&["dlq", "show", "wharf.toml", "store", "--place", &format!("{}/0/1", site.topic())]);
    for words in
        [&format!("of {}/0/1", site.topic()), "sql.check: ", "attempt 1, at TASK_PUT", r#"{"sku":"B"}"#, r#""quantity":500"#]
    {
        assert!(said.contains(words), "`{words}` is not in {said}");
    }
    assert_eq!(said.matches("reason").count(), 1, "{said}");
    let shown = site.said(&["dlq", "show", "wharf.toml", "store", "--json", "-n", "2"]);
    assert_eq!(shown.lines().count(), 2);
    let none = site.wharf(&["dlq", "show", "wharf.toml", "store", "--code", "sql.type"]);
    assert!(none.status.success() && stdout(&none).is_empty(), "{}", stdout(&none));
    assert!(
        crate::stderr(&none).contains("the filter matches none of the 3 dead letters of `store`"),
        "{}",
        crate::stderr(&none)
    );
    let none = redrive(site, &["--dry-run", "--code", "sql.type"]);
    assert!(none.contains("0 of 0") && none.contains("the filter matches none of the 3 dead letters of `store`"), "{none}");
    assert!(site.said(&["dlq", "show", "wharf.toml", "store", "--until", "2020-01-01T00:00:00Z"]).is_empty());

    site.execute(MENDED);
    let dry = redrive(site, &["--dry-run"]);
    assert!(dry.contains("2 of 3 letters would be sent") && dry.contains("1  stay: overtaken"), "{dry}");
    let only = redrive(site, &["--place", &format!("{}/0/2", site.topic())]);
    assert!(only.contains("1 of 1 letters sent back"), "{only}");
    let rest = redrive(site, &["--rate", "100/s", "--code", "sql.check"]);
    assert!(rest.contains("1 of 3 letters sent back") && rest.contains("1  stay: sent back before"), "{rest}");
    assert!(rest.contains("1  stay: overtaken"), "{rest}");
    site.run();
    assert_eq!(stock(site), ["A|1", "B|500", "C|600", "D|4", "E|5"], "D did not go back in time");
    let copy = site.rows("SELECT sku, quantity FROM copy ORDER BY 1, 2");
    assert_eq!(copy, ["A|1", "B|500", "C|600", "D|4", "D|700", "E|5"], "the other sink took none of them twice");
    assert_eq!(counts(site), json!([["store", "sql.check", "TASK_PUT", 3, 2]]));

    assert!(redrive(site, &[]).starts_with("0 of 3 letters sent back"), "nothing is sent twice");
    site.run();
    assert_eq!(stock(site), ["A|1", "B|500", "C|600", "D|4", "E|5"]);
    let forced = redrive(site, &["--overtaken"]);
    assert!(forced.starts_with("1 of 3 letters sent back"), "{forced}");
    site.run();
    assert_eq!(stock(site)[3], "D|700", "as asked");
    assert_eq!(site.rows("SELECT count(*) FROM copy"), ["6"]);
}

#[test]
fn records_come_back_once_after_the_cause_is_mended_on_the_embedded_log() {
    records_come_back_once_after_the_cause_is_mended(&Site::embedded());
}

#[test]
fn records_come_back_once_after_the_cause_is_mended_on_kafka() {
    let Some(site) = Site::kafka("dlq-mended") else { return };
    records_come_back_once_after_the_cause_is_mended(&site);
}

/// What `wharf.attempt` says on each letter, in order.
fn attempts(site: &Site) -> Vec<String> {
    let shown = site.said(&["dlq", "show", "wharf.toml", "store", "--json"]);
    let attempt = |line: &str| serde_json::from_str::<Value>(line).unwrap()["died"]["attempt"].to_string();
    shown.lines().map(attempt).collect()
}

#[test]
fn a_record_that_dies_again_and_again_stays_in_the_end() {
    for site in [Some(Site::embedded()), Site::kafka("dlq-loop")].into_iter().flatten() {
        site.configure(&sinks(""));
        site.execute(STRICT);
        site.feed("a.csv", &["B,500"]);
        site.run();
        for round in 1..=3 {
            let said = redrive(&site, &[]);
            assert!(said.starts_with(&format!("1 of {round} letters sent back")), "{said}");
            site.run();
        }
        assert_eq!(attempts(&site), ["1", "2", "3", "4"]);
        let said = redrive(&site, &[]);
        assert!(said.starts_with("0 of 4") && said.contains("1  stay: died more often than --max-attempts"), "{said}");
        let topic = site.said(&["topic", "cat", "wharf.toml", &site.topic(), "--json"]);
        assert_eq!(topic.lines().count(), 4, "{topic}");
        // The same key, value and time each time.
        let first = |line: &str| {
            let record: Value = serde_json::from_str(line).unwrap();
            ["key", "value", "timestamp"].map(|name| record[name].to_string())
        };
        let all: std::collections::BTreeSet<_> = topic.lines().map(first).collect();
        assert_eq!(all.len(), 1, "{topic}");
        site.execute(MENDED);
        assert!(redrive(&site, &["--max-attempts", "4"]).starts_with("1 of 4"));
        site.run();
        assert_eq!(stock(&site), ["B|500"]);
        assert_eq!(site.rows("SELECT count(*) FROM copy"), ["1"]);
    }
}

#[test]
fn letters_without_their_whole_content_and_raw_input_are_counted_and_stay() {
    let site = Site::embedded();
    site.configure(&sinks("dead-letter = { topic = \"dead\", value = \"omit\" }"));
    site.execute(STRICT);
    site.feed("a.csv", &["A,many", "B,500"]);
    site.run();
    let said = redrive(&site, &[]);
    assert!(said.starts_with("0 of 1") && said.contains("1  stay: without content"), "{said}");
    // The source's own: a quantity that is no number.
    let said = site.said(&["dlq", "redrive", "wharf.toml", "feed"]);
    assert!(said.starts_with("0 of 1") && said.contains("1  stay: raw input of a source"), "{said}");
    let said = site.said(&["dlq", "show", "wharf.toml", "feed"]);
    assert!(said.contains("read by the source, for topic") && said.contains("A,many"), "{said}");
    site.configure(&sinks("max-record-bytes = \"20B\""));
    site.feed("b.csv", &["C,600"]);
    site.run();
    let said = redrive(&site, &[]);
    assert!(said.contains("1  stay: cut when they died"), "{said}");
}

#[test]
fn what_the_log_refused_of_a_source_goes_to_its_topic_as_it_is() {
    let site = Site::embedded();
    let small = "[topic.\"{t}\"]\nconfig = { \"max.message.bytes\" = \"200\" }\n[topic.large]\n";
    site.configure(&format!("{small}{}", sinks("")));
    let long = "L".repeat(200);
    site.feed("a.csv", &["A,1", &format!("{long},2")]);
    site.run();
    assert_eq!(stock(&site), ["A|1"]);
    let again = site.wharf(&["dlq", "redrive", "wharf.toml", "feed"]);
    assert_eq!(again.status.code(), Some(1), "{}", shown(&again));
    let said = stdout(&again);
    assert!(said.starts_with("0 of 1") && said.contains("1  stay: refused by the log"), "{said}");
    let said = site.said(&["dlq", "redrive", "wharf.toml", "feed", "--to", "large"]);
    assert!(said.starts_with("1 of 1 letters sent back"), "{said}");
    let record = site.json(&["topic", "cat", "wharf.toml", "large", "--json"]);
    assert_eq!((&record["key"]["sku"], &record["value"]["quantity"]), (&json!(long), &json!(2)));
    assert_eq!(record["headers"].as_array().unwrap().last(), Some(&json!({ "name": "wharf.attempt", "value": "1" })));
}

#[test]
fn letters_can_go_to_another_topic_where_everybody_takes_them() {
    let site = Site::embedded();
    site.configure(&sinks(""));
    site.execute(STRICT);
    site.feed("a.csv", &["B,500"]);
    site.run();
    site.execute(MENDED);
    let said = redrive(&site, &["--to", "nowhere"]);
    assert!(said.starts_with("0 of 1") && said.contains("of a topic that does not exist"), "{said}");
    site.configure(&format!("[topic.again]\n{}", sinks("").replace("[\"{t}\"]", "[\"{t}\", \"again\"]")));
    site.run();
    assert!(redrive(&site, &["--to", "again"]).contains("1  to again"));
    site.run();
    assert_eq!(stock(&site), ["B|500"]);
    assert_eq!(site.rows("SELECT count(*) FROM copy"), ["2"]);
}

#[test]
fn letters_of_another_deployment_in_a_shared_topic_are_not_counted() {
    let site = Site::embedded();
    site.configure(&sinks("dead-letter = \"dlq.shared\""));
    site.execute(STRICT);
    site.feed("a.csv", &["A,1", "B,500"]);
    site.run();
    assert_eq!(counts(&site), json!([["store", "sql.check", "TASK_PUT", 1, 0]]));
    let config = std::fs::read_to_string(site.path("wharf.toml")).unwrap();
    std::fs::write(site.path("wharf.toml"), config.replace("name = \"wharf\"", "name = \"other\"")).unwrap();
    assert_eq!(counts(&site), json!([]));
}

#[test]
fn letters_of_a_deployment_that_never_had_one_are_none() {
    let site = Site::embedded();
    site.configure(&sinks(""));
    site.feed("a.csv", &["A,1"]);
    site.run();
    assert_eq!(counts(&site), json!([]));
    assert!(redrive(&site, &[]).starts_with("0 of 0"));
    let unknown = site.wharf(&["dlq", "redrive", "wharf.toml", "stroe"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", shown(&unknown));
    assert!(stdout(&unknown).is_empty());
}
