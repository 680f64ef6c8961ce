//! What a worker remembers from one life to the next, in `positions.json` under its state-dir: for each source, the topic that
//! its positions were kept in when it was last taken over, and which sinks began at the end of topics that were not there. Knows
//! the file alone; what follows from it is `owner/kept.rs` and `scout.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::topic_log::LogError;

/// The file in the state-dir.
const FILE: &str = "positions.json";

/// A topic of one cluster: deleted and made again it has another id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The cluster's id.
    pub(super) log: String,
    pub(super) topic: String,
    pub(super) id: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    sources: BTreeMap<String, Kept>,
    /// Groups that began at the end of their topics when none of those was there: the cluster's id, by group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    at_the_end: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// `None`: nothing is remembered.
    file: Option<PathBuf>,
    /// Sources that go on in whatever is there. The lock also keeps those that write the file apart.
    accepted: Mutex<BTreeSet<String>>,
}

impl Memory {
    pub(super) fn of(state_dir: &Path) -> Self {
        Self { file: Some(state_dir.join(FILE)), accepted: Mutex::default() }
    }

    fn accepted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the topic in which the source's positions were kept. Blocks.
    pub(super) fn id(&self, source: &str, log: &str, topic: &str) -> Result<Option<String>, LogError> {
        let Some(file) = &self.file else { return Ok(None) };
        let accepted = self.accepted();
        if accepted.contains(source) {
            return Ok(None);
        }
        let kept = load(file)?.sources.remove(source);
        Ok(kept.filter(|kept| kept.log == log && kept.topic == topic).map(|kept| kept.id))
    }

    /// The next owner of this source in this process goes on in whatever is there.
    pub(super) fn accept(&self, source: &str) {
        self.accepted().insert(source.to_owned());
    }

    /// The source was taken over; `None`: in a topic whose id is not known. Blocks.
    pub(super) fn keep(&self, source: &str, kept: Option<&Kept>) -> Result<(), LogError> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut accepted = self.accepted();
        let mut content = load(file)?;
        let changed = match kept {
            Some(kept) => content.sources.insert(source.to_owned(), kept.clone()).as_ref() != Some(kept),
            // A broker that does not tell the id today may tell it tomorrow, unless the operator said to go on.
            None => accepted.contains(source) && content.sources.remove(source).is_some(),
        };
        if changed {
            store(file, &content).map_err(|error| {
                LogError::Retry(format!(
                    "{} cannot be written, so that the loss of this source's positions would go unseen: {error}",
                    file.display()
                ))
            })?;
        }
        accepted.remove(source);
        Ok(())
    }

    /// Whether the group has begun at the end of its topics before, while there was none to keep an offset of. Blocks.
    pub(super) fn began_at_the_end(&self, group: &str, log: &str) -> Result<bool, LogError> {
        let Some(file) = &self.file else { return Ok(false) };
        let _alone = self.accepted();
        Ok(load(file)?.at_the_end.get(group).is_some_and(|known| known == log))
    }

    /// The group begins at the end of its topics, and there is none. Blocks.
    pub(super) fn begin_at_the_end(&self, group: &str, log: &str) -> Result<(), LogError> {
        let Some(file) = &self.file else { return Ok(()) };
        let _alone = self.accepted();
        let mut content = load(file)?;
        if content.at_the_end.insert(group.to_owned(), log.to_owned()).as_deref() == Some(log) {
            return Ok(());
        }
        store(file, &content).map_err(|error| {
            LogError::Retry(format!(
                "{} cannot be written, so that the next start would pass over what comes until then: {error}",
                file.display()
            ))
        })
    }
}

fn load(file: &Path) -> Result<Content, LogError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        LogError::Fatal(format!(
            "{} cannot be read ({error}): it tells which topic the positions of sources are kept in, so that their loss does not go \
             unseen. Without the file sources start unchecked: see by `wharf offsets ls` that their positions are there, remove it, \
             then start again",
            file.display()
        ))
    };
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| unreadable(&error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Content::default()),
        Err(error) => Err(unreadable(&error)),
    }
}

/// The old content or the new one, whenever the machine dies.
fn store(file: &Path, content: &Content) -> std::io::Result<()> {
    let beside = file.with_extension("json.new");
    let mut new = File::create(&beside)?;
    new.write_all(&serde_json::to_vec_pretty(content)?)?;
    new.sync_all()?;
    drop(new);
    fs::rename(&beside, file)?;
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id: &str) -> Kept {
        Kept { log: "cluster".to_owned(), topic: "t".to_owned(), id: id.to_owned() }
    }

    #[test]
    fn what_was_kept_is_known_to_the_next_life_at_the_same_cluster_and_topic_alone() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::of(folder.path());
        assert_eq!(memory.id("a", "cluster", "t"), Ok(None), "there is no file yet");
        memory.keep("a", Some(&kept("1"))).unwrap();
        memory.keep("b", Some(&kept("2"))).unwrap();
        let next = Memory::of(folder.path());
        assert_eq!(next.id("a", "cluster", "t"), Ok(Some("1".to_owned())));
        assert_eq!(next.id("b", "cluster", "t"), Ok(Some("2".to_owned())));
        assert_eq!(
            (next.id("a", "other", "t"), next.id("a", "cluster", "u"), next.id("c", "cluster", "t")),
            (Ok(None), Ok(None), Ok(None))
        );
    }

    #[test]
    fn what_is_accepted_is_not_asked_for_until_the_source_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::of(folder.path());
        memory.keep("a", Some(&kept("1"))).unwrap();
        memory.accept("a");
        assert_eq!(memory.id("a", "cluster", "t"), Ok(None));
        assert_eq!(Memory::of(folder.path()).id("a", "cluster", "t"), Ok(Some("1".to_owned())), "it may yet fail");
        memory.keep("a", Some(&kept("2"))).unwrap();
        assert_eq!(memory.id("a", "cluster", "t"), Ok(Some("2".to_owned())));
    }

    #[test]
    fn an_id_that_is_not_told_takes_nothing_from_the_memory_unless_it_was_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::of(folder.path());
        memory.keep("a", Some(&kept("1"))).unwrap();
        memory.keep("a", None).unwrap();
        assert_eq!(memory.id("a", "cluster", "t"), Ok(Some("1".to_owned())));
        memory.accept("a");
        memory.keep("a", None).unwrap();
        assert_eq!(memory.id("a", "cluster", "t"), Ok(None));
    }

    #[test]
    fn a_group_began_at_the_end_at_its_cluster_alone_and_sources_keep_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::of(folder.path());
        memory.keep("a", Some(&kept("1"))).unwrap();
        assert_eq!(memory.began_at_the_end("g", "cluster"), Ok(false));
        memory.begin_at_the_end("g", "cluster").unwrap();
        let next = Memory::of(folder.path());
        let began = |group, log| next.began_at_the_end(group, log);
        assert_eq!((began("g", "cluster"), began("g", "other"), began("h", "cluster")), (Ok(true), Ok(false), Ok(false)));
        assert_eq!(next.id("a", "cluster", "t"), Ok(Some("1".to_owned())));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{").unwrap();
        let Err(LogError::Fatal(text)) = Memory::of(folder.path()).id("a", "cluster", "t") else { panic!("it is taken") };
        assert!(text.contains(FILE), "{text}");
    }
}
