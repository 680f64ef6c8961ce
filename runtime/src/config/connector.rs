//! `[[source]]` and `[[sink]]`: the keys of both and their defaults. Starts nothing.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use crate::topic_log::{Start, TopicSelection};

use super::checker::{Checker, SECRET_IN_CONFIG};
use super::diagnostic::Diagnostic;
use super::grant;
use super::kafka::kafka;
use super::node::{Node, Text};
use super::{
    AfterBudget, Batching, Connector, DeadLetter, Format, GuestLimits, MaskHow, Retry, Signature, SignatureScheme, SinkConfig,
    SourceConfig, SourceListen, TransformStep, raw, transform,
};

/// What a connector's checks need of the rest of the file.
#[derive(Debug)]
pub struct Surroundings {
    /// Name of the deployment.
    pub name: String,
    /// Names of `[connection.NAME]`.
    pub connections: Vec<String>,
    pub has_kafka: bool,
    pub has_listen: bool,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Sink,
}

pub fn source(checker: &mut Checker<'_>, raw: &Spanned<raw::Connector>, around: &Surroundings) -> Option<SourceConfig> {
    let span = raw.span();
    let keys = raw.get_ref();
    let foreign = [("topics", keys.topics.as_ref().map(Spanned::span)), ("start", keys.start.as_ref().map(Spanned::span))];
    for (key, span) in foreign.into_iter().filter_map(|(key, span)| Some((key, span?))) {
        let help = if key == "topics" {
            "a source writes to one `topic`; transforms can route to others"
        } else {
            "a source goes on from its own position"
        };
        checker.push(
            Diagnostic::error(span, format!("`{key}` is a key of [[sink]]")).label("not expected in [[source]]").help(help),
        );
    }
    let topic = match (&keys.topic, &keys.topics) {
        (None, Some(_)) => None,
        (topic, _) => checker.required(topic.as_ref(), "topic", &span).map(|topic| checker.name(topic, "topic")),
    };
    let connector = connector(checker, raw, Side::Source, around);
    let listen = keys.listen.as_ref().map(|raw| listen(checker, raw, around));
    Some(SourceConfig {
        connector: connector?,
        topic: topic?,
        exactly_once: keys.exactly_once.as_ref().is_none_or(|on| *on.get_ref()),
        listen: listen.flatten(),
    })
}

pub fn sink(checker: &mut Checker<'_>, raw: &Spanned<raw::Connector>, around: &Surroundings) -> Option<SinkConfig> {
    let span = raw.span();
    let keys = raw.get_ref();
    let foreign = [("topic", keys.topic.as_ref().map(Spanned::span)), ("listen", keys.listen.as_ref().map(Spanned::span))];
    for (key, span) in foreign.into_iter().filter_map(|(key, span)| Some((key, span?))) {
        let help = if key == "topic" { "a sink reads `topics = [\"…\"]`" } else { "only a source takes requests" };
        checker.push(
            Diagnostic::error(span, format!("`{key}` is a key of [[source]]")).label("not expected in [[sink]]").help(help),
        );
    }
    let topics = match (&keys.topics, &keys.topic) {
        (None, Some(_)) => None,
        (topics, _) => checker.required(topics.as_ref(), "topics", &span).and_then(|topics| selection(checker, topics)),
    };
    let start = keys.start.as_ref().map_or(Some(Start::default()), |raw| start(checker, raw));
    let connector = connector(checker, raw, Side::Sink, around);
    Some(SinkConfig {
        connector: connector?,
        topics: topics?,
        start: start?,
        exactly_once: keys.exactly_once.as_ref().map(|on| *on.get_ref()),
    })
}

fn connector(checker: &mut Checker<'_>, raw: &Spanned<raw::Connector>, side: Side, around: &Surroundings) -> Option<Connector> {
    let span = raw.span();
    let raw = raw.get_ref();
    let name = checker.required(raw.name.as_ref(), "name", &span).map(|name| checker.name(name, "connector"));
    let kind = match side {
        Side::Source => "source",
        Side::Sink => "sink",
    };
    let component = checker.required(raw.component.as_ref(), "component", &span).map(|name| checker.component(name, kind));
    let allow = grant::allow(checker, raw.allow.as_ref(), &around.connections);
    let auth = grant::auth(checker, &raw.auth, &allow);
    let config = raw.config.as_ref().map(|node| config(checker, node));
    let dead_letter = dead_letter(checker, raw.dead_letter.as_ref(), &around.name, name.as_deref().unwrap_or_default());
    let transforms = transform::transforms(checker, &raw.transform);
    if side == Side::Source && dead_letter.topic.is_some() && dead_letter.keep_value {
        warn_of_masks(checker, &raw.transform, &transforms);
    }
    let properties = raw.kafka.as_ref().map(|entries| {
        if !around.has_kafka {
            checker.error(entries.span(), "librdkafka properties without [kafka]", "this deployment runs on the embedded log");
        }
        kafka(checker, entries.get_ref())
    });
    let tasks = checker.number(raw.tasks.as_ref(), 1, 1..=256);
    Some(Connector {
        tasks: u32::try_from(tasks).unwrap_or(1),
        config: config.unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new())),
        allow,
        auth,
        transforms,
        format: format(raw.format),
        dead_letter,
        retry: retry(checker, raw.retry.as_ref()),
        guest: limits(checker, raw.limits.as_ref()),
        batch: batch(checker, raw.batch.as_ref(), side),
        kafka: properties.unwrap_or_default(),
        max_record_bytes: size(checker, raw.max_record_bytes.as_ref().map(|size| (size.span(), size.get_ref().0)), 1_000_000),
        name: name?,
        component: component?,
    })
}

