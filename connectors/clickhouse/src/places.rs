//! Which records a table holds already, by the places that stand in its rows: what makes a repetition harmless. Asks the table,
//! and remembers up to which offset it has to be asked.
//!
//! A table is asked for exactly these records, not for its highest offset alone: a record with a lower one may be missing, as it
//! was refused and the dead letter of it may not have been written when the worker ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use wharf_sdk::{Error, Partition, Result, log};

use crate::fault::Fault;
use crate::rows::Row;
use crate::server::{Server, text};
use crate::table::{Part, Table};

/// How long what is known of a table is good. A worker that stands still for longer may have lost its partitions, by default after
/// 45 s (`session.timeout.ms`), and another one have written their records: it asks again first.
///
/// After as long no request of a call is begun either. The host gives partitions back 30 s after the group has asked for them, though a
/// call has not ended; and it cuts a call of 120 s (`call-deadline`) off, with what it has yet to say of its records.
pub const LIMIT: Duration = Duration::from_secs(20);
/// Offsets in one query, which may have 256 KiB.
const OFFSETS: usize = 5_000;
/// Inserts that a message names.
const SHOWN: usize = 3;
/// Before the server is asked again whether it has ended an insert.
const SOON: Duration = Duration::from_millis(200);

/// What is known of the offsets in the tables.
#[derive(Debug)]
pub struct Places {
    /// Topics of which this instance has partitions.
    topics: BTreeSet<String>,
    /// By topic and partition: above this offset the table holds nothing. Not there: it has to be asked.
    highest: HashMap<String, HashMap<i32, i64>>,
    /// Inserts that have to end before the table can be asked. `None`: which those are was not asked yet.
    earlier: Option<Vec<String>>,
    /// When the clock was looked at last. All that is known is from a time since which nobody stood still for as long as `limit`.
    looked: Instant,
    /// The highest offsets take long to tell: each record is asked for.
    is_slow: bool,
    /// As [`LIMIT`].
    pub limit: Duration,
}

/// A record of one topic: partition and offset.
type At = (i32, i64);

