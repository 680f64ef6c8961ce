use super::*;

fn check(text: &str) -> Result<(Config, Findings), ConfigErrors> {
    let env = |name: &str| (name == "SET").then(|| OsString::from("hush"));
    let known = Known {
        components: Some(["csv", "odata", "webhook", "sql", "http", "odoo-sink"].map(str::to_owned).to_vec()),
        ..Known::default()
    };
    Config::check(text, Path::new("retail.toml"), &known, &env)
}

fn errors(text: &str) -> String {
    check(text).expect_err("the configuration is faulty").to_string()
}

const RETAIL: &str = r#"
name = "retail"
[kafka]
bootstrap.servers = "kafka-1:9092"
sasl.password = "${env:SET}"
[[source]]
name      = "erp-orders"
component = "odata"
topic     = "erp.orders"
tasks     = 1
config    = { service = "https://erp.example.com/odata/v4/sales", entity = "Orders", cursor = "modifiedAt", key = ["ID"] }
[source.allow]
http = ["erp.example.com"]
[source.auth."erp.example.com"]
basic = { user = "wharf", password = "${env:SET}" }
[[sink]]
name        = "orders-to-warehouse"
component   = "sql"
topics      = ["erp.orders"]
config      = { connection = "warehouse", table = "orders", key = ["ID"] }
allow.sql   = ["warehouse"]
[connection.warehouse]
url = "postgres://${env:SET}@db/warehouse"
"#;

#[test]
fn the_example_of_the_design_is_valid() {
    let (config, findings) = check(RETAIL).unwrap();
    assert!(findings.list.is_empty(), "{findings}");
    assert_eq!(config.name, "retail");
    let LogConfig::Kafka { properties } = &config.log else { panic!("{:?}", config.log) };
    assert_eq!(properties["bootstrap.servers"].expose(), "kafka-1:9092");
    assert_eq!(properties["sasl.password"].expose(), "hush");
    let sink = &config.sinks[0];
    assert_eq!(sink.connector.dead_letter.topic.as_deref(), Some("dlq.retail.orders-to-warehouse"));
    assert_eq!(config.connections["warehouse"].url.expose(), "postgres://hush@db/warehouse");
    assert_eq!(sink.connector.config["key"][0], "ID");
    assert!(!format!("{config:?}").contains("hush"));
}

mod errors_of_references;
mod errors_of_the_file;
mod errors_of_topics;
mod errors_of_transforms;
mod errors_of_values;
mod json_body;
mod oauth;

#[test]
fn a_topic_that_nothing_writes_is_warned_of() {
    let text = r#"[[source]]
name = "feed"
component = "csv"
topic = "stock"
[[sink]]
name = "out"
component = "http"
topics = ["stok", "dlq.wharf.feed"]
"#;
    let (_, findings) = check(text).unwrap();
    let expected = r#"warning: nothing of this deployment writes `stok`
 --> retail.toml:8:11
  |
8 | topics = ["stok", "dlq.wharf.feed"]
  |           ^^^^^^ no source, no [topic] and no dead letter has this name
  |
  = help: did you mean `stock`?

retail.toml: 1 warning"#;
    assert_eq!(findings.to_string(), expected);
}

#[test]
fn a_sink_without_a_source_is_warned_of_where_nobody_else_can_write_its_topic() {
    let sink = "[[sink]]\nname = \"out\"\ncomponent = \"http\"\ntopics = [\"stock\", \"dlq.wharf.other\"]\n\
                [[sink]]\nname = \"other\"\ncomponent = \"http\"\ntopics = { pattern = \"erp.*\" }\n";
    let (_, findings) = check(&format!("{sink}[topic.\"stock\"]\npartitions = 2\n")).unwrap();
    let expected = r#"warning: nothing of this deployment writes `stock`
 --> retail.toml:4:11
  |
4 | topics = ["stock", "dlq.wharf.other"]
  |           ^^^^^^^ there is no [[source]], and no [kafka]
  |
  = help: the embedded log holds only what sources of this file write: add a [[source]], or [kafka] where others write it

warning: nothing of this deployment writes a topic that this pattern takes
 --> retail.toml:8:10
  |
8 | topics = { pattern = "erp.*" }
  |          ^^^^^^^^^^^^^^^^^^^^^ there is no [[source]], and no [kafka]
  |
  = help: the embedded log holds only what sources of this file write: add a [[source]], or [kafka] where others write it

retail.toml: 2 warnings"#;
    assert_eq!(findings.to_string(), expected);
    let (_, findings) = check(&format!("name = \"shop\"\n[kafka]\nbootstrap.servers = \"k:9092\"\n{sink}")).unwrap();
    assert_eq!(findings.list.len(), 0, "others may write to Kafka: {findings}");
    // The second sink's pattern takes a topic that a route leads to.
    let source = "[[source]]\nname = \"in\"\ncomponent = \"csv\"\ntopic = \"stock\"\n[[source.transform]]\nroute = { to = \"erp.stock\" }\n";
    let (_, findings) = check(&format!("{source}{sink}")).unwrap();
    assert_eq!(findings.list.len(), 0, "{findings}");
}

#[test]
fn who_only_looks_needs_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.toml");
    let text = "[[sink]]\nname = \"out\"\ncomponent = \"sql\"\ntopics = [\"t\"]\nallow.sql = [\"w\"]\n[connection.w]\nurl = \"${env:WHARF_TEST_NOT_SET}\"\n";
    std::fs::write(&path, text).unwrap();
    assert!(Config::load(&path).is_err());
    let known = Known { without_secrets: true, ..Known::default() };
    assert!(Config::load_with(&path, &known).is_ok());
}
