//! The rules of all databases on SQLite files, and those of SQLite alone.
use std::collections::BTreeMap;
use std::path::Path;

use super::columns::{def, deleting, floats, ints, only, rows, strings, table, texts};
use super::rules::{self, Database};
use super::{offsets, tables, versions};
use crate::capability::secret::Secret;
use crate::capability::sql::{Connections, Kind, SqlError};
use crate::config::Connection;

pub(super) struct File {
    folder: tempfile::TempDir,
    connections: Connections,
}

pub(super) fn connections(folder: &Path, url: &str) -> Result<Connections, SqlError> {
    let named = |pool| Connection { url: Secret::new(url.to_owned()), ca_file: None, pool };
    let all = BTreeMap::from([("db".to_owned(), named(4)), ("single".to_owned(), named(1))]);
    Connections::new(&all, folder)
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connections = connections(folder.path(), "sqlite://shop.db").unwrap();
        Self { folder, connections }
    }

    fn raw(&self) -> rusqlite::Connection {
        let db = rusqlite::Connection::open(self.folder.path().join("shop.db")).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        db
    }
}

impl Database for File {
    fn connections(&self) -> &Connections {
        &self.connections
    }

    async fn execute(&self, sql: &str) {
        self.raw().execute_batch(sql).unwrap();
    }

    async fn read(&self, sql: &str) -> Vec<String> {
        let db = self.raw();
        let mut statement = db.prepare(sql).unwrap();
        let width = statement.column_count();
        let text = |value: rusqlite::types::Value| match value {
            rusqlite::types::Value::Null => "NULL".to_owned(),
            rusqlite::types::Value::Integer(v) => v.to_string(),
            rusqlite::types::Value::Real(v) => v.to_string(),
            rusqlite::types::Value::Text(v) => v,
            rusqlite::types::Value::Blob(v) => format!("{v:?}"),
        };
        let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<String> {
            Ok((0..width).map(|i| row.get(i).map(text)).collect::<Result<Vec<_>, _>>()?.join("|"))
        };
        statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

macro_rules! on_sqlite {
    ($($module:ident::$rule:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            $module::$rule(&File::new()).await;
        })*
    };
}
rules::each!(on_sqlite);

#[tokio::test]
async fn text_that_is_no_number_never_enters_a_column_for_numbers() {
    let db = File::new();
    db.execute("CREATE TABLE loose (id bigint PRIMARY KEY, n integer, f real)").await;
    let mut session = db.connections.session("db").unwrap();
    session
        .ensure(
            &table("strict", &["id"]),
            &[def("id", Kind::Int64, false), def("n", Kind::Int64, true), def("f", Kind::Float64, true)],
        )
        .await
        .unwrap();
    for name in ["loose", "strict"] {
        let batch = rows(
            4,
            vec![
                ints("id", &[Some(1), Some(2), Some(3), Some(4)]),
                texts("n", &[Some("7"), Some("seven"), Some("1.5"), None]),
                texts("f", &[Some("1.5"), None, None, Some("x")]),
            ],
        );
        let rejected = session.apply(&table(name, &["id"]), &batch).await.unwrap();
        let seen: Vec<_> = rejected.iter().map(|r| (r.row, r.code.as_str(), r.column.as_deref())).collect();
        assert_eq!(seen, [(1, "sql.type", Some("n")), (2, "sql.type", Some("n")), (3, "sql.type", Some("f"))], "{name}");
        assert_eq!(db.read(&format!("SELECT id, n, typeof(n), f, typeof(f) FROM {name}")).await, ["1|7|integer|1.5|real"]);
    }
}

#[tokio::test]
async fn what_sqlite_would_turn_into_something_else_is_rejected() {
    let db = File::new();
    let mut session = db.connections.session("db").unwrap();
    let to = table("t", &["id"]);
    session
        .ensure(&to, &[def("id", Kind::Int64, false), def("f", Kind::Float64, true), def("ts", Kind::TimestampUs, true)])
        .await
        .unwrap();
    let batch = rows(
        3,
        vec![
            ints("id", &[Some(1), Some(2), Some(3)]),
            floats("f", &[Some(f64::NAN), Some(f64::INFINITY), None]),
            super::columns::whole("ts", Kind::TimestampUs, &[None, Some(0), Some(i64::MAX)]),
        ],
    );
    let rejected = session.apply(&to, &batch).await.unwrap();
    assert_eq!(rejected.iter().map(|r| (r.row, r.code.as_str())).collect::<Vec<_>>(), [(0, "sql.type"), (2, "sql.type")]);
    assert_eq!(db.read("SELECT id, f, ts FROM t").await, ["2|inf|1970-01-01T00:00:00.000000Z"]);
}

#[tokio::test]
async fn tables_and_values_are_stored_as_documented() {
    let db = File::new();
    let mut session = db.connections.session("db").unwrap();
    let to = table("main.t", &["id"]);
    let defs = [
        def("id", Kind::Int64, false),
        def("d", Kind::Decimal, true),
        def("day", Kind::Date, true),
        def("b", Kind::Boolean, true),
    ];
    session.ensure(&to, &defs).await.unwrap();
    let batch = rows(
        1,
        vec![
            ints("id", &[Some(1)]),
            strings("d", Kind::Decimal, &[Some("1.10")]),
            super::columns::whole("day", Kind::Date, &[Some(0)]),
            super::columns::booleans("b", &[Some(true)]),
        ],
    );
    assert_eq!(session.apply(&to, &batch).await.unwrap(), []);
    assert_eq!(db.read("SELECT d, typeof(d), day, b, typeof(b) FROM t").await, ["1.10|text|1970-01-01|1|integer"]);
    assert_eq!(db.read("SELECT strict FROM pragma_table_list('t')").await, ["1"]);
    assert_eq!(db.read("PRAGMA journal_mode").await, ["wal"]);
}

#[tokio::test]
async fn file_held_by_another_program_is_a_retry_and_then_goes_on() {
    let db = File::new();
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let other = db.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut session = db.connections.session("db").unwrap();
    let held = session.begin().await.unwrap_err();
    assert!(matches!(&held, SqlError::Retry(text) if text.contains("`db`") && text.contains("another program")), "{held}");
    other.execute_batch("COMMIT").unwrap();
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t").await, ["1"]);
}

#[tokio::test]
async fn transaction_of_a_call_that_was_dropped_is_lost_and_said_to_be() {
    let db = File::new();
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let mut session = db.connections.session("db").unwrap();
    session.begin().await.unwrap();
    let one = rows(1, vec![ints("id", &[Some(1)])]);
    session.apply(&table("t", &["id"]), &one).await.unwrap();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let dropped = tokio::time::timeout(std::time::Duration::from_millis(50), session.query(endless, &[], 1)).await;
    assert!(dropped.is_err());
    let lost = session.apply(&table("t", &["id"]), &one).await.unwrap_err();
    assert!(matches!(lost, SqlError::Retry(_)), "{lost}");
    let lost = session.commit().await.unwrap_err();
    assert!(matches!(lost, SqlError::Retry(_)), "{lost}");
    // The endless call was interrupted: the file is free again.
    session.begin().await.unwrap();
    session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(2)])])).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(db.read("SELECT id FROM t").await, ["2"]);
}