impl Places {
    /// Nothing is known. `limit`: as [`LIMIT`].
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { topics: BTreeSet::new(), highest: HashMap::new(), earlier: None, looked: Instant::now(), is_slow: false, limit }
    }

    /// Nothing is known any more: partitions have come or gone. These are this instance's.
    pub fn assigned(&mut self, partitions: &[Partition]) {
        let topics = partitions.iter().map(|partition| partition.topic.clone()).collect();
        *self = Self { topics, ..Self::new(self.limit) };
    }

    /// Where the clock was not looked at for too long, in a call or between two, nothing is known any more.
    fn look_at_the_clock(&mut self) {
        if self.is_outdated() {
            self.forget();
            self.earlier = None;
        }
        self.looked = Instant::now();
    }

    fn is_outdated(&self) -> bool {
        self.looked.elapsed() >= self.limit
    }

    /// No offset is known any more.
    pub fn forget(&mut self) {
        self.highest.clear();
    }

    /// Whether these rows were written is not known.
    pub fn doubt<'r, 'a: 'r>(&mut self, rows: impl Iterator<Item = &'r Row<'a>>) {
        self.earlier = None;
        for row in rows {
            if let Some(partitions) = self.highest.get_mut(row.topic) {
                partitions.remove(&row.partition);
            }
        }
    }

    /// These rows are about to be sent: from now on they may be in the table, whatever is answered.
    pub fn sent<'r, 'a: 'r>(&mut self, rows: impl Iterator<Item = &'r Row<'a>>) {
        for row in rows {
            if let Some(highest) = self.highest.get_mut(row.topic).and_then(|partitions| partitions.get_mut(&row.partition)) {
                *highest = row.offset.max(*highest);
            }
        }
    }

    /// The places in `rows` of those that the table does not hold, in order.
    ///
    /// # Errors
    /// `retry` where the server does not answer or an earlier insert has not ended, `fatal` where the table holds others
    /// at these offsets, or these may not be those of their topic.
    pub fn open(&mut self, server: &Server, table: &Table, rows: &[Row<'_>]) -> Result<Vec<usize>> {
        if let Some(row) = rows.iter().find(|row| !self.topics.contains(row.topic)) {
            return Err(routed(row));
        }
        self.look_at_the_clock();
        self.know(server, table, rows)?;
        let highest = |row: &Row<'_>| self.highest.get(row.topic).and_then(|partitions| partitions.get(&row.partition)).copied();
        let is_above = |at: &usize| rows.get(*at).is_some_and(|row| highest(row).is_none_or(|highest| row.offset > highest));
        let (mut open, doubtful): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(is_above);
        open.extend(missing(server, table, rows, &doubtful)?);
        open.sort_unstable();
        if self.is_outdated() {
            return Err(Error::retry(slow(table, self.looked)));
        }
        Ok(open)
    }

    /// Asks for the highest offset of each partition of which it is not known. Where that takes long, it is taken for the highest there
    /// can be from then on.
    fn know(&mut self, server: &Server, table: &Table, rows: &[Row<'_>]) -> Result<()> {
        let mut unknown: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
        for row in rows {
            if !self.highest.get(row.topic).is_some_and(|partitions| partitions.contains_key(&row.partition)) {
                unknown.entry(row.topic).or_default().insert(row.partition);
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        self.let_earlier_inserts_end(server)?;
        let began = Instant::now();
        for (topic, asked) in unknown {
            if self.is_slow {
                let partitions = self.highest.entry(topic.to_owned()).or_default();
                partitions.extend(asked.into_iter().map(|partition| (partition, i64::MAX)));
                continue;
            }
            let (part, offset) = (table.place(Part::Partition), table.place(Part::Offset));
            let query = format!(
                "SELECT toInt64({part}), toInt64(max({offset})) FROM {} WHERE {} = {} AND {part} IN ({}) GROUP BY {part}",
                table.target,
                table.place(Part::Topic),
                text(topic),
                list(asked.iter())
            );
            let found = numbers::<2>(server, &query);
            if began.elapsed() >= self.limit / 2 {
                self.is_slow = true;
                log::warn!("{}", slow(table, began));
            }
            let found = found?;
            let partitions = self.highest.entry(topic.to_owned()).or_default();
            partitions.extend(asked.into_iter().map(|partition| (partition, -1)));
            for [partition, offset] in found {
                partitions.insert(i32::try_from(partition).unwrap_or(-1), offset);
            }
        }
        Ok(())
    }

    /// What a worker that is gone has sent may still be on its way into the table. Only what is under way now is waited for: what
    /// other tasks send later is of other partitions.
    fn let_earlier_inserts_end(&mut self, server: &Server) -> Result<()> {
        let under_way = match server.under_way() {
            Ok(under_way) => under_way,
            Err(Fault { code: Some(291 | 497), message, .. }) => {
                log::warn!("inserts that were sent before cannot be waited for: {message}");
                Vec::new()
            }
            Err(fault) => return Err(of_query(fault)),
        };
        let earlier: Vec<String> = match self.earlier.take() {
            Some(earlier) => earlier.into_iter().filter(|id| under_way.contains(id)).collect(),
            None => under_way,
        };
        if earlier.is_empty() {
            return Ok(());
        }
        let ids = earlier.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let message =
            format!("inserts that were sent before are still under way in ClickHouse ({}, by `query_id`: {ids})", earlier.len());
        self.earlier = Some(earlier);
        Err(Error::retry(message).after(SOON))
    }
}

/// Of `places` in `rows` those that the table does not hold: also of an insert that was refused.
///
/// # Errors
/// As [`Places::open`].
pub fn missing(server: &Server, table: &Table, rows: &[Row<'_>], places: &[usize]) -> Result<Vec<usize>> {
    let mut by_topic: BTreeMap<&str, BTreeMap<i32, BTreeSet<i64>>> = BTreeMap::new();
    for row in places.iter().filter_map(|at| rows.get(*at)) {
        by_topic.entry(row.topic).or_default().entry(row.partition).or_default().insert(row.offset);
    }
    let mut held: HashMap<&str, HashMap<At, (i64, i64)>> = HashMap::new();
    for (topic, partitions) in by_topic {
        let found = held.entry(topic).or_default();
        for (partition, offsets) in partitions {
            let offsets: Vec<i64> = offsets.into_iter().collect();
            for some in offsets.chunks(OFFSETS) {
                found.extend(ask(server, table, (topic, partition), some)?);
            }
        }
    }
    let mut missing = Vec::new();
    let beside = |a: &usize, b: &usize| rows.get(*a).zip(rows.get(*b)).is_some_and(|(a, b)| a.is_beside(b));
    for record in places.chunk_by(beside) {
        let Some(row) = record.first().and_then(|at| rows.get(*at)) else { continue };
        match held.get(row.topic).and_then(|held| held.get(&(row.partition, row.offset))) {
            None => missing.extend(record),
            Some((timestamp, _)) if *timestamp != row.timestamp => return Err(another(table, row, *timestamp)),
            Some((_, count)) if usize::try_from(*count).is_ok_and(|count| count < record.len()) => {
                return Err(in_part(table, row, *count, record.len()));
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

/// Which of these offsets the table holds: lowest time and number of the rows of each.
fn ask(server: &Server, table: &Table, (topic, partition): (&str, i32), offsets: &[i64]) -> Result<HashMap<At, (i64, i64)>> {
    let offset = table.place(Part::Offset);
    let query = format!(
        "SELECT toInt64({offset}), toInt64(min({})), toInt64(count()) FROM {} WHERE {} = {} AND {} = {partition} AND {offset} IN ({}) \
         GROUP BY {offset}",
        table.place(Part::Timestamp),
        table.target,
        table.place(Part::Topic),
        text(topic),
        table.place(Part::Partition),
        list(offsets.iter())
    );
    let found = numbers::<3>(server, &query)?;
    Ok(found.into_iter().map(|[offset, timestamp, count]| ((partition, offset), (timestamp, count))).collect())
}

/// Rows of integers.
fn numbers<const N: usize>(server: &Server, query: &str) -> Result<Vec<[i64; N]>> {
    let rows = server.rows(query).map_err(of_query)?;
    let row = |fields: Vec<String>| {
        let numbers: Option<Vec<i64>> = fields.iter().map(|field| field.parse().ok()).collect();
        numbers.and_then(|numbers| <[i64; N]>::try_from(numbers).ok())
    };
    let numbers: Option<Vec<_>> = rows.into_iter().map(row).collect();
    numbers.ok_or_else(|| Error::retry("ClickHouse's answer to a query for offsets cannot be read"))
}

fn list<'a, T: ToString + 'a>(numbers: impl Iterator<Item = &'a T>) -> String {
    numbers.map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A query holds no values of records.
fn of_query(mut fault: Fault) -> Error {
    fault.message = format!("asking for the offsets in the table: {}", fault.message);
    fault.into_error()
}

fn slow(table: &Table, asked: Instant) -> String {
    let offset = table.place(Part::Offset);
    format!(
        "{} took {} s to tell which records it holds: have it find them by `ORDER BY (…, {}, {}, {offset})` or, in newer versions, `ALTER \
         TABLE {} ADD INDEX places {offset} TYPE minmax GRANULARITY 4`, then `MATERIALIZE INDEX places`",
        table.target,
        asked.elapsed().as_secs(),
        table.place(Part::Topic),
        table.place(Part::Partition),
        table.target
    )
}

/// Two topics that are routed to one name have the same offsets: one's records would pass for the other's.
fn routed(row: &Row<'_>) -> Error {
    Error::fatal(format!(
        "a transform has routed a record to topic `{}`, which this sink does not read: its partition {} and offset {} are those of \
         another topic, and so do not tell whether it was written. Take the `route` away (`tables` gives each topic its table), or \
         set `deduplicate = \"none\"` (at least once)",
        row.topic, row.partition, row.offset
    ))
}

fn another(table: &Table, row: &Row<'_>, timestamp: i64) -> Error {
    Error::fatal(format!(
        "{} holds offset {} of partition {} of topic `{}` with the time {timestamp}, the record has {}: those rows are of another \
         topic of that name (made anew, or of another log), and new ones cannot be told from them. Take another table, or take the \
         old rows out of this one, which are those from before the topic was made: `ALTER TABLE {} DELETE WHERE {} = {} AND …`",
        table.target,
        row.offset,
        row.partition,
        row.topic,
        row.timestamp,
        table.target,
        table.place(Part::Topic),
        text(row.topic)
    ))
}

fn in_part(table: &Table, row: &Row<'_>, count: i64, of: usize) -> Error {
    Error::fatal(format!(
        "{} holds {count} of the {of} rows that record {}/{}/{} was split to, as an insert for several partitions of the table was cut \
         short: remove those {count}, then all are written again",
        table.target, row.topic, row.partition, row.offset
    ))
}
