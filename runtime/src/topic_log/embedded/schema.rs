//! The file: how it is opened, what tables it has, and which version it is of. A released version's meaning never changes;
//! a change is a new version with a migration from the one before.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;
use crate::topic_log::LogError;

/// `user_version` of files that this code reads and writes.
const VERSION: i64 = 2;
/// `application_id`: "WHRF".
const APPLICATION: i64 = 0x5748_5246;
/// How long to wait for another process that holds the file.
const BUSY: Duration = Duration::from_secs(5);

/// `records.place` = stream << 40 | offset: one B-tree with the records of a partition side by side, and no second index.
/// `chunks` are runs of neighbours within a partition, what retention removes as one and where a search by time begins.
/// `mark` of `offsets` is the word of a [`Mark`](crate::topic_log::mark::Mark).
/// `sent` of `partitions` and times are milliseconds since the epoch.
const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE topics (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, id TEXT NOT NULL, config TEXT NOT NULL);
CREATE TABLE partitions (stream INTEGER PRIMARY KEY AUTOINCREMENT, topic INTEGER NOT NULL REFERENCES topics, partition INTEGER NOT NULL,
  low INTEGER NOT NULL, high INTEGER NOT NULL, UNIQUE (topic, partition));
CREATE TABLE records (place INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB);
CREATE TABLE chunks (stream INTEGER NOT NULL, first INTEGER NOT NULL, next INTEGER NOT NULL, bytes INTEGER NOT NULL,
  opened_at INTEGER NOT NULL, appended_at INTEGER NOT NULL, max_timestamp INTEGER NOT NULL, PRIMARY KEY (stream, first)) WITHOUT ROWID;
CREATE TABLE offsets (grp TEXT NOT NULL, topic TEXT NOT NULL, topic_id TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  mark TEXT NOT NULL DEFAULT '', PRIMARY KEY (grp, topic, topic_id, partition)) WITHOUT ROWID;
CREATE TABLE positions (deployment TEXT NOT NULL, source TEXT NOT NULL, slice TEXT NOT NULL, place BLOB NOT NULL,
  PRIMARY KEY (deployment, source, slice)) WITHOUT ROWID;
CREATE TABLE owners (deployment TEXT NOT NULL, source TEXT NOT NULL, task INTEGER NOT NULL, tasks INTEGER NOT NULL, epoch INTEGER NOT NULL,
  PRIMARY KEY (deployment, source, task)) WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', 0);
";

/// From version 1.
const MARK: &str = "ALTER TABLE offsets ADD COLUMN mark TEXT NOT NULL DEFAULT ''";

/// A version 4 UUID from SQLite's random numbers.
const UUID: &str =
    "SELECT lower(printf('%s-%s-4%s-%s%s-%s', hex(randomblob(4)), hex(randomblob(2)), substr(hex(randomblob(2)), 2),
  substr('89ab', 1 + (random() & 3), 1), substr(hex(randomblob(2)), 2), hex(randomblob(6))))";

/// A new UUID.
pub(super) fn new_uuid(db: &Connection) -> rusqlite::Result<String> {
    db.query_row(UUID, [], |row| row.get(0))
}

/// Opens the file for writing, and makes it where it is missing. Answers the connection and the log's id.
pub(super) fn open(path: &Path) -> Result<(Connection, String), LogError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|error| LogError::Fatal(format!("the state-dir `{}` cannot be made: {error}", folder.display())))?;
    }
    make_private(path)?;
    let prepared = || -> Result<(Connection, String), Fault> {
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        db.set_prepared_statement_cache_capacity(64);
        // `application_id` is read before anything is written: a foreign database stays as it was.
        let found = check(&db, path)?;
        // These two hold from the first page on, so they come before the tables.
        db.execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL;")?;
        db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        // FULL: every commit is on the disk before it is answered. NORMAL would keep the file whole but could lose the last
        // commits on a power cut, after a source's outside system was told that its records are safe.
        db.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000; PRAGMA cache_size = -4096;")?;
        db.query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))?;
        match found {
            None => create(&db)?,
            Some(VERSION) => {}
            Some(_) => db.execute_batch(&format!("BEGIN IMMEDIATE; {MARK}; PRAGMA user_version = {VERSION}; COMMIT"))?,
        }
        let id = log_id(&db)?;
        Ok((db, id))
    };
    prepared().map_err(|fault| fault.at(path))
}

/// A file that others may not read: it holds business records.
fn make_private(path: &Path) -> Result<(), LogError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map(drop)
        .map_err(|error| LogError::Fatal(format!("the embedded log `{}` cannot be opened for writing: {error}", path.display())))
}

fn create(db: &Connection) -> Result<(), Fault> {
    let id = new_uuid(db)?;
    db.execute_batch("BEGIN IMMEDIATE")?;
    db.execute_batch(TABLES)?;
    db.execute("INSERT INTO meta VALUES ('id', ?1)", [id])?;
    db.execute_batch(&format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"))?;
    Ok(())
}

/// Opens the file for reading beside the process that writes it.
pub(super) fn open_read_only(path: &Path) -> Result<(Connection, String), LogError> {
    if !path.exists() {
        return Err(LogError::Fatal(format!(
            "there is no embedded log `{}`; name the right `state-dir`, or run the deployment first",
            path.display()
        )));
    }
    let opened = || -> Result<(Connection, String), Fault> {
        let db = reader(path)?;
        if check(&db, path)?.is_none() {
            return Err(LogError::Retry(format!("the embedded log `{}` is still being made; try again", path.display())).into());
        }
        let id = log_id(&db)?;
        Ok((db, id))
    };
    opened().map_err(|fault| fault.at(path))
}

/// One more connection for reading.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    db.execute_batch("PRAGMA cache_size = -512")?;
    Ok(db)
}

/// The version of a log that this code can read, and migrate where it writes. `None`: an empty file.
fn check(db: &Connection, path: &Path) -> Result<Option<i64>, Fault> {
    let number = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let file = path.display();
    if application == APPLICATION && (1..=VERSION).contains(&version) {
        return Ok(Some(version));
    }
    if application == APPLICATION {
        return Err(LogError::Fatal(format!(
            "the embedded log `{file}` is of version {version}, this Wharf knows versions up to {VERSION}: run the Wharf that wrote it, \
             or a newer one"
        ))
        .into());
    }
    if application == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(None);
    }
    Err(LogError::Fatal(format!("`{file}` is a SQLite database of another program; move it away, or name another `state-dir`"))
        .into())
}

fn log_id(db: &Connection) -> rusqlite::Result<String> {
    db.query_row("SELECT value FROM meta WHERE name = 'id'", [], |row| row.get(0))
}
