//! Writes rows into a SQLite table, one prepared statement a row: a refused row undoes itself, so nothing needs isolating.

use std::collections::HashMap;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::fault::{Fault, refusal};
use super::schema::{self, Affinity, Existing};
use crate::capability::sql::cells::{Cell, Dialect, View};
use crate::capability::sql::name::{TableName, list, quote};
use crate::capability::sql::plan::{Action, Order, Plan, Refusal, Shape};
use crate::capability::sql::{Kind, RejectedRow, Rows, Table, text, unordered};

/// A value on its way into SQLite.
enum Bound<'a> {
    Borrowed(ValueRef<'a>),
    Text(String),
}

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Borrowed(value) => ToSqlOutput::Borrowed(*value),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// Statements of one shape.
struct Statements {
    /// Tried first where an insert would fail for want of a required column although the row is there.
    update: Option<String>,
    /// Asked where the update changed nothing: a row that is there is newer.
    is_there: Option<String>,
    insert: String,
    /// Fields in the order of the update's parameters, and of the insert's.
    update_fields: Shape,
    insert_fields: Shape,
}

struct Writer<'a> {
    db: &'a Connection,
    view: &'a View<'a>,
    table: String,
    existing: Vec<Existing>,
    statements: HashMap<Shape, Statements>,
}

pub(super) fn apply(db: &Connection, table: &Table, rows: &Rows) -> Result<Vec<RejectedRow>, Fault> {
    let name = TableName::parse(&table.name)?;
    let view = View::new(table, rows)?;
    let existing = schema::describe(db, &name)?;
    if existing.is_empty() {
        return Err(Fault::fatal(format!("there is no table `{name}`: create it, or let the connector create it")));
    }
    let mut affinities = Vec::new();
    for field in &view.fields {
        match existing.iter().find(|e| e.name.eq_ignore_ascii_case(field.name)) {
            Some(e) => affinities.push(e.affinity),
            None => {
                return Err(Fault::fatal(format!(
                    "table `{name}` has no column `{}`: add it, let the connector add it, or leave its field out",
                    field.name
                )));
            }
        }
    }
    if let Some((field, affinity)) = view.version.and_then(|place| view.fields.get(place).zip(affinities.get(place)))
        && !orders(field.kind, *affinity)
    {
        let of = format!("affinity {affinity:?} that takes {}", field.kind);
        return Err(unordered(&name.to_string(), field.name, &of).into());
    }
    let refused = view.refuse(&Affinities(affinities));
    // Collations and affinities make one key of different bytes, and a statement writes one row whatever the order.
    let mut plan = Plan::new(&view, refused, Order::Rows);
    let mut writer = Writer { db, view: &view, table: name.quoted(), existing, statements: HashMap::new() };
    for row in plan.good_rows() {
        if let Some(refusal) = writer.write(row, plan.action(row))? {
            plan.reject(row, refusal);
        }
    }
    Ok(plan.finish())
}

/// By field.
struct Affinities(Vec<Affinity>);

impl Dialect for Affinities {
    fn takes_any_text(&self, place: usize) -> bool {
        !matches!(self.0.get(place), Some(Affinity::Integer | Affinity::Real))
    }