fn config(checker: &mut Checker<'_>, node: &Spanned<Node>) -> serde_json::Value {
    if !matches!(node.get_ref(), Node::Table(_)) {
        checker.error(node.span(), format!("wrong type: {}", node.get_ref().kind()), "expected a table");
    }
    checker.json(node.get_ref(), &node.span(), SECRET_IN_CONFIG)
}

const fn format(raw: Option<raw::Format>) -> Format {
    match raw {
        None | Some(raw::Format::Json) => Format::Json,
        Some(raw::Format::JsonEnvelope) => Format::JsonEnvelope,
        Some(raw::Format::Text) => Format::Text,
        Some(raw::Format::Bytes) => Format::Bytes,
    }
}

/// A source's dead letter is raw input: a mask has not been applied to it.
fn warn_of_masks(checker: &mut Checker<'_>, raw: &[Spanned<raw::transform::Transform>], transforms: &[super::TransformConfig]) {
    let masks = transforms
        .iter()
        .any(|t| matches!(&t.step, TransformStep::Mask { how, .. } if !matches!(how, MaskHow::Last(usize::MAX))));
    let Some(mask) = raw.iter().find_map(|t| t.get_ref().mask.as_ref()).filter(|_| masks) else { return };
    let warning = Diagnostic::warning(mask.span(), "dead letters of this source hold what is masked here");
    let help = "a dead letter is the raw input; `dead-letter.value = \"omit\"` keeps place and reason only";
    checker.push(warning.label("masked only in records that are delivered").help(help));
}

fn dead_letter(
    checker: &mut Checker<'_>,
    raw: Option<&Spanned<raw::DeadLetter>>,
    deployment: &str,
    connector: &str,
) -> DeadLetter {
    let default = || format!("dlq.{deployment}.{connector}");
    let mut letter = DeadLetter { topic: None, keep_value: true, window_size: 1000, window_limit: 50 };
    let Some(raw) = raw else { return DeadLetter { topic: Some(default()), ..letter } };
    match raw.get_ref() {
        raw::DeadLetter::Off => {}
        raw::DeadLetter::Topic(topic) => letter.topic = Some(checker.name(&Spanned::new(raw.span(), topic.clone()), "topic")),
        raw::DeadLetter::Table(table) => {
            letter.topic = Some(table.topic.as_ref().map_or_else(default, |topic| checker.name(topic, "topic")));
            letter.keep_value = !matches!(table.value, Some(raw::DeadLetterValue::Omit));
            if let Some(window) = &table.window {
                (letter.window_size, letter.window_limit) = (window.size, window.limit);
            }
        }
    }
    letter
}

fn selection(checker: &mut Checker<'_>, raw: &Spanned<raw::Topics>) -> Option<TopicSelection> {
    match raw.get_ref() {
        raw::Topics::Names(names) if names.is_empty() => {
            checker.error(raw.span(), "a sink without topics", "expected at least one topic");
            None
        }
        raw::Topics::Names(names) => Some(TopicSelection::Names(names.iter().map(|name| checker.name(name, "topic")).collect())),
        raw::Topics::Pattern(pattern) => {
            checker.pattern(pattern, true)?;
            Some(TopicSelection::Pattern(checker.text(pattern)))
        }
    }
}

/// `"earliest"`, `"latest"` or a time (RFC 3339).
pub fn parse_start(text: &str) -> Option<Start> {
    match text {
        "earliest" => Some(Start::Earliest),
        "latest" => Some(Start::Latest),
        time => time.parse::<jiff::Timestamp>().ok().map(|time| Start::At(time.as_millisecond())),
    }
}

fn start(checker: &mut Checker<'_>, raw: &Spanned<Node>) -> Option<Start> {
    let text = checker.scalar(raw).map(|text| checker.text(&text))?;
    let start = parse_start(&text);
    if start.is_none() {
        let label = "expected \"earliest\", \"latest\" or a time such as \"2026-01-31T00:00:00Z\"";
        checker.error(raw.span(), format!("`{text}` is no place to start"), label);
    }
    start
}

fn listen(checker: &mut Checker<'_>, raw: &Spanned<raw::SourceListen>, around: &Surroundings) -> Option<SourceListen> {
    let span = raw.span();
    if !around.has_listen {
        let help = "add [listen] with address = \"127.0.0.1:8080\", for example";
        checker.push(Diagnostic::error(span.clone(), "[source.listen] without [listen]").label("nobody listens").help(help));
    }
    let raw = raw.get_ref();
    let path = checker.required(raw.path.as_ref(), "path", &span).map(|text| path(checker, text));
    let signature = raw.signature.as_ref().and_then(|raw| signature(checker, raw));
    let reply_deadline = raw.reply_deadline.map_or(Duration::from_secs(4), |span| span.0);
    Some(SourceListen { path: path?, signature, reply_deadline })
}

