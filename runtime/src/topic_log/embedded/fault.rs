//! What SQLite's errors mean for the caller of the log. Does no I/O.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::topic_log::LogError;

/// A failure inside a piece of work on the file.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    /// Already said in the words of the seam.
    Log(LogError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl Fault {
    /// The file holds what this code never wrote.
    pub(super) fn damaged(what: &str) -> Self {
        Self::Log(LogError::Fatal(format!(
            "the embedded log holds {what}, which Wharf never wrote: it is damaged; restore the state-dir from a backup"
        )))
    }

    /// In the words of the seam, naming the file.
    pub(super) fn at(self, path: &Path) -> LogError {
        match self {
            Self::Log(error) => error,
            Self::Sqlite(error) => explain(&error, path),
        }
    }
}

fn explain(error: &rusqlite::Error, path: &Path) -> LogError {
    let file = path.display();
    let Some(code) = error.sqlite_error_code() else {
        return LogError::Fatal(format!("the embedded log `{file}`: {error}"));
    };
    match code {
        ErrorCode::DiskFull => LogError::Retry(format!(
            "the disk that holds the embedded log `{file}` is full; nothing was written. Free space there, or set a shorter \
             retention; it goes on by itself ({error})"
        )),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => LogError::Retry(format!(
            "the embedded log `{file}` is held by another program; if it stays so, end the program that has it open ({error})"
        )),
        ErrorCode::SystemIoFailure => LogError::Retry(format!(
            "reading or writing the embedded log `{file}` failed; nothing was written. If it stays so, look at the disk ({error})"
        )),
        ErrorCode::DatabaseCorrupt => LogError::Fatal(format!(
            "the embedded log `{file}` is damaged ({error}); stop Wharf, keep a copy of the file, and restore it from a backup, or \
             move it away to begin with an empty log (sources then start from their beginning)"
        )),
        ErrorCode::NotADatabase => {
            LogError::Fatal(format!("`{file}` is not a Wharf log ({error}); move it away, or name another `state-dir`"))
        }
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => LogError::Fatal(format!(
            "the embedded log `{file}` cannot be opened for writing ({error}); check that this user may write the folder and \
             the files in it"
        )),
        _ => LogError::Fatal(format!("the embedded log `{file}`: {error}")),
    }
}