    fn misfit(&self, place: usize, kind: Kind, cell: Cell<'_>) -> Option<&'static str> {
        misfit(kind, self.0.get(place).copied().unwrap_or(Affinity::Blob), cell)
    }
}

/// Whether a column orders versions of a kind: as numbers, or times as the texts that are written for them.
const fn orders(kind: Kind, affinity: Affinity) -> bool {
    match kind {
        Kind::Int64 | Kind::Float64 | Kind::Decimal => matches!(affinity, Affinity::Integer | Affinity::Real | Affinity::Numeric),
        Kind::TimestampUs | Kind::Date => !matches!(affinity, Affinity::Integer | Affinity::Real),
        Kind::Boolean | Kind::Text | Kind::Bytes | Kind::Json => false,
    }
}

/// What SQLite would take in, but not as what it is. Text in a column for numbers stays text there unless the table is
/// STRICT; and a NaN turns into NULL.
fn misfit(kind: Kind, affinity: Affinity, cell: Cell<'_>) -> Option<&'static str> {
    let numeric = matches!(affinity, Affinity::Integer | Affinity::Real | Affinity::Numeric);
    match (kind, cell) {
        (_, Cell::Float(value)) if value.is_nan() => Some("the value is not a number"),
        (_, Cell::Float(value)) if affinity == Affinity::Integer && value.fract() != 0.0 => Some("the value is not an integer"),
        (Kind::TimestampUs, Cell::Int(us)) if text::timestamp(us).is_none() => Some("the time is not in the years 0 to 9999"),
        (Kind::Date, Cell::Int(days)) if text::date(days).is_none() => Some("the date is not in the years 0 to 9999"),
        (Kind::Bytes, Cell::Bytes(_)) if numeric => Some("bytes do not fit a column for numbers"),
        (Kind::Decimal | Kind::Text | Kind::Json, Cell::Bytes(bytes))
            if matches!(affinity, Affinity::Integer | Affinity::Real) =>
        {
            let number = std::str::from_utf8(bytes).is_ok_and(|text| match affinity {
                Affinity::Integer => text.parse::<i64>().is_ok(),
                _ => text::is_decimal(text),
            });
            (!number).then_some("the value does not fit a column for numbers")
        }
        _ => None,
    }
}

impl Writer<'_> {
    /// Writes one row; answers what the database said when it refused.
    fn write(&mut self, row: usize, action: &Action) -> Result<Option<Refusal>, Fault> {
        let done = match action {
            Action::Delete => self.delete(row),
            Action::Write(shape) => self.upsert(row, shape),
        };
        match done {
            Ok(()) => Ok(None),
            Err(error) => match refusal(&error) {
                Some(refusal) if self.db.is_autocommit() => Err(Fault::fatal(format!(
                    "a trigger of table {} rolled the whole transaction back ({}): let it raise ABORT instead",
                    self.table, refusal.reason
                ))),
                Some(refusal) => Ok(Some(refusal)),
                None => Err(error.into()),
            },
        }
    }

    fn delete(&self, row: usize) -> rusqlite::Result<()> {
        let matching = conditions(self.view);
        let mut statement = self.db.prepare_cached(&format!("DELETE FROM {} WHERE {matching}", self.table))?;
        statement.execute(params_from_iter(self.bound(row, &self.view.key))).map(drop)
    }

    fn upsert(&mut self, row: usize, shape: &Shape) -> rusqlite::Result<()> {
        if !self.statements.contains_key(shape) {
            let made = self.make(shape);
            self.statements.insert(shape.clone(), made);
        }
        let Some(statements) = self.statements.get(shape) else { return Ok(()) };
        if let Some(update) = &statements.update {
            let mut update = self.db.prepare_cached(update)?;
            if update.execute(params_from_iter(self.bound(row, &statements.update_fields)))? > 0 {
                return Ok(());
            }
        }
        if let Some(is_there) = &statements.is_there
            && self.db.prepare_cached(is_there)?.exists(params_from_iter(self.bound(row, &self.view.key)))?
        {
            return Ok(());
        }
        let mut insert = self.db.prepare_cached(&statements.insert)?;
        insert.execute(params_from_iter(self.bound(row, &statements.insert_fields))).map(drop)
    }

    fn bound(&self, row: usize, fields: &[usize]) -> impl Iterator<Item = Bound<'_>> {
        let fields: Vec<_> = fields.iter().filter_map(|place| self.view.fields.get(*place)).collect();
        fields.into_iter().map(move |field| bound(field.kind, field.cell(row)))
    }

