//! One connection to a server: how it is made, the transactions and savepoints on it, and what it remembers of the server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, Statement};

use super::fault::Fault;
use super::gather::{self, Gathered};
use super::schema::{self, Existing};
use super::stage::Stages;
use crate::capability::sql::limits;
use crate::capability::sql::name::TableName;
use crate::capability::sql::target::PostgresTarget;

const CONNECT: Duration = Duration::from_secs(10);
/// A peer that is silent for this long is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a table's columns are believed; a failed call looks again at once.
const BELIEVED: Duration = Duration::from_secs(10);
/// Most prepared statements kept.
const STATEMENTS: usize = 256;

/// Text that we cast must be read the same everywhere, and no lock may be waited for without end.
const SETTINGS: [(&str, &str); 6] = [
    ("timezone", "UTC"),
    ("datestyle", "ISO"),
    ("bytea_output", "hex"),
    ("lock_timeout", limits::LOCK),
    ("statement_timeout", limits::STATEMENT),
    ("idle_in_transaction_session_timeout", "15min"),
];

/// What is staged in one transaction; by default much of it would go to disk. A session that was used before, as a pooler hands it out, may
/// refuse to change it: then it stays as it is.
const STAGING: (&str, &str) = ("temp_buffers", "32MB");

/// Constraints are checked row by row also where they are deferrable: at the commit nobody could tell whose row it was.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET CONSTRAINTS ALL IMMEDIATE; \
    SELECT current_setting('transaction_read_only'), pg_is_in_recovery()";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Nothing is changed: what the statements do is undone in any case.
    Read,
    /// All or nothing.
    Write,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub client: Client,
    driver: JoinHandle<()>,
    pub stages: Stages,
    /// Rows of the open transaction that are not in their table yet; `gathers`: such are to be gathered.
    pub gathered: Option<Gathered>,
    pub gathers: bool,
    /// The offsets table was seen, by a call that did not make it.
    pub has_offsets: bool,
    statements: HashMap<String, Statement>,
    tables: HashMap<TableName, (Instant, Arc<Vec<Existing>>)>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The server sees the connection close, and rolls back what is open.
        self.driver.abort();
    }
}

