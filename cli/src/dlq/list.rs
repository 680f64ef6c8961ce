//! `wharf dlq ls`: counts of dead letters. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::json;
use wharf_runtime::config::Config;
use wharf_runtime::redrive::{Letter, Memory, Scan, owner_of};
use wharf_runtime::topic_log::{Start, TopicLog, open};

use crate::output::{OK, say, unusable};
use crate::topic::time;

/// Connector, code and stage.
type Kind = (String, String, String);

#[derive(Debug, Default)]
struct Count {
    letters: usize,
    redriven: usize,
    first: i64,
    last: i64,
}

/// Runs the command.
pub async fn list(config: &Config, connector: Option<&str>, as_json: bool) -> Result<ExitCode> {
    let chosen: Vec<_> = match connector.map(|name| config.connector(name)).transpose() {
        Ok(Some(one)) => vec![one],
        Ok(None) => config.connectors().collect(),
        Err(text) => return Ok(unusable(&format!("error: {text}"))),
    };
    // Several connectors may share one topic.
    let topics: BTreeSet<&String> = chosen.iter().filter_map(|c| c.dead_letter.topic.as_ref()).collect();
    let log = open::open_read_only(config)?;
    let mut counts = BTreeMap::new();
    for topic in topics {
        count(log.as_ref(), config, topic, connector, &mut counts).await.with_context(|| format!("reading `{topic}`"))?;
    }
    if as_json {
        let one = |((connector, code, stage), count): (&Kind, &Count)| {
            json!({
                "connector": connector, "code": code, "stage": stage, "letters": count.letters, "redriven": count.redriven,
                "first": time(count.first), "last": time(count.last),
            })
        };
        say!("{}", serde_json::to_string_pretty(&counts.iter().map(one).collect::<Vec<_>>())?);
    } else {
        show(&counts);
    }
    Ok(ExitCode::from(OK))
}

async fn count(
    log: &dyn TopicLog,
    config: &Config,
    topic: &str,
    only: Option<&str>,
    counts: &mut BTreeMap<Kind, Count>,
) -> Result<()> {
    let Some((mut scan, topic_id)) = Scan::open(log, topic, Start::Earliest).await? else { return Ok(()) };
    let mut memories: BTreeMap<String, Memory> = BTreeMap::new();
    while let Some(batch) = scan.next().await? {
        for record in batch.records() {
            let Some(letter) = Letter::of(&record) else { continue };
            if !letter.is_of(&config.name) || only.is_some_and(|only| only != letter.connector) {
                continue;
            }
            if !memories.contains_key(letter.connector) {
                let stored = log.positions(&config.name, &owner_of(letter.connector)).await?;
                memories.insert(letter.connector.to_owned(), Memory::load(topic, &topic_id, &stored.positions)?);
            }
            let redriven = memories.get(letter.connector).is_some_and(|memory| memory.contains(record.partition, record.offset));
            let kind = (letter.connector.to_owned(), letter.code.to_owned(), letter.stage.to_owned());
            let count = counts.entry(kind).or_insert(Count { first: i64::MAX, ..Count::default() });
            count.letters += 1;
            count.redriven += usize::from(redriven);
            (count.first, count.last) = (count.first.min(letter.time), count.last.max(letter.time));
        }
    }
    Ok(())
}

fn show(counts: &BTreeMap<Kind, Count>) {
    let width = |of: fn(&Kind) -> &str, least: usize| counts.keys().map(|kind| of(kind).len()).max().unwrap_or(0).max(least);
    let (connectors, codes, stages) = (width(|k| &k.0, 9), width(|k| &k.1, 4), width(|k| &k.2, 5));
    say!(
        "{:connectors$}  {:codes$}  {:stages$}  {:>7}  {:>8}  {:24}  {:24}",
        "CONNECTOR",
        "CODE",
        "STAGE",
        "LETTERS",
        "REDRIVEN",
        "FIRST",
        "LAST"
    );
    for ((connector, code, stage), count) in counts {
        say!(
            "{connector:connectors$}  {code:codes$}  {stage:stages$}  {:>7}  {:>8}  {:24}  {:24}",
            count.letters,
            count.redriven,
            time(count.first),
            time(count.last)
        );
    }
}
