//! Both sides of each line, as plain clients read them, in one form: what the systems hold, and what has arrived.

use serde_json::{Value, json};
use support::sap::{PRODUCTS_V4, text};

use super::day::{ARTICLES, DECISIONS, EARLY_DECISION, TEXT_DECISION, TEXT_SESSION, UNKNOWN};
use super::site::Site;
use crate::sql::rules::Database as _;

/// A value as it stands in a row; NULL as databases write it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(false) => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn utc(column: &str) -> String {
    format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')")
}

impl Site {
    pub async fn customers_of_odoo(&self) -> Vec<String> {
        let domain = json!([["ref", "=like", format!("{}%", self.prefix)]]);
        let rows = self.odoo.read("res.partner", &domain, &["ref", "name", "active"]).await;
        rows.iter().map(|row| [&row["id"], &row["ref"], &row["name"], &row["active"]].map(cell).join("|")).collect()
    }

    pub async fn customers(&self) -> Vec<String> {
        self.warehouse.read("SELECT id, ref, name, CASE WHEN active THEN 'true' ELSE 'NULL' END FROM customers ORDER BY id").await
    }

    /// Orders of Odoo: of these ids, or those that are confirmed.
    pub async fn orders_of_odoo(&self, ids: Option<&[i64]>) -> Vec<String> {
        let confirmed = json!([["state", "=", "sale"], ["partner_id.ref", "=like", format!("{}%", self.prefix)]]);
        let domain = ids.map_or(confirmed, |ids| json!([["id", "in", ids]]));
        let fields = ["name", "partner_id", "client_order_ref", "date_order", "amount_total"];
        let rows = self.odoo.read("sale.order", &domain, &fields).await;
        let row = |row: &Value| {
            let head = ["id", "name", "partner_id", "client_order_ref", "date_order"].map(|name| cell(&row[name])).join("|");
            format!("{head}|{:.2}", row["amount_total"].as_f64().unwrap())
        };
        rows.iter().map(row).collect()
    }

    pub async fn orders(&self) -> Vec<String> {
        let at = utc("ordered_at");
        self.warehouse.read(&format!("SELECT id, number, customer, reference, {at}, total FROM orders ORDER BY id")).await
    }

    /// The last state of each order among the facts.
    pub async fn orders_of_facts(&self) -> Vec<String> {
        let last = |column: &str| format!("argMax({column}, _offset)");
        let columns = [last("number"), last("customer"), last("reference"), format!("toString({}, 'UTC')", last("ordered_at"))];
        let total = format!("toString({})", last("total"));
        self.facts.query(&format!("SELECT id, {}, {total} FROM orders GROUP BY id ORDER BY id", columns.join(", "))).await
    }

