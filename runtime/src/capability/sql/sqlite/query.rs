//! Small reads. A statement runs as a subquery: what is not a SELECT (transaction control, ATTACH, PRAGMA) is no subquery.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Statement, ToSql};

use super::fault::Fault;
use super::schema;
use crate::capability::sql::cells::{Answer, Cell, Field};
use crate::capability::sql::{Column, Kind, LARGEST_ANSWER, text, too_large};

pub(super) fn query(db: &Connection, statement: &str, parameters: &[Column], max_rows: u32) -> Result<Vec<Column>, Fault> {
    let statement = statement.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
    // The line break ends a comment that the statement may end with.
    let wrapped = format!("SELECT * FROM ({statement}\n) LIMIT {}", u64::from(max_rows) + 1);
    let unreadable = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::Unknown) | None => Fault::reject(format!("not one statement that reads: {error}")),
        Some(_) => error.into(),
    };
    let mut statement = db.prepare(&wrapped).map_err(unreadable)?;
    if !statement.readonly() {
        return Err(Fault::reject("the statement writes; only reads are allowed".to_owned()));
    }
    bind(&mut statement, parameters)?;
    let headers: Vec<(String, Option<Kind>)> =
        statement.columns().map(|column| (column.name().to_owned(), column.decl_type().map(schema::kind))).collect();
    let mut columns: Vec<Vec<Value>> = headers.iter().map(|_| Vec::new()).collect();
    let mut rows = statement.raw_query();
    let (mut count, mut bytes) = (0_u32, 0_usize);
    while let Some(row) = rows.next()? {
        if count == max_rows {
            return Err(Fault::reject(format!("the statement answers more than {max_rows} rows: narrow it, or ask for more")));
        }
        count += 1;
        for (index, column) in columns.iter_mut().enumerate() {
            let value: Value = row.get(index)?;
            bytes += match &value {
                Value::Text(text) => text.len(),
                Value::Blob(blob) => blob.len(),
                Value::Null | Value::Integer(_) | Value::Real(_) => 8,
            };
            column.push(value);
        }
        if bytes > LARGEST_ANSWER {
            return Err(too_large().into());
        }
    }
    let answer = |((name, declared), values): ((String, Option<Kind>), Vec<Value>)| answer(&name, declared, &values);
    Ok(headers.into_iter().zip(columns).map(answer).collect())
}

fn bind(statement: &mut Statement<'_>, parameters: &[Column]) -> Result<(), Fault> {
    for (index, column) in parameters.iter().enumerate() {
        let name = format!("${}", index + 1);
        let field = Field::new(column, 1)?;
        let Some(place) = statement.parameter_index(&name)? else {
            return Err(Fault::reject(format!("the statement has no {name}")));
        };
        statement.raw_bind_parameter(place, parameter(&field))?;
    }
    let unbound = (1..=statement.parameter_count()).filter_map(|place| statement.parameter_name(place)).find(|name| {
        !name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).is_some_and(|n| (1..=parameters.len()).contains(&n))
    });
    match unbound {
        Some(name) => Err(Fault::reject(format!("no value was given for {name}"))),
        None => Ok(()),
    }
}

fn parameter(field: &Field<'_>) -> impl ToSql + use<> {
    match (field.kind, field.cell(0)) {
        (Kind::TimestampUs, Cell::Int(us)) => text::timestamp(us).map_or(Value::Null, Value::Text),
        (Kind::Date, Cell::Int(days)) => text::date(days).map_or(Value::Null, Value::Text),
        (_, Cell::Absent | Cell::Null) => Value::Null,
        (_, Cell::Boolean(value)) => Value::Integer(value.into()),
        (_, Cell::Int(value)) => Value::Integer(value),
        (_, Cell::Float(value)) => Value::Real(value),
        (Kind::Bytes, Cell::Bytes(value)) => Value::Blob(value.to_vec()),
        (_, Cell::Bytes(value)) => Value::Text(String::from_utf8_lossy(value).into_owned()),
    }
}

/// A column in its declared kind where all its values are of it, else in the kind that its values are of.
fn answer(name: &str, declared: Option<Kind>, values: &[Value]) -> Column {
    let by_values = || {
        let classes: Vec<_> = values.iter().filter(|v| **v != Value::Null).collect();
        if classes.is_empty() {
            Kind::Text
        } else if classes.iter().all(|v| matches!(v, Value::Integer(_))) {
            Kind::Int64
        } else if classes.iter().all(|v| matches!(v, Value::Integer(_) | Value::Real(_))) {
            Kind::Float64
        } else if classes.iter().all(|v| matches!(v, Value::Blob(_))) {
            Kind::Bytes
        } else {
            Kind::Text
        }
    };
    declared
        .and_then(|kind| filled(name, kind, values))
        .or_else(|| filled(name, by_values(), values))
        .unwrap_or_else(|| Answer::new(name.to_owned(), Kind::Text).finish())
}

fn filled(name: &str, kind: Kind, values: &[Value]) -> Option<Column> {
    let mut answer = Answer::new(name.to_owned(), kind);
    for value in values {
        let shown;
        let cell = match (kind, ValueRef::from(value)) {
            (_, ValueRef::Null) => Cell::Null,
            (Kind::Boolean, ValueRef::Integer(value @ (0 | 1))) => Cell::Boolean(value == 1),
            (Kind::Int64, ValueRef::Integer(value)) => Cell::Int(value),
            (Kind::Float64, ValueRef::Real(value)) => Cell::Float(value),
            #[expect(clippy::cast_precision_loss, reason = "a column for REAL that holds an integer is read as SQLite would")]
            (Kind::Float64, ValueRef::Integer(value)) => Cell::Float(value as f64),
            (Kind::TimestampUs, ValueRef::Text(value)) => Cell::Int(text::parse_timestamp(std::str::from_utf8(value).ok()?)?),
            (Kind::Date, ValueRef::Text(value)) => Cell::Int(text::parse_date(std::str::from_utf8(value).ok()?)?),
            (Kind::Text | Kind::Json, ValueRef::Text(value)) | (Kind::Bytes, ValueRef::Blob(value)) => Cell::Bytes(value),
            (Kind::Decimal, ValueRef::Text(value)) if std::str::from_utf8(value).is_ok_and(text::is_decimal) => {
                Cell::Bytes(value)
            }
            (Kind::Decimal | Kind::Text, ValueRef::Integer(value)) => {
                shown = value.to_string();
                Cell::Bytes(shown.as_bytes())
            }
            (Kind::Decimal | Kind::Text, ValueRef::Real(value)) => {
                shown = value.to_string();
                Cell::Bytes(shown.as_bytes())
            }
            (Kind::Text, ValueRef::Blob(value)) => {
                shown = String::from_utf8_lossy(value).into_owned();
                Cell::Bytes(shown.as_bytes())
            }
            _ => return None,
        };
        if !answer.push(cell) {
            return None;
        }
    }
    Some(answer.finish())
}
