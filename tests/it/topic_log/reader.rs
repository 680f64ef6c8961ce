//! Reading outside any group.

use std::time::Duration;

use wharf_runtime::topic_log::{LogError, Start};

use super::bench::{Bench, numbers, rows, texts, write_numbers};

pub async fn a_reader_sees_all_from_its_start(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..2500).await;
    assert_eq!(texts(&bench.contents(&topic).await), numbers(0..2500));
    let mut latest = bench.read(&topic, Start::Latest).await.unwrap();
    assert!(latest.next(Duration::from_millis(300)).await.unwrap().is_empty());
    write_numbers(&*bench, &topic, 2500..2502).await;
    let mut found = Vec::new();
    while found.len() < 2 {
        let batch = latest.next(Duration::from_secs(20)).await.unwrap();
        assert!(!batch.is_empty(), "nothing came");
        found.extend(rows(&batch));
    }
    assert_eq!(texts(&found), numbers(2500..2502));
}

pub async fn a_reader_of_a_missing_topic_is_told_what_there_is(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    match bench.read(&bench.name("odrers"), Start::Earliest).await {
        Err(LogError::Fatal(text)) => assert!(text.contains("odrers") && text.contains(&topic), "{text}"),
        other => panic!("{:?}", other.err()),
    }
}
