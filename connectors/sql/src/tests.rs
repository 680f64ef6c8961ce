use std::cell::RefCell;
use std::rc::Rc;

use wharf_sdk::sql::{self, ColumnDef, Kind, Rejected, Value};
use wharf_sdk::testing::{self, Database};
use wharf_sdk::{Context, Error, Outcomes, Result, Sink, Verdict};

use super::Sql;

mod altered;
mod orphans;
mod straight;
mod versions;

/// What the database was told.
#[derive(Default)]
struct Told {
    tables: Vec<(String, Vec<ColumnDef>)>,
    ensured: Vec<(sql::Table, Vec<ColumnDef>)>,
    applied: Vec<(sql::Table, sql::Rows)>,
    /// The column of versions of each call that had one.
    versions: Vec<String>,
    refuses: Vec<Rejected>,
    /// Added columns are made of this kind.
    made_as: Option<Kind>,
    /// How often it was asked for columns.
    asked: usize,
    /// What the next calls of a name answer instead.
    faults: Vec<(&'static str, Error)>,
}

impl Told {
    fn fault(&mut self, call: &str) -> Result<()> {
        let at = self.faults.iter().position(|(name, _)| *name == call);
        at.map_or(Ok(()), |at| Err(self.faults.remove(at).1))
    }
}

struct Fake(Rc<RefCell<Told>>);

impl Database for Fake {
    fn ensure(&mut self, _: &str, table: &sql::Table, columns: &[ColumnDef]) -> Result<()> {
        let mut told = self.0.borrow_mut();
        told.fault("ensure")?;
        told.ensured.push((table.clone(), columns.to_vec()));
        let at = told.tables.iter().position(|(name, _)| *name == table.name);
        let mut made = at.map(|at| told.tables.remove(at).1).unwrap_or_default();
        for column in columns {
            if !made.iter().any(|known| known.name == column.name) {
                made.push(ColumnDef { kind: told.made_as.unwrap_or(column.kind), ..column.clone() });
            }
        }
        told.tables.push((table.name.clone(), made));
        Ok(())
    }

    fn columns(&mut self, connection: &str, table: &str) -> Result<Vec<ColumnDef>> {
        assert_eq!(connection, "warehouse");
        let mut told = self.0.borrow_mut();
        told.asked += 1;
        told.fault("columns")?;
        Ok(told.tables.iter().find(|(name, _)| name == table).map(|(_, columns)| columns.clone()).unwrap_or_default())
    }

    fn apply(&mut self, _: &str, table: &sql::Table, rows: sql::Rows) -> Result<Vec<Rejected>> {
        let mut told = self.0.borrow_mut();
        told.fault("apply")?;
        told.applied.push((table.clone(), rows));
        Ok(std::mem::take(&mut told.refuses))
    }

    fn apply_newest(&mut self, connection: &str, table: &sql::Table, version: &str, rows: sql::Rows) -> Result<Vec<Rejected>> {
        self.0.borrow_mut().versions.push(version.to_owned());
        self.apply(connection, table, rows)
    }
}

fn open(config: &str) -> (Sql, Rc<RefCell<Told>>) {
    let told = Rc::new(RefCell::new(Told::default()));
    testing::database(Fake(told.clone()));
    (Sql::open(&Context::new("orders", config)).unwrap(), told)
}

const ORDERS: &str = r#"{"connection":"warehouse","table":"orders","key":["ID"]}"#;

fn def(name: &str, kind: Kind) -> ColumnDef {
    ColumnDef { name: name.to_owned(), kind, nullable: true }
}

/// One line a column: name, kind and its values, `-` for absent.
fn shown(rows: &sql::Rows) -> Vec<String> {
    let line = |column: &sql::Column| {
        let values = column.iter().enumerate().map(|(row, value)| match value {
            None if !column.is_present(row) => "-".to_owned(),
            None => "null".to_owned(),
            Some(Value::Bool(v)) => v.to_string(),
            Some(Value::Int(v) | Value::Timestamp(v) | Value::Date(v)) => v.to_string(),
            Some(Value::Float(v)) => format!("{v:?}"),
            Some(Value::Decimal(v) | Value::Text(v) | Value::Json(v)) => v.to_owned(),
            Some(Value::Bytes(v)) => format!("{v:?}"),
        });
        format!("{} {:?} {}", column.name(), column.kind(), values.collect::<Vec<_>>().join("|"))
    };
    rows.columns.iter().map(line).collect()
}

fn rejections(outcomes: &Outcomes) -> Vec<(u32, String, Option<String>)> {
    outcomes
        .iter()
        .map(|(index, verdict)| match verdict {
            Verdict::Reject(r) => (index, r.code.clone(), r.field.clone()),
            Verdict::Retry(_) => panic!("a retry"),
        })
        .collect()
}

fn values<'a>(values: &[&'a str]) -> Vec<(Option<&'a str>, Option<&'a str>)> {
    values.iter().map(|value| (None, Some(*value))).collect()
}

