//! The file as a whole: its sections, and what holds between them (names, topics, paths). Starts nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::checker::Checker;
use super::connector::{self, Surroundings};
use super::diagnostic::Diagnostic;
use super::kafka::kafka;
use super::node::{Entries, Node, Text, properties};
use super::{Config, Connection, Listen, ListenTls, LogConfig, TopicConfig, eating, raw, unwritten};

/// The validated configuration; findings are in `checker`. `None` only beside an error.
pub fn deployment(checker: &mut Checker<'_>, file: &raw::File, base_dir: &Path) -> Option<Config> {
    let name = name(checker, file);
    let log = log(checker, file);
    let around = Surroundings {
        name: name.clone(),
        connections: file.connection.0.iter().map(|(name, _)| name.get_ref().clone()).collect(),
        has_kafka: file.kafka.is_some(),
        has_listen: file.listen.is_some(),
    };
    let sources = file.source.iter().map(|raw| connector::source(checker, raw, &around)).collect::<Vec<_>>();
    let sinks = file.sink.iter().map(|raw| connector::sink(checker, raw, &around)).collect::<Vec<_>>();
    unique_names(checker, file);
    unique_paths(checker, file);
    eating::find(checker, file, &name, &sources, &sinks);
    if file.source.is_empty() && file.sink.is_empty() && !removed(checker, &["source", "sink"]) {
        let end = checker.values.vars.len();
        checker.push(Diagnostic {
            span: None,
            ..Diagnostic::error(end..end, "no [[source]] and no [[sink]]: there is nothing to run")
        });
    }
    let config = Config {
        state_dir: file.state_dir.as_ref().map_or_else(|| base_dir.join("wharf-state"), |path| checker.path(path)),
        base_dir: base_dir.to_owned(),
        // The embedded log has no administrator whom a new topic could surprise.
        create_topics: file.create.unwrap_or(file.kafka.is_none()),
        topics: topics(checker, &file.topic),
        listen: file.listen.as_ref().and_then(|raw| listen(checker, raw)),
        connections: connections(checker, &file.connection),
        sources: sources.into_iter().collect::<Option<_>>()?,
        sinks: sinks.into_iter().collect::<Option<_>>()?,
        drain_timeout: file.drain_timeout.as_ref().map_or(Duration::from_secs(25), |span| span.get_ref().0),
        name,
        log,
    };
    unwritten::find(checker, file, &config);
    Some(config)
}

fn removed(checker: &Checker<'_>, keys: &[&str]) -> bool {
    checker.removed.iter().any(|(_, key)| keys.contains(&key.as_str()) || key.is_empty())
}

/// `[vars]`: plain values by name. Secrets in them would end up where guests read.
pub fn vars(entries: &Entries<Spanned<Node>>, findings: &mut Vec<Diagnostic>) -> BTreeMap<String, Node> {
    let mut vars = BTreeMap::new();
    for (name, value) in &entries.0 {
        if let Node::Text(text) = value.get_ref()
            && text.contains("${")
        {
            let title = format!("variable `{}` holds a reference", name.get_ref());
            findings.push(
                Diagnostic::error(value.span(), title).label("expected a plain value").help(super::checker::SECRET_ELSEWHERE),
            );
        }
        vars.insert(name.get_ref().clone(), value.get_ref().clone());
    }
    vars
}

fn name(checker: &mut Checker<'_>, file: &raw::File) -> String {
    match (&file.name, &file.kafka) {
        (Some(name), _) => checker.name(name, "deployment"),
        (None, None) => "wharf".to_owned(),
        (None, Some(kafka)) => {
            if !removed(checker, &["name"]) {
                let help = "write name = \"…\" at the top of the file; it must never change, or everything is read again";
                let label = "groups, transactional ids and topics on a shared cluster carry the deployment's name";
                checker.push(Diagnostic::error(kafka.span(), "`name` is required with [kafka]").label(label).help(help));
            }
            "wharf".to_owned()
        }
    }
}

fn log(checker: &mut Checker<'_>, file: &raw::File) -> LogConfig {
    let Some(section) = &file.kafka else {
        let embedded = file.embedded.as_ref().map(Spanned::get_ref);
        return LogConfig::Embedded {
            retention: embedded.and_then(|raw| raw.retention).map(|span| span.0),
            retention_bytes: embedded.and_then(|raw| raw.retention_bytes).map(|size| size.0),
        };
    };
    if let Some(embedded) = &file.embedded {
        checker.error(
            embedded.span(),
            "[embedded] beside [kafka]",
            "expected one of the two: with [kafka] there is no embedded log",
        );
    }
    let properties = kafka(checker, section.get_ref());
    let brokers = ["bootstrap.servers", "metadata.broker.list"];
    let known = removed(checker, &["bootstrap.servers", "bootstrap", "servers"]);
    if !known && !brokers.iter().any(|name| properties.contains_key(*name)) {
        let help = "bootstrap.servers = \"kafka-1:9092,kafka-2:9092\"";
        checker.push(Diagnostic::error(section.span(), "`bootstrap.servers` is missing").label("required here").help(help));
    }
    LogConfig::Kafka { properties }
}

