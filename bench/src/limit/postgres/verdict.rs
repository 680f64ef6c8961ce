//! What an error of the database says about the batch.

use anyhow::Error;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A deadlock with another connection.
    Again,
    /// What a record holds, or a constraint or trigger of the table.
    Record,
    /// All else: the process ends.
    Fatal,
}

#[must_use]
pub fn verdict(error: &Error) -> Verdict {
    let database = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::as_db_error);
    match database.map(|error| error.code().code()) {
        Some("40001" | "40P01") => Verdict::Again,
        Some(code) if ["22", "23", "44", "54", "P0"].iter().any(|class| code.starts_with(class)) => Verdict::Record,
        _ => Verdict::Fatal,
    }
}

/// For the dead-letter file.
#[must_use]
pub fn reason(error: &Error) -> String {
    let database = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::as_db_error);
    database.map_or_else(|| format!("{error:#}"), |error| format!("{} ({})", error.message(), error.code().code()))
}