impl Wire {
    pub(super) async fn connect(target: &PostgresTarget) -> Result<Self, Fault> {
        let mut config = target.config.clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        config.keepalives_idle(SILENCE).tcp_user_timeout(SILENCE);
        let connecting = async {
            match &target.tls {
                Some(tls) => {
                    let (client, connection) = config.connect(tls.clone()).await?;
                    Ok::<_, tokio_postgres::Error>((client, tokio::spawn(drive(connection))))
                }
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    Ok((client, tokio::spawn(drive(connection))))
                }
            }
        };
        // The library's own limit is for one address and ends before TLS.
        let connected = tokio::time::timeout(CONNECT * 2, connecting).await;
        let (client, driver) = connected.map_err(|_| Fault::Deadline)?.map_err(Fault::Connect)?;
        let wire = Self {
            client,
            driver,
            stages: Stages::default(),
            gathered: None,
            gathers: false,
            has_offsets: false,
            statements: HashMap::new(),
            tables: HashMap::new(),
        };
        let own = config.get_options().unwrap_or_default();
        let settings =
            SETTINGS.iter().filter(|(name, _)| !own.contains(name)).map(|(name, value)| format!("SET {name} = '{value}';"));
        wire.client.batch_execute(&settings.collect::<String>()).await?;
        let (name, value) = STAGING;
        if !own.contains(name)
            && let Err(error) = wire.client.batch_execute(&format!("SET {name} = '{value}'")).await
        {
            tracing::debug!(%error, "{name} stays as it is");
        }
        Ok(wire)
    }

    pub(super) fn is_sound(&self) -> bool {
        !self.client.is_closed()
    }

    /// Whether it may serve another transaction.
    pub(super) fn is_reusable(&self) -> bool {
        self.is_sound() && !self.stages.are_many()
    }

    pub(super) async fn describe(&self) -> Result<String, Fault> {
        let row = self.client.query_one("SELECT current_setting('server_version'), pg_is_in_recovery()", &[]).await?;
        let (version, standby): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        if standby {
            return Err(Fault::fatal("the server is a standby, which takes no writes: name the primary".to_owned()));
        }
        Ok(format!("PostgreSQL {version}"))
    }

    /// A server that takes no writes is found here, before rows are staged. It is asked, not told `READ WRITE`: a standby would
    /// answer as if it lacked a feature (0A000), and a server that somebody has set read only would be overruled.
    pub(super) async fn begin(&mut self) -> Result<(), Fault> {
        let answers = self.client.simple_query(BEGIN).await?;
        let row = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some((row.get(0), row.get(1))),
            _ => None,
        });
        match row {
            Some((Some("on"), Some("t"))) => Err(Fault::retry(
                "the server is a standby, which takes no writes; it goes on when it is promoted or the URL leads to the primary"
                    .to_owned(),
            )),
            Some((Some("on"), _)) => Err(Fault::retry(
                "the server takes no writes, it is set read only (default_transaction_read_only); it goes on when that is off"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    pub(super) async fn commit(&mut self) -> Result<(), Fault> {
        gather::merge(self).await?;
        self.gathers = false;
        self.client.batch_execute("COMMIT").await?;
        self.stages.committed();
        Ok(())
    }

    pub(super) async fn rollback(&mut self) -> Result<(), Fault> {
        // A COPY that is dropped fails, and with it the transaction.
        (self.gathered, self.gathers) = (None, false);
        self.client.batch_execute("ROLLBACK").await?;
        self.forget();
        self.stages.rolled_back();
        Ok(())
    }

    /// Begins a call's part of the open transaction (`inside`), or a transaction for it.
    pub(super) async fn enter(&mut self, scope: Scope, inside: bool) -> Result<(), Fault> {
        match (scope, inside) {
            (Scope::Write, true) => self.client.batch_execute("SAVEPOINT wharf_call").await?,
            (Scope::Write, false) => self.begin().await?,
            // It stays read only until the savepoint is rolled back.
            (Scope::Read, true) => self.client.batch_execute("SAVEPOINT wharf_call; SET TRANSACTION READ ONLY").await?,
            (Scope::Read, false) => self.client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY").await?,
        }
        Ok(())
    }

    /// Ends what `enter` began. After an error that is no reason to roll everything back, the transaction goes on.
    pub(super) async fn leave<T>(&mut self, scope: Scope, inside: bool, answer: Result<T, Fault>) -> Result<T, Fault> {
        match (&answer, inside) {
            (Ok(_), true) if scope == Scope::Write => self.client.batch_execute("RELEASE wharf_call").await?,
            (Ok(_), false) if scope == Scope::Write => self.commit().await?,
            (Err(fault), _) if fault.is_retry() => self.forget(),
            (_, true) => {
                self.client.batch_execute("ROLLBACK TO wharf_call; RELEASE wharf_call").await?;
                if scope == Scope::Write {
                    self.forget();
                    self.stages.partly_rolled_back();
                }
            }
            (_, false) => {
                self.client.batch_execute("ROLLBACK").await?;
                self.forget();
                self.stages.rolled_back();
            }
        }
        answer
    }

    /// Looks at the server again, as what was seen may have been undone or changed.
    pub(super) fn forget(&mut self) {
        self.tables.clear();
        self.has_offsets = false;
    }

    /// The columns of a table; empty when there is none.
    pub(super) async fn table(&mut self, name: &TableName) -> Result<Arc<Vec<Existing>>, Fault> {
        if let Some((seen, columns)) = self.tables.get(name)
            && seen.elapsed() < BELIEVED
        {
            return Ok(Arc::clone(columns));
        }
        self.table_now(name).await
    }

    /// The same, as the server has it at this moment.
    pub(super) async fn table_now(&mut self, name: &TableName) -> Result<Arc<Vec<Existing>>, Fault> {
        let columns = Arc::new(schema::describe(self, name).await?);
        self.tables.insert(name.clone(), (Instant::now(), Arc::clone(&columns)));
        Ok(columns)
    }

    /// A prepared statement, kept for the next time.
    pub(super) async fn prepare(&mut self, sql: &str) -> Result<Statement, Fault> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// Moves bytes until the connection ends. The calls under way are answered with the error; this names the cause.
async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to PostgreSQL ended");
    }
}
