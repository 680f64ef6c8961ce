//! An API whose records change between any two requests, and a source that is killed between any two polls: nothing comes twice, and
//! the last of each record is what the API has in the end.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::rounds::parameter;
use super::*;

/// 2024-05-01 12:00.
const NOON: i64 = 1_714_564_800;

/// Numbers without a pattern, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// A list and its clock, in seconds.
struct Api {
    rows: Vec<(u32, i64)>,
    now: i64,
    dice: Dice,
    changes: bool,
    ascending: bool,
    by_time: bool,
}

impl Api {
    /// Three rows from a place in the list of what is at or after `since`.
    fn answer(&mut self, url: &str) -> Response {
        self.now += 1 + i64::from(self.dice.below(20));
        for _ in 0..if self.changes { self.dice.below(3) } else { 0 } {
            let id = u32::try_from(self.rows.len()).unwrap();
            match self.rows.get_mut(self.dice.below(id + 1) as usize) {
                Some(row) => row.1 = self.now,
                None => self.rows.push((id, self.now)),
            }
            self.now += 1;
        }
        let since = match url.split("since=").nth(1).map(|rest| rest.split('&').next().unwrap()) {
            None => 0,
            Some(text) if self.by_time => text.replace("%3A", ":").parse::<Timestamp>().unwrap().as_second(),
            Some(text) => text.parse().unwrap(),
        };
        let mut rows: Vec<_> = self.rows.iter().filter(|(_, at)| *at >= since).copied().collect();
        rows.sort_by_key(|(id, at)| if self.ascending { (*at, *id) } else { (0, *id) });
        let from = parameter(url, "from").unwrap_or(0) as usize;
        let texts: Vec<_> = rows.iter().skip(from).take(3).map(|row| self.text(*row)).collect();
        let link = format!("</orders?from={}&since={}>; rel=\"next\"", from + 3, self.cursor(since).trim_matches('"'));
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::from_second(self.now).unwrap());
        let response = json(format!("[{}]", texts.join(", ")));
        let response = if self.by_time { response.with_header("Date", &date.unwrap()) } else { response };
        if rows.len() > from + 3 && !self.ascending { response.with_header("Link", &link) } else { response }
    }

    fn cursor(&self, at: i64) -> String {
        if self.by_time { format!("\"{}\"", Timestamp::from_second(at).unwrap()) } else { at.to_string() }
    }

    fn text(&self, (id, at): (u32, i64)) -> String {
        format!(r#"{{"id": {id}, "at": {}}}"#, self.cursor(at))
    }
}

#[test]
fn nothing_comes_twice_and_the_last_of_each_record_is_what_the_api_has_in_the_end() {
    for (ascending, by_time) in [(false, true), (false, false), (true, true), (true, false)] {
        for seed in 0..20 {
            let rows = (0..10).map(|id| (id, NOON + i64::from(id))).collect();
            let api = Api { rows, now: NOON + 100, dice: Dice(seed), changes: true, ascending, by_time };
            let api = Rc::new(RefCell::new(api));
            let served = Rc::clone(&api);
            answers(move |url| served.borrow_mut().answer(url));
            let order = if ascending { r#""order": "ascending", "page-size": 3"# } else { r#""pagination": "link""# };
            let overlap = if by_time { "\"1s\"" } else { "1" };
            let config = format!(
                r#", "key": ["id"], "cursor": "at", "overlap": {overlap}, "query": {{"since": "{{{{ since }}}}"}}, {order}"#
            );
            let (mut dice, mut reading) = (Dice(seed + 1000), open(&config, &[]).unwrap());
            let (mut last, mut all) = (BTreeMap::new(), HashSet::new());
            for turn in 0..400 {
                if turn == 300 {
                    api.borrow_mut().changes = false;
                }
                reading.poll(1 + dice.below(4) as usize).unwrap();
                for value in std::mem::take(&mut reading.values) {
                    assert!(all.insert(value.clone()), "ascending {ascending}, by time {by_time}, seed {seed}: {value} twice");
                    last.insert(value.split(',').next().unwrap().to_owned(), value);
                }
                if dice.below(6) == 0 {
                    reading = open(&config, &reading.positions).unwrap();
                }
            }
            let api = api.borrow();
            let expected: Vec<_> = api.rows.iter().map(|row| api.text(*row)).collect();
            let mut found: Vec<_> = last.into_values().collect();
            found.sort_by_key(|text| text.split([' ', ',']).nth(1).unwrap().parse::<u32>().unwrap());
            assert_eq!(found, expected, "ascending {ascending}, by time {by_time}, seed {seed}");
        }
    }
}

/// A list whose rows hold one of three values, with a cursor that does not tell changes apart, or none.
struct Stocks {
    rows: Vec<u32>,
    dice: Dice,
    changes: bool,
    by_hour: bool,
}

impl Stocks {
    /// Three rows from a place in the list on.
    fn answer(&mut self, url: &str) -> Response {
        for _ in 0..if self.changes { self.dice.below(3) } else { 0 } {
            let row = self.dice.below(9) as usize;
            self.rows[row] = self.dice.below(3);
        }
        let from = parameter(url, "from").unwrap_or(0) as usize;
        let texts: Vec<_> = (from..(from + 3).min(9)).map(|row| self.text(row)).collect();
        let response = json(format!("[{}]", texts.join(", ")));
        let link = format!("</orders?from={}>; rel=\"next\"", from + 3);
        if from + 3 < 9 { response.with_header("Link", &link) } else { response }
    }

    fn text(&self, row: usize) -> String {
        let cursor = if self.by_hour { r#", "at": "2024-05-01T12:00:00Z""# } else { "" };
        format!(r#"{{"id": {row}, "stock": {}{cursor}}}"#, self.rows[row])
    }
}

#[test]
fn the_last_of_each_record_is_what_the_api_has_though_values_come_back_and_cursors_do_not_tell() {
    for (pages, by_hour) in [("link", true), ("link", false), ("offset", true), ("offset", false)] {
        for seed in 0..20 {
            let api = Rc::new(RefCell::new(Stocks { rows: vec![0; 9], dice: Dice(seed), changes: true, by_hour }));
            let served = Rc::clone(&api);
            answers(move |url| served.borrow_mut().answer(url));
            let cursor = if by_hour { r#", "cursor": "at""# } else { "" };
            let offset = if pages == "offset" { r#", "query": {"from": "{{ offset }}"}"# } else { "" };
            let config = format!(r#", "key": ["id"], "pagination": "{pages}"{cursor}{offset}"#);
            let (mut dice, mut reading) = (Dice(seed + 1000), open(&config, &[]).unwrap());
            let (mut last, mut whole) = (BTreeMap::new(), false);
            for turn in 0..400 {
                api.borrow_mut().changes = turn < 300;
                whole |= reading.poll(1 + dice.below(4) as usize).unwrap();
                for value in std::mem::take(&mut reading.values) {
                    last.insert(value.split(',').next().unwrap().to_owned(), value);
                }
                // Keys are known again once a round was read.
                if whole && dice.below(8) == 0 {
                    whole = false;
                    reading = open(&config, &reading.positions).unwrap();
                }
            }
            let api = api.borrow();
            let expected: Vec<_> = (0..9).map(|row| api.text(row)).collect();
            assert_eq!(last.into_values().collect::<Vec<_>>(), expected, "{pages}, by hour {by_hour}, seed {seed}");
        }
    }
}
