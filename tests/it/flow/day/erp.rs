//! The ERP, Odoo: orders and their lines, made, confirmed, changed, cancelled and, while they are drafts, deleted. Played by a plain client, and
//! read by one.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::odoo::Plain;

use super::chance::Chance;
use super::clock::{Clock, MINUTES, bustle};
use super::tables::{Rows, Table};

/// Minutes between two moments at which something happens.
const STEP: u32 = 15;

/// What happened, as the generator counts it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    pub made: usize,
    pub confirmed: usize,
    pub changed: usize,
    pub cancelled: usize,
    pub deleted: usize,
}

/// An order that the generator still deals with.
struct Order {
    id: i64,
    is_draft: bool,
}

pub struct Erp {
    pub odoo: Plain,
    chance: Chance,
    /// What the references of this run's orders begin with.
    pub prefix: String,
    partner: i64,
    products: Vec<i64>,
    orders: Vec<Order>,
    /// Ids of orders that were deleted.
    pub deleted: BTreeSet<i64>,
    pub figures: Figures,
}

impl Erp {
    /// With a customer and products of its own.
    pub async fn new(odoo: Plain, seed: u64, prefix: &str) -> Self {
        let partner = odoo.create("res.partner", &[json!({ "name": "Day", "ref": prefix })]).await[0];
        let product = |n: u32| {
            let price = f64::from(n) * 3.5 + 0.99;
            json!({ "name": format!("Tea {n}"), "default_code": format!("{prefix}{n}"), "list_price": price, "type": "service" })
        };
        let products = odoo.create("product.product", &(0..8).map(product).collect::<Vec<_>>()).await;
        let (chance, deleted, figures) = (Chance::new(seed, "erp"), BTreeSet::new(), Figures::default());
        Self { odoo, chance, prefix: prefix.to_owned(), partner, products, orders: Vec::new(), deleted, figures }
    }

    /// Orders that nobody here changes afterwards.
    pub async fn set_aside(&mut self, count: usize) -> Vec<i64> {
        let lines = json!([[0, 0, { "product_id": self.products[0], "product_uom_qty": 1 }]]);
        let order = |n: usize| json!({ "partner_id": self.partner, "client_order_ref": format!("{}aside {n}", self.prefix), "order_line": lines });
        self.figures.made += count;
        self.odoo.create("sale.order", &(0..count).map(order).collect::<Vec<_>>()).await
    }

    /// Of which orders, and lines, this run is.
    pub fn domain(&self, of: &Table) -> Value {
        let field = if of.name == "orders" { "client_order_ref" } else { "order_id.client_order_ref" };
        json!([[field, "=like", format!("{}%", self.prefix)]])
    }

    /// Plays the day.
    pub async fn play(&mut self, clock: Clock) {
        for minute in (0..MINUTES).step_by(STEP as usize) {
            clock.until(minute).await;
            self.make(minute).await;
            for _ in 0..=bustle(minute) / 50 {
                self.move_on(minute).await;
            }
        }
    }

    /// New orders of one to three lines; more at noon than at night.
    async fn make(&mut self, minute: u32) {
        let count = (bustle(minute) * 8 + self.chance.below(100)) / 100;
        let mut orders = Vec::new();
        for n in 0..count {
            let mut lines = Vec::new();
            for _ in 0..=self.chance.below(3) {
                let product = self.products[self.chance.below(8) as usize];
                lines.push(json!([0, 0, { "product_id": product, "product_uom_qty": 1 + self.chance.below(9) }]));
            }
            let reference = format!("{}{minute:04}-{n}", self.prefix);
            orders.push(json!({ "partner_id": self.partner, "client_order_ref": reference, "order_line": lines }));
        }
        if orders.is_empty() {
            return;
        }
        let ids = self.odoo.create("sale.order", &orders).await;
        assert_eq!(ids.len(), orders.len());
        self.figures.made += ids.len();
        self.orders.extend(ids.into_iter().map(|id| Order { id, is_draft: true }));
    }

    /// What becomes of orders that are there.
    async fn move_on(&mut self, minute: u32) {
        let share = bustle(minute);
        if let Some(id) = self.some(share, |order| order.is_draft) {
            self.odoo.call("sale.order", "action_confirm", &json!({ "ids": [id] })).await;
            self.orders.iter_mut().filter(|order| order.id == id).for_each(|order| order.is_draft = false);
            self.figures.confirmed += 1;
        }
        if let Some(id) = self.some(share, |_| true) {
            let reference = format!("{}{minute:04} once more, {}", self.prefix, self.figures.changed);
            self.odoo.write("sale.order", &[id], json!({ "client_order_ref": reference })).await;
            self.figures.changed += 1;
        }
        if let Some(id) = self.some(share / 2, |order| order.is_draft) {
            let lines = self.odoo.read("sale.order.line", &json!([["order_id", "=", id]]), &["id"]).await;
            let line = lines[0]["id"].as_i64().unwrap();
            self.odoo.write("sale.order.line", &[line], json!({ "product_uom_qty": 1 + self.chance.below(30) })).await;
            self.figures.changed += 1;
        }
        if let Some(id) = self.some(share / 3, |_| true) {
            self.odoo.call("sale.order", "action_cancel", &json!({ "ids": [id] })).await;
            self.orders.retain(|order| order.id != id);
            self.figures.cancelled += 1;
        }
        if let Some(id) = self.some(share / 3, |order| order.is_draft) {
            self.odoo.unlink("sale.order", &[id]).await;
            self.orders.retain(|order| order.id != id);
            self.deleted.insert(id);
            self.figures.deleted += 1;
        }
    }

    /// With this chance, one of the orders that are like that.
    fn some(&mut self, percent: u32, is: impl Fn(&Order) -> bool) -> Option<i64> {
        let ids: Vec<i64> = self.orders.iter().filter(|order| is(order)).map(|order| order.id).collect();
        if ids.is_empty() || !self.chance.percent(percent) {
            return None;
        }
        Some(ids[self.chance.below(u32::try_from(ids.len()).unwrap()) as usize])
    }

    /// What Odoo holds of this run.
    pub async fn read(&self, table: &Table) -> Rows {
        let model = if table.name == "orders" { "sale.order" } else { "sale.order.line" };
        let records = self.odoo.read(model, &self.domain(table), &table.fields()).await;
        table.of_json(&records)
    }
}
