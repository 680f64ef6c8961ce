//! What PostgreSQL's errors mean: of a row, of the moment, or of the configuration. Codes as in appendix A of its
//! documentation. DETAIL and quoted input carry values of rows and are left out. Does no I/O.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::capability::sql::SqlError;
use crate::capability::sql::plan::Refusal;

#[derive(Debug)]
pub(super) enum Fault {
    Db(Error),
    Connect(Error),
    /// Already said in the words of the seam, but for where.
    Sql(SqlError),
    /// No answer in time.
    Deadline,
    /// No failure: what the call did is to be undone.
    Undo,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Db(error)
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// What to do about an error of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Row(&'static str),
    Retry,
    Fatal,
}

/// PostgreSQL's own classes among those that SQL leaves to implementations.
const OWN_CLASSES: [&str; 8] = ["53", "54", "55", "57", "58", "72", "P0", "XX"];

fn class(code: &str) -> Class {
    match code {
        "23502" => Class::Row("sql.not-null"),
        "23503" => Class::Row("sql.foreign-key"),
        "23505" => Class::Row("sql.unique"),
        "23514" | "44000" => Class::Row("sql.check"),
        // Types that cannot be cast into each other.
        "42804" | "42846" => Class::Row("sql.type"),
        // A trigger's own words, what its SELECT INTO STRICT or ASSERT finds, an index entry that is too large, one key twice in a
        // statement.
        "P0001" | "P0002" | "P0003" | "P0004" | "54000" | "54011" | "21000" => Class::Row("sql.refused"),
        // A read-only transaction is one on a standby, after a failover. 55000 is also a database that takes no connections
        // for now, or a table that is not yet in the state that a statement needs.
        "25006" | "25P02" | "25P03" | "25P04" | "55000" | "55P03" | "55006" | "57014" | "57P01" | "57P02" | "57P03" | "57P04"
        | "57P05" | "58000" | "58030" => Class::Retry,
        _ => match code.get(..2) {
            Some("22") => Class::Row("sql.type"),
            Some("23") => Class::Row("sql.refused"),
            // Connections, lost races, resources.
            Some("08" | "40" | "53") => Class::Retry,
            // Of somebody's own: `RAISE … USING ERRCODE` in a trigger. PostgreSQL has none but these of the classes that SQL
            // leaves to implementations (5 to 9, I to Z; ISO/IEC 9075-2, "SQLSTATE").
            Some(own) if own.starts_with(|c| matches!(c, '5'..='9' | 'I'..='Z')) && !OWN_CLASSES.contains(&own) => {
                Class::Row("sql.refused")
            }
            _ => Class::Fatal,
        },
    }
}

/// By the code, and where one means two things by the function of the server that said it, which no language changes.
fn class_of(db: &DbError) -> Class {
    match (db.code().code(), db.routine()) {
        // A type with a grammar of its own (tsquery, jsonpath, ltree) and not the parser of statements, nor a function's body.
        ("42601", Some(routine)) if routine != "scanner_yyerror" && db.where_().is_none() => Class::Row("sql.type"),
        // Of a policy of the table, and not of a privilege.
        ("42501", Some("ExecWithCheckOptions")) => Class::Row("sql.check"),
        (code, _) => class(code),
    }
}

impl Fault {
    pub(super) const fn reject(text: String) -> Self {
        Self::Sql(SqlError::Reject(text))
    }

    pub(super) const fn fatal(text: String) -> Self {
        Self::Sql(SqlError::Fatal(text))
    }

    pub(super) const fn retry(text: String) -> Self {
        Self::Sql(SqlError::Retry(text))
    }

    /// Whether the transaction is to be begun again.
    pub(super) fn is_retry(&self) -> bool {
        match self {
            Self::Db(error) | Self::Connect(error) => error.as_db_error().is_none_or(|db| class_of(db) == Class::Retry),
            Self::Sql(error) => matches!(error, SqlError::Retry(_)),
            Self::Deadline => true,
            Self::Undo => false,
        }
    }

    /// The SQLSTATE, where the server answered.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Db(error) => error.as_db_error().map(|db| db.code().code()),
            _ => None,
        }
    }

    /// What the server said of a row; `None`: the error is not about rows.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let Self::Db(error) = self else { return None };
        let db = error.as_db_error()?;
        let Class::Row(code) = class_of(db) else { return None };
        Some(Refusal { code, reason: words(db), column: db.column().map(str::to_owned) })
    }

    /// An error of a statement that a guest wrote: it is the call that cannot work.
    pub(super) fn of_query(self) -> Self {
        let Self::Db(error) = &self else { return self };
        let Some(db) = error.as_db_error() else { return self };
        match db.code().code() {
            "25006" => Self::reject(format!("the statement writes; only reads are allowed ({})", words(db))),
            "42501" => self,
            code if class(code) == Class::Retry => self,
            _ => Self::reject(format!("the statement cannot be run: {}", words(db))),
        }
    }

    /// In the words of the seam; `at` names connection and server.
    pub(super) fn explain(self, at: &str) -> SqlError {
        match self {
            Self::Sql(SqlError::Retry(text)) => SqlError::Retry(format!("{at}: {text}")),
            Self::Sql(SqlError::Reject(text)) => SqlError::Reject(format!("{at}: {text}")),
            Self::Sql(SqlError::Fatal(text)) => SqlError::Fatal(format!("{at}: {text}")),
            Self::Deadline => SqlError::Retry(format!("{at} does not answer")),
            Self::Undo => SqlError::Retry(format!("{at}: undone")),
            Self::Connect(error) => explain_connect(&error, at),
            Self::Db(error) => match error.as_db_error() {
                Some(db) => explain_db(db, at),
                None => SqlError::Retry(format!("{at}: the connection broke ({})", chain(&error))),
            },
        }
    }
}

