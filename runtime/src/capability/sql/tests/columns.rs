//! Columns of rows as tests write them down.
use super::api::{Column, ColumnDef, Kind, Rows, Table, Values};

pub fn bits(of: impl IntoIterator<Item = bool>) -> Vec<u8> {
    let mut bits = Vec::new();
    for (index, set) in of.into_iter().enumerate() {
        if index % 8 == 0 {
            bits.push(0);
        }
        *bits.last_mut().unwrap() |= u8::from(set) << (index % 8);
    }
    bits
}

fn column(name: &str, kind: Kind, validity: Vec<u8>, values: Values) -> Column {
    Column { name: name.to_owned(), kind, validity, present: Vec::new(), values }
}

pub fn whole(name: &str, kind: Kind, values: &[Option<i64>]) -> Column {
    let validity = bits(values.iter().map(Option::is_some));
    column(name, kind, validity, Values::Ints(values.iter().map(|v| v.unwrap_or_default()).collect()))
}

pub fn ints(name: &str, values: &[Option<i64>]) -> Column {
    whole(name, Kind::Int64, values)
}

pub fn floats(name: &str, values: &[Option<f64>]) -> Column {
    let validity = bits(values.iter().map(Option::is_some));
    column(name, Kind::Float64, validity, Values::Floats(values.iter().map(|v| v.unwrap_or_default()).collect()))
}

pub fn booleans(name: &str, values: &[Option<bool>]) -> Column {
    let validity = bits(values.iter().map(Option::is_some));
    column(name, Kind::Boolean, validity, Values::Booleans(values.iter().map(|v| v.unwrap_or_default().into()).collect()))
}

pub fn variable(name: &str, kind: Kind, values: &[Option<&[u8]>]) -> Column {
    let validity = bits(values.iter().map(Option::is_some));
    let lens = values.iter().map(|v| u32::try_from(v.unwrap_or_default().len()).unwrap()).collect();
    let data = values.iter().flat_map(|v| v.unwrap_or_default().iter().copied()).collect();
    column(name, kind, validity, Values::Variable { lens, data })
}

pub fn strings(name: &str, kind: Kind, values: &[Option<&str>]) -> Column {
    variable(name, kind, &values.iter().map(|v| v.map(str::as_bytes)).collect::<Vec<_>>())
}

pub fn texts(name: &str, values: &[Option<&str>]) -> Column {
    strings(name, Kind::Text, values)
}

/// The column with fields only where `present`.
pub fn only(mut column: Column, present: &[bool]) -> Column {
    column.present = bits(present.iter().copied());
    column
}

pub fn rows(count: usize, columns: Vec<Column>) -> Rows {
    Rows { count: u32::try_from(count).unwrap(), deletes: Vec::new(), columns }
}

pub fn deleting(deletes: &[bool], columns: Vec<Column>) -> Rows {
    Rows { deletes: bits(deletes.iter().copied()), ..rows(deletes.len(), columns) }
}

pub fn table(name: &str, key: &[&str]) -> Table {
    Table { name: name.to_owned(), key: key.iter().map(|&k| k.to_owned()).collect(), version: None }
}

/// A table of `id` where the higher version wins.
pub fn versioned(name: &str, version: &str) -> Table {
    Table { version: Some(version.to_owned()), ..table(name, &["id"]) }
}

pub fn def(name: &str, kind: Kind, nullable: bool) -> ColumnDef {
    ColumnDef { name: name.to_owned(), kind, nullable }
}

pub fn strings_of(column: &Column) -> Vec<Option<String>> {
    let set = |row: usize| column.validity.is_empty() || column.validity[row / 8] >> (row % 8) & 1 == 1;
    let all: Vec<String> = match &column.values {
        Values::Booleans(v) => v.iter().map(|v| (*v != 0).to_string()).collect(),
        Values::Ints(v) => v.iter().map(ToString::to_string).collect(),
        Values::Floats(v) => v.iter().map(ToString::to_string).collect(),
        Values::Variable { lens, data } => {
            let mut rest = data.as_slice();
            let mut take = |len: &u32| {
                let (head, tail) = rest.split_at(*len as usize);
                rest = tail;
                String::from_utf8_lossy(head).into_owned()
            };
            lens.iter().map(&mut take).collect()
        }
    };
    all.into_iter().enumerate().map(|(row, text)| set(row).then_some(text)).collect()
}