fn topics(checker: &mut Checker<'_>, raw: &Entries<Spanned<raw::Topic>>) -> BTreeMap<String, TopicConfig> {
    let mut topics = BTreeMap::new();
    for (name, section) in &raw.0 {
        let raw = section.get_ref();
        let mut config = BTreeMap::new();
        for property in properties(&raw.config) {
            if let Some(text) = checker.scalar(&property.value) {
                config.insert(property.name, checker.text(&text));
            }
        }
        let partitions = checker.number(raw.partitions.as_ref(), 1, 1..=100_000);
        // -1: the cluster's own default.
        let replication = checker.number(raw.replication.as_ref(), -1, -1..=32767);
        let (partitions, replication) = (i32::try_from(partitions).unwrap_or(1), i32::try_from(replication).unwrap_or(-1));
        topics.insert(checker.name(name, "topic"), TopicConfig { partitions, replication, config });
    }
    topics
}

fn listen(checker: &mut Checker<'_>, raw: &Spanned<raw::Listen>) -> Option<Listen> {
    let span = raw.span();
    let raw = raw.get_ref();
    let address = checker.required(raw.address.as_ref(), "address", &span).map(|text| address(checker, text));
    let tls = raw.tls.as_ref().map(|section| {
        let cert = checker.required(section.get_ref().cert.as_ref(), "cert", &section.span());
        let cert = cert.map(|path| checker.existing(path, "certificate"));
        let key = checker.required(section.get_ref().key.as_ref(), "key", &section.span());
        let key = key.map(|path| checker.existing(path, "private key"));
        Some(ListenTls { cert: cert?, key: key? })
    });
    let max_body = raw.max_body.as_ref().map_or(4 << 20, |size| usize::try_from(size.get_ref().0).unwrap_or(usize::MAX));
    let max_held = checker.count(raw.max_held.as_ref(), 1000);
    Some(Listen { address: address?, tls: tls.flatten(), max_body, max_held })
}

fn address(checker: &mut Checker<'_>, text: &Text) -> String {
    let address = checker.text(text);
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() {
        checker.error(text.span(), format!("`{address}` is not an address"), "expected host:port such as \"127.0.0.1:8080\"");
    }
    address
}

fn connections(checker: &mut Checker<'_>, raw: &Entries<Spanned<raw::Connection>>) -> BTreeMap<String, Connection> {
    let mut connections = BTreeMap::new();
    for (name, section) in &raw.0 {
        let raw = section.get_ref();
        let ca_file: Option<PathBuf> = raw.ca_file.as_ref().map(|path| checker.existing(path, "ca-file"));
        let pool = checker.count(raw.pool.as_ref(), 8);
        let Some(text) = checker.required(raw.url.as_ref(), "url", &section.span()) else { continue };
        let url = checker.secret(text);
        let known = ["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| url.expose().starts_with(scheme));
        // An empty one has been reported: its reference did not resolve.
        let unresolved = url.expose().is_empty() && text.get_ref().contains("${");
        if !known && !unresolved {
            checker.error(text.span(), "not a database URL", "expected postgres://user:password@host/database or sqlite://path");
        }
        connections.insert(name.get_ref().clone(), Connection { url, ca_file, pool });
    }
    connections
}

const NAMES: &str = "offsets, positions and metrics are kept by this name: it is unique over sources and sinks";
const PATHS: &str = "a request goes to one source: give each a path of its own";

fn unique_names(checker: &mut Checker<'_>, file: &raw::File) {
    let names = file.source.iter().chain(&file.sink).filter_map(|raw| raw.get_ref().name.as_ref());
    unique(checker, names.map(|name| (name.get_ref().as_str(), name.span())), "the name of two connectors", NAMES);
}

fn unique_paths(checker: &mut Checker<'_>, file: &raw::File) {
    let listens = file.source.iter().filter_map(|raw| raw.get_ref().listen.as_ref());
    let paths = listens.filter_map(|raw| raw.get_ref().path.as_ref());
    unique(checker, paths.map(|path| (path.get_ref().as_str(), path.span())), "the path of two sources", PATHS);
}

fn unique<'f>(checker: &mut Checker<'_>, entries: impl Iterator<Item = (&'f str, Range<usize>)>, what: &str, help: &str) {
    let mut seen = std::collections::BTreeSet::new();
    for (entry, span) in entries {
        if !seen.insert(entry) {
            checker.push(Diagnostic::error(span, format!("`{entry}` is {what}")).label("used before").help(help));
        }
    }
}
