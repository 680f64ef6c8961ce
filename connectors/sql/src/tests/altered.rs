//! Tables that somebody alters while the sink runs.

use super::*;

const STOCK: &str = r#"{"connection":"warehouse","table":"stock"}"#;
const STRICT: &str = r#"{"connection":"warehouse","table":"stock","schema":"strict"}"#;

/// A sink that has written a row by these columns.
fn running(config: &str, columns: &[ColumnDef]) -> (Sql, Rc<RefCell<Told>>) {
    let (mut sink, told) = open(config);
    alter(&told, columns);
    assert!(write(&mut sink, "first", &[r#"{"id":1}"#]).unwrap().is_empty());
    (sink, told)
}

fn alter(told: &RefCell<Told>, columns: &[ColumnDef]) {
    told.borrow_mut().tables = vec![("stock".to_owned(), columns.to_vec())];
}

/// Records of a topic that has none yet: what came before would make the sink look at its tables in any case.
fn write(sink: &mut Sql, topic: &str, records: &[&str]) -> Result<Outcomes> {
    sink.write(&testing::batch(topic, values(records)))
}

fn refusal(row: u32) -> Rejected {
    Rejected { row, code: "sql.type".to_owned(), reason: "it does not fit".to_owned(), column: None }
}

/// What it asks for instead of a verdict.
fn retry(written: Result<Outcomes>) -> String {
    match written {
        Err(Error::Retry { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

fn codes(outcomes: &Outcomes) -> Vec<String> {
    rejections(outcomes).into_iter().map(|(index, code, _)| format!("{index} {code}")).collect()
}

#[test]
fn record_that_does_not_fit_columns_of_an_earlier_call_is_written_by_those_of_now() {
    let id = def("id", Kind::Int64);
    for (config, before, after, record) in [
        (STOCK, vec![id.clone(), def("day", Kind::Date)], vec![id.clone(), def("day", Kind::Text)], r#"{"day":"soon"}"#),
        (STRICT, vec![id.clone(), def("day", Kind::Date)], vec![id.clone(), def("day", Kind::Text)], r#"{"day":"soon"}"#),
        (STRICT, vec![id.clone()], vec![id, def("note", Kind::Text)], r#"{"note":"x"}"#),
    ] {
        let (mut sink, told) = running(config, &before);
        alter(&told, &after);
        let message = retry(write(&mut sink, "second", &[r#"{"id":2}"#, record]));
        assert_eq!(message, "table `stock` was altered: its columns are read anew");
        assert_eq!(told.borrow().applied.len(), 1, "it is not begun with what is made again");
        assert!(write(&mut sink, "second", &[r#"{"id":2}"#, record]).unwrap().is_empty());
        assert_eq!((told.borrow().applied.len(), told.borrow().asked), (2, 3));
    }
}

#[test]
fn record_that_fits_no_columns_is_refused_after_one_look_a_call() {
    let columns = [def("id", Kind::Int64), def("day", Kind::Date)];
    let (mut sink, told) = running(STRICT, &columns);
    told.borrow_mut().refuses.push(refusal(0));
    let bad = [r#"{"id":2}"#, r#"{"day":"soon"}"#, r#"{"day":"late"}"#, r#"{"note":1}"#];
    assert_eq!(codes(&write(&mut sink, "second", &bad).unwrap()), ["0 sql.type", "1 sql.type", "2 sql.type", "3 sql.column"]);
    assert_eq!(told.borrow().asked, 2);
    assert!(write(&mut sink, "third", &[r#"{"id":3}"#]).unwrap().is_empty());
    assert_eq!(codes(&write(&mut sink, "fourth", &["no object"]).unwrap()), ["0 value.json"]);
    assert_eq!(told.borrow().asked, 2, "what has nothing to do with columns asks for none");
}

#[test]
fn columns_that_were_read_in_the_call_refuse_without_another_look() {
    let (mut sink, told) = open(STRICT);
    alter(&told, &[def("id", Kind::Int64)]);
    told.borrow_mut().refuses.push(refusal(0));
    let written = write(&mut sink, "first", &[r#"{"id":1}"#, r#"{"id":"x"}"#]).unwrap();
    assert_eq!((codes(&written).join(", "), told.borrow().asked), ("0 sql.type, 1 sql.type".to_owned(), 1));
}

#[test]
fn row_that_the_database_refuses_by_an_altered_table_is_written_again() {
    let (mut sink, told) = running(STOCK, &[def("id", Kind::Int64), def("note", Kind::Text)]);
    alter(&told, &[def("id", Kind::Int64), def("note", Kind::Date)]);
    told.borrow_mut().refuses.push(refusal(0));
    assert!(retry(write(&mut sink, "second", &[r#"{"note":"2024-01-02"}"#])).contains("was altered"));
    assert!(write(&mut sink, "second", &[r#"{"note":"2024-01-02"}"#]).unwrap().is_empty());
    assert_eq!(shown(&told.borrow().applied[2].1), ["note Kind::Date 19724"]);
}

#[test]
fn call_that_cannot_work_is_made_once_again_by_the_columns_of_now() {
    let columns = [def("id", Kind::Int64)];
    let fatal = || Error::fatal("a column is missing");
    for (call, record, fault) in [
        ("apply", r#"{"id":2}"#, fatal()),
        ("apply", r#"{"id":2}"#, Error::reject("of another type")),
        ("ensure", r#"{"note":"x"}"#, fatal()),
        ("ensure", r#"{"note":"x"}"#, Error::reject("it cannot hold text")),
    ] {
        let (mut sink, told) = running(STOCK, &columns);
        told.borrow_mut().faults = vec![(call, fault.clone()), (call, fault.clone())];
        let message = retry(write(&mut sink, "second", &[record]));
        assert!(message.contains("`stock` are read anew") && message.contains(fault.message()), "{message}");
        assert_eq!(write(&mut sink, "second", &[record]).unwrap_err(), fault, "it stands by fresh columns");
        assert!(write(&mut sink, "second", &[record]).unwrap().is_empty());
    }
    let (mut sink, told) = running(STRICT, &columns);
    told.borrow_mut().faults.push(("apply", fatal()));
    assert_eq!(write(&mut sink, "second", &[r#"{"id":2}"#]).unwrap_err(), fatal(), "in `strict` the table is its owner's");
}

#[test]
fn look_that_fails_hides_no_refusal() {
    let (mut sink, told) = running(STOCK, &[def("id", Kind::Int64)]);
    told.borrow_mut().faults.push(("columns", Error::fatal("no privilege")));
    assert_eq!(codes(&write(&mut sink, "second", &[r#"{"id":"x"}"#]).unwrap()), ["0 sql.type"]);
    told.borrow_mut().faults.push(("columns", Error::retry("the transaction was lost")));
    assert_eq!(retry(write(&mut sink, "third", &[r#"{"id":"x"}"#])), "the transaction was lost");
    assert_eq!(codes(&write(&mut sink, "third", &[r#"{"id":"x"}"#]).unwrap()), ["0 sql.type"], "and not for ever");
}

#[test]
fn columns_that_the_sink_added_itself_are_no_alteration() {
    let (mut sink, told) = running(STOCK, &[def("id", Kind::Int64)]);
    told.borrow_mut().made_as = Some(Kind::Text);
    assert!(write(&mut sink, "second", &[r#"{"ok":true}"#]).unwrap().is_empty());
    assert_eq!(told.borrow().tables[0].1[1].kind, Kind::Text);
    assert_eq!(codes(&write(&mut sink, "third", &[r#"{"ok":5}"#]).unwrap()), ["0 sql.type"], "as a SQLite makes them");
}

#[test]
fn table_that_another_alters_while_the_sink_adds_a_column_is_read_anew() {
    let (mut sink, told) = running(STOCK, &[def("id", Kind::Int64), def("day", Kind::Date)]);
    alter(&told, &[def("id", Kind::Int64), def("day", Kind::Text)]);
    let record = r#"{"day":"2024-01-02","note":"x"}"#;
    assert!(retry(write(&mut sink, "second", &[record])).contains("was altered"));
    assert!(write(&mut sink, "second", &[record]).unwrap().is_empty());
    assert_eq!(shown(&told.borrow().applied[1].1), ["day Kind::Text 2024-01-02", "note Kind::Text x"]);
}
