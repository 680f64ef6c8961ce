//! What a run has done so far, kept in a folder so that one that was ended goes on where it was. A leg that was under way is
//! run again from its beginning.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::leg::Outcome;
use crate::options::{Options, PathName};

/// The file in the folder.
const FILE: &str = "progress.json";

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// What was asked for: another run must not go on with it.
    asked: String,
    /// Legs that are done, in order.
    pub done: Vec<(PathName, Outcome)>,
    #[serde(skip)]
    file: Option<PathBuf>,
}

impl Progress {
    /// Loads what is there, or begins.
    pub fn load(options: &Options, paths: &[PathName]) -> Result<Self> {
        let asked = format!(
            "kills {} seed {} paths {paths:?} mutant {:?} fault {:?}",
            options.kills, options.seed, options.mutant, options.fault
        );
        let Some(folder) = &options.state else { return Ok(Self { asked, ..Self::default() }) };
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let file = folder.join(FILE);
        if !file.exists() {
            return Ok(Self { asked, file: Some(file), ..Self::default() });
        }
        let text = std::fs::read(&file).with_context(|| file.display().to_string())?;
        let mut progress: Self = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
        if progress.asked != asked {
            bail!("{} belongs to another run ({}, not {asked}): name another folder", file.display(), progress.asked);
        }
        progress.file = Some(file);
        Ok(progress)
    }

    pub fn add(&mut self, path: PathName, outcome: Outcome) -> Result<()> {
        self.done.push((path, outcome));
        let Some(file) = &self.file else { return Ok(()) };
        replace(file, &serde_json::to_vec_pretty(self)?).with_context(|| file.display().to_string())
    }
}

/// In one step: a run that is killed meanwhile leaves the old file or the new one.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, bytes)?;
    std::fs::rename(fresh, file)
}
