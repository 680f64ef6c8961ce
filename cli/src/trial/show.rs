//! Prints what came of a trial, a line for each record, for people or as JSON, and counts it: the exit code hangs on it.

use std::time::Duration;

use serde_json::{Map, Value, json};
use wharf_runtime::batch::{Batch, Record};
use wharf_runtime::guest::GuestError;
use wharf_runtime::outcome::{Outcome, Polled, Rejection, Verdict};
use wharf_runtime::topic_log::{Position, TopicPartition};
use wharf_runtime::transform::Applied;

use crate::output::say;
use crate::topic::{json as record_json, structured, text};

/// Where all is printed and counted.
#[derive(Debug)]
pub struct Show {
    json: bool,
    /// How many the input has; of a source, none.
    records: usize,
    /// By the word that it is printed with.
    counts: [(&'static str, usize); 6],
    failed: bool,
}

impl Show {
    pub fn new(json: bool, records: usize) -> Self {
        let words = ["accepted", "output", "record", "filtered", "retry", "reject"];
        Self { json, records, counts: words.map(|word| (word, 0)), failed: false }
    }

    /// Offsets that the target itself keeps.
    pub fn assigned(&mut self, partitions: &[TopicPartition], offsets: &[Option<i64>]) {
        for (partition, offset) in partitions.iter().zip(offsets) {
            let Some(offset) = offset else { continue };
            if self.json {
                say!(
                    "{}",
                    json!({ "outcome": "assigned", "topic": *partition.topic, "partition": partition.partition, "offset": offset })
                );
            } else {
                say!("{partition}  goes on from offset {offset}, as the target says");
            }
        }
    }

    /// What a sink answered to a batch.
    pub fn written(&mut self, batch: &Batch, outcomes: &[Outcome]) {
        let mut outcomes = outcomes.iter().peekable();
        for (index, record) in (0u32..).zip(batch.records()) {
            match outcomes.next_if(|outcome| outcome.index == index).map(|outcome| &outcome.verdict) {
                None => self.line(Some(&record), "accepted", "", Map::new()),
                Some(Verdict::Reject(why)) => self.rejected(Some(&record), why, None),
                Some(Verdict::Retry(after)) => {
                    let wait = after.map_or_else(|| "after the host's backoff".to_owned(), |after| format!("after {after:?}"));
                    let more = object(json!({ "after-ms": after.map(milliseconds) }));
                    self.line(Some(&record), "retry", &wait, more);
                }
            }
        }
    }

    /// What a transform made of a batch.
    pub fn applied(&mut self, batch: &Batch, applied: &Applied) {
        let mut outputs = applied.origin.iter().zip(applied.records.records()).peekable();
        let mut rejects = applied.rejects.iter().peekable();
        for (index, record) in (0u32..).zip(batch.records()) {
            let reject = rejects.next_if(|reject| reject.index == index);
            let mut gone = true;
            while let Some((_, output)) = outputs.next_if(|(origin, _)| **origin == index) {
                gone = false;
                let moved = if output.topic == record.topic { String::new() } else { format!("to {}  ", output.topic) };
                let more = object(json!({ "record": record_json(&output) }));
                self.line(Some(&record), "output", &format!("{moved}{}  {}", text(output.key), text(output.value)), more);
                self.headers(&output);
            }
            match reject {
                Some(reject) => self.rejected(Some(&record), &reject.rejection, None),
                None if gone => self.line(Some(&record), "filtered", "", Map::new()),
                None => {}
            }
        }
    }

    /// What one poll of a source gave.
    pub fn polled(&mut self, polled: &Polled) {
        let mut rejects = polled.rejects.iter().peekable();
        for (index, record) in (0u32..).zip(polled.records.records()) {
            if let Some(Outcome { verdict: Verdict::Reject(why), .. }) = rejects.next_if(|reject| reject.index == index) {
                self.rejected(None, why, Some(&record));
            } else {
                let moved = if record.topic.is_empty() { String::new() } else { format!("to {}  ", record.topic) };
                let more = object(json!({ "record": new_record(&record) }));
                self.line(None, "record", &format!("{moved}{}  {}", text(record.key), text(record.value)), more);
                self.headers(&record);
            }
        }
        for position in &polled.positions {
            self.position(position);
        }
        match (self.json, polled.finished) {
            (true, true) => say!("{}", json!({ "outcome": "finished" })),
            (false, true) => say!("finished  nothing more will ever come"),
            (true, false) if !polled.idle.is_zero() => say!("{}", json!({ "outcome": "idle", "ms": milliseconds(polled.idle) })),
            (false, false) if !polled.idle.is_zero() => say!("idle      nothing more for {:?}", polled.idle),
            _ => {}
        }
    }

    /// A call that did not work; `records`: how many it was about.
    pub fn failed(&mut self, call: &str, records: usize, error: &GuestError) {
        self.failed = true;
        let (kind, after) = match error {
            GuestError::Retry { after, .. } => ("retry", *after),
            GuestError::Reject(_) => ("reject", None),
            GuestError::Fatal(_) => ("fatal", None),
            GuestError::Died { .. } => ("died", None),
        };
        if self.json {
            let after = after.map(milliseconds);
            say!(
                "{}",
                json!({ "outcome": "failed", "call": call, "error": kind, "message": error.to_string(), "after-ms": after, "records": records })
            );
            return;
        }
        let wait = after.map_or_else(String::new, |after| format!(", to be tried again after {after:?}"));
        let about = match records {
            0 => String::new(),
            1 => " of 1 record".to_owned(),
            _ => format!(" of {records} records"),
        };
        say!("failed    {call}{about} ({kind}{wait}): {error}");
        if records > 1 && matches!(error, GuestError::Died { .. } | GuestError::Reject(_)) {
            say!("          with --calls {} each record is a call of its own: that shows the one at fault", self.records);
        }
    }

    /// Prints the sum; whether every record was accepted, put out or filtered, and every call worked.
    pub fn end(&self) -> bool {
        let count = |word| self.counts.iter().filter(|(counted, _)| *counted == word).map(|(_, count)| count).sum::<usize>();
        if !self.json {
            let seen: Vec<String> =
                self.counts.iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{word} {count}")).collect();
            say!(
                "{}",
                match (seen.is_empty(), self.failed) {
                    (true, true) => "a call failed".to_owned(),
                    (true, false) => "no records".to_owned(),
                    (false, true) => format!("{}; a call failed", seen.join(", ")),
                    (false, false) => seen.join(", "),
                }
            );
        }
        !self.failed && count("retry") + count("reject") == 0
    }

    fn rejected(&mut self, place: Option<&Record<'_>>, why: &Rejection, raw: Option<&Record<'_>>) {
        let field = why.field.as_ref().map_or_else(String::new, |field| format!(" at {field}"));
        let shown = raw.map_or_else(String::new, |raw| format!("  {}  {}", text(raw.key), text(raw.value)));
        let mut more = object(json!({ "code": why.code, "message": why.message, "field": why.field }));
        if let Some(raw) = raw {
            more.insert("record".to_owned(), new_record(raw));
        }
        self.line(place, "reject", &format!("{}{field}: {}{shown}", why.code, why.message), more);
    }

    /// One line: the place of the record that it is about (a source's have none yet), what became of it, and more.
    fn line(&mut self, place: Option<&Record<'_>>, word: &'static str, shown: &str, more: Map<String, Value>) {
        for (counted, count) in &mut self.counts {
            *count += usize::from(*counted == word);
        }
        if self.json {
            let mut line = object(json!({ "outcome": word }));
            if let Some(record) = place {
                line.extend(object(json!({ "topic": record.topic, "partition": record.partition, "offset": record.offset })));
            }
            line.extend(more);
            say!("{}", Value::Object(line));
            return;
        }
        let place = place.map_or_else(String::new, |r| format!("{}/{}/{}  ", r.topic, r.partition, r.offset));
        say!("{}", format!("{place}{word:<8}  {shown}").trim_end());
    }

    fn headers(&self, record: &Record<'_>) {
        if !self.json {
            for (name, value) in &record.headers {
                say!("    {}: {}", String::from_utf8_lossy(name), text(*value));
            }
        }
    }

    /// In the form in which it can be given back by `--input`, but for `outcome`.
    fn position(&self, Position { slice, place }: &Position) {
        if self.json {
            say!("{}", json!({ "outcome": "position", "slice": slice, "place": structured(place) }));
        } else if place.is_empty() {
            say!("position  {slice}  is forgotten");
        } else {
            say!("position  {slice}  {}", text(Some(place)));
        }
    }
}

/// A source's record, which the log has given no place yet: what is left can be the input of another trial.
fn new_record(record: &Record<'_>) -> Value {
    let mut members = object(record_json(record));
    let without = if record.topic.is_empty() { &["topic", "partition", "offset"][..] } else { &["partition", "offset"] };
    members.retain(|name, _| !without.contains(&name.as_str()));
    Value::Object(members)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The members of what was written as an object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
