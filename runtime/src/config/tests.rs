use super::*;

fn check(text: &str) -> Result<(Config, Findings), ConfigErrors> {
    let env = |name: &str| (name == "SET").then(|| OsString::from("hush"));
    let known = Known { components: Some(["csv", "odata", "webhook", "sql", "http"].map(str::to_owned).to_vec()) };
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

mod errors_of_the_file;
mod errors_of_transforms;
mod errors_of_values;
