//! The systems of one run of the example, each with what is of this run alone, and the shipped TOML with their addresses.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::sap::{self, PRODUCTS_V4};
use support::servers::Server;

use super::super::deployment::{Deployment, PATIENCE, Running};
use super::super::free_port;
use super::shop::{self, Shop};
use crate::clickhouse::database::Database as ClickHouse;
use crate::sql::database::Postgres;
use crate::sql::rules::Database as _;

/// The file that is run, in the example's folder and in that of the test.
pub const FILE: &str = "retail-live.toml";

pub struct Site {
    pub deployment: Deployment,
    pub odoo: support::odoo::Plain,
    pub sap: sap::Plain,
    pub warehouse: Postgres,
    pub facts: ClickHouse,
    pub shop: Shop,
    /// What the numbers of this run's customers, articles and orders begin with.
    pub prefix: String,
    /// Ids of Odoo's mailing lists.
    pub newsletter: i64,
    pub audience: i64,
    /// Where webhooks and `/metrics` are.
    pub listen: String,
}

fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/retail-live");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

impl Site {
    /// `None` where one of the servers is missing.
    pub async fn new(test: &str) -> Option<Self> {
        let deployment = Deployment::kafka(test)?;
        let odoo = support::odoo::Plain::new(test)?;
        let sap = sap::Plain::new(&Server::MockSap.address(test)?).await;
        let warehouse = Postgres::new(test).await?;
        let facts = ClickHouse::new(test).await?;
        let (shop, shop_port) = Shop::start().await;
        warehouse.execute(&shipped("warehouse.sql")).await;
        let statements = shipped("facts.sql");
        for statement in statements.split(';').filter(|statement| statement.contains("CREATE")) {
            facts.execute(statement).await;
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() % 10_000_000_000;
        let prefix = format!("R{now}-");
        let lists = ["newsletter", "audience"].map(|name| json!({ "name": format!("{prefix}{name}") }));
        let lists = odoo.create("mailing.list", &lists).await;
        let listen = format!("127.0.0.1:{}", free_port());
        let site =
            Self { deployment, odoo, sap, warehouse, facts, shop, prefix, newsletter: lists[0], audience: lists[1], listen };
        site.configure(shop_port);
        Some(site)
    }

    /// The shipped file, of whose lines only the name, the names of topics, and values of `[vars]` are others.
    fn configure(&self, shop_port: u16) {
        let secrets = [
            ("odoo-key", self.odoo.key.as_str()),
            ("sap-password", "secret"),
            ("clickhouse-password", "secret"),
            ("mask-salt", "salt"),
            ("webhook-secret", shop::SECRET),
            ("shop-token", "first"),
            ("warehouse-url", &self.warehouse.url),
        ];
        for (name, value) in secrets {
            self.deployment.write(&format!("secrets/{name}"), value);
        }
        let of = |text: &str| format!("{text:?}");
        let vars = [
            ("kafka", of(self.deployment.bootstrap())),
            ("listen", of(&self.listen)),
            ("odoo", of(self.odoo.url.trim_end_matches('/'))),
            ("database", of(&self.odoo.database)),
            ("sap", of(&format!("http://{}", self.sap.authority))),
            ("shop", of(&format!("http://127.0.0.1:{shop_port}"))),
            ("clickhouse", of(self.facts.url.trim_end_matches('/'))),
            ("facts", of(&self.facts.name)),
            ("customers", of(&format!("{}%", self.prefix))),
            ("articles", of(&self.prefix)),
            ("newsletter", of(&self.newsletter.to_string())),
            ("audience", of(&self.audience.to_string())),
            ("interval", of("500ms")),
            ("sweep", of("2s")),
        ];
        let name = self.deployment.name();
        let mut text = shipped(FILE).replace("\"retail-live\"", &of(name)).replace("\"retail.", &format!("\"{name}."));
        for (var, value) in vars {
            let line = text.lines().find(|line| line.split('=').next().is_some_and(|key| key.trim() == var));
            let line = line.unwrap_or_else(|| panic!("no variable {var}")).to_owned();
            text = text.replacen(&format!("\n{line}\n"), &format!("\n{var} = {value}\n"), 1);
        }
        self.deployment.write(FILE, text);
        self.deployment.write("wms/.keep", "");
    }

    pub async fn start(&self) -> Running {
        self.deployment.start_file(FILE).await
    }

    /// A number of this run.
    pub fn number(&self, n: usize) -> String {
        format!("{}{n:03}", self.prefix)
    }

    /// Makes customers of these numbers in Odoo; their ids.
    pub async fn create_customers(&self, numbers: std::ops::Range<usize>) -> Vec<i64> {
        let customer = |n| json!({ "ref": self.number(n), "name": format!("Customer {n}"), "email": self.address(n) });
        self.odoo.create("res.partner", &numbers.map(customer).collect::<Vec<_>>()).await
    }

    /// The address of a customer.
    pub fn address(&self, n: usize) -> String {
        format!("{}@example.com", self.number(n)).to_lowercase()
    }

    /// Makes articles of these numbers in SAP.
    pub async fn create_articles(&self, numbers: std::ops::Range<usize>) {
        for n in numbers {
            let product =
                json!({ "Product": self.number(n), "ProductType": "FERT", "BaseUnit": "PC", "ItemCategoryGroup": "NORM" });
            self.sap.send("POST", &format!("{PRODUCTS_V4}/Product"), &product.to_string()).await;
            let text = json!({ "Product": self.number(n), "Language": "EN", "ProductDescription": format!("Article \"{n}\" ä") });
            self.sap.send("POST", &format!("{PRODUCTS_V4}/ProductDescription"), &text.to_string()).await;
        }
    }

    /// The warehouse gets a file of counts: it is there whole or not at all.
    pub fn count(&self, file: &str, counts: &[(String, &str)]) {
        let rows = counts.iter().map(|(sku, quantity)| format!("{sku},{quantity},2024-05-01T10:00:00Z\n"));
        let text: String = std::iter::once("sku,quantity,counted_at\n".to_owned()).chain(rows).collect();
        self.deployment.write("new.csv", text);
        std::fs::rename(self.deployment.path("new.csv"), self.deployment.path(&format!("wms/{file}"))).unwrap();
    }

    /// Posts to a webhook, until it is taken.
    pub async fn post(&self, path: &str, body: &Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = shop::post(&self.listen, path, body, shop::SECRET).await;
            if status == 200 {
                return;
            }
            assert!(matches!(status, 0 | 503) && Instant::now() < deadline, "{path}: {status}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until a query of the warehouse answers this.
    pub async fn when(&self, query: &str, expected: &[String]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.warehouse.read(query).await;
            if found == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{query}: {found:?}, not {expected:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until a table of the warehouse has so many rows.
    pub async fn when_rows(&self, table: &str, rows: usize) {
        self.when(&format!("SELECT count(*) FROM {table}"), &[rows.to_string()]).await;
    }

    /// Waits until what keeps the consents knows that these customers have withdrawn.
    pub async fn when_withdrawn(&self, customers: &[usize]) {
        let hashes: Vec<_> = customers.iter().map(|n| format!("encode(sha256('{}'), 'hex')", self.address(*n))).collect();
        let members = format!(
            "SELECT count(DISTINCT member) FROM audience_consent WHERE mark = 'withdrawn' AND member IN ({})",
            hashes.join(", ")
        );
        self.when(&members, &[customers.len().to_string()]).await;
    }

    /// Waits until nothing is read any more: three looks, a second apart, at the same counters, and nothing in flight.
    pub async fn when_still(&self, running: &Running) {
        let deadline = Instant::now() + PATIENCE;
        let mut looks = Vec::new();
        while looks.len() < 3 {
            let snapshot = running.telemetry.snapshot();
            let look: Vec<_> =
                snapshot.connectors().iter().map(|row| (row.read, row.delivered, row.dead_lettered, row.in_flight)).collect();
            if looks.last().is_some_and(|last| *last != look) || look.iter().any(|(.., in_flight)| *in_flight > 0) {
                looks.clear();
            }
            looks.push(look);
            assert!(Instant::now() < deadline, "never still: {snapshot:#?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
