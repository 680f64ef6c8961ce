//! Reads against a table that behaves as Odoo's does: ordered by microseconds, compared by whole seconds, rows that appear late.

use super::*;
use crate::seen::hash;

/// Seconds of 2024-05-01T10:00:00Z.
const TEN: i64 = 1_714_557_600;
const OF: &str = "x";

/// Id, microseconds of its `write_date` after ten o'clock, value.
type Table = Vec<(i64, Option<i64>, &'static str)>;

fn second(micros: i64) -> i64 {
    TEN + micros.div_euclid(1_000_000)
}

/// What Odoo answers: conditions on `write_date` hold for whole seconds, the order has microseconds.
fn answer(table: &Table, cycle: &Cycle, page_size: usize) -> Vec<Row> {
    let (conditions, order) = cycle.query();
    let holds = |(id, micros, _): &(i64, Option<i64>, &str)| {
        conditions.iter().all(|condition| {
            let (field, operator) = (condition[0].as_str().unwrap(), condition[1].as_str().unwrap());
            if field == "id" {
                assert_eq!(operator, ">");
                return *id > condition[2].as_i64().unwrap();
            }
            match (operator, condition[2].as_str().map(|text| time::parse(text).unwrap())) {
                (">=", Some(at)) => micros.is_some_and(|micros| second(micros) >= at),
                ("<", Some(at)) => micros.is_some_and(|micros| second(micros) < at),
                ("=", None) => micros.is_none(),
                ("!=", None) => micros.is_some(),
                other => panic!("{other:?}"),
            }
        })
    };
    let mut rows: Vec<_> = table.iter().filter(|row| holds(row)).collect();
    rows.sort_by_key(|(id, micros, _)| (if order == "id" { None } else { *micros }, *id));
    let row = |(id, micros, value): &(i64, Option<i64>, &str)| {
        let value = value.as_bytes().to_vec();
        Row { id: *id, second: micros.map(second), hash: hash(&value), value }
    };
    rows.into_iter().take(page_size).map(row).collect()
}

/// Reads to the end; after each record the reader may be made anew from its place.
fn read(cycle: &mut Cycle, table: &Table, page_size: usize, asked: i64, restart: bool) -> Vec<(i64, String)> {
    let mut news = Vec::new();
    for _ in 0..1000 {
        let rows = cycle.page(answer(table, cycle, page_size), asked);
        for row in &rows {
            if cycle.take(row) {
                news.push((row.id, String::from_utf8(row.value.clone()).unwrap()));
            }
            if restart {
                *cycle = Cycle::restored(cycle.overlap, cycle.page_size, &cycle.place(OF)).unwrap();
                if !cycle.is_under_way() {
                    return news;
                }
                break;
            }
        }
        if cycle.stage() == Stage::End {
            cycle.end();
            return news;
        }
    }
    panic!("the read does not come to an end: {cycle:?}");
}

fn table() -> Table {
    // Seven of one second whose microseconds go against their ids, two without a time, and single ones.
    let mut table: Table = (0..7).map(|n| (20 - n, Some(5_000_000 + n * 100), "s")).collect();
    table.extend([
        (1, Some(4_000_000), "a"),
        (2, Some(3_999_999), "b"),
        (30, None, "n"),
        (3, None, "n"),
        (9, Some(6_200_000), "c"),
    ]);
    table
}

fn ids(news: &[(i64, String)]) -> Vec<i64> {
    news.iter().map(|(id, _)| *id).collect()
}

#[test]
fn every_record_comes_once_whatever_the_size_of_a_page() {
    for page_size in 1..=13 {
        for restart in [false, true] {
            let mut cycle = Cycle::new(60, page_size);
            let news = read(&mut cycle, &table(), page_size, TEN + 3600, restart);
            let expected = [3, 30, 2, 1, 14, 15, 16, 17, 18, 19, 20, 9];
            assert_eq!(ids(&news), expected, "pages of {page_size}, restart: {restart}");
            assert!(read(&mut cycle, &table(), page_size, TEN + 3630, restart).is_empty(), "nothing has changed");
        }
    }
}

#[test]
fn a_record_that_appears_within_the_overlap_is_found_and_nothing_is_repeated() {
    let mut cycle = Cycle::new(60, 3);
    let mut table = table();
    read(&mut cycle, &table, 3, TEN + 10, false);
    // Its transaction began at 3 s and ended after the read at 10 s.
    table.push((40, Some(3_500_000), "late"));
    table.push((41, Some(9_000_000), "new"));
    assert_eq!(ids(&read(&mut cycle, &table, 3, TEN + 40, true)), [40, 41]);
    assert!(read(&mut cycle, &table, 3, TEN + 70, false).is_empty());
}

#[test]
fn a_second_change_within_one_second_is_news() {
    let mut cycle = Cycle::new(60, 3);
    let mut table = table();
    read(&mut cycle, &table, 3, TEN + 10, false);
    table[0] = (20, Some(5_900_000), "changed");
    assert_eq!(read(&mut cycle, &table, 3, TEN + 20, false), [(20, "changed".to_owned())]);
    table[0] = (20, Some(5_990_000), "s");
    assert_eq!(read(&mut cycle, &table, 3, TEN + 30, true), [(20, "s".to_owned())], "back to what it was");
}

#[test]
fn a_change_while_pages_are_read_is_not_passed_over() {
    let mut cycle = Cycle::new(60, 4);
    let mut table = table();
    let first = cycle.page(answer(&table, &cycle, 4), TEN + 3600);
    let mut news: Vec<i64> = first.iter().filter(|row| cycle.take(row)).map(|row| row.id).collect();
    table[3] = (17, Some(3_600_000_000), "moved");
    table[8] = (2, Some(3_601_000_000), "moved");
    news.extend(ids(&read(&mut cycle, &table, 4, TEN + 3600, false)));
    assert_eq!(news, [3, 30, 1, 14, 15, 16, 18, 19, 20, 9, 17, 2]);
}

#[test]
fn only_what_changed_within_the_overlap_of_now_is_remembered() {
    let mut cycle = Cycle::new(60, 5);
    let table: Table = (1..=500).map(|id| (id, Some(7), "x")).collect();
    read(&mut cycle, &table, 5, TEN + 61, false);
    assert_eq!((cycle.remembered(), cycle.place(OF).from), (0, Some(TEN + 1)), "an import of yesterday takes no room");
    let mut soon = Cycle::new(60, 5);
    read(&mut soon, &table, 5, TEN + 60, false);
    assert_eq!(soon.remembered(), 500);
    read(&mut soon, &table, 5, TEN + 61, false);
    assert_eq!(soon.remembered(), 0);
}

#[test]
fn the_next_read_begins_by_when_this_one_began_and_not_by_when_it_ended() {
    let (mut cycle, mut table) = (Cycle::new(60, 4), table());
    // After the undated ones, each appears behind the place that the read has come to.
    for (late, asked) in [(None, TEN + 10), (Some(41), TEN + 900), (Some(42), TEN + 1800)] {
        let rows = cycle.page(answer(&table, &cycle, 4), asked);
        for row in &rows {
            cycle.take(row);
        }
        table.extend(late.map(|id| (id, Some(1_000_000), "late")));
    }
    read(&mut cycle, &table, 4, TEN + 1900, false);
    assert_eq!(cycle.place(OF).from, Some(TEN - 50));
    assert_eq!(ids(&read(&mut cycle, &table, 4, TEN + 2000, false)), [41, 42]);
}

#[test]
fn a_read_ends_behind_its_beginning_so_that_changes_of_a_long_one_are_not_all_remembered() {
    for restart in [false, true] {
        // One change a second goes on for four minutes, also after the first page, which is asked for at the tenth second.
        let table: Table = (1..=240).map(|n| (n, Some(n * 1_000_000), "x")).collect();
        let mut cycle = Cycle::new(60, 20);
        let first = ids(&read(&mut cycle, &table, 20, TEN + 10, restart));
        assert!(first.starts_with(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) && first.len() < 20, "{first:?}");
        assert!(cycle.remembered() < 20, "{}", cycle.remembered());
        assert_eq!(cycle.place(OF).from, Some(TEN - 50));
        let next = ids(&read(&mut cycle, &table, 20, TEN + 250, restart));
        assert_eq!([first, next].concat(), (1..=240).collect::<Vec<i64>>(), "each once");
        assert_eq!(cycle.remembered(), 51, "of the last minute");
    }
}

#[test]
fn a_second_behind_the_beginning_that_fills_a_page_is_left_to_the_next_read() {
    let mut table: Table = vec![(1, Some(0), "x")];
    table.extend((2..=30).map(|id| (id, Some(20_000_000 + id), "x")));
    let mut cycle = Cycle::new(60, 5);
    assert_eq!(ids(&read(&mut cycle, &table, 5, TEN + 10, false)), [1]);
    assert_eq!(ids(&read(&mut cycle, &table, 5, TEN + 20, true)), (2..=30).collect::<Vec<i64>>());
}

#[test]
fn a_clock_that_goes_back_loses_nothing_and_moves_nothing_back() {
    let mut cycle = Cycle::new(60, 5);
    read(&mut cycle, &table(), 5, TEN + 3600, false);
    let from = cycle.place(OF).from;
    assert!(read(&mut cycle, &table(), 5, TEN, false).is_empty());
    assert_eq!(cycle.place(OF).from, from);
    let later: Table = (50..=90).map(|id| (id, Some(3_600_000_000 + id * 1_000_000), "later")).collect();
    assert_eq!(ids(&read(&mut cycle, &later, 5, TEN, false)), (50..=90).collect::<Vec<i64>>(), "no read ends early");
    assert_eq!(cycle.place(OF).from, from);
}

#[test]
fn a_place_that_is_cut_is_no_place() {
    let mut cycle = Cycle::new(60, 5);
    read(&mut cycle, &table(), 5, TEN + 10, false);
    let mut place = cycle.place(OF);
    assert_eq!(Place::read(&place.write().unwrap()).unwrap(), place);
    place.seen.truncate(7);
    assert!(Cycle::restored(60, 5, &place).is_none());
}
