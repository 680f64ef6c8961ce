//! What SQLite's errors mean: of a row, of the file, or of the configuration. Does no I/O.

use rusqlite::{Error, ErrorCode, ffi};

use crate::capability::sql::SqlError;
use crate::capability::sql::plan::Refusal;

/// A failure of a piece of work on the file.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(Error),
    /// Already said in the words of the seam, but for where.
    Sql(SqlError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    pub(super) const fn reject(text: String) -> Self {
        Self::Sql(SqlError::Reject(text))
    }

    pub(super) const fn fatal(text: String) -> Self {
        Self::Sql(SqlError::Fatal(text))
    }

    /// In the words of the seam; `at` names connection and file.
    pub(super) fn explain(self, at: &str) -> SqlError {
        match self {
            Self::Sql(SqlError::Retry(text)) => SqlError::Retry(format!("{at}: {text}")),
            Self::Sql(SqlError::Reject(text)) => SqlError::Reject(format!("{at}: {text}")),
            Self::Sql(SqlError::Fatal(text)) => SqlError::Fatal(format!("{at}: {text}")),
            Self::Sqlite(error) => explain(&error, at),
        }
    }
}

fn explain(error: &Error, at: &str) -> SqlError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SqlError::Retry(format!(
            "{at} is held by another program; if it stays so, end the program that has a transaction open ({error})"
        )),
        Some(ErrorCode::DiskFull) => {
            SqlError::Retry(format!("{at}: the disk is full; free space there, it goes on by itself ({error})"))
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
            SqlError::Retry(format!("{at}: reading or writing failed; if it stays so, look at the disk ({error})"))
        }
        Some(ErrorCode::OperationInterrupted) => SqlError::Retry(format!("{at}: the call took too long and was ended")),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => SqlError::Fatal(format!(
            "{at} cannot be opened for writing ({error}); check that the folder is there and that this user may write it and the files in it"
        )),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            SqlError::Fatal(format!("{at} is damaged or no database ({error}); restore it from a backup or name another file"))
        }
        Some(ErrorCode::ConstraintViolation) => SqlError::Reject(format!("{at}: {error}")),
        // The limit of a table (2,000): the record that wants one more is at fault.
        _ if error.to_string().contains("too many columns") => SqlError::Reject(format!("{at}: {error}")),
        _ => SqlError::Fatal(format!("{at}: {error}")),
    }
}

/// What the database said of a row; `None`: the error is not about the row.
pub(super) fn refusal(error: &Error) -> Option<Refusal> {
    let Error::SqliteFailure(failure, message) = error else { return None };
    let reason = message.clone().unwrap_or_else(|| error.to_string());
    let code = match (failure.code, failure.extended_code) {
        (ErrorCode::ConstraintViolation, ffi::SQLITE_CONSTRAINT_NOTNULL) => "sql.not-null",
        (ErrorCode::ConstraintViolation, ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => "sql.foreign-key",
        (ErrorCode::ConstraintViolation, ffi::SQLITE_CONSTRAINT_CHECK) => "sql.check",
        (
            ErrorCode::ConstraintViolation,
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID,
        ) => "sql.unique",
        (ErrorCode::ConstraintViolation, ffi::SQLITE_CONSTRAINT_DATATYPE) | (ErrorCode::TypeMismatch, _) => "sql.type",
        (ErrorCode::ConstraintViolation | ErrorCode::TooBig, _) => "sql.refused",
        _ => return None,
    };
    let named = matches!(code, "sql.not-null" | "sql.type" | "sql.unique");
    Some(Refusal { code, column: column(&reason).filter(|_| named), reason })
}

/// The one column that a message ends with, as in `NOT NULL constraint failed: orders.name`.
fn column(message: &str) -> Option<String> {
    let last = message.rsplit_once(' ')?.1;
    let (_, column) = last.rsplit_once('.')?;
    // Several are listed as `a.x, a.y`.
    (!message.contains(',')).then(|| column.to_owned())
}
