//! The whole line on real servers: mock-sap → `odata` → Kafka → `sql` → PostgreSQL.

use std::collections::BTreeMap;
use std::fs;

use support::sap::{Plain, V4};
use support::servers::Server;
use tokio_postgres::{Client, NoTls};

use crate::{shown, stdout, wharf};

async fn rows(warehouse: &Client) -> BTreeMap<String, String> {
    let query = r#"SELECT "SalesOrder", "PurchaseOrderByCustomer" FROM sap_orders"#;
    warehouse.query(query, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_equal_the_entity_set_an_update_updates_its_row_and_a_restart_repeats_nothing() {
    let test = "mock-sap to PostgreSQL over Kafka";
    let (Some(sap), Some(kafka), Some(postgres)) =
        (Server::MockSap.address(test), Server::Kafka.address(test), Server::Postgres.address(test))
    else {
        return;
    };
    let plain = Plain::new(&sap).await;
    let (warehouse, connection) = tokio_postgres::connect(&postgres, NoTls).await.unwrap();
    tokio::spawn(connection);
    warehouse.batch_execute("DROP TABLE IF EXISTS sap_orders").await.unwrap();
    // A name of its own: an earlier run on the same cluster would be gone on from.
    let name = format!("sap-{}", std::process::id());
    let toml = format!(
        r#"name = "{name}"
create = true
[kafka]
bootstrap.servers = "{kafka}"
[[source]]
name = "orders"
component = "odata"
topic = "{name}.orders"
config = {{ service = "http://{authority}{V4}", entity = "SalesOrder", cursor = "LastChangeDate", page-size = 7, interval = "1s" }}
allow.http = ["http://{authority}"]
[source.auth."{authority}"]
basic = {{ user = "sap", password = "secret" }}
[connection.warehouse]
url = "{postgres}"
[[sink]]
name = "warehouse"
component = "sql"
topics = ["{name}.orders"]
config = {{ connection = "warehouse", table = "sap_orders", key = ["SalesOrder"] }}
allow.sql = ["warehouse"]
"#,
        authority = plain.authority
    );
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sap.toml"), toml).unwrap();
    let run = |read: usize| {
        let run = wharf(dir.path(), &["run", "sap.toml", "--until-done"]);
        assert!(run.status.success(), "{}", shown(&run));
        // Once from the service, once from the topic.
        let expected = format!("read {0} = delivered {0} + filtered 0 + dead-lettered 0", 2 * read);
        assert_eq!(stdout(&run).lines().last(), Some(expected.as_str()), "{}", shown(&run));
    };
    let expected = plain.orders().await;
    assert!(expected.len() > 20, "{}", expected.len());
    run(expected.len());
    assert_eq!(rows(&warehouse).await, expected);
    run(0);
    let order = expected.keys().nth(3).unwrap();
    plain.rename(order, "changed at the source").await;
    run(1);
    assert_eq!(rows(&warehouse).await.get(order).map(String::as_str), Some("changed at the source"));
    assert_eq!(rows(&warehouse).await, plain.orders().await);
    run(0);
}
