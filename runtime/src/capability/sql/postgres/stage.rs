//! Temporary tables that rows are copied into before they are merged: one for each sequence of kinds, made once a connection.
//! Their columns are numbered (`c0`, `c1` …, and `r` for the row) and have our own kinds, so that any target can be cast to.

use std::collections::HashMap;

use tokio_postgres::Statement;

use super::copy;
use super::fault::Fault;
use super::wire::Wire;
use crate::capability::sql::Kind;
use crate::capability::sql::cells::View;

/// A connection that has made more tables than this is replaced by a new one.
const MANY: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Stages {
    known: HashMap<Vec<Kind>, Stage>,
    made: usize,
}

#[derive(Debug)]
struct Stage {
    name: String,
    copy: Statement,
    /// Made in the open transaction.
    is_new: bool,
    /// Holds rows of an earlier call of this transaction.
    is_dirty: bool,
}

impl Stages {
    pub(super) const fn are_many(&self) -> bool {
        self.made > MANY
    }

    pub(super) fn committed(&mut self) {
        self.known.values_mut().for_each(|stage| (stage.is_new, stage.is_dirty) = (false, false));
    }

    pub(super) fn rolled_back(&mut self) {
        self.known.retain(|_, stage| !stage.is_new);
        self.committed();
    }

    /// A savepoint was rolled back: new ones may be gone, others may hold what they held before it.
    pub(super) fn partly_rolled_back(&mut self) {
        self.known.retain(|_, stage| !stage.is_new);
        self.known.values_mut().for_each(|stage| stage.is_dirty = true);
    }
}

/// The type in which a kind is staged. Decimals and JSON are read by the merge, where a fault belongs to its row.
const fn staged(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "bool",
        Kind::Int64 => "int8",
        Kind::Float64 => "float8",
        Kind::Decimal | Kind::Text | Kind::Json => "text",
        Kind::Bytes => "bytea",
        Kind::TimestampUs => "timestamptz",
        Kind::Date => "date",
    }
}

/// Copies rows into the stage of their kinds and answers its name.
pub(super) async fn fill(wire: &mut Wire, view: &View<'_>, rows: &[usize]) -> Result<String, Fault> {
    let (name, copy) = ready(wire, view).await?;
    copy::copy(&wire.client, &copy, view, rows).await?;
    Ok(name)
}

/// An empty stage for rows of these kinds: its name, and the statement that copies into it.
pub(super) async fn ready(wire: &mut Wire, view: &View<'_>) -> Result<(String, Statement), Fault> {
    let kinds: Vec<Kind> = view.fields.iter().map(|field| field.kind).collect();
    if !wire.stages.known.contains_key(&kinds) {
        let stage = make(wire, &kinds).await?;
        wire.stages.known.insert(kinds.clone(), stage);
    }
    let Some(stage) = wire.stages.known.get_mut(&kinds) else { return Err(Fault::Deadline) };
    if std::mem::replace(&mut stage.is_dirty, true) {
        wire.client.batch_execute(&format!("TRUNCATE {}", stage.name)).await?;
    }
    Ok((stage.name.clone(), stage.copy.clone()))
}

async fn make(wire: &mut Wire, kinds: &[Kind]) -> Result<Stage, Fault> {
    let name = format!("pg_temp.wharf_stage_{}", wire.stages.made);
    wire.stages.made += 1;
    let columns: String = kinds.iter().enumerate().map(|(n, kind)| format!(", c{n} {}", staged(*kind))).collect();
    wire.client.batch_execute(&format!("CREATE TEMPORARY TABLE {name} (r int4 NOT NULL{columns}) ON COMMIT DELETE ROWS")).await?;
    let copy = wire.client.prepare(&format!("COPY {name} FROM STDIN (FORMAT binary)")).await?;
    Ok(Stage { name, copy, is_new: true, is_dirty: false })
}
