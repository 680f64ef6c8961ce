//! Records that a topic on Kafka does not keep, as they are older than its `retention.ms` when they are written.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use wharf_runtime::topic_log::TopicSpec;

use super::bench::{Bench, batch, record};

/// What was told, line by line.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Told {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Told {
    /// Topics that a line says are too short of memory, each as often as it is said.
    fn topics(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains("older than this topic keeps records"));
        lines.map(|line| line.split("topic=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
    }
}

async fn made(bench: &Bench, name: &str, config: &[(&str, &str)]) -> String {
    let name = bench.name(name);
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    bench.create_topics(&[TopicSpec { name: name.clone(), partitions: 1, replication: -1, config }]).await.unwrap();
    name
}

#[tokio::test]
async fn records_that_their_topic_will_not_keep_are_told_of() {
    let Some(bench) = Bench::kafka("records_that_their_topic_will_not_keep_are_told_of") else { return };
    let told = Told::default();
    let writer = tracing_subscriber::fmt().with_ansi(false).with_writer(told.clone()).finish();
    let _here = tracing::subscriber::set_default(writer);
    let week = made(&bench, "week", &[("retention.ms", "604800000")]).await;
    let letters = made(&bench, "letters", &[("retention.ms", "604800000")]).await;
    let kept = [
        made(&bench, "for-ever", &[("retention.ms", "-1")]).await,
        made(&bench, "by-arrival", &[("retention.ms", "604800000"), ("message.timestamp.type", "LogAppendTime")]).await,
        made(&bench, "compacted", &[("retention.ms", "604800000"), ("cleanup.policy", "compact")]).await,
        made(&bench, "century", &[("retention.ms", "3153600000000")]).await,
    ];
    let mut source = bench.source(&bench.owner(0, 1)).await.unwrap();
    for topic in kept.iter().chain([&week]) {
        source.append(&batch(&[record(topic, Some("k"), "of 2023")]), &[]).await.unwrap();
    }
    source.append(&batch(&[record(&week, Some("k"), "again")]), &[]).await.unwrap();
    assert_eq!(bench.append(&batch(&[record(&letters, None, "of 2023")])).await, Ok(Vec::new()));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while told.topics().len() < 2 {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", told.topics());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Time for what should not be said.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut topics = told.topics();
    topics.sort();
    assert_eq!(topics, [letters, week]);
}
