//! `wharf offsets set` and `reset`: shows from -> to, asks, and does it while the connector is stopped.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use wharf_runtime::config::{Config, LogConfig, SinkConfig, SourceConfig};
use wharf_runtime::offsets::{Move, OffsetsError, PartitionOffset, SinkOffsets, SourcePlaces, To};
use wharf_runtime::supervisor::StateDir;
use wharf_runtime::topic_log::{Position, Start, TopicLog, open};

use super::confirm::confirmed;
use super::{Found, Part, component_cache, find, select};
use crate::bundle;
use crate::output::{FAILED, OK, say, unusable};
use crate::topic::{text, time as when};

/// Runs the command: `to` as given (`None`: forget), and whether not to ask.
pub async fn change(config: &Config, connector: &str, part: &Part, (to, yes): (Option<&str>, bool)) -> Result<ExitCode> {
    let found = match find(config, connector) {
        Ok(found) => found,
        Err(text) => return Ok(unusable(&text)),
    };
    // Held until all is done: a worker on this state-dir neither runs nor starts meanwhile.
    let held = match StateDir::lock(&config.state_dir) {
        Ok(held) => held,
        Err(text) => {
            eprintln!("error: offsets move only while the worker is stopped: {text}");
            return Ok(ExitCode::from(FAILED));
        }
    };
    let log = open::open(config)?;
    let done = match found {
        Found::Sink(sink) => change_sink(&log, config, sink, part, (to, yes)).await,
        Found::Source(source) => change_source(&log, config, source, part, (to, yes)).await,
    };
    drop(tokio::task::spawn_blocking(move || drop(log)).await);
    drop(held);
    match done {
        Err(error) => match error.downcast::<OffsetsError>() {
            Ok(refused @ OffsetsError::Refused(_)) => Ok(unusable(&format!("error: {refused}"))),
            Ok(error) => Err(error.into()),
            Err(error) => Err(error),
        },
        done => done,
    }
}

async fn change_sink(
    log: &Arc<dyn TopicLog>,
    config: &Config,
    sink: &SinkConfig,
    part: &Part,
    (to, yes): (Option<&str>, bool),
) -> Result<ExitCode> {
    let to = match select::target(to) {
        Ok(to) => to,
        Err(text) => return Ok(unusable(&text)),
    };
    let mut offsets = SinkOffsets::open(Arc::clone(log), config, sink, bundle::BUNDLE, &component_cache(config)).await?;
    let partitions = match select::partitions(offsets.list().await?, part) {
        Ok(partitions) => partitions,
        Err(text) => return Ok(unusable(&text)),
    };
    let members = offsets.members().await?;
    if !members.is_empty() {
        eprintln!(
            "error: sink `{}` is read by {}: offsets move only while it is stopped (a worker that was killed counts until its \
             session ends, 45 s by default)",
            sink.connector.name,
            members.join(", ")
        );
        return Ok(ExitCode::from(FAILED));
    }
    let moves = offsets.plan(&partitions, to).await?;
    let young = match to {
        To::Place(Start::At(time)) => Some(time),
        _ => None,
    };
    say!("sink {}: offsets are kept in {}", sink.connector.name, offsets.kept());
    let shown = |offset: Option<i64>| offset.map_or_else(|| "by `start`".to_owned(), |offset| offset.to_string());
    for (m, p) in moves.iter().zip(&partitions) {
        let from = if p.is_lost() { "lost by the database".to_owned() } else { shown(m.from) };
        say!("  {}  {from} -> {}  (low {}, high {}){}", m.partition, shown(m.to), p.low, p.high, effect(m, p));
    }
    if let Some(time) = young
        && moves.iter().zip(&partitions).any(|(m, p)| m.to == Some(p.high))
    {
        let which = if time > now() { "lies in the future" } else { "is later than the last record of some" };
        say!("{} {which}: where high is shown, the sink passes over all there is and reads what comes from now on", when(time));
    }
    if let Err(code) = confirmed(yes) {
        return Ok(code);
    }
    offsets.change(&moves).await?;
    say!("done");
    Ok(ExitCode::from(OK))
}

/// What it means for records. Of what retention removed none comes again.
fn effect(m: &Move, p: &PartitionOffset) -> String {
    let (Some(from), Some(to)) = (m.from, m.to) else { return String::new() };
    let (from, to) = (from.clamp(p.low, p.high), to.clamp(p.low, p.high));
    match to - from {
        0 => String::new(),
        again @ ..0 => format!(": {} offsets are read again", -again),
        over => format!(": {over} offsets are passed over"),
    }
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

async fn change_source(
    log: &Arc<dyn TopicLog>,
    config: &Config,
    source: &SourceConfig,
    part: &Part,
    (to, yes): (Option<&str>, bool),
) -> Result<ExitCode> {
    let places = SourcePlaces::new(Arc::clone(log), config, source);
    let stored = places.list().await?;
    let lost = places.lost().await?;
    let positions = match select::positions(&stored, part, to) {
        Ok(positions) => positions,
        Err(text) => return Ok(unusable(&text)),
    };
    let name = &source.connector.name;
    if positions.is_empty() && lost.is_none() {
        say!("source {name}: no position is stored, so there is nothing to forget");
        return Ok(ExitCode::from(OK));
    }
    say!("source {name}");
    let known = |slice: &String| stored.positions.iter().any(|p| p.slice == *slice) || stored.foreign.contains(slice);
    for Position { slice, .. } in positions.iter().filter(|p| !known(&p.slice)) {
        say!("  {slice} has no position so far: the source uses this one only if it has a slice of exactly this name");
    }
    if lost.is_some() {
        say!("  the topic that kept its positions was deleted: every slice that is not set is read from the beginning");
    }
    let shown =
        |place: &[u8]| if place.is_empty() { "none, it is read from the beginning".to_owned() } else { text(Some(place)) };
    for position in &positions {
        let from = stored.positions.iter().find(|p| p.slice == position.slice).map_or(&[][..], |p| &p.place);
        say!("  {}  {} -> {}", position.slice, shown(from), shown(&position.place));
    }
    if matches!(config.log, LogConfig::Kafka { .. }) {
        let then = if source.exactly_once {
            "one that does loses its transaction by this and stands by"
        } else {
            "as it is not exactly once, one that does would go on and store its own position over this: make sure that none does"
        };
        eprintln!("Kafka does not tell whether a worker elsewhere runs this source: {then}");
    }
    if let Err(code) = confirmed(yes) {
        return Ok(code);
    }
    places.store(&positions).await?;
    say!("done");
    Ok(ExitCode::from(OK))
}
