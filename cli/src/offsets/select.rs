//! What of a connector is meant, and where it is to go, out of words. Touches nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wharf_runtime::config::parse_start;
use wharf_runtime::offsets::{PartitionOffset, To};
use wharf_runtime::topic_log::Position;
use wharf_runtime::topic_log::places::StoredPositions;

use super::Part;

/// Where a sink goes; `None`: forgotten.
pub fn target(text: Option<&str>) -> Result<To, String> {
    let Some(text) = text else { return Ok(To::Forgotten) };
    if let Ok(offset) = text.parse::<i64>() {
        return Ok(To::Offset(offset));
    }
    if text == "group" {
        return Ok(To::Group);
    }
    let start = parse_start(text).map(To::Place);
    start.ok_or_else(|| {
        format!("error: `{text}` is no place: expected an offset, earliest, latest, group or a time such as 2026-01-31T00:00:00Z")
    })
}

/// The partitions of a sink that are meant.
pub fn partitions(all: Vec<PartitionOffset>, part: &Part) -> Result<Vec<PartitionOffset>, String> {
    if part.slice.is_some() {
        return Err("error: --slice is for sources; a sink has --topic and --partition".to_owned());
    }
    let fits = |p: &PartitionOffset| {
        part.topic.as_ref().is_none_or(|topic| *p.partition.topic == **topic)
            && part.partition.is_none_or(|partition| p.partition.partition == partition)
    };
    let there: Vec<_> = all.iter().map(|p| p.partition.to_string()).collect();
    let chosen: Vec<_> = all.into_iter().filter(fits).collect();
    if chosen.is_empty() {
        let there = if there.is_empty() { "none: no topic that it reads exists".to_owned() } else { there.join(", ") };
        return Err(format!("error: the sink has no such partition; it has {there}"));
    }
    Ok(chosen)
}

/// The positions to store for a source; an empty place forgets.
pub fn positions(stored: &StoredPositions, part: &Part, to: Option<&str>) -> Result<Vec<Position>, String> {
    if part.topic.is_some() || part.partition.is_some() {
        return Err("error: --topic and --partition are for sinks; a source has --slice".to_owned());
    }
    let slices: Vec<&String> = stored.positions.iter().map(|p| &p.slice).chain(&stored.foreign).collect();
    let there = || slices.iter().map(|slice| format!("`{slice}`")).collect::<Vec<_>>().join(", ");
    match (to, &part.slice) {
        (Some(to), Some(slice)) => Ok(vec![Position { slice: slice.clone(), place: place(to)? }]),
        (Some(_), None) => Err(format!("error: a place is one of a slice: add --slice; stored are {}", there())),
        (None, Some(slice)) if !slices.contains(&slice) => {
            Err(format!("error: nothing is stored for slice `{slice}`; stored are {}", there()))
        }
        (None, Some(slice)) => Ok(vec![Position { slice: slice.clone(), place: Vec::new() }]),
        (None, None) => Ok(slices.iter().map(|slice| Position { slice: (*slice).clone(), place: Vec::new() }).collect()),
    }
}

fn place(text: &str) -> Result<Vec<u8>, String> {
    let bytes = match text.strip_prefix("base64:") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|error| format!("error: `{text}` is not base64: {error}"))?,
        None => text.as_bytes().to_vec(),
    };
    if bytes.is_empty() {
        return Err("error: an empty place is none: use reset to forget it".to_owned());
    }
    Ok(bytes)
}