#[test]
fn new_table_gets_its_columns_from_the_first_value_of_each_field() {
    let (mut sink, told) = open(ORDERS);
    let batch = testing::batch(
        "erp.orders",
        values(&[
            r#"{"note":null,"ok":true,"ID":9007199254740993,"price":1.50,"at":"2024-01-01T00:00:00Z","lines":[{"a": 1}]}"#,
            r#"{"ID":2,"note":"x","big":123456789012345678901234567890}"#,
        ]),
    );
    assert!(sink.write(&batch).unwrap().is_empty());
    let told = told.borrow();
    let (table, columns) = &told.ensured[0];
    assert_eq!((table.name.as_str(), &table.key[..]), ("orders", &["ID".to_owned()][..]));
    let columns: Vec<String> = columns.iter().map(|c| format!("{} {:?} {}", c.name, c.kind, c.nullable)).collect();
    assert_eq!(
        columns,
        [
            "ID Kind::Int64 false",
            "ok Kind::Boolean true",
            "price Kind::Float64 true",
            "at Kind::Text true",
            "lines Kind::Json true",
            "note Kind::Text true",
            "big Kind::Decimal true"
        ]
    );
    assert_eq!(
        shown(&told.applied[0].1),
        [
            "ok Kind::Boolean true|-",
            "ID Kind::Int64 9007199254740993|2",
            "price Kind::Float64 1.5|-",
            "at Kind::Text 2024-01-01T00:00:00Z|-",
            r#"lines Kind::Json [{"a": 1}]|-"#,
            "note Kind::Text -|x",
            "big Kind::Decimal -|123456789012345678901234567890"
        ]
    );
}