#[tokio::test]
async fn declared_types_of_foreign_tables_become_the_nearest_kind() {
    let db = File::new();
    db.execute("CREATE TABLE t (a BOOLEAN, b DECIMAL(10,2), c DATETIME, d DATE, e VARCHAR(10), f DOUBLE, g JSON, h BLOB, i INT)")
        .await;
    db.execute("INSERT INTO t VALUES (1, '2.50', '2024-02-29 12:00:00', '2024-02-29', 'x', 1, '{}', x'00', 5)").await;
    let mut session = db.connections.session("db").unwrap();
    let kinds: Vec<_> = session.columns("t").await.unwrap().into_iter().map(|c| c.kind).collect();
    let expected = [
        Kind::Boolean,
        Kind::Decimal,
        Kind::TimestampUs,
        Kind::Date,
        Kind::Text,
        Kind::Float64,
        Kind::Json,
        Kind::Bytes,
        Kind::Int64,
    ];
    assert_eq!(kinds, expected);
    let read = session.query("SELECT * FROM t", &[], 1).await.unwrap();
    assert_eq!(read.iter().map(|c| c.kind).collect::<Vec<_>>(), expected);
    let values: Vec<_> = read.iter().map(|c| super::columns::strings_of(c)[0].clone().unwrap()).collect();
    assert_eq!(values, ["true", "2.5", "1709208000000000", "19782", "x", "1", "{}", "\u{0}", "5"]);
}

#[tokio::test]
async fn probe_describes_a_file_and_makes_none() {
    let db = File::new();
    let seen = db.connections.probe("db").await.unwrap();
    assert!(seen.contains("SQLite 3.") && seen.contains("new file"), "{seen}");
    assert!(!db.folder.path().join("shop.db").exists());
    db.execute("CREATE TABLE t (id bigint)").await;
    let seen = db.connections.probe("db").await.unwrap();
    assert!(seen.contains("1 tables"), "{seen}");
    let elsewhere = connections(db.folder.path(), "sqlite:missing/shop.db").unwrap();
    let missing = elsewhere.probe("db").await.unwrap_err();
    assert!(matches!(&missing, SqlError::Fatal(text) if text.contains("does not exist")), "{missing}");
    let missing = elsewhere.session("db").unwrap().begin().await.unwrap_err();
    assert!(matches!(&missing, SqlError::Fatal(text) if text.contains("folder")), "{missing}");
}

#[tokio::test]
async fn keys_of_different_bytes_that_are_one_to_the_database_take_effect_in_their_order() {
    for (column, first, second) in
        [("text COLLATE NOCASE", "AB", "ab"), ("text COLLATE RTRIM", "ab ", "ab"), ("numeric", "1.0", "1")]
    {
        let db = File::new();
        db.execute(&format!("CREATE TABLE t (id {column} PRIMARY KEY, a int, b int)")).await;
        let mut session = db.connections().session("db").unwrap();
        let ids = |one, two| texts("id", &[Some(one), Some(two)]);
        let partial =
            rows(2, vec![ids(first, second), ints("a", &[Some(1), Some(2)]), only(ints("b", &[Some(1), None]), &[true, false])]);
        assert_eq!(session.apply(&table("t", &["id"]), &partial).await.unwrap(), []);
        assert_eq!(db.read("SELECT a, b FROM t").await, ["2|1"], "{column}: the later row stands");
        let deleted = deleting(&[false, true], vec![ids(second, first), ints("a", &[Some(3), None])]);
        assert_eq!(session.apply(&table("t", &["id"]), &deleted).await.unwrap(), []);
        assert_eq!(db.read("SELECT a FROM t").await, [""; 0], "{column}: the row is deleted");
    }
}
