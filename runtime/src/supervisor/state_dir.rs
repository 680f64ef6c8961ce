//! The state folder: one process at a time, and a second one is told who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The locked folder; dropping it unlocks.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Creates the folder where missing and locks it.
    ///
    /// # Errors
    /// A text that names the folder and, when another process holds it, that process.
    pub fn lock(path: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(path).map_err(|e| format!("cannot create {}: {e}", path.display()))?;
        let file = path.join("wharf.lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&file)
            .map_err(|e| format!("cannot open {}: {e}", file.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = lock.read_to_string(&mut holder);
                let holder = if read.is_ok() && !holder.is_empty() { holder } else { "another process".to_owned() };
                return Err(format!("{} is in use by {}; stop it", path.display(), holder.trim()));
            }
            Err(TryLockError::Error(e)) => return Err(format!("cannot lock {}: {e}", file.display())),
        }
        let told =
            lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| write!(lock, "wharf, process {}", std::process::id()));
        told.map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where compiled components are kept.
    #[must_use]
    pub fn component_cache(&self) -> PathBuf {
        self.path.join("components")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_told_who_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made").join("here");
        let held = StateDir::lock(&path).unwrap();
        let error = StateDir::lock(&path).unwrap_err();
        assert!(error.ends_with(&format!("wharf, process {}; stop it", std::process::id())), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(StateDir::lock(&path).is_err(), "asking does not take it");
        drop(held);
        assert!(StateDir::lock(&path).is_ok());
    }

    #[test]
    fn a_name_that_a_dead_process_left_behind_locks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("wharf.lock"), "wharf, process 4194304999999").unwrap();
        let held = StateDir::lock(folder.path()).unwrap();
        let told = std::fs::read_to_string(folder.path().join("wharf.lock")).unwrap();
        assert_eq!(told, format!("wharf, process {}", std::process::id()));
        drop(held);
    }

    #[test]
    fn a_folder_that_can_not_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = StateDir::lock(&file.join("state")).unwrap_err();
        assert!(error.contains("cannot create"), "{error}");
    }
}
