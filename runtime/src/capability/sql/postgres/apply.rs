//! Writes rows: staged by COPY, merged by one statement for rows of one shape. What a statement refuses is halved until the
//! rows at fault stand alone.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Statement;

use super::fault::Fault;
use super::identity::tells_apart;
use super::merge::Merge;
use super::schema::Existing;
use super::wire::Wire;
use super::{copy, stage};
use crate::capability::sql::cells::{Cell, Dialect, View};
use crate::capability::sql::name::TableName;
use crate::capability::sql::plan::{Action, Order, Plan, Refusal};
use crate::capability::sql::{Kind, RejectedRow, Rows, Table, unordered};

pub(super) async fn apply(wire: &mut Wire, table: &Table, rows: &Rows) -> Result<Vec<RejectedRow>, Fault> {
    let name = TableName::parse(&table.name)?;
    let view = View::new(table, rows)?;
    let existing = wire.table(&name).await?;
    let columns = match columns(&name, &view, &existing) {
        Ok(columns) => columns,
        Err(fault) => {
            check(wire, &name, &existing).await?;
            return Err(fault);
        }
    };
    let refused = view.refuse(&Postgres);
    let order = if tells_apart(&view, &columns) { Order::WithinKeys } else { Order::Steps };
    let mut plan = Plan::new(&view, refused.clone(), order);
    let good = plan.good_rows();
    if good.is_empty() {
        return Ok(plan.finish());
    }
    let stage = stage::fill(wire, &view, &good).await?;
    let required = existing.iter().filter(|column| column.required).map(|column| column.name.as_str()).collect();
    let merge = Merge { view: &view, columns, table: name.quoted(), stage, required };
    // Rows that are written as they came are not written again in another order.
    let reorders = plan.reorders();
    if reorders {
        wire.client.batch_execute("SAVEPOINT wharf_plan").await?;
    }
    let mut found = carry(wire, &merge, &mut plan).await?;
    if reorders && found == Found::OfOthers {
        // What other rows hold at the time depends on the rows before, of other keys too: all are written as they came.
        wire.client.batch_execute("ROLLBACK TO wharf_plan").await?;
        plan = Plan::new(&view, refused, Order::Steps);
        found = carry(wire, &merge, &mut plan).await?;
    }
    if reorders {
        wire.client.batch_execute("RELEASE wharf_plan").await?;
    }
    if found != Found::Nothing {
        check(wire, &name, &existing).await?;
    }
    Ok(plan.finish())
}

/// What the database refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    Refusals,
    /// Among them some for what other rows hold: by a unique constraint beside the key, a foreign key, an exclusion, a trigger.
    OfOthers,
}

impl Found {
    fn of(refusal: &Refusal) -> Self {
        match refusal.code {
            "sql.unique" | "sql.foreign-key" | "sql.refused" => Self::OfOthers,
            _ => Self::Refusals,
        }
    }
}

/// Writes all rows of a plan, which learns what was refused.
async fn carry(wire: &mut Wire, merge: &Merge<'_>, plan: &mut Plan) -> Result<Found, Fault> {
    let mut statements: HashMap<Action, Statement> = HashMap::new();
    let mut found = Found::Nothing;
    for step in plan.waves().into_iter().flatten() {
        let rows: Vec<usize> = step.rows.into_iter().filter(|row| !plan.is_replayed(*row)).collect();
        for (row, refusal) in write(wire, merge, &mut statements, (&step.action, &rows)).await? {
            found = found.max(Found::of(&refusal));
            plan.refused(row, refusal);
        }
    }
    for row in plan.replays() {
        let action = plan.action(row).clone();
        for (row, refusal) in write(wire, merge, &mut statements, (&action, &[row])).await? {
            found = found.max(Found::of(&refusal));
            plan.reject(row, refusal);
        }
    }
    Ok(found)
}

/// Rows are not refused by what a table was like some seconds ago, or before a statement waited for its lock.
async fn check(wire: &mut Wire, name: &TableName, existing: &Arc<Vec<Existing>>) -> Result<(), Fault> {
    if wire.table_now(name).await? == *existing {
        return Ok(());
    }
    Err(Fault::retry(format!("table `{name}` was altered while rows were written to it; they are written again")))
}

