//! The calls of a trial, in the order in which a deployment makes them: open, the calls with records or for them, close. Nothing is
//! sent again and nothing is acknowledged, as nothing is stored.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use wharf_runtime::batch::Batch;
use wharf_runtime::guest::{ComponentError, GuestError, SinkGuest, SourceGuest, TransformGuest};
use wharf_runtime::pipeline::transaction::POLL;
use wharf_runtime::topic_log::{Position, TopicPartition};
use wharf_runtime::transform::delta::apply_delta;

use super::Trial;
use super::show::Show;

/// Polls of a source that always has more, where nothing else is asked for.
const POLLS: usize = 10;

/// Writes each batch through a sink.
///
/// # Errors
/// Where no instance can be had. What the guest says is shown.
pub async fn sink(trial: Trial, batches: Vec<Batch>, show: &mut Show) -> Result<(), ComponentError> {
    let mut guest = SinkGuest::start(&trial.component, trial.grants).await?;
    if let Err(error) = guest.open(trial.context).await {
        show.failed("open", 0, &error);
        return Ok(());
    }
    let partitions = partitions(&batches);
    match guest.assign(&partitions).await {
        Ok(offsets) => show.assigned(&partitions, &offsets),
        Err(error) => {
            show.failed("assign", 0, &error);
            return Ok(());
        }
    }
    let mut buffered = false;
    for mut batch in batches {
        match guest.write(&mut batch).await {
            Ok(written) => {
                buffered |= written.buffered;
                show.written(&batch, &written.outcomes);
            }
            Err(error) => {
                show.failed("write", batch.len(), &error);
                if is_over(&error) {
                    return Ok(());
                }
            }
        }
    }
    if buffered && let Err(error) = guest.flush().await {
        show.failed("flush", 0, &error);
    }
    if let Err(error) = guest.close().await {
        show.failed("close", 0, &error);
    }
    Ok(())
}

/// Applies a transform to each batch.
///
/// # Errors
/// Where no instance can be had. What the guest says is shown.
pub async fn transform(trial: Trial, batches: Vec<Batch>, show: &mut Show) -> Result<(), ComponentError> {
    let mut guest = TransformGuest::start(&trial.component, trial.grants).await?;
    if let Err(error) = guest.open(trial.context).await {
        show.failed("open", 0, &error);
        return Ok(());
    }
    for mut batch in batches {
        let answered = match guest.apply(&mut batch).await {
            // What it was made of is shown beside it.
            Ok(delta) => apply_delta(&mut batch.clone(), delta).map_err(|error| guest.malformed(error)),
            Err(error) => Err(error),
        };
        match answered {
            Ok(applied) => show.applied(&batch, &applied),
            Err(error) => {
                show.failed("apply", batch.len(), &error);
                if is_over(&error) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Polls a source until it has nothing more, or as often as it may be.
///
/// # Errors
/// Where no instance can be had. What the guest says is shown.
pub async fn source(
    trial: Trial,
    positions: &[Position],
    calls: Option<NonZeroUsize>,
    show: &mut Show,
) -> Result<(), ComponentError> {
    let mut guest = SourceGuest::start(&trial.component, trial.grants).await?;
    if let Err(error) = guest.open(trial.context, positions).await {
        show.failed("open", 0, &error);
        return Ok(());
    }
    for _ in 0..calls.map_or(POLLS, NonZeroUsize::get) {
        match guest.poll(POLL).await {
            Ok(polled) => {
                show.polled(&polled);
                if polled.finished || !polled.idle.is_zero() {
                    break;
                }
            }
            Err(error) => {
                show.failed("poll", 0, &error);
                if is_over(&error) {
                    return Ok(());
                }
                break;
            }
        }
    }
    if let Err(error) = guest.close().await {
        show.failed("close", 0, &error);
    }
    Ok(())
}

/// The instance is of no further use.
const fn is_over(error: &GuestError) -> bool {
    matches!(error, GuestError::Died { .. } | GuestError::Fatal(_))
}

/// The partitions that occur, as they would be assigned.
fn partitions(batches: &[Batch]) -> Vec<TopicPartition> {
    let mut found = BTreeSet::new();
    for batch in batches {
        for record in batch.records() {
            found.insert((record.topic, record.partition));
        }
    }
    found.into_iter().map(|(topic, partition)| TopicPartition { topic: topic.into(), partition }).collect()
}
