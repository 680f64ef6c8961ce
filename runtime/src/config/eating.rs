//! A sink that reads what it writes: its own dead letters would come back to it without end. Starts nothing.

use toml::Spanned;

use super::checker::Checker;
use super::diagnostic::Diagnostic;
use super::{SinkConfig, SourceConfig, raw};
use crate::topic_log::{TopicSelection, Wanted, positions_topic};

const OWN: &str = "each dead letter would be read again, and buried again";

/// Errors for own dead letters, warnings for what else of this deployment a pattern takes by accident.
pub(super) fn find(
    checker: &mut Checker<'_>,
    file: &raw::File,
    deployment: &str,
    sources: &[Option<SourceConfig>],
    sinks: &[Option<SinkConfig>],
) {
    let sources = sources.iter().flatten().map(|source| &source.connector);
    let connectors: Vec<_> = sources.chain(sinks.iter().flatten().map(|sink| &sink.connector)).collect();
    for (raw, sink) in file.sink.iter().zip(sinks) {
        let (Some(topics), Some(sink)) = (&raw.get_ref().topics, sink) else { continue };
        // One that cannot be read has been reported.
        let Ok(wanted) = Wanted::parse(&sink.topics) else { continue };
        let own = sink.connector.dead_letter.topic.as_deref();
        if let Some(own) = own.filter(|topic| wanted.takes(topic)) {
            let title = format!("sink `{}` reads its own dead-letter topic `{own}`", sink.connector.name);
            let help = "name its topics, or give its dead letters another topic by `dead-letter`";
            let span = place(checker, topics, own);
            checker.push(Diagnostic::error(span, title).label(OWN).help(help));
        }
        if !matches!(sink.topics, TopicSelection::Pattern(_)) {
            continue;
        }
        let letters =
            connectors.iter().filter_map(|c| Some((c.dead_letter.topic.as_deref()?, format!("dead letters of `{}`", c.name))));
        let others = letters.filter(|(topic, _)| Some(*topic) != own && wanted.takes(topic));
        for (topic, what) in others {
            let title = format!("the pattern of sink `{}` takes `{topic}`: {what}", sink.connector.name);
            let help = "write a pattern that leaves it out; to read dead letters on purpose, name their topic";
            checker.push(Diagnostic::warning(topics.span(), title).label("matches a dead-letter topic").help(help));
        }
        let positions = positions_topic(deployment);
        if file.kafka.is_some() && wanted.takes(&positions) {
            let title = format!("the pattern of sink `{}` takes `{positions}`: positions of sources", sink.connector.name);
            let help = "it is left out at run time; write a pattern that says so";
            checker.push(Diagnostic::warning(topics.span(), title).label("matches Wharf's own topic").help(help));
        }
    }
}

/// The name in a list, or the whole of it.
fn place(checker: &mut Checker<'_>, topics: &Spanned<raw::Topics>, topic: &str) -> std::ops::Range<usize> {
    let raw::Topics::Names(names) = topics.get_ref() else { return topics.span() };
    let name = names.iter().find(|name| checker.text(name) == topic);
    name.map_or_else(|| topics.span(), Spanned::span)
}
