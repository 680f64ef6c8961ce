//! The sink without Wharf: `testing` stands in for the host.

use std::cell::RefCell;
use std::rc::Rc;

use wharf_sdk::Verdict;
use wharf_sdk::sql::{ColumnDef, Rejected, Rows};
use wharf_sdk::testing::{self, Database};

use super::*;

type Written = Rc<RefCell<Vec<Rows>>>;

/// Keeps what is written, and answers as it is told to.
struct Fake {
    written: Written,
    answer: Result<Vec<Rejected>>,
}

impl Database for Fake {
    fn ensure(&mut self, _: &str, _: &Table, _: &[ColumnDef]) -> Result<()> {
        Ok(())
    }

    fn columns(&mut self, _: &str, _: &str) -> Result<Vec<ColumnDef>> {
        Ok(rows::columns())
    }

    fn apply(&mut self, connection: &str, table: &Table, rows: Rows) -> Result<Vec<Rejected>> {
        assert_eq!((connection, table.name.as_str()), ("main", "journal"));
        self.written.borrow_mut().push(rows);
        self.answer.clone()
    }
}

/// An open sink over a database that answers `answer`.
fn sink(answer: Result<Vec<Rejected>>) -> (JournalSink, Written) {
    let written = Written::default();
    testing::database(Fake {
        written: Rc::clone(&written),
        answer,
    });
    let config = r#"{"connection": "main", "table": "journal", "require": ["id"]}"#;
    (
        JournalSink::open(&Context::new("test", config)).unwrap(),
        written,
    )
}

/// Index and code of what was rejected.
fn rejected(outcomes: &Outcomes) -> Vec<(u32, &str)> {
    let mut found = Vec::new();
    for (index, verdict) in outcomes.iter() {
        match verdict {
            Verdict::Reject(rejection) => found.push((index, rejection.code.as_str())),
            Verdict::Retry(_) => found.push((index, "retry")),
        }
    }
    found
}

#[test]
fn each_record_becomes_a_row_also_a_deletion() {
    let (mut sink, written) = sink(Ok(Vec::new()));
    let records = [(Some("1"), Some(r#"{"id": 1}"#)), (Some("1"), None)];
    let outcomes = sink.write(&testing::batch("orders", records)).unwrap();
    assert!(outcomes.is_empty(), "{outcomes:?}");
    assert_eq!(written.borrow()[0].count, 2);
}

#[test]
fn only_the_record_at_fault_is_rejected() {
    let (mut sink, written) = sink(Ok(Vec::new()));
    let values = [r#"{"id": 1}"#, "no JSON", r#"{"id": null}"#, "[]"];
    let batch = testing::batch("orders", values.map(|value| (None, Some(value))));
    let outcomes = sink.write(&batch).unwrap();
    assert_eq!(
        rejected(&outcomes),
        [(1, "value.json"), (2, "field.missing"), (3, "value.json")]
    );
    assert_eq!(written.borrow()[0].count, 1);
}

#[test]
fn a_row_that_the_database_refuses_is_the_record_it_was_made_of() {
    let (code, reason) = ("sql.refused".to_owned(), "a constraint".to_owned());
    let (mut sink, _) = sink(Ok(vec![Rejected {
        row: 1,
        code,
        reason,
        column: None,
    }]));
    let values = [r#"{"id": 1}"#, "no JSON", r#"{"id": 2}"#];
    let batch = testing::batch("orders", values.map(|value| (None, Some(value))));
    assert_eq!(
        rejected(&sink.write(&batch).unwrap()),
        [(1, "value.json"), (2, "sql.refused")]
    );
}

#[test]
fn a_database_that_is_away_makes_the_whole_call_come_again() {
    let (mut sink, _) = sink(Err(Error::retry("connection refused")));
    let answer = sink.write(&testing::batch("orders", [(None, Some(r#"{"id": 1}"#))]));
    assert!(matches!(answer, Err(Error::Retry { .. })), "{answer:?}");
}

#[test]
fn a_configuration_at_fault_names_the_key() {
    let opened = JournalSink::open(&Context::new(
        "test",
        r#"{"connection": "main", "tables": "x"}"#,
    ));
    let error = opened.err().unwrap();
    assert!(error.message().contains("tables"), "{error}");
}
