//! A column whose higher value wins: the database compares, the sink sees to it that there is something to compare.

use super::*;

const STOCK: &str = r#"{"connection":"warehouse","table":"stock","key":["ID"],"version":"rev"}"#;
const TYPED: &str = r#"{"connection":"warehouse","table":"stock","key":["ID"],"version":"rev","columns":{"rev":"timestamp"}}"#;
const STRICT: &str = r#"{"connection":"warehouse","table":"stock","key":["ID"],"version":"rev","schema":"strict"}"#;

fn with(config: &str, columns: &[ColumnDef]) -> (Sql, Rc<RefCell<Told>>) {
    let (sink, told) = open(config);
    told.borrow_mut().tables.push(("stock".to_owned(), columns.to_vec()));
    (sink, told)
}

fn fatal(written: Result<Outcomes>) -> String {
    match written {
        Err(Error::Fatal(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_database_is_told_the_column_as_the_table_calls_it() {
    let (mut sink, told) = with(STOCK, &[def("ID", Kind::Int64), def("Rev", Kind::Int64)]);
    assert!(sink.write(&testing::batch("t", values(&[r#"{"ID":1,"REV":7}"#]))).unwrap().is_empty());
    let (mut other, untold) = open(ORDERS);
    other.write(&testing::batch("t", values(&[r#"{"ID":1,"rev":7}"#]))).unwrap();
    assert_eq!((told.borrow().versions.clone(), untold.borrow().versions.len()), (vec!["Rev".to_owned()], 0));
}

/// By the short way into the columns as by the long one.
#[test]
fn value_without_a_version_is_rejected_and_a_tombstone_needs_none() {
    let (mut sink, told) = with(STOCK, &[def("ID", Kind::Int64), def("rev", Kind::Int64), def("a", Kind::Text)]);
    let good = (None, Some(r#"{"ID":1,"rev":1,"a":"x"}"#));
    let records = [
        (None, Some(r#"{"ID":2}"#)),
        (None, Some(r#"{"ID":3,"rev":null}"#)),
        good,
        (None, Some(r#"{"ID":4}"#)),
        (None, Some(r#"{"ID":5,"rev":null,"a":"x"}"#)),
        (None, Some(r#"{"ID":6,"rev":"x","a":"x"}"#)),
        (Some("7"), None),
    ];
    let outcomes = sink.write(&testing::batch("t", records)).unwrap();
    let found: Vec<_> =
        rejections(&outcomes).into_iter().map(|(i, code, field)| format!("{i} {code} {}", field.unwrap())).collect();
    let missing = |index: u32| format!("{index} version.missing /rev");
    assert_eq!(found, [missing(0), missing(1), missing(3), missing(4), "5 sql.type /rev".to_owned()]);
    assert_eq!(shown(&told.borrow().applied[0].1)[..2], ["ID Kind::Int64 1|7", "rev Kind::Int64 1|-"]);
}

#[test]
fn column_that_cannot_order_versions_stops_the_sink_with_what_to_do() {
    let id = def("ID", Kind::Int64);
    for kind in [Kind::Text, Kind::Boolean, Kind::Bytes, Kind::Json] {
        let (mut sink, _told) = with(STOCK, &[id.clone(), def("rev", kind)]);
        let message = fatal(sink.write(&testing::batch("t", values(&[r#"{"ID":1,"rev":1}"#]))));
        assert!(message.contains("`version` names column `rev` of table `stock`") && message.contains("`columns`"), "{message}");
    }
    // As SQLite keeps times.
    let (mut sink, _told) = with(TYPED, &[id, def("rev", Kind::Text)]);
    assert!(sink.write(&testing::batch("t", values(&[r#"{"ID":1,"rev":"2024-01-01T00:00:00Z"}"#]))).unwrap().is_empty());
}

#[test]
fn column_that_is_missing_stops_a_strict_sink_and_is_added_by_one_that_evolves() {
    let (mut sink, _told) = with(STRICT, &[def("ID", Kind::Int64)]);
    let message = fatal(sink.write(&testing::batch("t", values(&[r#"{"ID":1}"#]))));
    assert_eq!(message, "`version` names column `rev` of table `stock`: there is none; add it, or set `schema = \"evolve\"`");
    let (mut sink, told) = with(STOCK, &[def("ID", Kind::Int64)]);
    assert!(sink.write(&testing::batch("t", values(&[r#"{"ID":1,"Rev":7}"#]))).unwrap().is_empty());
    let told = told.borrow();
    let column = &told.ensured[0].1[1];
    assert_eq!((column.name.as_str(), column.kind), ("rev", Kind::Int64), "called as it is configured");
    assert_eq!(told.versions, ["rev"]);
}

#[test]
fn first_version_of_a_new_table_that_is_no_number_is_rejected_alone() {
    let (mut sink, told) = open(STOCK);
    let records = [r#"{"ID":1,"rev":"2024-01-01"}"#, r#"{"ID":2,"rev":2}"#, r#"{"ID":3,"rev":"x"}"#];
    let outcomes = sink.write(&testing::batch("t", values(&records))).unwrap();
    let field = || Some("/rev".to_owned());
    assert_eq!(rejections(&outcomes), [(0, "sql.type".to_owned(), field()), (2, "sql.type".to_owned(), field())]);
    assert_eq!(shown(&told.borrow().applied[0].1), ["ID Kind::Int64 2", "rev Kind::Int64 2"]);
}