    pub async fn products_of_sap(&self) -> Vec<String> {
        let path = format!("{PRODUCTS_V4}/ProductDescription?$filter=startswith(Product,%27{}%27)&$orderby=Product", self.prefix);
        let all = self.sap.get(&path).await;
        all["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| [&row["Product"], &row["ProductDescription"]].map(cell).join("|"))
            .collect()
    }

    pub async fn products(&self) -> Vec<String> {
        self.warehouse.read("SELECT sku, name FROM products ORDER BY sku").await
    }

    /// Articles of Odoo: number, name and quantity on hand.
    pub async fn stock_of_odoo(&self) -> Vec<String> {
        let domain = json!([["default_code", "=like", format!("{}%", self.prefix)]]);
        let rows = self.odoo.read("product.product", &domain, &["default_code", "name", "qty_available"]).await;
        let row = |row: &Value| {
            format!("{}|{}|{}", text(row, "default_code"), text(row, "name"), row["qty_available"].as_f64().unwrap())
        };
        let mut rows: Vec<_> = rows.iter().map(row).collect();
        rows.sort();
        rows
    }

    /// Articles of SAP, and their item category group.
    pub async fn categories_of_sap(&self) -> Vec<String> {
        let products = self.sap.products(&self.prefix).await;
        products.iter().map(|(name, product)| format!("{name}|{}", text(product, "ItemCategoryGroup"))).collect()
    }

    pub async fn inventory(&self) -> Vec<String> {
        self.warehouse.read(&format!("SELECT sku, quantity, {} FROM inventory ORDER BY sku", utc("counted_at"))).await
    }

    /// The shop's sessions, without the one that has a text for a number.
    pub fn sessions_of_shop(&self) -> Vec<String> {
        let fields = ["session", "customer", "pages", "device", "started_at", "updated_at"];
        let plain = |name: &str, value: &Value| {
            if name.ends_with("_at") { cell(value).replace('T', " ").replace('Z', "") } else { cell(value) }
        };
        let sessions = self.shop.sessions();
        let good = sessions.iter().filter(|session| session["session"] != self.number(TEXT_SESSION));
        good.map(|session| fields.map(|name| plain(name, &session[name])).join("|")).collect()
    }

    pub async fn sessions(&self) -> Vec<String> {
        let (started, updated) = (utc("started_at"), utc("updated_at"));
        let columns = format!("session, customer, pages, device, {started}, {updated}");
        self.warehouse.read(&format!("SELECT {columns} FROM sessions ORDER BY session")).await
    }

    pub async fn sessions_of_facts(&self) -> Vec<String> {
        let times = "toString(started_at, 'UTC'), toString(updated_at, 'UTC')";
        self.facts
            .query(&format!("SELECT session, ifNull(customer, 'NULL'), pages, device, {times} FROM sessions ORDER BY session"))
            .await
    }

    /// Rows of a table of facts that another row has the place of.
    pub async fn facts_twice(&self, table: &str) -> Vec<String> {
        self.facts.query(&format!("SELECT count() - uniqExact(_topic, _partition, _offset) FROM {table}")).await
    }

    /// The decisions that can be a row, now that the unknown customer is there or not.
    pub fn decisions_of_shop(&self, known: bool) -> Vec<String> {
        let good = (0..DECISIONS).filter(|n| *n != TEXT_DECISION && (known || *n != EARLY_DECISION));
        let row = |n: usize| {
            let decision = self.decision(n);
            let granted = if decision["granted"] == true { "t" } else { "f" };
            format!("{}|{}|{granted}|{}", text(&decision, "decision"), text(&decision, "customer"), text(&decision, "discount"))
        };
        good.map(row).collect()
    }

    pub async fn decisions(&self) -> Vec<String> {
        self.warehouse.read("SELECT decision, customer, granted, discount FROM promotion_decisions ORDER BY decision").await
    }

    /// Who is on the list of those who agreed: the customer's number, and whether it has left.
    pub async fn members(&self) -> Vec<String> {
        let domain = json!([["list_id", "=", self.audience]]);
        let rows = self.odoo.read("mailing.subscription", &domain, &["contact_id", "opt_out"]).await;
        let mut members = Vec::new();
        for row in rows {
            let contact = &self.odoo.read("mailing.contact", &json!([["id", "=", row["contact_id"]]]), &["email"]).await[0];
            let number = text(contact, "email").replace(&self.prefix.to_lowercase(), "").replace("@example.com", "");
            members.push(format!("{number} {}", row["opt_out"]));
        }
        members.sort();
        members
    }

    /// The warehouse's inventory as it was counted last: sku, quantity, time.
    pub fn counted(&self) -> Vec<(String, &'static str)> {
        let last = |n| match n {
            2 => "0",
            4 => "9",
            n => super::day::quantity(n),
        };
        (0..ARTICLES).map(|n| (self.number(n), last(n))).collect()
    }

    /// Connector, code and text of each dead letter that has to be, by connector.
    pub fn expected_letters(&self) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
        let (session, decision) = (self.number(TEXT_SESSION), |n| self.number(n));
        let unknown = || format!("\"{}\"", self.number(UNKNOWN));
        vec![
            ("counts", vec![("csv.type", "plenty".to_owned())]),
            ("inventory-to-warehouse", vec![("sql.foreign-key", unknown())]),
            ("stock-to-odoo", vec![("odoo.refused", unknown())]),
            ("stock-to-sap", vec![("odata.missing", unknown())]),
            ("sessions-to-warehouse", vec![("sql.type", format!("\"{session}\""))]),
            ("sessions-to-facts", vec![("clickhouse.type", format!("\"{session}\""))]),
            (
                "decisions-to-warehouse",
                vec![
                    ("sql.foreign-key", format!("\"{}\"", decision(EARLY_DECISION))),
                    ("sql.type", format!("\"{}\"", decision(TEXT_DECISION))),
                ],
            ),
            ("consents-to-audience", vec![("audience.consent", "perhaps".to_owned())]),
        ]
    }
}
