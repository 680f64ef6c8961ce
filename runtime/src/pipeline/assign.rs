//! Partitions that come and go: where to go on reading, and what to finish before one leaves.

use crate::capability::sql::SqlError;
use crate::pipeline::TaskError;
use crate::pipeline::sink::Running;
use crate::topic_log::{Assignment, LogError, Lost, Start, TopicPartition};

impl Running<'_> {
    /// New partitions: go on from where the target says, else the database's offsets, else the group's, else by `start`.
    pub(super) async fn assigned(&mut self, list: Vec<Assignment>) -> Result<(), TaskError> {
        self.task.dead.reads(&list);
        self.owned.extend(list.iter().map(|a| a.partition.clone()));
        let kept_by_target = match self.guest.as_mut() {
            Some(guest) => guest.assign(&self.owned).await?,
            None => Vec::new(),
        };
        let kept_by_target = kept_by_target.get(self.owned.len() - list.len()..).unwrap_or_default().to_vec();
        let stored = self.stored_offsets(&list).await?;
        let mut starts = Vec::with_capacity(list.len());
        let mut found = Vec::new();
        for (index, assignment) in list.iter().enumerate() {
            let target = kept_by_target.get(index).copied().flatten();
            let stored = stored.get(index).copied().flatten();
            if let (Some(own), Some(group)) = (stored, assignment.committed.filter(|group| stored < Some(*group))) {
                tracing::warn!(
                    connector = self.task.grants.connector,
                    partition = %assignment.partition,
                    database = own,
                    group,
                    "the group is ahead of the offset in the database, which counts: records between the two are delivered again. Where \
                     they were delivered already (`exactly-once` was off for a while), stop, and run `wharf offsets set CONFIG {} group`",
                    self.task.grants.connector
                );
            }
            if target.or(stored).is_none() && assignment.followed && self.task.offsets.is_some() {
                self.without_its_offset(assignment);
                let known = assignment.committed.unwrap_or(assignment.low);
                self.task.grants.metrics.partition_placed(&assignment.partition, known, assignment.high);
                continue;
            }
            let offset = match target.or(stored).or(assignment.committed) {
                Some(offset) => offset,
                None => {
                    let offset = self.lane.resolve_start(&assignment.partition).await?;
                    found.push((assignment.partition.clone(), offset));
                    offset
                }
            };
            // Past the end, as far as is known, no row is made: the log says so next, and the partition stops.
            if stored.is_some() || offset <= assignment.high {
                self.claim(assignment, offset).await?;
            }
            self.task.grants.metrics.partition_placed(&assignment.partition, offset, assignment.high);
            starts.push((assignment.partition.clone(), offset));
        }
        self.lane.begin(&starts).await?;
        self.keep_start(found).await
    }

    /// The database had an offset of this partition, which the group only followed, and has it no longer: it lost what was last
    /// written to it (a failover, an older backup), or it is another one. Which rows it has nobody can tell from here.
    fn without_its_offset(&mut self, assignment: &Assignment) {
        let (partition, group) = (&assignment.partition, assignment.committed.unwrap_or_default());
        self.lane.stop(partition);
        let reason = format!(
            "{partition}: the database has no offset of it in `_wharf_offsets`, though this sink had written up to offset {group}: it \
             was restored or failed over to an older state, or it is another database"
        );
        self.stop_partition(partition, format!("{reason}. {}", self.ask_where_to_go_on(partition)));
    }

    fn ask_where_to_go_on(&self, TopicPartition { topic, partition }: &TopicPartition) -> String {
        let sink = &self.task.grants.connector;
        let group = if self.task.offsets.is_some() { "|group" } else { "" };
        format!(
            "The partition stays stopped, at the next start too, until somebody says where to go on: stop the worker, then \
             `wharf offsets set FILE {sink} earliest|latest|OFFSET{group} --topic {topic} --partition {partition}`"
        )
    }

    /// `start` counts once: were it asked again before a first record was delivered, what has come since would be passed over.
    /// The earliest record is the same one each time. Where the database has a row, the group follows: it tells a lost one from
    /// one that never was.
    async fn keep_start(&mut self, found: Vec<(TopicPartition, i64)>) -> Result<(), TaskError> {
        if found.is_empty() || self.task.config.start == Start::Earliest {
            return Ok(());
        }
        if self.task.offsets.is_none() {
            return self.commit(found).await;
        }
        self.have_the_group_follow(&found).await;
        Ok(())
    }

    /// This partition stays where it is, the others flow on.
    fn stop_partition(&self, partition: &TopicPartition, reason: String) {
        tracing::error!(connector = self.task.grants.connector, reason, "partition stopped");
        self.task.grants.metrics.partition_stopped(&partition.to_string(), reason);
    }

    /// These partitions are about to go: what is buffered is flushed and committed, then they are given back.
    pub(super) async fn revoked(&mut self, list: &[TopicPartition]) -> Result<(), TaskError> {
        self.forget_held(list);
        self.flush().await?;
        self.report_in_flight(0);
        self.owned.retain(|p| !list.contains(p));
        self.awaiting.forget(list);
        self.task.grants.metrics.partitions_gone(list);
        if let Some(offsets) = &mut self.task.offsets {
            offsets.forget(list);
        }
        if let Some(guest) = self.guest.as_mut() {
            guest.assign(&self.owned).await?;
        }
        Ok(self.lane.release(list).await?)
    }

    /// What was read before it stopped comes first: its offset is one that this goes past.
    async fn keep_stopped(&mut self, partition: &TopicPartition) -> Result<(), TaskError> {
        self.flush().await?;
        let mut backoff = self.new_backoff();
        loop {
            match self.lane.keep_stopped(partition).await {
                Err(LogError::Retry(message)) => {
                    let reason = format!("committing where {partition} stopped: {message}");
                    if !self.pause(&mut backoff, &reason, None).await? {
                        return Err(TaskError::Restart(reason));
                    }
                }
                // The next owner comes to the same place.
                Ok(()) | Err(LogError::NotOwner(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The log does not have the offset to read next. What retention removed is told, and the first record that is kept comes
    /// next: `start` could skip more. Past the end nobody can tell what comes next: that partition stops.
    pub(super) async fn out_of_range(&mut self, partition: &TopicPartition, lost: Lost) -> Result<(), TaskError> {
        match lost {
            Lost::PastTheEnd(reason) => {
                let advice = self.ask_where_to_go_on(partition);
                self.stop_partition(partition, format!("{reason}. {advice}"));
                self.keep_stopped(partition).await
            }
            Lost::Removed { low, records, text } => {
                tracing::error!(connector = self.task.grants.connector, %partition, reason = text, offset = low, "going on where the log begins");
                self.reset_claim(partition, low).await?;
                self.task.grants.metrics.confirmed([(partition, &low)]);
                self.task.grants.metrics.lost(records);
                Ok(self.lane.begin(&[(partition.clone(), low)]).await?)
            }
        }
    }
}

/// What a failed statement of the offsets' session means for the task.
pub(super) fn database(error: SqlError) -> TaskError {
    match error {
        SqlError::Fatal(reason) | SqlError::Reject(reason) => TaskError::Failed(format!("database: {reason}")),
        SqlError::Retry(reason) => TaskError::Restart(format!("database: {reason}")),
    }
}
