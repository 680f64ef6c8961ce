//! An import into the ERP that takes an hour: one transaction, whose changes have a time that is long over when they can be seen.

use super::clock::Clock;
use super::erp::Erp;
use crate::odoo::database;

/// When the transaction begins, and when it is committed.
const BEGIN: u32 = 10 * 60;
const COMMIT: u32 = 11 * 60;

pub struct Import {
    /// Odoo's own database.
    postgres: tokio_postgres::Client,
    /// Orders that nobody else changes.
    orders: Vec<i32>,
    prefix: String,
}

impl Import {
    /// Of these orders; `None` where the database is not known.
    pub async fn new(erp: &Erp, orders: &[i64], test: &str) -> Option<Self> {
        let orders = orders.iter().map(|id| i32::try_from(*id).unwrap()).collect();
        Some(Self { postgres: database(&erp.odoo, test).await?, orders, prefix: erp.prefix.clone() })
    }

    pub async fn play(&mut self, clock: Clock) {
        clock.until(BEGIN).await;
        let transaction = self.postgres.transaction().await.unwrap();
        let change = "UPDATE sale_order SET client_order_ref = $1::text || 'import ' || id, write_date = now() AT TIME ZONE 'utc' \
                      WHERE id = ANY($2)";
        let changed = transaction.execute(change, &[&self.prefix, &self.orders]).await.unwrap();
        assert_eq!(changed, self.orders.len() as u64);
        clock.until(COMMIT).await;
        transaction.commit().await.unwrap();
    }
}
