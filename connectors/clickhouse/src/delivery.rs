//! Rows of one table on their way: one insert, and smaller ones where the server refuses some of its rows. Owns what becomes of
//! each record; what is known of offsets is in `places.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wharf_sdk::{Error, Outcomes, Rejection, Result, log};

use crate::config::{Config, Deduplicate};
use crate::fault::{Fault, Meaning};
use crate::places::{Places, missing};
use crate::rows::{Row, Rows};
use crate::server::Server;
use crate::table::{Table, is_about_columns};

/// So many records of which the server takes none, each alone and for the same reason, are not what is at fault.
const SEVERAL: usize = 20;

/// What is told of the records of a call.
#[derive(Debug)]
pub struct Told {
    pub outcomes: Outcomes,
    /// Rows that are in their table.
    done: usize,
    /// Why nothing more is sent in this call.
    later: Option<(String, Option<Duration>)>,
    /// Records that have to be sent again.
    rest: Vec<u32>,
    /// Rows of this call that the table at hand holds.
    taken: usize,
    /// Its records that were refused, by the code, and what was said of one of them.
    refused: BTreeMap<String, (usize, String)>,
    /// Rows of an insert at most.
    most: usize,
    /// Rows of the smallest insert that was refused.
    smallest: usize,
}

/// Places of rows that go into one insert.
type Piece = Vec<usize>;

/// Rows, and where they go.
#[derive(Debug)]
pub struct Delivery<'t, 'a> {
    pub config: &'t Config,
    pub server: &'t mut Server,
    pub table: &'t mut Table,
    pub places: &'t mut Places,
    pub rows: &'t Rows<'a>,
}

impl Told {
    /// A call begins. `most`: rows of an insert at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let (outcomes, refused) = (Outcomes::default(), BTreeMap::new());
        Self { outcomes, done: 0, later: None, rest: Vec::new(), taken: 0, refused, most, smallest: usize::MAX }
    }

    fn is_undecided(&self) -> bool {
        self.done == 0 && self.outcomes.is_empty()
    }

    /// Rows of an insert at most in the next call. Where a call ends with nothing but refusals, halves of what was refused come next:
    /// however long a refusal takes, its record is found.
    #[must_use]
    pub fn most(&self) -> usize {
        match self.later {
            None => usize::MAX,
            Some(_) if self.is_undecided() => self.most.min(self.smallest / 2).max(1),
            Some(_) => self.most,
        }
    }

    fn later(&mut self, message: String, after: Option<Duration>) {
        self.later.get_or_insert((message, after));
    }

    fn again<'r, 'a: 'r>(&mut self, rows: impl Iterator<Item = &'r Row<'a>>) {
        self.rest.extend(rows.map(|row| row.index));
    }

    /// Writes off what was sent alone and refused.
    fn reject<'r, 'a: 'r>(&mut self, record: impl Iterator<Item = &'r Row<'a>>, fault: Fault) {
        let code = fault.code.map_or_else(|| "clickhouse.refused".to_owned(), |code| format!("clickhouse.{code}"));
        for row in record {
            self.outcomes.push(row.index, Rejection::new(code.clone(), fault.message.clone()));
        }
        self.refused.entry(code).or_insert((0, fault.message)).0 += 1;
    }

    /// Where a table takes nothing at all, no record is to blame.
    fn judge(&mut self, table: &Table) -> Result<()> {
        let (taken, refused) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.refused));
        match refused.first_key_value() {
            Some((_, (count, why))) if taken == 0 && refused.len() == 1 && *count >= SEVERAL => Err(Error::fatal(format!(
                "{why}: so it is with each of {count} records that were sent alone, and {} takes none. Mend what stands behind it (a \
                 constraint, a materialized view); where it is the records after all, `batch = {{ records = {} }}` makes them dead letters",
                table.target,
                SEVERAL / 2
            ))),
            _ => Ok(()),
        }
    }

    /// The answer of the call.
    ///
    /// # Errors
    /// `retry` where nothing at all is decided: the whole call comes again.
    pub fn answer(self) -> Result<Outcomes> {
        let is_undecided = self.is_undecided();
        let Self { mut outcomes, later, rest, .. } = self;
        let Some((message, after)) = later else { return Ok(outcomes) };
        if is_undecided {
            return Err(Error::Retry { message, after });
        }
        log::warn!(records = rest.len(); "{message}");
        for index in rest {
            match after {
                Some(after) => outcomes.retry_after(index, after),
                None => outcomes.retry(index),
            }
        }
        Ok(outcomes)
    }
}

impl Delivery<'_, '_> {
    /// Writes the rows, those with the same columns in order.
    ///
    /// # Errors
    /// Where no record is at fault. What has to wait is told of in `told`.
    pub fn run(mut self, told: &mut Told) -> Result<()> {
        let Rows { rows, rejections, .. } = self.rows;
        for (index, rejection) in rejections {
            told.outcomes.push(*index, rejection.clone());
        }
        let is_once = self.config.deduplicate == Deduplicate::Offsets;
        let mut open: Vec<usize> = (0..rows.len()).collect();
        if is_once && !rows.is_empty() && told.later.is_none() {
            match self.places.open(self.server, self.table, rows) {
                Ok(missing) => open = missing,
                Err(Error::Retry { message, after }) => told.later(message, after),
                Err(error) => return Err(error),
            }
            told.done += rows.len() - open.len();
            told.taken += rows.len() - open.len();
        }
        // A table that keeps every row knows no order of them; in another the last one of a key may count.
        let runs = self.rows.runs(open, !is_once);
        let mut pieces: VecDeque<Piece> = runs.into_iter().flat_map(|run| parts(rows, run, told.most, is_once)).collect();
        while let Some(places) = pieces.pop_front() {
            if told.later.is_some() {
                told.again(of(rows, &places));
                continue;
            }
            match self.insert(&places) {
                Ok(()) => {
                    told.done += places.len();
                    told.taken += places.len();
                }
                Err(fault) if fault.meaning == Meaning::Later => {
                    self.places.doubt(of(rows, &places));
                    told.again(of(rows, &places));
                    told.later(fault.message, fault.after);
                }
                Err(fault) => self.refused(places, fault, &mut pieces, told)?,
            }
        }
        told.judge(self.table)
    }

