//! In which steps rows are written.
use std::collections::BTreeMap;

use super::columns::{deleting, ints, only, rows, table, texts};
use crate::capability::sql::Rows;
use crate::capability::sql::cells::View;
use crate::capability::sql::plan::{Action, Order, Plan};

fn steps(rows: &Rows) -> Vec<Vec<(bool, Vec<usize>)>> {
    planned(rows, Order::WithinKeys)
}

fn planned(rows: &Rows, order: Order) -> Vec<Vec<(bool, Vec<usize>)>> {
    let view = View::new(&table("t", &["id"]), rows).unwrap();
    let plan = Plan::new(&view, BTreeMap::new(), order);
    let step = |step: super::super::plan::Step| (step.action == Action::Delete, step.rows);
    plan.waves().into_iter().map(|wave| wave.into_iter().map(step).collect()).collect()
}

#[test]
fn superseded_rows_are_left_out() {
    let batch = rows(3, vec![ints("id", &[Some(1), Some(2), Some(1)]), texts("a", &[Some("x"), Some("y"), Some("z")])]);
    assert_eq!(steps(&batch), [vec![(false, vec![1, 2])]]);
}

#[test]
fn row_that_sets_a_field_no_later_one_sets_is_kept() {
    let batch = rows(
        3,
        vec![
            ints("id", &[Some(1), Some(1), Some(1)]),
            only(texts("a", &[Some("x"), None, Some("z")]), &[true, false, true]),
            only(texts("b", &[None, Some("y"), None]), &[false, true, false]),
        ],
    );
    assert_eq!(steps(&batch), [vec![(false, vec![1])], vec![(false, vec![2])]]);
}

#[test]
fn nothing_before_a_deletion_is_written() {
    let batch = deleting(
        &[false, true, false, true],
        vec![ints("id", &[Some(1), Some(1), Some(1), Some(2)]), texts("a", &[Some("x"), None, Some("z"), None])],
    );
    assert_eq!(steps(&batch), [vec![(true, vec![1, 3])], vec![(false, vec![2])]]);
}

#[test]
fn where_different_bytes_may_be_one_key_rows_are_written_in_their_order() {
    let batch = deleting(
        &[false, false, true, false, false, false],
        vec![
            texts("id", &[Some("a"), Some("b"), Some("A"), Some("B"), Some("c"), Some("B")]),
            only(
                texts("v", &[Some("x"), Some("x"), None, Some("y"), Some("y"), Some("z")]),
                &[true, true, false, true, true, true],
            ),
        ],
    );
    let run = |rows: &[usize]| vec![(false, rows.to_vec())];
    let deleted = vec![(true, vec![2])];
    assert_eq!(planned(&batch, Order::Steps), [run(&[0, 1]), deleted.clone(), run(&[3, 4]), run(&[5])]);
    assert_eq!(planned(&batch, Order::Rows), [run(&[0]), run(&[1]), deleted, run(&[3]), run(&[4]), run(&[5])]);
}

#[test]
fn rows_that_do_not_hold_together_are_the_connectors_fault() {
    let mut short = ints("id", &[Some(1)]);
    short.validity = vec![1, 0];
    for batch in [rows(2, vec![ints("id", &[Some(1)])]), rows(1, vec![short]), rows(1, vec![texts("a", &[Some("x")])])] {
        assert!(View::new(&table("t", &["id"]), &batch).is_err());
    }
    let twice = rows(1, vec![ints("id", &[Some(1)]), ints("id", &[Some(2)])]);
    assert!(View::new(&table("t", &["id"]), &twice).is_err());
}
