//! Rows of several calls, copied as they come and merged by one statement at the end of the transaction: several times the rows a
//! second of a merge each call. Only whole rows are gathered, upserts that have every field; others are written at once, after what
//! was gathered before them. A row that the server refuses fails the transaction: whoever gathers writes it all again, call by call.

use std::collections::hash_map::Entry;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::{HashMap, HashMapExt};
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use super::apply::{Postgres, columns};
use super::copy;
use super::fault::Fault;
use super::identity::tells_apart;
use super::merge::Merge;
use super::schema::Existing;
use super::stage;
use super::wire::Wire;
use crate::capability::sql::cells::{Field, View};
use crate::capability::sql::name::TableName;
use crate::capability::sql::plan::{OwnedKey, key, versions};
use crate::capability::sql::{Kind, RejectedRow, Rows, Table};

/// Rows that are left out of a merge are looked up for each of its rows: with so many of them it is merged before the commit.
const SUPERSEDED: usize = 1_000;

/// What was gathered and is not merged yet.
pub(super) struct Gathered {
    table: TableName,
    /// Its columns, as they were when the first of these rows came.
    existing: Arc<Vec<Existing>>,
    fields: Vec<(String, Kind)>,
    /// Places of the key's fields.
    key: Vec<usize>,
    /// Place of the version's field.
    version: Option<usize>,
    statement: String,
    /// Number of the next row.
    next: usize,
    /// By key the row that stands, with its version: the last one, or the last of the highest version.
    standing: HashMap<OwnedKey, (usize, i64)>,
    /// Rows that another one of their key stands for.
    superseded: Vec<i32>,
    copying: Pin<Box<CopyInSink<Bytes>>>,
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathered").field("table", &self.table).field("rows", &self.next).finish_non_exhaustive()
    }
}

/// Takes rows; `None`: they are not whole rows, and nothing is gathered any more.
pub(super) async fn gather(wire: &mut Wire, table: &Table, rows: &Rows) -> Result<Option<Vec<RejectedRow>>, Fault> {
    let name = TableName::parse(&table.name)?;
    let view = View::new(table, rows)?;
    let whole = view.has_no_deletes() && view.fields.iter().all(Field::is_in_every_row);
    if !whole || !view.refuse(&Postgres).is_empty() {
        merge(wire).await?;
        return Ok(None);
    }
    // While rows are copied nothing else can be asked of the server.
    let existing = match &wire.gathered {
        Some(gathered) if gathered.takes(&name, &view) => Arc::clone(&gathered.existing),
        _ => {
            merge(wire).await?;
            wire.table(&name).await?
        }
    };
    // Rows that may be one row by different bytes are written in their order, none left out.
    if !tells_apart(&view, &columns(&name, &view, &existing)?) {
        merge(wire).await?;
        return Ok(None);
    }
    let mut gathered = match wire.gathered.take() {
        Some(gathered) => gathered,
        None => match begin(wire, name, &view, &existing).await? {
            Some(gathered) => gathered,
            None => return Ok(None),
        },
    };
    gathered.add(&view).await?;
    let many = gathered.superseded.len() >= SUPERSEDED;
    wire.gathered = Some(gathered);
    if many {
        merge(wire).await?;
    }
    Ok(Some(Vec::new()))
}

/// `None`: the table asks for columns that the rows do not have.
async fn begin(
    wire: &mut Wire,
    table: TableName,
    view: &View<'_>,
    existing: &Arc<Vec<Existing>>,
) -> Result<Option<Gathered>, Fault> {
    let columns = columns(&table, view, existing)?;
    let required: Vec<&str> = existing.iter().filter(|column| column.required).map(|column| column.name.as_str()).collect();
    if !required.iter().all(|required| columns.iter().any(|column| column.name == *required)) {
        return Ok(None);
    }
    let (stage, statement) = stage::ready(wire, view).await?;
    let merge = Merge { view, columns, table: table.quoted(), stage, required };
    let statement_of_merge = merge.all_but();
    let fields = view.fields.iter().map(|field| (field.name.to_owned(), field.kind)).collect();
    let copying = Box::pin(wire.client.copy_in::<_, Bytes>(&statement).await?);
    let mut gathered = Gathered {
        table,
        existing: Arc::clone(existing),
        fields,
        key: view.key.clone(),
        version: view.version,
        statement: statement_of_merge,
        next: 0,
        standing: HashMap::new(),
        superseded: Vec::new(),
        copying,
    };
    gathered.copying.as_mut().send(Bytes::from_static(copy::HEADER)).await?;
    Ok(Some(gathered))
}

/// Carries what was gathered into its table.
pub(super) async fn merge(wire: &mut Wire) -> Result<(), Fault> {
    let Some(Gathered { statement, superseded, mut copying, .. }) = wire.gathered.take() else { return Ok(()) };
    copying.as_mut().send(Bytes::from_static(copy::TRAILER)).await?;
    copying.as_mut().finish().await?;
    let statement = wire.prepare(&statement).await?;
    wire.client.execute(&statement, &[&superseded]).await?;
    Ok(())
}

impl Gathered {
    fn takes(&self, table: &TableName, view: &View<'_>) -> bool {
        let same = |((name, kind), field): (&(String, Kind), &Field<'_>)| name == field.name && *kind == field.kind;
        self.table == *table
            && self.key == view.key
            && self.version == view.version
            && self.fields.len() == view.fields.len()
            && self.fields.iter().zip(&view.fields).all(same)
    }

    async fn add(&mut self, view: &View<'_>) -> Result<(), Fault> {
        let number = |row: usize| i32::try_from(row).map_err(|_| Fault::reject("there are too many rows".to_owned()));
        if !view.key.is_empty() {
            self.standing.reserve(view.count);
            let versions = versions(view);
            for row in 0..view.count {
                let mut outdone = (self.next + row, versions.get(row).copied().unwrap_or_default());
                match self.standing.entry(key(view, row).into()) {
                    Entry::Vacant(none) => {
                        none.insert(outdone);
                        continue;
                    }
                    Entry::Occupied(mut standing) if standing.get().1 <= outdone.1 => outdone = standing.insert(outdone),
                    Entry::Occupied(_) => {}
                }
                self.superseded.push(number(outdone.0)?);
            }
        }
        copy::rows(&mut self.copying, view, 0..view.count, self.next).await?;
        self.next += view.count;
        Ok(())
    }
}
