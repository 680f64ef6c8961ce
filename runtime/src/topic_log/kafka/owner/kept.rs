//! Whether the positions of a source are where this worker knows them to be. A topic that was deleted comes back empty, by this
//! worker's hand or by a broker's, and a source that went on in it would read its whole system again.

use std::sync::Arc;

use super::super::admin::Identity;
use super::super::client::blocking;
use super::super::{Shared, positions};
use super::{LOOK, read};
use crate::topic_log::LogError;

/// Looks at a topic that is not the one expected, before that counts: a broker may lag behind the others.
const LOOKS: u32 = 30;

/// The id of the topic that the source may go on in; `None`: there is none yet, or it has none that can be known.
///
/// # Errors
/// [`LogError::Fatal`] where the positions that this worker knows of are gone.
pub(in super::super) async fn check(
    shared: &Arc<Shared>,
    (deployment, source): (&str, &str),
    log: &str,
) -> Result<Option<String>, LogError> {
    let topic = positions::topic(deployment);
    let (memory, names) = (Arc::clone(&shared.memory), (source.to_owned(), log.to_owned(), topic.clone()));
    let remembered = blocking(move || memory.id(&names.0, &names.1, &names.2)).await?;
    let Some(remembered) = remembered else {
        return Ok(match identity(shared, &topic).await? {
            Identity::Id(id) => Some(id),
            Identity::Missing | Identity::Unknown => None,
        });
    };
    match settled(shared, &topic, &remembered).await? {
        Identity::Unknown => Ok(None),
        Identity::Missing => Err(gone(&topic, source, "was deleted")),
        Identity::Id(id) if id == remembered => Ok(Some(id)),
        // Another worker may have taken it over in the new topic, as it should be: only such a one knows its id.
        Identity::Id(id) if read(shared, (deployment, source), log).await?.topics.contains(&id) => Ok(Some(id)),
        Identity::Id(_) => Err(gone(&topic, source, "was deleted and made anew")),
    }
}

/// While a source runs: its positions still go where they went when it was taken over.
///
/// # Errors
/// [`LogError::Fatal`] where they do not.
pub(super) async fn still(shared: &Shared, (deployment, source): (&str, &str), id: Option<&str>) -> Result<(), LogError> {
    let (topic, Some(id)) = (positions::topic(deployment), id) else { return Ok(()) };
    match settled(shared, &topic, id).await? {
        Identity::Unknown => Ok(()),
        Identity::Id(now) if now == id => Ok(()),
        Identity::Id(_) => Err(gone(&topic, source, "was deleted and made anew")),
        Identity::Missing => Err(gone(&topic, source, "was deleted")),
    }
}

/// What the topic is, once that is the same for a while or as expected.
async fn settled(shared: &Shared, topic: &str, expected: &str) -> Result<Identity, LogError> {
    for _ in 0..LOOKS {
        match identity(shared, topic).await? {
            Identity::Id(id) if id != expected => {}
            Identity::Missing => {}
            as_expected => return Ok(as_expected),
        }
        tokio::time::sleep(LOOK).await;
    }
    identity(shared, topic).await
}

async fn identity(shared: &Shared, topic: &str) -> Result<Identity, LogError> {
    let (admin, topic) = (Arc::clone(&shared.admin), topic.to_owned());
    blocking(move || admin.identity(&topic)).await
}

fn gone(topic: &str, source: &str, what: &str) -> LogError {
    LogError::Fatal(format!(
        "topic `{topic}`, in which source `{source}` kept its positions, {what}: going on would read everything again. Stop the \
         worker, then put each slice where it was (`wharf offsets set CONFIG {source} PLACE --slice SLICE`), or have everything read \
         again on purpose (`wharf offsets reset CONFIG {source}`)"
    ))
}