#[test]
fn absent_field_is_not_null() {
    let (mut sink, told) = open(ORDERS);
    let batch = testing::batch("t", values(&[r#"{"ID":1,"a":"x"}"#, r#"{"ID":2,"a":null}"#, r#"{"ID":3}"#]));
    assert!(sink.write(&batch).unwrap().is_empty());
    assert_eq!(shown(&told.borrow().applied[0].1), ["ID Kind::Int64 1|2|3", "a Kind::Text x|null|-"]);
}

#[test]
fn configured_types_decide_over_the_look_of_a_value() {
    let (mut sink, told) = open(
        r#"{"connection":"warehouse","table":"t","columns":{"at":"timestamp","price":"decimal","day":"date","blob":"bytes","any":"json"}}"#,
    );
    let batch = testing::batch(
        "t",
        values(&[
            r#"{"at":"2024-01-01T01:00:00.000001+01:00","price":"0.10","day":"2024-01-02","blob":"AAE=","any":5}"#,
            r#"{"at":1704067200000,"price":12345678901234567890.12,"any":"s"}"#,
            r#"{"price":"12,5"}"#,
            r#"{"at":"2024-01-01"}"#,
            r#"{"blob":"?"}"#,
        ]),
    );
    let outcomes = sink.write(&batch).unwrap();
    let field = |name: &str| Some(format!("/{name}"));
    let code = || "sql.type".to_owned();
    assert_eq!(rejections(&outcomes), [(2, code(), field("price")), (3, code(), field("at")), (4, code(), field("blob"))]);
    assert_eq!(
        shown(&told.borrow().applied[0].1),
        [
            "at Kind::TimestampUs 1704067200000001|1704067200000000",
            "price Kind::Decimal 0.10|12345678901234567890.12",
            "day Kind::Date 19724|-",
            "blob Kind::Bytes [0, 1]|-",
            r#"any Kind::Json 5|"s""#
        ]
    );
}

#[test]
fn value_that_does_not_fit_its_column_rejects_its_record_alone() {
    let (mut sink, told) = open(ORDERS);
    let there = vec![def("ID", Kind::Int64), def("name", Kind::Text), def("f", Kind::Float64), def("b", Kind::Boolean)];
    told.borrow_mut().tables.push(("orders".to_owned(), there));
    let batch = testing::batch(
        "t",
        values(&[
            r#"{"ID":1,"name":"a","f":2}"#,
            r#"{"ID":2,"name":5,"new":1}"#,
            r#"{"ID":3,"f":9007199254740993}"#,
            r#"{"ID":4,"b":"true"}"#,
            r#"{"ID":5.0}"#,
            r#"{"ID":6,"f":1e999}"#,
            r#"{"ID":7,"name":"z"}"#,
        ]),
    );
    let outcomes = sink.write(&batch).unwrap();
    let found: Vec<_> =
        rejections(&outcomes).into_iter().map(|(i, code, field)| format!("{i} {code} {}", field.unwrap())).collect();
    assert_eq!(found, ["1 sql.type /name", "2 sql.type /f", "3 sql.type /b", "4 sql.type /ID", "5 sql.type /f"]);
    let told = told.borrow();
    assert_eq!(shown(&told.applied[0].1), ["ID Kind::Int64 1|7", "name Kind::Text a|z", "f Kind::Float64 2.0|-"]);
    assert!(told.ensured.is_empty(), "a rejected record adds no column");
}

#[test]
fn what_is_no_object_is_rejected_by_what_it_is() {
    let (mut sink, told) = open(ORDERS);
    let deep = format!(r#"{{"ID":1,"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let deeper = "[".repeat(1_000_000);
    let batch = testing::batch(
        "t",
        values(&["{", "[1]", "5", r#"{"ID":1} x"#, "", &deep, &deeper, r#"{"a":1}"#, r#"{"ID":null}"#, r#"{"ID":1,"id":2}"#]),
    );
    let outcomes = sink.write(&batch).unwrap();
    let codes: Vec<_> = rejections(&outcomes).into_iter().map(|(_, code, _)| code).collect();
    assert_eq!(
        codes,
        [
            "value.json",
            "value.object",
            "value.object",
            "value.json",
            "value.json",
            "value.depth",
            "value.depth",
            "key.missing",
            "key.missing",
            "sql.column"
        ]
    );
    assert!(told.borrow().applied.is_empty());
}

#[test]
fn tombstone_deletes_by_the_key_as_object_or_scalar() {
    let (mut sink, told) = open(ORDERS);
    told.borrow_mut().tables.push(("orders".to_owned(), vec![def("ID", Kind::Int64), def("a", Kind::Text)]));
    let batch = testing::batch(
        "t",
        [
            (None, Some(r#"{"ID":1,"a":"x"}"#)),
            (Some(r#"{"ID":2}"#), None),
            (Some("3"), None),
            (None, None),
            (Some("[4]"), None),
            (Some("four"), None),
            (Some(r#"{"no":1}"#), None),
            (Some(r#""5""#), None),
        ],
    );
    let outcomes = sink.write(&batch).unwrap();
    let codes: Vec<_> = rejections(&outcomes).into_iter().map(|(i, code, _)| format!("{i} {code}")).collect();
    assert_eq!(codes, ["3 key.missing", "4 key.json", "5 key.json", "6 key.missing", "7 sql.type"]);
    let told = told.borrow();
    let rows = &told.applied[0].1;
    assert_eq!((rows.count, [0, 1, 2].map(|row| rows.deletes.get(row))), (3, [false, true, true]));
    assert_eq!(shown(rows), ["ID Kind::Int64 1|2|3", "a Kind::Text x|-|-"]);
}

#[test]
fn key_of_the_record_helps_out_where_the_value_has_none() {
    let (mut sink, told) = open(ORDERS);
    let batch = testing::batch("t", [(Some("7"), Some(r#"{"a":1}"#)), (Some(r#"{"id":8}"#), Some(r#"{"a":2}"#))]);
    assert!(sink.write(&batch).unwrap().is_empty());
    assert_eq!(shown(&told.borrow().applied[0].1), ["a Kind::Int64 1|2", "ID Kind::Int64 7|8"]);
}

#[test]
fn strict_schema_rejects_fields_without_a_column_and_never_changes_the_table() {
    let strict = r#"{"connection":"warehouse","table":"t","schema":"strict"}"#;
    let (mut sink, told) = open(strict);
    let batch = testing::batch("t", values(&[r#"{"A":1}"#, r#"{"a/b":1}"#]));
    assert!(matches!(sink.write(&batch), Err(Error::Fatal(_))), "there is no table");
    told.borrow_mut().tables.push(("t".to_owned(), vec![def("a", Kind::Int64)]));
    let outcomes = sink.write(&batch).unwrap();
    assert_eq!(rejections(&outcomes), [(1, "sql.column".to_owned(), Some("/a~1b".to_owned()))]);
    let told = told.borrow();
    assert!(told.ensured.is_empty());
    assert_eq!(shown(&told.applied[0].1), ["a Kind::Int64 1"], "case is passed over where no column is exactly so called");
}

#[test]
fn rows_that_the_database_refused_are_rejected_as_their_records() {
    let (mut sink, told) = open(ORDERS);
    told.borrow_mut().refuses.push(Rejected {
        row: 1,
        code: "sql.not-null".to_owned(),
        reason: "null in a".to_owned(),
        column: Some("a".to_owned()),
    });
    let batch = testing::batch("t", values(&[r#"{"ID":1}"#, "no", r#"{"ID":2}"#]));
    let outcomes = sink.write(&batch).unwrap();
    assert_eq!(
        rejections(&outcomes),
        [(1, "value.json".to_owned(), None), (2, "sql.not-null".to_owned(), Some("/a".to_owned()))]
    );
}

#[test]
fn records_that_come_again_make_the_sink_look_at_the_table_again() {
    let (mut sink, told) = open(ORDERS);
    let batch = testing::batch("t", values(&[r#"{"ID":1,"a":1}"#]));
    sink.write(&batch).unwrap();
    told.borrow_mut().tables.clear();
    sink.write(&batch).unwrap();
    assert_eq!(told.borrow().ensured.len(), 2, "its columns were rolled back with the transaction");
}

#[test]
fn topics_go_to_their_tables_and_never_by_accident_to_one() {
    let (mut sink, told) = open(r#"{"connection":"warehouse","table":"raw_{topic}","tables":{"c":"other"}}"#);
    for topic in ["a.b", "c"] {
        sink.write(&testing::batch(topic, values(&[r#"{"x":1}"#]))).unwrap();
    }
    let names: Vec<_> = told.borrow().applied.iter().map(|(table, _)| table.name.clone()).collect();
    assert_eq!(names, ["raw_a_b", "other"]);
    let error = sink.write(&testing::batch("a-b", values(&[r#"{"x":1}"#]))).unwrap_err();
    assert!(matches!(&error, Error::Fatal(m) if m.contains("`a.b` and `a-b`")), "{error}");
}
