//! A sink that reads what nothing of its file writes. On Kafka others may write it; the embedded log has no others. Starts nothing.

use super::checker::Checker;
use super::diagnostic::{Diagnostic, suggest};
use super::{Config, LogConfig, Route, TransformStep, raw};
use crate::topic_log::Wanted;

/// Warnings for topics by name, and for patterns that take no topic. Silent beside errors: what they hide may write them.
pub(super) fn find(checker: &mut Checker<'_>, file: &raw::File, config: &Config) {
    if matches!(config.log, LogConfig::Kafka { .. }) || checker.failed() {
        return;
    }
    let made = made(config);
    for (raw, sink) in file.sink.iter().zip(&config.sinks) {
        let (Some(topics), Ok(wanted)) = (&raw.get_ref().topics, Wanted::parse(&sink.topics)) else { continue };
        let raw::Topics::Names(names) = topics.get_ref() else {
            if !made.iter().any(|topic| wanted.takes(topic)) {
                let title = "nothing of this deployment writes a topic that this pattern takes";
                checker.push(warning(config, topics.span(), title.to_owned(), None));
            }
            continue;
        };
        for name in names {
            let topic = checker.text(name);
            if !made.contains(&topic.as_str()) {
                let nearest = suggest(&topic, "topic", made.iter().copied());
                let title = format!("nothing of this deployment writes `{topic}`");
                checker.push(warning(config, name.span(), title, Some(nearest)));
            }
        }
    }
}

/// Topics of sources, of their constant routes, and of dead letters. Those under `[topic]` where there is a source: a route by a
/// field or a component of its own may lead there.
fn made(config: &Config) -> Vec<&str> {
    let letters = config.connectors().filter_map(|connector| connector.dead_letter.topic.as_deref());
    let mut made: Vec<&str> = letters.collect();
    if !config.sources.is_empty() {
        made.extend(config.topics.keys().map(String::as_str));
    }
    for source in &config.sources {
        made.push(&source.topic);
        made.extend(source.connector.transforms.iter().filter_map(|transform| match &transform.step {
            TransformStep::Route(Route::To(topic)) => Some(topic.as_str()),
            _ => None,
        }));
    }
    made
}

fn warning(config: &Config, span: std::ops::Range<usize>, title: String, nearest: Option<String>) -> Diagnostic {
    let warning = Diagnostic::warning(span, title);
    if config.sources.is_empty() {
        let help =
            "the embedded log holds only what sources of this file write: add a [[source]], or [kafka] where others write it";
        return warning.label("there is no [[source]], and no [kafka]").help(help);
    }
    warning.label("no source, no [topic] and no dead letter has this name").maybe_help(nearest)
}
