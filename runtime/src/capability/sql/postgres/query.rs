//! Small reads. A statement runs as a subquery of a read-only transaction: what is not a SELECT (transaction control, SET)
//! is no subquery, and what a function would write is refused.

use std::pin::pin;

use bytes::{BufMut, BytesMut};
use futures_util::TryStreamExt;
use postgres_types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Row, Statement};

use super::fault::Fault;
use super::wire::Wire;
use super::{copy, schema};
use crate::capability::sql::cells::{Answer, Cell, Field};
use crate::capability::sql::{Column, Kind, LARGEST_ANSWER, text, too_large};

type Boxed = Box<dyn std::error::Error + Sync + Send>;

/// A parameter as text: the server reads it as whatever the statement needs.
#[derive(Debug)]
struct Parameter(Option<String>);

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.put_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A value's own bytes.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

pub(super) async fn query(wire: &mut Wire, statement: &str, parameters: &[Column], max_rows: u32) -> Result<Vec<Column>, Fault> {
    let statement = statement.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
    let values = parameters.iter().map(parameter).collect::<Result<Vec<_>, Fault>>()?;
    // The line break ends a comment that the statement may end with.
    let seen =
        wire.client.prepare(&format!("SELECT * FROM (\n{statement}\n) AS q")).await.map_err(|e| Fault::from(e).of_query())?;
    if seen.params().len() != values.len() {
        return Err(Fault::reject(format!("the statement has {} parameters, {} were given", seen.params().len(), values.len())));
    }
    let mut answers: Vec<Answer> =
        seen.columns().iter().map(|column| Answer::new(column.name().to_owned(), kind(column.type_()))).collect();
    let kinds: Vec<Kind> = seen.columns().iter().map(|column| kind(column.type_())).collect();
    if answers.is_empty() {
        return Err(Fault::reject("the statement answers no columns".to_owned()));
    }
    let reading = wire.client.prepare(&reading(statement, &seen, max_rows)).await.map_err(|e| Fault::from(e).of_query())?;
    let rows = wire.client.query_raw(&reading, &values).await.map_err(|e| Fault::from(e).of_query())?;
    let mut rows = pin!(rows);
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.try_next().await.map_err(|e| Fault::from(e).of_query())? {
        if count == max_rows {
            return Err(Fault::reject(format!("the statement answers more than {max_rows} rows: narrow it, or ask for more")));
        }
        count += 1;
        for (index, (answer, kind)) in answers.iter_mut().zip(&kinds).enumerate() {
            bytes += push(answer, *kind, &row, index)?;
        }
        if bytes > LARGEST_ANSWER {
            return Err(too_large().into());
        }
    }
    Ok(answers.into_iter().map(Answer::finish).collect())
}

/// The statement with each column in the one type that its kind is read as.
fn reading(statement: &str, seen: &Statement, max_rows: u32) -> String {
    let mut names = Vec::new();
    let mut values = Vec::new();
    for (n, column) in seen.columns().iter().enumerate() {
        names.push(format!("c{n}"));
        values.push(match (kind(column.type_()), base(column.type_())) {
            (Kind::TimestampUs, "timestamp") => format!("c{n} AT TIME ZONE 'UTC'"),
            (Kind::Boolean, _) => format!("c{n}::bool"),
            (Kind::Int64, _) => format!("c{n}::int8"),
            (Kind::Float64, _) => format!("c{n}::float8"),
            (Kind::Bytes, _) => format!("c{n}::bytea"),
            (Kind::TimestampUs, _) => format!("c{n}::timestamptz"),
            (Kind::Date, _) => format!("c{n}::date"),
            (Kind::Decimal | Kind::Text | Kind::Json, _) => format!("c{n}::text"),
        });
    }
    let limit = u64::from(max_rows) + 1;
    format!("SELECT {} FROM (\n{statement}\n) AS q ({}) LIMIT {limit}", values.join(", "), names.join(", "))
}

fn base(type_: &Type) -> &str {
    match type_.kind() {
        postgres_types::Kind::Domain(inner) => base(inner),
        _ => type_.name(),
    }
}

fn kind(type_: &Type) -> Kind {
    schema::kind(base(type_))
}

/// Adds a row's value; answers its size.
fn push(answer: &mut Answer, kind: Kind, row: &Row, index: usize) -> Result<usize, Fault> {
    let Some(Raw(raw)) = row.try_get::<_, Option<Raw<'_>>>(index)? else {
        return if answer.push(Cell::Null) { Ok(1) } else { Err(garbled()) };
    };
    let eight = || raw.try_into().map_err(|_| garbled());
    let cell = match kind {
        Kind::Boolean => Cell::Boolean(raw == [1]),
        Kind::Int64 => Cell::Int(i64::from_be_bytes(eight()?)),
        Kind::Float64 => Cell::Float(f64::from_be_bytes(eight()?)),
        Kind::TimestampUs => Cell::Int(copy::from_timestamp(i64::from_be_bytes(eight()?))),
        Kind::Date => Cell::Int(copy::from_date(i32::from_be_bytes(raw.try_into().map_err(|_| garbled())?))),
        Kind::Decimal | Kind::Text | Kind::Bytes | Kind::Json => Cell::Bytes(raw),
    };
    if answer.push(cell) { Ok(raw.len()) } else { Err(garbled()) }
}

fn garbled() -> Fault {
    Fault::fatal("the server answered a value in another form than asked for".to_owned())
}

fn parameter(column: &Column) -> Result<Parameter, Fault> {
    let field = Field::new(column, 1)?;
    let unfit = || Fault::reject(format!("parameter `{}` is out of range", column.name));
    Ok(Parameter(match (field.kind, field.cell(0)) {
        (_, Cell::Absent | Cell::Null) => None,
        (Kind::TimestampUs, Cell::Int(us)) => Some(text::timestamp(us).ok_or_else(unfit)?),
        (Kind::Date, Cell::Int(days)) => Some(text::date(days).ok_or_else(unfit)?),
        (_, Cell::Boolean(value)) => Some(value.to_string()),
        (_, Cell::Int(value)) => Some(value.to_string()),
        (_, Cell::Float(value)) if value.is_infinite() => Some(if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()),
        (_, Cell::Float(value)) => Some(value.to_string()),
        (Kind::Bytes, Cell::Bytes(value)) => {
            let hex = value.iter().map(|byte| format!("{byte:02x}"));
            Some(format!("\\x{}", hex.collect::<String>()))
        }
        (_, Cell::Bytes(value)) => Some(String::from_utf8_lossy(value).into_owned()),
    }))
}