    fn make(&self, shape: &Shape) -> Statements {
        let view = self.view;
        let name = |place: &usize| view.fields.get(*place).map_or("", |field| field.name);
        let has = |column: &str| shape.iter().any(|place| name(place).eq_ignore_ascii_case(column));
        let (table, columns) = (&self.table, list(shape.iter().map(name)));
        let marks = vec!["?"; shape.len()].join(", ");
        let set: Vec<usize> = shape.iter().copied().filter(|place| !view.is_key(*place)).collect();
        let plain = format!("INSERT INTO {table} AS t ({columns}) VALUES ({marks})");
        if view.key.is_empty() {
            let (update_fields, insert_fields) = (Vec::new(), shape.clone());
            return Statements { update: None, is_there: None, insert: plain, update_fields, insert_fields };
        }
        // That the row in the table is not newer.
        let newest = |before: &str, given: &dyn Fn(usize, &str) -> String| {
            let version = view.version.map(|place| (place, quote(name(&place))));
            let is = |(place, v): (usize, String)| format!(" {before} (t.{v} IS NULL OR t.{v} <= {})", given(place, &v));
            version.map_or_else(String::new, is)
        };
        let key = list(view.key.iter().map(name));
        let conflict = if set.is_empty() {
            "NOTHING".to_owned()
        } else {
            let set = set.iter().map(|place| format!("{0} = excluded.{0}", quote(name(place))));
            let newest = newest("WHERE", &|_, version| format!("excluded.{version}"));
            format!("UPDATE SET {}{newest}", set.collect::<Vec<_>>().join(", "))
        };
        let lacks_required = self.existing.iter().any(|column| column.required && !has(&column.name));
        let update = lacks_required.then(|| {
            // A row of its key alone changes nothing, but tells whether it is there.
            let changed = if set.is_empty() { &view.key } else { &set };
            let changed = changed.iter().enumerate().map(|(n, place)| format!("{} = ?{}", quote(name(place)), n + 1));
            let matching = view.key.iter().enumerate().map(|(n, place)| {
                let at = if set.is_empty() { n } else { set.len() + n };
                format!("{} = ?{}", quote(name(place)), at + 1)
            });
            let (changed, matching) = (changed.collect::<Vec<_>>().join(", "), matching.collect::<Vec<_>>().join(" AND "));
            let number = |version| set.iter().position(|place| *place == version).map_or(0, |n| n + 1);
            let newest = newest("AND", &|place, _| format!("?{}", number(place)));
            format!("UPDATE {table} AS t SET {changed} WHERE {matching}{newest}")
        });
        let is_there = update.as_ref().filter(|_| view.version.is_some());
        Statements {
            is_there: is_there.map(|_| format!("SELECT 1 FROM {table} WHERE {}", conditions(view))),
            update,
            insert: format!("{plain} ON CONFLICT ({key}) DO {conflict}"),
            update_fields: set.iter().chain(&view.key).copied().collect(),
            insert_fields: shape.clone(),
        }
    }
}

fn conditions(view: &View<'_>) -> String {
    let names = view.key.iter().filter_map(|place| view.fields.get(*place));
    names.map(|field| format!("{} = ?", quote(field.name))).collect::<Vec<_>>().join(" AND ")
}

fn bound(kind: Kind, cell: Cell<'_>) -> Bound<'_> {
    Bound::Borrowed(match (kind, cell) {
        (Kind::TimestampUs, Cell::Int(us)) => return text::timestamp(us).map_or(Bound::Borrowed(ValueRef::Null), Bound::Text),
        (Kind::Date, Cell::Int(days)) => return text::date(days).map_or(Bound::Borrowed(ValueRef::Null), Bound::Text),
        (_, Cell::Absent | Cell::Null) => ValueRef::Null,
        (_, Cell::Boolean(value)) => ValueRef::Integer(value.into()),
        (_, Cell::Int(value)) => ValueRef::Integer(value),
        (_, Cell::Float(value)) => ValueRef::Real(value),
        (Kind::Bytes, Cell::Bytes(value)) => ValueRef::Blob(value),
        (_, Cell::Bytes(value)) => ValueRef::Text(value),
    })
}