    fn insert(&mut self, piece: &[usize]) -> Result<(), Fault> {
        let columns = self.table.list(self.rows.columns(piece));
        let token = (self.config.deduplicate == Deduplicate::None).then(|| self.token(&columns, piece));
        self.places.sent(of(&self.rows.rows, piece));
        self.server.insert(&self.table.target, &columns, token.as_deref(), self.rows.bytes(piece))
    }

    /// Names these rows: the same ones have the same name, however often they are sent, and no others have it. Else the server
    /// would take records of another topic of that name, or what a mended transform makes of these, for a repetition.
    fn token(&self, columns: &str, piece: &[usize]) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{}\n{columns}\n", self.server.sink));
        for (row, bytes) in of(&self.rows.rows, piece).zip(self.rows.bytes(piece)) {
            let Row { topic, partition, offset, timestamp, .. } = row;
            hash.update(format!("{topic}/{partition}/{offset}/{timestamp}/{}\n", bytes.len()));
            hash.update(bytes);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The server takes none of these rows: each half is sent by itself, down to the records that it does not take.
    fn refused(&mut self, mut piece: Piece, fault: Fault, pieces: &mut VecDeque<Piece>, told: &mut Told) -> Result<()> {
        let count = piece.len();
        told.smallest = told.smallest.min(count);
        match self.still_open(&piece, &fault) {
            Ok(open) => piece = open,
            Err(Error::Retry { message, after }) => {
                told.again(of(&self.rows.rows, &piece));
                told.later(message, after);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        told.done += count - piece.len();
        told.taken += count - piece.len();
        let (rows, is_once) = (&self.rows.rows, self.config.deduplicate == Deduplicate::Offsets);
        if piece.is_empty() {
            return Ok(());
        }
        match middle(rows, &piece, is_once).and_then(|at| piece.split_at_checked(at)) {
            Some((first, second)) => {
                for half in [second, first] {
                    pieces.push_front(half.to_vec());
                }
            }
            None if fault.meaning == Meaning::Fewer => {
                told.again(of(rows, &piece));
                told.later(fault.message, fault.after);
            }
            None => told.reject(of(rows, &piece), fault),
        }
        Ok(())
    }

    /// Those of refused rows that the table does not hold.
    ///
    /// # Errors
    /// `retry` where it was altered, or does not tell; `fatal` where no record is at fault.
    fn still_open(&mut self, piece: &[usize], fault: &Fault) -> Result<Piece> {
        if is_about_columns(fault) && self.table.look_again(self.server, self.config)? {
            return Err(Error::retry(format!("{} was altered: its columns are read anew", self.table.target)));
        }
        if fault.meaning == Meaning::Fatal {
            return Err(fault.clone().into_error());
        }
        match self.config.deduplicate {
            // A table of several partitions may have taken some, and so may one whose materialized view refuses them.
            Deduplicate::Offsets => missing(self.server, self.table, &self.rows.rows, piece),
            Deduplicate::None => Ok(piece.to_vec()),
        }
    }
}

/// The rows at these places.
fn of<'r, 'a>(rows: &'r [Row<'a>], piece: &'r [usize]) -> impl Iterator<Item = &'r Row<'a>> {
    piece.iter().filter_map(|at| rows.get(*at))
}

/// A run in pieces of so many rows at most. What one record was split to stays `together`, however much it is.
fn parts(rows: &[Row<'_>], run: Vec<usize>, most: usize, together: bool) -> Vec<Piece> {
    if run.len() <= most {
        return vec![run];
    }
    let mut parts = vec![Piece::new()];
    let is_one = |a: &usize, b: &usize| together && rows.get(*a).zip(rows.get(*b)).is_some_and(|(a, b)| a.is_beside(b));
    for record in run.chunk_by(is_one) {
        match parts.last_mut().filter(|part| part.is_empty() || part.len() + record.len() <= most) {
            Some(part) => part.extend(record),
            None => parts.push(record.to_vec()),
        }
    }
    parts
}

/// Where to cut a piece in two: as near to its middle as can be without parting `together` what one record was split to.
fn middle(rows: &[Row<'_>], piece: &[usize], together: bool) -> Option<usize> {
    let is_one = |at: usize| {
        let (before, after) = (piece.get(at - 1)?, piece.get(at)?);
        Some(rows.get(*before)?.is_beside(rows.get(*after)?))
    };
    let cuts = (1..piece.len()).filter(|at| !(together && is_one(*at).unwrap_or(false)));
    cuts.min_by_key(|at| at.abs_diff(piece.len() / 2))
}
