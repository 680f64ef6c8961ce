//! What stands in for the host in a connector's own tests, outside Wharf: HTTP answers, a database, requests of the
//! inbox. Each belongs to the thread of its test. Not part of a component.

mod configuration;
mod transformed;

use std::cell::RefCell;
use std::time::Duration;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::inbox;
use crate::sql::{Column, ColumnDef, Rejected, Rows, Table};
use crate::writer::{NewRecord, Records};

pub use configuration::configuration;
pub use transformed::{Transformed, transform};

/// Answers the requests of this thread.
type Handler = Box<dyn FnMut(&Request) -> Result<Response>>;

thread_local! {
    static HTTP: RefCell<Option<Handler>> = const { RefCell::new(None) };
    static DATABASE: RefCell<Option<Box<dyn Database>>> = const { RefCell::new(None) };
    static INBOX: RefCell<Vec<inbox::Request>> = const { RefCell::new(Vec::new()) };
    static REFUSED: RefCell<Vec<(u64, u16, String)>> = const { RefCell::new(Vec::new()) };
}

/// From now on `handler` answers what this thread sends.
pub fn http(handler: impl FnMut(&Request) -> Result<Response> + 'static) {
    HTTP.set(Some(Box::new(handler)));
}

pub(crate) fn send(request: &Request) -> Result<Response> {
    HTTP.with_borrow_mut(|handler| match handler {
        Some(handler) => handler(request),
        None => Err(Error::fatal("outside Wharf there is no HTTP: give the test a handler with `testing::http`")),
    })
}

/// What the `sql` interface does, for a test.
pub trait Database: 'static {
    /// # Errors
    /// As the test wants it.
    fn ensure(&mut self, connection: &str, table: &Table, columns: &[ColumnDef]) -> Result<()>;
    /// # Errors
    /// As the test wants it.
    fn columns(&mut self, connection: &str, table: &str) -> Result<Vec<ColumnDef>>;
    /// # Errors
    /// As the test wants it.
    fn apply(&mut self, connection: &str, table: &Table, rows: Rows) -> Result<Vec<Rejected>>;
    /// # Errors
    /// As the test wants it.
    fn apply_newest(&mut self, connection: &str, table: &Table, version: &str, rows: Rows) -> Result<Vec<Rejected>> {
        let _unused = (connection, table, rows);
        Err(Error::fatal(format!("the test's database knows no versions: `{version}`")))
    }
    /// # Errors
    /// As the test wants it.
    fn query(&mut self, connection: &str, statement: &str, parameters: Vec<Column>, max_rows: u32) -> Result<Vec<Column>> {
        let _unused = (connection, parameters, max_rows);
        Err(Error::fatal(format!("the test's database answers no queries: {statement}")))
    }
}

/// From now on `database` answers this thread.
pub fn database(database: impl Database) {
    DATABASE.set(Some(Box::new(database)));
}

pub(crate) fn with_database<R>(f: impl FnOnce(&mut dyn Database) -> Result<R>) -> Result<R> {
    DATABASE.with_borrow_mut(|database| match database {
        Some(database) => f(database.as_mut()),
        None => Err(Error::fatal("outside Wharf there is no database: give the test one with `testing::database`")),
    })
}

/// Puts requests into the inbox of this thread.
pub fn requests(requests: impl IntoIterator<Item = inbox::Request>) {
    INBOX.with_borrow_mut(|inbox| inbox.extend(requests));
}

/// What was refused, as id, status and message.
#[must_use]
pub fn refused() -> Vec<(u64, u16, String)> {
    REFUSED.with_borrow(Clone::clone)
}

pub(crate) fn take(max: u32, _wait: Duration) -> Vec<inbox::Request> {
    INBOX.with_borrow_mut(|inbox| {
        let count = inbox.len().min(max as usize);
        inbox.drain(..count).collect()
    })
}

pub(crate) fn refuse(id: u64, status: u16, message: &str) {
    REFUSED.with_borrow_mut(|refused| refused.push((id, status, message.to_owned())));
}

/// A batch as a sink or a transform gets it: these keys and values in partition 0 of `topic`, with offsets from 0.
#[must_use]
pub fn batch<'a>(topic: &str, records: impl IntoIterator<Item = (Option<&'a str>, Option<&'a str>)>) -> Batch {
    let mut out = Records::new();
    for (key, value) in records {
        let mut record = NewRecord::new().topic(topic);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(value) = value {
            record = record.value(value);
        }
        out.push(record);
    }
    out.into_placed_batch()
}
