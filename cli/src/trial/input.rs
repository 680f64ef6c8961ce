//! The input of a trial: JSON Lines of records or of stored positions. A line that is neither is an error with its number; nothing
//! is guessed and nothing is passed over but empty lines.

use std::collections::BTreeMap;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use wharf_runtime::batch::{Batch, Record};
use wharf_runtime::config::Batching;
use wharf_runtime::topic_log::Position;

/// Most bytes of an input, as a trial holds all of it.
const LARGEST: usize = 64 << 20;
/// Topic of records that name none.
const TOPIC: &str = "try";

/// What a component is called with.
#[derive(Debug)]
pub enum Input {
    /// The records of each call.
    Records(Vec<Batch>),
    /// What a source is opened with.
    Positions(Vec<Position>),
}

impl Input {
    /// How many records there are.
    pub fn records(&self) -> usize {
        match self {
            Self::Records(batches) => batches.iter().map(Batch::len).sum(),
            Self::Positions(_) => 0,
        }
    }
}

/// A record as `wharf topic cat --json` prints it; only its value has to be there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow, default)]
    headers: Vec<HeaderLine<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine<'a> {
    name: String,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PositionLine<'a> {
    slice: String,
    #[serde(borrow)]
    place: &'a RawValue,
    /// As a trial prints it with `--json`.
    #[serde(rename = "outcome")]
    _outcome: Option<IgnoredAny>,
}

/// Bytes that are no text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64 {
    base64: String,
}

/// A record that owns what it holds.
struct Owned {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The records of a file, spread over calls. A record without an offset follows the one before it in its partition.
///
/// # Errors
/// The file, and the line at fault.
pub fn records(path: Option<&Path>, values: bool, calls: Option<NonZeroUsize>) -> Result<Vec<Batch>> {
    let path = path.context("a sink or a transform needs --input FILE, with a record in each line")?;
    let records = lines(path, |line| if values { Ok(only_value(line)) } else { record(text(line)?) })?;
    let limits = calls
        .map_or((Batching::SINK.records, Batching::SINK.bytes), |calls| (records.len().div_ceil(calls.get()).max(1), usize::MAX));
    let mut offsets = BTreeMap::new();
    let mut batches = Vec::new();
    let mut rest = records.as_slice();
    while !rest.is_empty() {
        let (call, after) = rest.split_at(fitting(rest, limits));
        rest = after;
        let mut batch = Batch::default();
        for owned in call {
            let next = offsets.entry((owned.topic.as_str(), owned.partition)).or_insert(0);
            let offset = if owned.offset < 0 { *next } else { owned.offset };
            *next = offset.saturating_add(1);
            batch.push(&Record {
                topic: &owned.topic,
                partition: owned.partition,
                offset,
                timestamp: owned.timestamp,
                key: owned.key.as_deref(),
                value: owned.value.as_deref(),
                headers: owned.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref())).collect(),
                attempt: 1,
            });
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// The positions of a file; none where there is no file.
///
/// # Errors
/// The file, and the line at fault.
pub fn positions(path: Option<&Path>) -> Result<Vec<Position>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    lines(path, |line| {
        let PositionLine { slice, place, .. } =
            parse(text(line)?).map_err(|e| anyhow!("{e}\n  help: a line is a stored position, {{\"slice\", \"place\"}}"))?;
        Ok(Position { slice, place: bytes(place)?.unwrap_or_default() })
    })
}

/// How many records from the first on make one call of at most so many records and bytes: one at least, as in a deployment.
fn fitting(records: &[Owned], (most, most_bytes): (usize, usize)) -> usize {
    let mut bytes = 0usize;
    let fits = |(index, record): &(usize, &Owned)| {
        bytes = bytes.saturating_add(record.size());
        *index == 0 || (*index < most && bytes <= most_bytes)
    };
    records.iter().enumerate().take_while(fits).count()
}

impl Owned {
    fn size(&self) -> usize {
        let of = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        of(&self.key) + of(&self.value) + self.headers.iter().map(|(name, value)| name.len() + of(value)).sum::<usize>()
    }
}

/// Reads each line that is not empty.
fn lines<T>(path: &Path, mut read: impl FnMut(&[u8]) -> Result<T>) -> Result<Vec<T>> {
    let bytes = contents(path)?;
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let filled = lines.enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    filled.map(|(at, line)| read(line).with_context(|| format!("{}:{}", path.display(), at + 1))).collect()
}

fn contents(path: &Path) -> Result<Vec<u8>> {
    let (mut bytes, most) = (Vec::new(), LARGEST as u64 + 1);
    let done = if path == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    done.with_context(|| format!("--input: cannot read {}", path.display()))?;
    if bytes.len() > LARGEST {
        bail!(
            "--input: {} is larger than {} MiB, and a trial holds all of it\n  help: `head -n 1000 FILE` gives its first records",
            path.display(),
            LARGEST >> 20
        );
    }
    Ok(bytes)
}

fn text(line: &[u8]) -> Result<&str> {
    std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to() + 1;
        anyhow!("byte {at} is no UTF-8\n  help: JSON is UTF-8; bytes that are no text stand as {{\"base64\": \"…\"}}, or come in by --values")
    })
}