fn explain_db(db: &DbError, at: &str) -> SqlError {
    let words = words(db);
    let text = match db.code().code() {
        "25006" => format!("{at}: the server takes no writes, it is a standby or set read only ({words})"),
        "53100" => format!("{at}: the server's disk is full; free space there, it goes on by itself ({words})"),
        "55000" => format!("{at}: the database is not in the state that this needs; it goes on when it is ({words})"),
        "42P01" => format!("{at}: a table is missing: create it, or let the connector create it ({words})"),
        "42703" => format!("{at}: a column is missing: add it, or let the connector add columns ({words})"),
        "42501" => format!("{at}: the user lacks a privilege: grant it ({words})"),
        "42P10" => format!(
            "{at}: the key of the table is not unique in the database: create a primary key or a unique index over exactly its columns ({words})"
        ),
        "428C9" => format!("{at}: the database makes the values of a column itself: leave its field out ({words})"),
        "3F000" => format!("{at}: the schema is missing: create it ({words})"),
        code => format!("{at}: {words} (SQLSTATE {code})"),
    };
    match class_of(db) {
        Class::Row(_) => SqlError::Reject(text),
        Class::Retry => SqlError::Retry(text),
        Class::Fatal => SqlError::Fatal(text),
    }
}

fn explain_connect(error: &Error, at: &str) -> SqlError {
    let why = chain(error);
    if let Some(db) = error.as_db_error() {
        let words = words(db);
        return match db.code().code() {
            "28P01" | "28000" => {
                SqlError::Fatal(format!("{at} refuses the user: check user, password and pg_hba.conf ({words})"))
            }
            "55000" => {
                SqlError::Retry(format!("{at}: the database takes no connections for now; it goes on when it does ({words})"))
            }
            "53300" => SqlError::Retry(format!("{at}: the server has no connection left; it goes on when one is free ({words})")),
            "3D000" => SqlError::Fatal(format!("{at}: there is no such database: create it, or correct the URL ({words})")),
            code if class(code) == Class::Fatal => {
                SqlError::Fatal(format!("{at} refuses the connection: {words} (SQLSTATE {code})"))
            }
            _ => SqlError::Retry(format!("{at} is not ready: {words}")),
        };
    }
    if is_untrusted(error) {
        return SqlError::Fatal(format!(
            "{at}: the server's certificate is not trusted: name the authority's file as `ca-file`, use the host name that is in the \
             certificate, or choose another `sslmode` in the URL ({why})"
        ));
    }
    if is_tls(error) {
        return SqlError::Fatal(format!("{at}: TLS cannot be agreed on ({why})"));
    }
    if error.to_string().contains("TLS") && !has_io_cause(error) {
        return SqlError::Fatal(format!(
            "{at}: TLS is asked for, and the server has none: switch it on there, or write `sslmode=disable` in the URL ({why})"
        ));
    }
    if error.to_string().contains("configuration") || error.to_string().contains("authentication") {
        return SqlError::Fatal(format!("{at}: the URL does not fit the server ({why})"));
    }
    SqlError::Retry(format!("{at} cannot be reached ({why})"))
}

fn has_io_cause(error: &Error) -> bool {
    error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>)
}

fn tls(error: &Error) -> Option<&rustls::Error> {
    let inner = error.source().and_then(|source| source.downcast_ref::<io::Error>()).and_then(io::Error::get_ref);
    inner.and_then(|inner| inner.downcast_ref::<rustls::Error>())
}

fn is_untrusted(error: &Error) -> bool {
    matches!(tls(error), Some(rustls::Error::InvalidCertificate(_)))
}

fn is_tls(error: &Error) -> bool {
    tls(error).is_some()
}

/// An error and its causes. Those of this library name options and states, never values of rows or passwords.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The primary message, without what it quotes of the input: `invalid input syntax for type integer: "x"`.
fn words(db: &DbError) -> String {
    let message = db.message();
    if class_of(db) != Class::Row("sql.type") {
        return message.to_owned();
    }
    if let Some((start, _)) = message.split_once(": \"") {
        return start.to_owned();
    }
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last && (db.code().code().starts_with("22") || db.code().code() == "42601") => {
            let (start, end) = (message.get(..first).unwrap_or_default(), message.get(last + 1..).unwrap_or_default());
            format!("{start}…{end}")
        }
        _ => message.split_once(": 0x").map_or(message, |(start, _)| start).to_owned(),
    }
}
