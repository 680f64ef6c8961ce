//! `wharf offsets ls`: a table for people, or JSON. Changes nothing.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wharf_runtime::config::{Config, SinkConfig, SourceConfig};
use wharf_runtime::offsets::{PartitionOffset, SinkOffsets, SourcePlaces};
use wharf_runtime::topic_log::places::StoredPositions;
use wharf_runtime::topic_log::{Mark, TopicLog, open};

use super::{Found, component_cache, find};
use crate::bundle;
use crate::output::{FAILED, OK, failed, say, unusable};
use crate::topic::text;

/// A sink with all that is known of its place.
struct Sink {
    name: String,
    kept: String,
    members: Vec<String>,
    partitions: Vec<PartitionOffset>,
}

/// Runs the command.
pub async fn list(config: &Config, connector: Option<&str>, as_json: bool) -> Result<ExitCode> {
    let found: Vec<Found<'_>> = match connector {
        Some(name) => match find(config, name) {
            Ok(found) => vec![found],
            Err(text) => return Ok(unusable(&text)),
        },
        None => config.sources.iter().map(Found::Source).chain(config.sinks.iter().map(Found::Sink)).collect(),
    };
    let log = open::open_read_only(config)?;
    let (mut sources, mut sinks, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for connector in found {
        match connector {
            Found::Source(source) => match read_source(&log, config, source).await {
                Ok((stored, lost)) => sources.push((source, stored, lost)),
                Err(error) => errors.push(error),
            },
            // Its database may be down: that hides no other.
            Found::Sink(sink) => match read_sink(&log, config, sink).await {
                Ok(sink) => sinks.push(sink),
                Err(error) => errors.push(error),
            },
        }
    }
    if as_json {
        let sources: Vec<_> =
            sources.iter().map(|(source, stored, lost)| source_json(&source.connector.name, stored, lost.as_ref())).collect();
        let sinks: Vec<_> = sinks.iter().map(sink_json).collect();
        say!("{}", serde_json::to_string_pretty(&json!({ "sources": sources, "sinks": sinks }))?);
    } else {
        show_sources(&sources);
        show_sinks(&sinks);
    }
    let code = if errors.is_empty() { ExitCode::from(OK) } else { ExitCode::from(FAILED) };
    Ok(errors.iter().fold(code, |_, error| failed(error)))
}

async fn read_source(
    log: &Arc<dyn TopicLog>,
    config: &Config,
    source: &SourceConfig,
) -> Result<(StoredPositions, Option<String>)> {
    let places = SourcePlaces::new(Arc::clone(log), config, source);
    let read = async { anyhow::Ok((places.list().await?, places.lost().await?)) };
    read.await.with_context(|| format!("source `{}`", source.connector.name))
}

async fn read_sink(log: &Arc<dyn TopicLog>, config: &Config, sink: &SinkConfig) -> Result<Sink> {
    let name = sink.connector.name.clone();
    let read = async {
        let mut offsets = SinkOffsets::open(Arc::clone(log), config, sink, bundle::BUNDLE, &component_cache(config)).await?;
        let (members, partitions) = (offsets.members().await?, offsets.list().await?);
        anyhow::Ok(Sink { name: name.clone(), kept: offsets.kept().to_string(), members, partitions })
    };
    read.await.with_context(|| format!("sink `{name}`"))
}

/// A source, what is stored of it, and why that is not all, where it is not.
type Source<'a> = (&'a SourceConfig, StoredPositions, Option<String>);

