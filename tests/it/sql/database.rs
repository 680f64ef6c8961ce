//! A PostgreSQL database of one test.
use std::collections::BTreeMap;
use std::path::Path;

use support::servers::Server;
use tokio_postgres::{NoTls, SimpleQueryMessage};
use wharf_runtime::capability::secret::Secret;
use wharf_runtime::capability::sql::{Connections, SqlError};
use wharf_runtime::config::Connection;

use super::rules::Database;

pub struct Postgres {
    connections: Connections,
    pub raw: tokio_postgres::Client,
    pub url: String,
}

/// The connections `db` and, with a pool of one, `single`.
pub fn connections(url: &str, ca_file: Option<&Path>) -> Result<Connections, SqlError> {
    let named = |pool| Connection { url: Secret::new(url.to_owned()), ca_file: ca_file.map(Path::to_owned), pool };
    let all = BTreeMap::from([("db".to_owned(), named(8)), ("single".to_owned(), named(1))]);
    Connections::new(&all, Path::new("."))
}

pub async fn raw(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Postgres {
    /// A new, empty database; `None` when there is no server.
    pub async fn new(test: &str) -> Option<Self> {
        let admin_url = Server::Postgres.address(test)?;
        let admin = raw(&admin_url).await;
        let name = format!("wharf_{}_{}", std::process::id(), test).chars().take(63).collect::<String>();
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
        admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")).await.unwrap();
        let (start, options) =
            admin_url.split_once('?').map_or((admin_url.as_str(), String::new()), |(s, o)| (s, format!("?{o}")));
        let authority = start.find("://").map_or(0, |at| at + 3);
        let end = start[authority..].find('/').map_or(start.len(), |at| authority + at);
        let url = format!("{}/{name}{options}", &start[..end]);
        Some(Self { connections: connections(&url, None).unwrap(), raw: raw(&url).await, url })
    }
}

impl Database for Postgres {
    fn connections(&self) -> &Connections {
        &self.connections
    }

    async fn execute(&self, sql: &str) {
        self.raw.batch_execute(sql).await.unwrap();
    }

    async fn read(&self, sql: &str) -> Vec<String> {
        let rows = self.raw.simple_query(sql).await.unwrap();
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        };
        rows.iter().filter_map(row).collect()
    }
}
