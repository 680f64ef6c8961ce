//! The worker's TOML: what it reads, and into which topics and tables.

use serde_json::Value;

use super::Day;
use super::sap::PRICES_V2;
use super::tables::{COUNTS, LINES, ORDERS, PRICES, PRODUCTS, Table};

/// A source of a topic; `grants` are tables of the section, behind its `config`.
fn source(component: &str, topic: &Table, config: &str, grants: &str) -> String {
    let name = topic.name;
    format!(
        "\n[topic.\"{{t}}{name}\"]\npartitions = 3\n\n[[source]]\nname = \"{name}\"\ncomponent = \"{component}\"\ntopic = \"{{t}}{name}\"\n\
         retry = {{ initial = \"100ms\", max = \"500ms\" }}\n{grants}\n[source.config]\n{config}\n"
    )
}

/// A sink. It takes its place in the group again at once, whoever had it before was killed.
fn sink(name: &str, section: &str) -> String {
    let retry = "retry = { initial = \"100ms\", max = \"500ms\" }";
    format!("\n[[sink]]\nname = \"{name}\"\ntasks = 2\n{retry}\n{section}\n[sink.kafka]\ngroup.instance.id = \"{name}\"\n")
}

/// A sink of topics into the PostgreSQL tables of the same names.
fn to_postgres(name: &str, tables: &[&Table]) -> String {
    let topics: Vec<_> = tables.iter().map(|table| format!("\"{{t}}{}\"", table.name)).collect();
    let names: Vec<_> = tables.iter().map(|table| format!("\"{{t}}{0}\" = \"{0}\"", table.name)).collect();
    let key = tables[0].fields()[..tables[0].key].to_vec();
    let section = format!(
        "component = \"sql\"\ntopics = [{}]\nallow.sql = [\"warehouse\"]\n\
         config = {{ connection = \"warehouse\", tables = {{ {} }}, key = {key:?}, schema = \"strict\" }}",
        topics.join(", "),
        names.join(", ")
    );
    sink(name, &section)
}

/// The files of the warehouse system.
fn counts() -> String {
    let types = r#"types = { version = "int", quantity = "int", counted_at = "timestamp", corrected_at = "timestamp" }"#;
    let key = r#"key = ["sku", "warehouse", "counted_at"]"#;
    let config = format!("path = \"wms\"\npattern = \"*.csv\"\n{key}\nnull = \"\"\ninterval = \"200ms\"\n{types}");
    source("csv", &COUNTS, &config, "allow.files = [\"wms\"]")
}

impl Day {
    /// A sink of topics into the ClickHouse tables of the same names; `more` are keys of its configuration.
    fn to_clickhouse(&self, name: &str, tables: &[&Table], more: &str) -> String {
        let (url, database) = (&self.line, &self.clickhouse.name);
        let topics: Vec<_> = tables.iter().map(|table| format!("\"{{t}}{}\"", table.name)).collect();
        let names: Vec<_> = tables.iter().map(|table| format!("\"{{t}}{0}\" = \"{0}\"", table.name)).collect();
        let section = format!(
            "component = \"clickhouse\"\ntopics = [{}]\nallow.http = [\"{url}\"]\n\
             batch = {{ records = 10_000, bytes = \"8MiB\", linger = \"300ms\" }}\n\
             config = {{ url = \"{url}\", database = \"{database}\", tables = {{ {} }}, times = \"cut\"{more} }}",
            topics.join(", "),
            names.join(", ")
        );
        sink(name, &section)
    }

    pub fn worker(&self) -> String {
        let warehouse = format!("\n[connection.warehouse]\nurl = \"{}\"\n", self.postgres.url);
        [
            warehouse,
            counts(),
            self.erp(&ORDERS, "sale.order"),
            self.erp(&LINES, "sale.order.line"),
            self.sap(&PRODUCTS, support::sap::PRODUCTS_V4, "Product", "cursor = \"LastChangeDate\""),
            self.sap(&PRICES, PRICES_V2, "ProductSet", ""),
            to_postgres("counts-to-postgres", &[&COUNTS]),
            to_postgres("orders-to-postgres", &[&ORDERS, &LINES]),
            to_postgres("products-to-postgres", &[&PRODUCTS]),
            to_postgres("prices-to-postgres", &[&PRICES]),
            self.to_clickhouse("orders-to-clickhouse", &[&ORDERS, &LINES], ", key = [\"id\"], deleted = \"_deleted\""),
            self.to_clickhouse("others-to-clickhouse", &[&COUNTS, &PRODUCTS, &PRICES], ""),
        ]
        .concat()
    }

    /// A model of Odoo.
    fn erp(&self, table: &Table, model: &str) -> String {
        let (odoo, domain) = (&self.erp.odoo, self.erp.domain(table));
        let (url, authority, key) = (&odoo.url, odoo.authority(), self.deployment.path("key"));
        let config = format!(
            "url = \"{url}\"\ndatabase = \"{}\"\nmodel = \"{model}\"\nfields = {:?}\ndomain = {domain}\ninterval = \"300ms\"\n\
             overlap = \"60s\"\npage-size = 50\ndeletions = \"sweep\"\nsweep-interval = \"1s\"",
            odoo.database,
            table.fields()
        );
        let auth = format!(
            "[source.allow]\nhttp = [\"{url}\"]\n[source.auth.\"{authority}\"]\nbearer = \"${{file:{}}}\"",
            key.display()
        );
        source("odoo", table, &config, &auth)
    }

    /// An entity set of mock-sap.
    fn sap(&self, table: &Table, root: &str, entity: &str, more: &str) -> String {
        let authority = &self.sap.plain.authority;
        let filter = Value::from(format!("startswith({},'{}')", table.fields()[0], self.sap.prefix));
        let config = format!(
            "service = \"http://{authority}{root}\"\nentity = \"{entity}\"\nselect = {:?}\nfilter = {filter}\ninterval = \"300ms\"\n\
             page-size = 10\n{more}",
            table.fields()
        );
        let auth = format!(
            "[source.allow]\nhttp = [\"http://{authority}\"]\n[source.auth.\"{authority}\"]\nbasic = {{ user = \"sap\", password = \"secret\" }}"
        );
        source("odata", table, &config, &auth)
    }
}
