//! The example `retail-live` from end to end: the shipped TOML between a real Kafka, PostgreSQL, ClickHouse, Odoo and SAP's services,
//! with bad records among the good ones, an expired token and a kill. What arrived is compared with what plain clients read.

use super::*;
use site::Site;

mod shop;
mod site;

#[tokio::test]
async fn a_retailer_s_records_arrive_row_by_row_and_each_bad_one_ends_where_it_should() {
    let Some(site) = Site::new("flow_retail_live").await else { return };
    site.create_customers(0..40).await;
    site.shop.accept("first", 1000);
    let running = site.start().await;
    site.when_rows("customers", 40).await;
    assert_eq!(running.drain().await.outcome, wharf_runtime::supervisor::Outcome::Clean);
}
