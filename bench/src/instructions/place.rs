//! Where it is counted: the binary, valgrind, a folder, and compiled components that all runs share.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::compare::place::build;
use crate::compare::server::{lines, script};

/// Told to every process.
const TOLD: [(&str, &str); 4] = [
    // An engine that valgrind has room for.
    ("WHARF_VALGRIND", "1"),
    ("GLIBC_TUNABLES", TUNABLES),
    ("TOKIO_WORKER_THREADS", "2"),
    ("RUST_LOG", "warn"),
];
/// Of libc. More than 2 KiB are copied by `rep movsb`, which is counted byte by byte, so that a copy too many shows; by default the sizes of the machine's
/// caches decide. And where a large block lies does not depend on which thread was first: else it grows now in place, now by a copy.
const TUNABLES: &str = "glibc.cpu.x86_rep_movsb_threshold=2048:glibc.cpu.x86_rep_stosb_threshold=2048:\
                        glibc.cpu.x86_non_temporal_threshold=1073741824:glibc.malloc.mmap_threshold=65536";

/// What all counts share.
#[derive(Debug)]
pub struct Place {
    wharf: PathBuf,
    pub valgrind: PathBuf,
    pub folder: PathBuf,
    /// Keeps the folder until the end.
    _temporary: Option<TempDir>,
}

impl Place {
    /// # Errors
    /// When Wharf cannot be built, or valgrind is not there and cannot be installed.
    pub fn prepare(wharf: Option<&PathBuf>, keep: Option<&PathBuf>) -> Result<Self> {
        let found = lines(Command::new(script(".ci/valgrind.sh"))).context("without valgrind nothing can be counted")?;
        let valgrind = found.last().filter(|path| !path.is_empty()).context(".ci/valgrind.sh names no valgrind")?.into();
        let wharf = wharf.map_or_else(build, |given| Ok(given.clone()))?;
        let wharf = wharf.canonicalize().with_context(|| format!("{} is not there", wharf.display()))?;
        let temporary = if keep.is_some() { None } else { Some(tempfile::tempdir()?) };
        let folder = match (keep, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => bail!("no folder"),
        };
        std::fs::create_dir_all(&folder)?;
        Ok(Self { wharf, valgrind, folder: folder.canonicalize()?, _temporary: temporary })
    }

    /// Compiled components, as every start but the first finds them.
    #[must_use]
    pub fn components(&self) -> PathBuf {
        self.folder.join("wharf/components")
    }

    /// Wharf in a folder, with what all its processes are told.
    #[must_use]
    pub fn wharf(&self, arguments: &[&str], folder: &Path) -> Command {
        let mut command = Command::new(&self.wharf);
        // Where `check` keeps what it has compiled.
        command.args(arguments).current_dir(folder).env("XDG_CACHE_HOME", &self.folder);
        told(&mut command);
        command
    }

    /// A part of this program in a process of its own.
    ///
    /// # Errors
    /// When it is not known where this program is.
    pub fn this(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).current_dir(&self.folder);
        told(&mut command);
        Ok(command)
    }
}

/// The same for every count, whatever the caller's environment is.
fn told(command: &mut Command) {
    command.envs(TOLD);
}