fn show_sources(sources: &[Source<'_>]) {
    for (source, stored, lost) in sources {
        say!("source {}", source.connector.name);
        if let Some(lost) = lost {
            say!("  it does not start: {lost}");
        }
        let width = stored.positions.iter().map(|p| p.slice.chars().count()).max().unwrap_or(0).max(5);
        if stored.positions.is_empty() && stored.foreign.is_empty() {
            if lost.is_some() {
                continue;
            }
            say!("  no position is stored: it reads from the beginning");
        } else {
            say!("  {:width$}  PLACE", "SLICE");
        }
        for position in &stored.positions {
            say!("  {:width$}  {}", position.slice, text(Some(&position.place)));
        }
        for slice in &stored.foreign {
            say!("  {slice:width$}  of another cluster: not used, the slice begins anew");
        }
    }
}

fn show_sinks(sinks: &[Sink]) {
    for sink in sinks {
        let running =
            if sink.members.is_empty() { "nobody reads".to_owned() } else { format!("read by {}", sink.members.join(", ")) };
        say!("sink {}: offsets are kept in {}; {running}", sink.name, sink.kept);
        let width = sink.partitions.iter().map(|p| p.partition.topic.len()).max().unwrap_or(0).max(5);
        say!("  {:width$}  {:>9}  {:>10}  {:>10}  {:>10}  {:>10}", "TOPIC", "PARTITION", "OFFSET", "LOW", "HIGH", "LAG");
        for p in &sink.partitions {
            let at = &p.partition;
            say!(
                "  {:width$}  {:>9}  {:>10}  {:>10}  {:>10}  {:>10}",
                at.topic,
                at.partition,
                number(p.next()),
                p.low,
                p.high,
                number(p.lag())
            );
            for note in notes(p) {
                say!("  {:width$}  {note}", "");
            }
        }
        if sink.partitions.is_empty() {
            say!("  no topic that it reads exists");
        }
    }
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// What the numbers do not say.
fn notes(p: &PartitionOffset) -> Vec<String> {
    let mut notes = Vec::new();
    match p.next() {
        Some(next) if p.group.mark == Mark::PastTheEnd && p.group.own == Some(next) => notes.push(format!(
            "the log had not reached {next} when this partition stopped: it stays stopped until it is set, be it to {next}"
        )),
        Some(next) if next > p.high => notes.push(format!("{next} is past the end: this partition stops until it is set")),
        Some(next) if next < p.low => notes.push(format!("retention removed {} records that were not read", p.low - next)),
        _ => {}
    }
    if let Some(database) = &p.database {
        match (database.own, p.group.own) {
            (None, Some(group)) if p.is_lost() => notes.push(format!(
                "no row in the database, though this sink had written up to {group}: this partition stops until it is set"
            )),
            (None, Some(group)) => notes.push(format!("no row in the database yet: it begins at the group's offset {group}")),
            (Some(own), Some(group)) if group > own => notes.push(format!(
                "the group's offset in the log is {group}, ahead of the database's {own}, which counts: records between the two are \
                 delivered again"
            )),
            _ => {}
        }
    }
    let others = p.group.others.iter().chain(p.database.iter().flat_map(|stored| &stored.others));
    notes.extend(others.map(|(whose, offset)| format!("not used: offset {offset} of {whose}")));
    notes
}

fn source_json(name: &str, stored: &StoredPositions, lost: Option<&String>) -> Value {
    let position = |p: &wharf_runtime::topic_log::Position| match std::str::from_utf8(&p.place) {
        Ok(text) => json!({ "slice": p.slice, "place": text }),
        Err(_) => json!({ "slice": p.slice, "place": { "base64": STANDARD.encode(&p.place) } }),
    };
    let positions: Vec<_> = stored.positions.iter().map(position).collect();
    json!({ "name": name, "positions": positions, "of-another-cluster": stored.foreign, "lost": lost })
}

fn sink_json(sink: &Sink) -> Value {
    let one = |p: &PartitionOffset| {
        let others = p.group.others.iter().chain(p.database.iter().flat_map(|stored| &stored.others));
        let others: Vec<_> = others.map(|(whose, offset)| json!({ "of": whose.to_string(), "offset": offset })).collect();
        json!({
            "topic": &*p.partition.topic, "partition": p.partition.partition, "topic-id": p.topic_id, "offset": p.next(),
            "group": p.group.own, "database": p.database.as_ref().and_then(|stored| stored.own), "not-used": others,
            "low": p.low, "high": p.high, "lag": p.lag(),
        })
    };
    let partitions: Vec<_> = sink.partitions.iter().map(one).collect();
    json!({ "name": sink.name, "kept": sink.kept, "members": sink.members, "partitions": partitions })
}
