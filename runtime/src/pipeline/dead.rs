//! Dead letters of one task: makes them, counts them against the stop window, and says where the task must stop.

use crate::batch::{Batch, Record};
use crate::config::Connector;
use crate::dead_letter::{DeadLetters, Stage, Window};
use crate::outcome::Rejection;
use crate::pipeline::TaskError;

/// Where this task's bad records go.
#[derive(Debug)]
pub struct Dead {
    /// `None`: dead letters are switched off.
    letters: Option<DeadLetters>,
    window: Window,
}

impl Dead {
    #[must_use]
    pub fn new(deployment: &str, connector: &Connector, component: &str, task: u32) -> Self {
        let letters = connector.dead_letter.topic.as_ref().map(|topic| DeadLetters {
            topic: topic.clone(),
            deployment: deployment.to_owned(),
            connector: connector.name.clone(),
            task,
            component: component.to_owned(),
            keep_value: connector.dead_letter.keep_value,
            max_record_bytes: connector.max_record_bytes,
        });
        Self { letters, window: Window::new(&connector.dead_letter) }
    }

    /// Appends the dead letter of a record to `into`.
    ///
    /// # Errors
    /// [`TaskError::Failed`] when dead letters are switched off: the first bad record stops the task.
    pub fn push(&self, into: &mut Batch, record: &Record<'_>, stage: Stage, rejection: &Rejection) -> Result<(), TaskError> {
        let Some(letters) = &self.letters else {
            return Err(TaskError::Failed(format!(
                "record {} cannot be delivered and dead letters are switched off: {} ({}). Fix the record or set `dead-letter` to a topic",
                place(record),
                rejection.message,
                rejection.code
            )));
        };
        letters.push(into, record, stage, rejection);
        Ok(())
    }

    /// Before a step's dead letters are written: whether they are more than the window allows. Nothing of the step is confirmed
    /// then, so that a restart meets the same records instead of pouring further ones away.
    ///
    /// # Errors
    /// [`TaskError::Failed`] where the connector must stop.
    pub fn check(&self, good: usize, dead: usize) -> Result<(), TaskError> {
        let mut window = self.window.clone();
        if dead > 0 && window.step(good, dead) {
            return Err(TaskError::Failed(format!(
                "stopped so as not to pour the topic away: {}. The records stay where they are and come again. Fix the cause and start \
                 again, or allow more by `dead-letter = {{ window = {{ size = …, limit = … }} }}`",
                window.describe()
            )));
        }
        Ok(())
    }

    /// Counts records of one confirmed step. It was checked before; what a restart repeats does not stop here.
    pub fn count(&mut self, good: usize, dead: usize) {
        if self.window.step(good, dead) {
            tracing::debug!(window = self.window.describe(), "the window is over its limit");
        }
    }
}

/// A record's place for people: topic/partition/offset, as far as it is known.
#[must_use]
pub fn place(record: &Record<'_>) -> String {
    if record.offset < 0 {
        format!("for topic `{}`", record.topic)
    } else {
        format!("{}/{}/{}", record.topic, record.partition, record.offset)
    }
}