fn path(checker: &mut Checker<'_>, text: &Text) -> String {
    let path = checker.text(text);
    if !path.starts_with('/') || path.contains(['?', '#', '{', '}', ' ', '*']) {
        checker.error(text.span(), format!("`{path}` is not a path"), "expected an absolute path such as \"/hooks/orders\"");
    } else if matches!(path.as_str(), "/health" | "/ready" | "/metrics" | "/status") {
        checker.error(text.span(), format!("`{path}` is taken"), "Wharf answers /health, /ready, /metrics and /status itself");
    }
    path
}

fn signature(checker: &mut Checker<'_>, raw: &Spanned<raw::Signature>) -> Option<Signature> {
    let span = raw.span();
    let raw = raw.get_ref();
    let secret = checker.secret(&raw.secret);
    let scheme = match (raw.scheme, &raw.header) {
        (raw::Scheme::Shopify, None) => SignatureScheme::Shopify,
        (raw::Scheme::Stripe, None) => SignatureScheme::Stripe,
        (raw::Scheme::Hmac, header) => {
            let text = checker.required(header.as_ref(), "header", &span)?;
            let header = checker.text(text).to_lowercase();
            if http::HeaderName::try_from(&header).is_err() {
                checker.error(text.span(), format!("`{header}` is not a header name"), "expected letters, digits and `-`");
            }
            SignatureScheme::Hmac { header }
        }
        (_, Some(header)) => {
            checker.error(header.span(), "this scheme has its own header", "expected only with scheme = \"hmac\"");
            return None;
        }
    };
    Some(Signature { scheme, secret })
}

fn retry(checker: &mut Checker<'_>, raw: Option<&Spanned<raw::Retry>>) -> Retry {
    let mut retry =
        Retry { initial: Duration::from_millis(200), max: Duration::from_secs(60), budget: None, then: AfterBudget::DeadLetter };
    let Some(section) = raw else { return retry };
    let raw = section.get_ref();
    retry.initial = raw.initial.map_or(retry.initial, |span| span.0);
    retry.max = raw.max.map_or(retry.max.max(retry.initial), |span| span.0);
    retry.budget = raw.budget.map(|span| span.0);
    if matches!(raw.then, Some(raw::Then::Stop)) {
        retry.then = AfterBudget::Stop;
    }
    if raw.then.is_some() && raw.budget.is_none() {
        checker.error(section.span(), "`then` without `budget`", "without a budget retries never end");
    }
    if retry.initial.is_zero() || retry.initial > retry.max {
        checker.error(section.span(), "`initial` does not fit `max`", "expected more than 0 and at most `max`");
    }
    retry
}

/// A size or a number above 0.
fn size(checker: &mut Checker<'_>, value: Option<(Range<usize>, u64)>, default: usize) -> usize {
    let Some((span, value)) = value else { return default };
    match usize::try_from(value) {
        Ok(value) if value > 0 => value,
        _ => {
            checker.error(span, format!("{value} is out of bounds"), "expected more than 0");
            default
        }
    }
}

fn duration(checker: &mut Checker<'_>, value: Option<&Spanned<super::unit::Span>>, default: Duration) -> Duration {
    let Some(value) = value else { return default };
    if value.get_ref().0.is_zero() {
        checker.error(value.span(), "a duration of 0", "expected more than 0");
    }
    value.get_ref().0
}

fn limits(checker: &mut Checker<'_>, raw: Option<&Spanned<raw::Limits>>) -> GuestLimits {
    let none = raw::Limits::default();
    let raw = raw.map_or(&none, Spanned::get_ref);
    let unset = GuestLimits::default();
    let limits = GuestLimits {
        memory: size(checker, raw.memory.as_ref().map(|size| (size.span(), size.get_ref().0)), unset.memory),
        call_cpu: duration(checker, raw.call_cpu.as_ref(), unset.call_cpu),
        call_deadline: duration(checker, raw.call_deadline.as_ref(), unset.call_deadline),
    };
    if let Some(memory) = raw.memory.as_ref().filter(|_| !(1 << 20..=4 << 30).contains(&(limits.memory as u64))) {
        checker.error(memory.span(), "the memory limit is out of bounds", "expected 1MiB to 4GiB");
    }
    limits
}

fn batch(checker: &mut Checker<'_>, raw: Option<&Spanned<raw::Batch>>, side: Side) -> Batching {
    let none = raw::Batch::default();
    let raw = raw.map_or(&none, Spanned::get_ref);
    let unset = if side == Side::Source { Batching::SOURCE } else { Batching::SINK };
    Batching {
        records: checker.count(raw.records.as_ref(), unset.records),
        bytes: size(checker, raw.bytes.as_ref().map(|size| (size.span(), size.get_ref().0)), unset.bytes),
        linger: raw.linger.as_ref().map_or(unset.linger, |span| span.get_ref().0),
    }
}
