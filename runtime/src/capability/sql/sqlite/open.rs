//! How a file is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;

/// How long to wait for another process that holds the file.
const BUSY: Duration = Duration::from_secs(5);

/// Opens the file for writing; one that is missing is made, its folder is not.
pub(super) fn open(path: &Path) -> Result<Connection, Fault> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(64);
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // FULL: a commit is on the disk before it is answered. Offsets are committed here, and nobody sends the rows again.
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")?;
    Ok(db)
}

/// Describes the file without making or changing it.
pub(super) fn probe(path: &Path) -> Result<String, Fault> {
    let version = rusqlite::version();
    if path.exists() {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(BUSY)?;
        if db.is_readonly(rusqlite::MAIN_DB)? {
            return Err(Fault::fatal("this user may not write the file".to_owned()));
        }
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))?;
        return Ok(format!("SQLite {version}, {} ({tables} tables)", path.display()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    if !folder.is_dir() {
        return Err(Fault::fatal(format!("the folder {} does not exist: make it first", folder.display())));
    }
    Ok(format!("SQLite {version}, {} (a new file)", path.display()))
}
