//! The two databases that `sql` writes to, seen alike.

use super::deployment::Deployment;
use crate::sql::database::Postgres;
use crate::sql::rules::Database as _;

pub enum Warehouse<'a> {
    /// In the deployment's folder.
    Sqlite(&'a Deployment),
    Postgres(Postgres),
}

impl Warehouse<'_> {
    /// An empty database; `None` when there is no such server.
    pub async fn new<'a>(test: &str, deployment: &'a Deployment, postgres: bool) -> Option<Warehouse<'a>> {
        if postgres { Postgres::new(test).await.map(Warehouse::Postgres) } else { Some(Warehouse::Sqlite(deployment)) }
    }

    /// The section of its connection, `warehouse`.
    pub fn section(&self) -> String {
        let url = match self {
            Self::Sqlite(_) => "sqlite://warehouse.sqlite",
            Self::Postgres(db) => &db.url,
        };
        format!("\n[connection.warehouse]\nurl = \"{url}\"\n")
    }

    pub async fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(deployment) => deployment.execute(sql),
            Self::Postgres(db) => db.execute(sql).await,
        }
    }

    /// Rows as `a|b|NULL`.
    pub async fn read(&self, sql: &str) -> Vec<String> {
        match self {
            Self::Sqlite(deployment) => deployment.query(sql),
            Self::Postgres(db) => db.read(sql).await,
        }
    }

    /// A column that numbers rows as they are inserted.
    pub const fn numbered(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "seq INTEGER PRIMARY KEY AUTOINCREMENT",
            Self::Postgres(_) => "seq bigserial PRIMARY KEY",
        }
    }
}
