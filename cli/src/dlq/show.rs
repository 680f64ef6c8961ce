//! `wharf dlq show`: dead letters one by one. Changes nothing.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Map, Value, json};
use wharf_runtime::config::Config;
use wharf_runtime::redrive::{Letter, Request, Scan};
use wharf_runtime::topic_log::{Start, open};

use super::Show;
use crate::output::{OK, say, unusable};
use crate::topic::{json as record_json, text, time};

/// Runs the command.
pub async fn show(config: &Config, args: &Show) -> Result<ExitCode> {
    let request = match Request::new(config, &args.connector) {
        Ok(request) => request,
        Err(error) => return Ok(unusable(&format!("error: {error}"))),
    };
    let filter = args.only.filter();
    let log = open::open_read_only(config)?;
    let Some((mut scan, _)) = Scan::open(log.as_ref(), &request.dead_letters, Start::Earliest).await? else {
        eprintln!("there is no topic `{}` yet: no dead letter was written", request.dead_letters);
        return Ok(ExitCode::from(OK));
    };
    let mut left = args.limit.unwrap_or(usize::MAX);
    let (mut letters, mut shown) = (0, 0);
    while left > 0
        && let Some(batch) = scan.next().await?
    {
        for record in batch.records() {
            let letter = Letter::of(&record).filter(|letter| request.is_of(letter));
            letters += usize::from(letter.is_some());
            let letter = letter.filter(|letter| filter.takes(letter));
            let Some(letter) = letter.filter(|_| left > 0) else { continue };
            shown += 1;
            if args.json {
                say!("{}", as_json(&letter));
            } else {
                print(&letter);
            }
            left -= 1;
        }
    }
    if shown == 0 && args.limit != Some(0) {
        eprintln!("{}", super::nothing(&args.connector, &args.only, letters));
    }
    Ok(ExitCode::from(OK))
}

fn print(letter: &Letter<'_>) {
    let origin = match (letter.origin(), letter.topic) {
        (origin, topic) if origin.is_empty() => format!("read by the source, for topic {topic}"),
        (origin, _) => origin,
    };
    say!("{}  of {origin}", letter.place());
    say!("  died      {}, attempt {}, at {}", time(letter.time), letter.attempt, letter.stage);
    let field = if letter.field.is_empty() { String::new() } else { format!(" (field {})", letter.field) };
    say!("  reason    {}: {}{field}", letter.code, letter.message);
    for (what, parts) in [("cut", letter.truncated), ("left out", letter.omitted)] {
        if !parts.is_empty() {
            say!("  {what:8}  {parts}");
        }
    }
    say!("  time      {}", time(letter.timestamp));
    for (name, value) in letter.own_headers() {
        say!("  header    {}: {}", String::from_utf8_lossy(name), text(value));
    }
    say!("  key       {}", text(letter.record.key));
    say!("  value     {}", text(letter.record.value));
}

/// The record as `topic cat --json` shows it, with the reason taken out of its headers.
fn as_json(letter: &Letter<'_>) -> Value {
    let mut record = letter.record.clone();
    record.headers = letter.own_headers().collect();
    let mut object = match record_json(&record) {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    let reason = json!({
        "connector": letter.connector, "code": letter.code, "stage": letter.stage, "message": letter.message, "field": letter.field,
        "attempt": letter.attempt, "time": time(letter.time), "topic": letter.topic, "partition": letter.partition,
        "offset": letter.offset, "truncated": letter.truncated, "omitted": letter.omitted,
    });
    object.insert("died".to_owned(), reason);
    Value::Object(object)
}
