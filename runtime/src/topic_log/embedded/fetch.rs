//! Reading records out of the file, and how a record stands in it: its place, and its headers as one blob.
//! Knows nothing of groups.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::Fault;
use crate::batch::{Batch, Header, Record};
use crate::topic_log::Start;

/// Bits of a place that hold the offset; those above hold the stream.
const OFFSET_BITS: u32 = 40;

/// Where in a partition to read.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) stream: i64,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) from: i64,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) batch: Batch,
    /// For each span looked at, in order: the offset to read next, or why there is none.
    pub(super) reached: Vec<Result<i64, Gap>>,
    /// A limit was reached.
    pub(super) full: bool,
}

/// An offset that the partition does not hold: it has `low` up to, not with, `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) low: i64,
    pub(super) high: i64,
}

/// `records.place` of an offset in a stream.
pub(super) fn place(stream: i64, offset: i64) -> Result<i64, Fault> {
    let fits = (0..1 << OFFSET_BITS).contains(&offset) && (0..1 << (62 - OFFSET_BITS)).contains(&stream);
    if fits { Ok((stream << OFFSET_BITS) | offset) } else { Err(Fault::damaged("a partition or an offset beyond all bounds")) }
}

/// Reads the spans in turn until a limit is reached; the first record comes whatever its size. All of one moment.
pub(super) fn fetch(db: &Connection, spans: &[Span], records: usize, bytes: usize) -> Result<Fetched, Fault> {
    let snapshot = db.unchecked_transaction()?;
    let mut fetched = Fetched::default();
    for span in spans {
        let reached = if fetched.full { Ok(span.from) } else { fetch_span(&snapshot, span, (records, bytes), &mut fetched)? };
        fetched.reached.push(reached);
    }
    Ok(fetched)
}

fn fetch_span(db: &Connection, span: &Span, limits: (usize, usize), fetched: &mut Fetched) -> Result<Result<i64, Gap>, Fault> {
    let mut ends = db.prepare_cached("SELECT low, high FROM partitions WHERE stream = ?1")?;
    let ends = ends.query_row([span.stream], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
    // A stream that is not there: its topic was deleted, and nothing of it can be read.
    let (low, high) = ends.unwrap_or((0, -1));
    if span.from < low || span.from > high {
        return Ok(Err(Gap { low, high }));
    }
    let mut select = db.prepare_cached(
        "SELECT place, timestamp, key, value, headers FROM records WHERE place >= ?1 AND place < ?2 ORDER BY place",
    )?;
    let first = place(span.stream, span.from)?;
    let mut rows = select.query((first, place(span.stream, high)?))?;
    let mut next = span.from;
    while let Some(row) = rows.next()? {
        let record = record(row, span, first)?;
        let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        let batch = &mut fetched.batch;
        if !batch.is_empty() && (batch.len() >= limits.0 || batch.data.len() + size > limits.1) {
            fetched.full = true;
            return Ok(Ok(next));
        }
        next = record.offset + 1;
        batch.push(&record);
    }
    fetched.full = fetched.batch.len() >= limits.0 || fetched.batch.data.len() >= limits.1;
    Ok(Ok(next))
}

fn record<'a>(row: &'a Row<'_>, span: &'a Span, first: i64) -> Result<Record<'a>, Fault> {
    let bytes = |column| -> Result<Option<&'a [u8]>, Fault> {
        match row.get_ref(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(Some(bytes)),
            _ => Err(Fault::damaged("a number where bytes belong")),
        }
    };
    Ok(Record {
        topic: &span.topic,
        partition: span.partition,
        offset: row.get::<_, i64>(0)? - first + span.from,
        timestamp: row.get(1)?,
        key: bytes(2)?,
        value: bytes(3)?,
        headers: bytes(4)?.map_or_else(|| Ok(Vec::new()), decode_headers)?,
        attempt: 1,
    })
}

/// Headers as one blob: for each the lengths of name and value (32 bits, little-endian; -1: null), then both. None: no headers.
pub(super) fn encode_headers(headers: &[Header<'_>]) -> Option<Vec<u8>> {
    let mut blob = Vec::new();
    for (name, value) in headers {
        blob.extend(length(Some(name)));
        blob.extend(length(*value));
        blob.extend_from_slice(name);
        blob.extend_from_slice(value.unwrap_or_default());
    }
    (!headers.is_empty()).then_some(blob)
}

fn length(bytes: Option<&[u8]>) -> [u8; 4] {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX)).to_le_bytes()
}

fn decode_headers(blob: &[u8]) -> Result<Vec<Header<'_>>, Fault> {
    let mut headers = Vec::new();
    let mut rest = blob;
    while !rest.is_empty() {
        let Some((header, after)) = decode_header(rest) else { return Err(Fault::damaged("headers cut short")) };
        headers.push(header);
        rest = after;
    }
    Ok(headers)
}

fn decode_header(blob: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let (name, blob) = blob.split_first_chunk::<4>()?;
    let (value, blob) = blob.split_first_chunk::<4>()?;
    let (name, blob) = blob.split_at_checked(usize::try_from(i32::from_le_bytes(*name)).ok()?)?;
    let value = i32::from_le_bytes(*value);
    if value == -1 {
        return Some(((name, None), blob));
    }
    let (value, blob) = blob.split_at_checked(usize::try_from(value).ok()?)?;
    Some(((name, Some(value)), blob))
}

/// What `start` means for a stream now.
pub(super) fn resolve(db: &Connection, stream: i64, start: Start) -> Result<i64, Fault> {
    let snapshot = db.unchecked_transaction()?;
    let mut ends = snapshot.prepare_cached("SELECT low, high FROM partitions WHERE stream = ?1")?;
    let (low, high) = ends.query_row([stream], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match start {
        Start::Earliest => Ok(low),
        Start::Latest => Ok(high),
        Start::At(time) => Ok(first_since(&snapshot, stream, time)?.unwrap_or(high)),
    }
}

/// The first record at or after `time`: in the first chunk that has one.
fn first_since(db: &Connection, stream: i64, time: i64) -> Result<Option<i64>, Fault> {
    let mut chunk =
        db.prepare_cached("SELECT first, next FROM chunks WHERE stream = ?1 AND max_timestamp >= ?2 ORDER BY first LIMIT 1")?;
    let chunk = chunk.query_row((stream, time), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
    let Some((first, next)) = chunk else { return Ok(None) };
    let (from, until) = (place(stream, first)?, place(stream, next)?);
    let mut record = db.prepare_cached(
        "SELECT place FROM records WHERE place >= ?1 AND place < ?2 AND timestamp >= ?3 ORDER BY place LIMIT 1",
    )?;
    let found: Option<i64> = record.query_row((from, until, time), |row| row.get(0)).optional()?;
    Ok(found.map(|found| found - from + first))
}
