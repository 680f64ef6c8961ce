//! Named connections against PostgreSQL: the rules that all databases share, and those of PostgreSQL alone.
mod apart;
#[path = "../../runtime/src/capability/sql/tests/columns.rs"]
mod columns;
pub mod database;
#[path = "../../runtime/src/capability/sql/tests/offsets.rs"]
mod offsets;
mod postgres;
#[path = "../../runtime/src/capability/sql/tests/rules.rs"]
pub mod rules;
#[path = "../../runtime/src/capability/sql/tests/tables.rs"]
mod tables;
mod tls;
#[path = "../../runtime/src/capability/sql/tests/versions.rs"]
mod versions;

/// What the shared rules are written against.
mod api {
    pub use wharf_runtime::capability::sql::*;
    pub use wharf_runtime::topic_log::TopicPartition;
    pub use wharf_runtime::topic_log::places::{Foreign, OffsetChange, StoredOffset};
}

macro_rules! on_postgres {
    ($($module:ident::$rule:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            if let Some(db) = database::Postgres::new(stringify!($rule)).await {
                $module::$rule(&db).await;
            }
        })*
    };
}
rules::each!(on_postgres);
