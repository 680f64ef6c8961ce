//! Reading a topic outside any group, for `topic cat`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::catalog::{Catalog, Topic};
use super::fetch::{self, Gap, Span};
use crate::batch::Batch;
use crate::topic_log::{LogError, Start, TopicReader};

/// Records and bytes of one batch.
const RECORDS: usize = 1000;
const BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    seen: watch::Receiver<Arc<Catalog>>,
    spans: Vec<Span>,
}

impl Reader {
    pub(super) async fn open(shared: Arc<Shared>, topic: &Topic, from: Start) -> Result<Self, LogError> {
        let mut spans: Vec<_> = topic
            .numbered()
            .map(|(partition, p)| Span { stream: p.stream, topic: Arc::clone(&topic.name), partition, from: 0 })
            .collect();
        let streams: Vec<_> = spans.iter().map(|span| span.stream).collect();
        let starts =
            shared.readers.run(move |db| streams.into_iter().map(|s| fetch::resolve(db, s, from)).collect::<Result<Vec<_>, _>>());
        for (span, start) in spans.iter_mut().zip(starts.await?) {
            span.from = start;
        }
        let seen = shared.catalog.subscribe();
        Ok(Self { shared, seen, spans })
    }
}

#[async_trait]
impl TopicReader for Reader {
    async fn next(&mut self, wait: Duration) -> Result<Batch, LogError> {
        let until = Instant::now() + wait;
        loop {
            self.seen.mark_unchanged();
            let spans = self.spans.clone();
            let fetched = self.shared.readers.run(move |db| fetch::fetch(db, &spans, RECORDS, BYTES)).await?;
            for (span, reached) in self.spans.iter_mut().zip(&fetched.reached) {
                // What retention removed in the meantime is passed over: a look at the log has nothing to lose.
                span.from = reached.unwrap_or_else(|Gap { low, high }| span.from.clamp(low, high.max(low)));
            }
            // The partition that was read goes to the end, so that each has its turn.
            if !self.spans.is_empty() {
                self.spans.rotate_left(1);
            }
            let gap = fetched.reached.iter().any(Result::is_err);
            if !fetched.batch.is_empty() {
                return Ok(fetched.batch);
            }
            if !gap && !self.shared.changed(&mut self.seen, until).await? {
                return Ok(Batch::default());
            }
        }
    }
}