pub(super) fn columns<'e>(name: &TableName, view: &View<'_>, existing: &'e [Existing]) -> Result<Vec<&'e Existing>, Fault> {
    if existing.is_empty() {
        return Err(Fault::fatal(format!("there is no table `{name}`: create it, or let the connector create it")));
    }
    let column = |field: &crate::capability::sql::cells::Field<'_>| {
        existing.iter().find(|column| column.name == field.name).ok_or_else(|| {
            Fault::fatal(format!(
                "table `{name}` has no column `{}`: add it, let the connector add it, or leave its field out",
                field.name
            ))
        })
    };
    let columns: Vec<_> = view.fields.iter().map(column).collect::<Result<_, Fault>>()?;
    match view.version.and_then(|place| columns.get(place)) {
        Some(version) if !ORDERED.contains(&version.base.as_str()) => {
            Err(unordered(&name.to_string(), &version.name, &version.base).into())
        }
        _ => Ok(columns),
    }
}

/// Types of numbers and times. The order of texts is that of a collation, in which 10 comes before 9.
const ORDERED: [&str; 9] = ["int2", "int4", "int8", "numeric", "float4", "float8", "timestamptz", "timestamp", "date"];

/// What a COPY would refuse as a whole.
pub(super) struct Postgres;

impl Dialect for Postgres {
    fn takes_any_text(&self, _: usize) -> bool {
        true
    }

    fn misfit(&self, _: usize, kind: Kind, cell: Cell<'_>) -> Option<&'static str> {
        match (kind, cell) {
            (Kind::TimestampUs, Cell::Int(us)) if copy::timestamp(us).is_none() => Some("the time is out of PostgreSQL's range"),
            (Kind::Date, Cell::Int(days)) if copy::date(days).is_none() => Some("the date is out of PostgreSQL's range"),
            (Kind::Text | Kind::Json | Kind::Decimal, Cell::Bytes(bytes)) if memchr::memchr(0, bytes).is_some() => {
                Some("PostgreSQL's text cannot hold the character U+0000")
            }
            _ => None,
        }
    }
}

/// Writes rows of one action; answers those that were refused. Halves are written in order, so that of two rows that are
/// one row to the database the later one stands.
async fn write(
    wire: &mut Wire,
    merge: &Merge<'_>,
    statements: &mut HashMap<Action, Statement>,
    (action, rows): (&Action, &[usize]),
) -> Result<Vec<(usize, Refusal)>, Fault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let statement = match statements.get(action) {
        Some(statement) => statement.clone(),
        None => {
            let statement = wire.prepare(&merge.statement(action)).await?;
            statements.insert(action.clone(), statement.clone());
            statement
        }
    };
    let mut refused = Vec::new();
    let mut parts = vec![rows];
    while let Some(part) = parts.pop() {
        let Err(fault) = attempt(wire, &statement, part).await else { continue };
        let Some(refusal) = fault.refusal() else { return Err(fault) };
        wire.client.batch_execute("ROLLBACK TO wharf_rows; RELEASE wharf_rows").await?;
        match part {
            [row] => refused.push((*row, refusal)),
            _ => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.push(second);
                parts.push(first);
            }
        }
    }
    Ok(refused)
}

/// One statement in its savepoint, sent in one go; after an error the savepoint is still there.
async fn attempt(wire: &Wire, statement: &Statement, rows: &[usize]) -> Result<(), Fault> {
    let numbers: Vec<i32> = rows.iter().filter_map(|row| i32::try_from(*row).ok()).collect();
    let client = &wire.client;
    let parameters: [&(dyn postgres_types::ToSql + Sync); 1] = [&numbers];
    // Joined futures are first polled in order, and a request is on its way when its future was first polled.
    let (set, done, released) = futures_util::future::join3(
        client.batch_execute("SAVEPOINT wharf_rows"),
        client.execute(statement, &parameters),
        client.batch_execute("RELEASE wharf_rows"),
    )
    .await;
    set?;
    done?;
    Ok(released?)
}
