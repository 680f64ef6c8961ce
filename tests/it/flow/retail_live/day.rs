//! What happens in the systems of the example, good and bad. Asserts nothing of what arrives.

use serde_json::{Value, json};

use super::site::Site;

pub const CUSTOMERS: usize = 40;
pub const ARTICLES: usize = 12;
pub const ORDERS: usize = 200;
pub const SESSIONS: usize = 120;
pub const DECISIONS: usize = 60;

/// The customer whose decision comes before it is one, and the number of an article that nobody has.
pub const UNKNOWN: usize = 900;
/// The reference of the order that is never confirmed.
pub const DRAFT: &str = "never confirmed";
/// A session and a decision with a text where a number is, and a decision of the unknown customer.
pub const TEXT_SESSION: usize = 77;
pub const TEXT_DECISION: usize = 17;
pub const EARLY_DECISION: usize = 13;

impl Site {
    /// Sessions of the shop, 10 s apart.
    pub fn browse(&self) {
        let session = |n: usize| {
            let updated = format!("2024-05-01T{:02}:{:02}:{:02}Z", 8 + n / 360, n / 6 % 60, n % 6 * 10);
            let customer = if n.is_multiple_of(3) { Value::Null } else { json!(self.number(n % CUSTOMERS)) };
            let pages = if n == TEXT_SESSION { json!("many") } else { json!(n % 9 + 1) };
            let (session, device) = (self.number(n), if n.is_multiple_of(2) { "phone" } else { "desk" });
            json!({ "session": session, "customer": customer, "pages": pages, "device": device, "started_at": "2024-05-01T07:59:00Z", "updated_at": updated })
        };
        self.shop.add((0..SESSIONS).map(session));
    }

    /// Makes orders in Odoo and confirms them, in four parts; their ids. Beside them one of which the customer has not decided yet: a draft.
    pub async fn order(&self, customers: &[i64]) -> Vec<i64> {
        let domain = json!([["default_code", "=like", format!("{}%", self.prefix)]]);
        let products = self.odoo.read("product.product", &domain, &["id"]).await;
        let line = json!({ "product_id": products[0]["id"], "product_uom_qty": 1, "price_unit": 1.00 });
        let draft = json!({ "partner_id": customers[0], "client_order_ref": DRAFT, "order_line": [[0, 0, line]] });
        self.odoo.create("sale.order", &[draft]).await;
        let mut ids = Vec::new();
        for part in 0..4 {
            let order = |n: usize| {
                let line = json!({ "product_id": products[n % products.len()]["id"], "product_uom_qty": 1 + n % 3, "price_unit": 9.99 + n as f64 });
                json!({ "partner_id": customers[n % customers.len()], "client_order_ref": self.number(n), "order_line": [[0, 0, line]] })
            };
            let orders: Vec<_> = (part * ORDERS / 4..(part + 1) * ORDERS / 4).map(order).collect();
            let made = self.odoo.create("sale.order", &orders).await;
            self.odoo.call("sale.order", "action_confirm", &json!({ "ids": made })).await;
            ids.extend(made);
        }
        ids
    }

    pub fn decision(&self, n: usize) -> Value {
        let customer = self.number(if n == EARLY_DECISION { UNKNOWN } else { n % CUSTOMERS });
        let discount = if n == TEXT_DECISION { "much".to_owned() } else { format!("{n}.50") };
        json!({ "decision": self.number(n), "customer": customer, "promotion": "spring", "granted": !n.is_multiple_of(4), "discount": discount, "decided_at": "2024-05-01T09:00:00Z" })
    }

    pub async fn decide(&self, decisions: std::ops::Range<usize>) {
        for n in decisions {
            self.post("/hooks/promotions", &self.decision(n)).await;
        }
    }

    /// What a customer says in the shop, in a month of 2024.
    pub async fn consent(&self, n: usize, newsletter: Value, month: u32) {
        let decided = format!("2024-{month:02}-01T10:00:00Z");
        let body =
            json!({ "email": self.address(n), "name": format!("Customer {n}"), "newsletter": newsletter, "decided_at": decided });
        self.post("/hooks/consents", &body).await;
    }

    /// Customers who left the newsletter by the link in a mail, in June.
    pub async fn unsubscribe(&self, customers: &[usize]) {
        let left = json!([[0, 0, { "list_id": self.newsletter, "opt_out": true, "opt_out_datetime": "2024-06-01 10:00:00" }]]);
        let contact = |n: &usize| json!({ "email": self.address(*n), "subscription_ids": left });
        self.odoo.create("mailing.contact", &customers.iter().map(contact).collect::<Vec<_>>()).await;
    }

    /// The warehouse counts all articles, one that nobody has, and one that somebody counted in words.
    pub fn count_all(&self) {
        let mut counts: Vec<_> = (0..ARTICLES).map(|n| (self.number(n), quantity(n))).collect();
        counts.push((self.number(UNKNOWN), "5"));
        counts.push((self.number(3), "plenty"));
        self.count("count-1.csv", &counts);
    }

    /// Two articles are counted anew.
    pub fn count_again(&self) {
        self.count("count-2.csv", &[(self.number(2), "0"), (self.number(4), "9")]);
    }
}

/// What was counted first.
pub const fn quantity(n: usize) -> &'static str {
    ["7", "14", "21", "28", "0", "1", "2", "3", "40", "50", "60", "1000"][n]
}