fn only_value(line: &[u8]) -> Owned {
    let value = Some(line.to_vec());
    Owned { topic: TOPIC.to_owned(), partition: 0, offset: -1, timestamp: -1, key: None, value, headers: Vec::new() }
}

fn record(line: &str) -> Result<Owned> {
    let help = "a line is a record, its value under `value`; with --values each line is a value";
    let line: Line<'_> = parse(line).map_err(|e| anyhow!("{e}\n  help: {help}"))?;
    for (name, number) in [("partition", line.partition.map(i64::from)), ("offset", line.offset)] {
        if let Some(number) = number.filter(|number| *number < 0) {
            bail!("`{name}` is {number}: expected 0 or more, or leave it out");
        }
    }
    Ok(Owned {
        topic: line.topic.unwrap_or_else(|| TOPIC.to_owned()),
        partition: line.partition.unwrap_or(0),
        offset: line.offset.unwrap_or(-1),
        timestamp: line.timestamp.map(timestamp).transpose()?.unwrap_or(-1),
        key: line.key.map(bytes).transpose()?.flatten(),
        value: bytes(line.value)?,
        headers: line.headers.into_iter().map(header).collect::<Result<_>>()?,
    })
}

fn header(HeaderLine { name, value }: HeaderLine<'_>) -> Result<(String, Option<Vec<u8>>)> {
    Ok((name, value.map(bytes).transpose()?.flatten()))
}

/// An error without serde's line number, which counts within this line.
fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T> {
    serde_json::from_str(line).map_err(|error| {
        let text = error.to_string();
        anyhow!("{} (column {})", text.split(" at line ").next().unwrap_or(&text), error.column())
    })
}

/// Milliseconds since 1970; RFC 3339 is taken too, and `-`, which stands for none.
fn timestamp(written: &RawValue) -> Result<i64> {
    if let Ok(milliseconds) = written.get().parse::<i64>() {
        return Ok(milliseconds);
    }
    let text: String = serde_json::from_str(written.get()).unwrap_or_default();
    match text.parse::<jiff::Timestamp>() {
        _ if text == "-" => Ok(-1),
        Ok(time) => Ok(time.as_millisecond()),
        Err(_) => bail!(
            "`timestamp` is {}: expected milliseconds since 1970, or a time such as \"2026-01-31T00:00:00Z\"",
            written.get()
        ),
    }
}

/// `null`, a text, `{"base64": …}`, or JSON as it stands there.
fn bytes(written: &RawValue) -> Result<Option<Vec<u8>>> {
    let json = written.get();
    if json == "null" {
        return Ok(None);
    }
    if json.starts_with('"') {
        return Ok(Some(serde_json::from_str::<String>(json)?.into_bytes()));
    }
    if json.starts_with('{')
        && let Ok(Base64 { base64 }) = serde_json::from_str(json)
    {
        return Ok(Some(STANDARD.decode(&base64).with_context(|| format!("`{base64}` is no base64"))?));
    }
    Ok(Some(json.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests;
