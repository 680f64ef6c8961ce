//! The statements that carry staged rows into their table. Does no I/O.

use super::schema::Existing;
use crate::capability::sql::Kind;
use crate::capability::sql::cells::View;
use crate::capability::sql::name::quote;
use crate::capability::sql::plan::Action;

/// What a merge is made of.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    pub view: &'a View<'a>,
    /// Per field its column.
    pub columns: Vec<&'a Existing>,
    /// Quoted.
    pub table: String,
    pub stage: String,
    /// Columns that an insert must give.
    pub required: Vec<&'a str>,
}

impl Merge<'_> {
    /// The statement for rows of one action; `$1` is the array of their numbers.
    pub(super) fn statement(&self, action: &Action) -> String {
        match action {
            Action::Delete => self.delete(),
            Action::Write(shape) if self.view.key.is_empty() => {
                format!("{} {}", self.insert_into(shape), self.select(shape))
            }
            Action::Write(shape) => {
                let given = |required: &&str| shape.iter().any(|place| self.name(*place) == *required);
                if self.required.iter().all(given) { self.upsert(shape) } else { self.update_or_insert(shape) }
            }
        }
    }

    /// The statement for all rows, which have all fields, but for those whose numbers `$1` holds.
    pub(super) fn all_but(&self) -> String {
        let shape: Vec<usize> = (0..self.view.fields.len()).collect();
        let values = shape.iter().map(|place| self.value(*place)).collect::<Vec<_>>().join(", ");
        let insert = format!("{} SELECT {values} FROM {} s WHERE s.r <> ALL($1::int4[])", self.insert_into(&shape), self.stage);
        if self.view.key.is_empty() { insert } else { format!("{insert} {}", self.on_conflict(&shape)) }
    }

    fn name(&self, place: usize) -> &str {
        self.columns.get(place).map_or("", |column| column.name.as_str())
    }

    /// The staged value as the column takes it.
    fn value(&self, place: usize) -> String {
        match (self.view.fields.get(place), self.columns.get(place)) {
            (Some(field), Some(column)) => cast(field.kind, column, &format!("s.c{place}")),
            _ => "NULL".to_owned(),
        }
    }

    fn names(&self, shape: &[usize]) -> String {
        shape.iter().map(|place| quote(self.name(*place))).collect::<Vec<_>>().join(", ")
    }

    fn insert_into(&self, shape: &[usize]) -> String {
        format!("INSERT INTO {} AS t ({})", self.table, self.names(shape))
    }

    fn select(&self, shape: &[usize]) -> String {
        let values = shape.iter().map(|place| self.value(*place)).collect::<Vec<_>>().join(", ");
        format!("SELECT {values} FROM {} s WHERE s.r = ANY($1) ORDER BY s.r", self.stage)
    }

    fn delete(&self) -> String {
        let matching = self.view.key.iter().map(|place| format!("t.{} = {}", quote(self.name(*place)), self.value(*place)));
        let matching = matching.collect::<Vec<_>>().join(" AND ");
        format!("DELETE FROM {} t USING {} s WHERE s.r = ANY($1) AND {matching}", self.table, self.stage)
    }

    fn set<'s>(&'s self, shape: &'s [usize], from: &str) -> String {
        let set = shape.iter().filter(|place| !self.view.is_key(**place));
        set.map(|place| format!("{0} = {from}.{0}", quote(self.name(*place)))).collect::<Vec<_>>().join(", ")
    }

    fn on_conflict(&self, shape: &[usize]) -> String {
        let set = self.set(shape, "EXCLUDED");
        let set = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {set}") };
        let newest = self.newest("EXCLUDED").map(|newest| format!(" WHERE {newest}")).unwrap_or_default();
        format!("ON CONFLICT ({}) DO {set}{newest}", self.names(&self.view.key))
    }

    /// That the row in the table is not newer; `None`: versions do not count.
    fn newest(&self, from: &str) -> Option<String> {
        let version = quote(self.name(self.view.version?));
        Some(format!("(t.{version} IS NULL OR t.{version} <= {from}.{version})"))
    }

    fn upsert(&self, shape: &[usize]) -> String {
        format!("{} {} {}", self.insert_into(shape), self.select(shape), self.on_conflict(shape))
    }

    /// Rows that lack a required column: PostgreSQL would refuse their insert before it looks whether the row is there, so
    /// those that are there are updated first.
    fn update_or_insert(&self, shape: &[usize]) -> String {
        let values = shape.iter().map(|place| format!("{} AS {}", self.value(*place), quote(self.name(*place))));
        let values = values.collect::<Vec<_>>().join(", ");
        let same = self
            .view
            .key
            .iter()
            .map(|place| format!("t.{0} = g.{0}", quote(self.name(*place))))
            .collect::<Vec<_>>()
            .join(" AND ");
        let set = self.set(shape, "g");
        let here = format!("SELECT g.\"wharf r\" AS r FROM given g JOIN {} t ON {same}", self.table);
        let update = format!("UPDATE {} t SET {set} FROM given g WHERE {same}", self.table);
        let there = match self.newest("g") {
            _ if set.is_empty() => here,
            // One that loses is there too.
            Some(newest) => format!("{here}), newest AS ({update} AND {newest}"),
            None => format!("{update} RETURNING g.\"wharf r\" AS r"),
        };
        let names = shape.iter().map(|place| format!("g.{}", quote(self.name(*place)))).collect::<Vec<_>>().join(", ");
        format!(
            "WITH given AS (SELECT s.r AS \"wharf r\", {values} FROM {} s WHERE s.r = ANY($1)), there AS ({there}) \
             {} SELECT {names} FROM given g WHERE NOT EXISTS (SELECT FROM there WHERE there.r = g.\"wharf r\") \
             ORDER BY g.\"wharf r\" {}",
            self.stage,
            self.insert_into(shape),
            self.on_conflict(shape)
        )
    }
}

/// A staged value in the type of its column, so that what does not fit is an error and nothing is cut or rounded that need
/// not be: lengths are left to the assignment, and numbers with a fraction are no integers.
fn cast(kind: Kind, column: &Existing, staged: &str) -> String {
    let (base, to) = (column.base.as_str(), column.cast.as_str());
    let integer = matches!(base, "int2" | "int4" | "int8");
    let string = matches!(base, "text" | "varchar" | "bpchar" | "name" | "citext");
    match (kind, base) {
        (Kind::Boolean, "bool")
        | (Kind::Int64, "int8" | "int4" | "int2" | "numeric" | "float8" | "float4")
        | (Kind::Float64, "float8" | "float4")
        | (Kind::Bytes, "bytea")
        | (Kind::TimestampUs, "timestamptz")
        | (Kind::Date, "date" | "timestamp" | "timestamptz")
        | (Kind::Decimal | Kind::Json, _)
            if !(integer && kind == Kind::Decimal) =>
        {
            format!("{staged}::{to}")
        }
        (Kind::Decimal, _) => format!("trim_scale({staged}::numeric)::text::{to}"),
        (Kind::Float64, _) if integer => format!("trim_scale({staged}::text::numeric)::text::{to}"),
        (Kind::Text, "bytea") => format!("convert_to({staged}, 'UTF8')"),
        (Kind::Bytes, _) => format!("convert_from({staged}, 'UTF8')::{to}"),
        (Kind::TimestampUs, "timestamp" | "date") => format!("({staged} AT TIME ZONE 'UTC')::{to}"),
        (Kind::TimestampUs, _) if string => {
            format!("to_char({staged} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')::{to}")
        }
        (Kind::Text, _) => format!("{staged}::{to}"),
        _ => format!("{staged}::text::{to}"),
    }
}
