//! Where a comparison happens: servers, binaries, folders, and what the table says of the machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::compare::Options;
use crate::compare::server::{Server, lines, script};
use crate::compare::topic;

/// Servers run until this is dropped.
#[derive(Debug)]
pub struct Place {
    pub kafka: Server,
    pub postgres: Server,
    /// The binary that is measured.
    pub wharf: PathBuf,
    /// Downloads and builds of peers.
    pub cache: PathBuf,
    pub folder: PathBuf,
    /// Keeps the folder until the end.
    _temporary: Option<TempDir>,
    runs: usize,
}

impl Place {
    /// Builds Wharf, and starts the servers.
    ///
    /// # Errors
    /// When one of these fails.
    pub fn prepare(options: &Options) -> Result<Self> {
        let wharf = match &options.wharf {
            Some(given) => given.clone(),
            None => build()?,
        };
        let wharf = wharf.canonicalize().with_context(|| format!("{} is not there", wharf.display()))?;
        let temporary = if options.keep.is_some() { None } else { Some(tempfile::tempdir()?) };
        let folder = match (&options.keep, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => bail!("no folder"),
        };
        std::fs::create_dir_all(&folder).with_context(|| format!("the folder for data and logs, {}", folder.display()))?;
        // PostgreSQL runs as a user of its own.
        open_to_all(&folder)?;
        let (folder, cache) = (folder.canonicalize()?, cache());
        std::fs::create_dir_all(&cache)?;
        let kafka = Server::kafka(&cache, &folder)?;
        let postgres = Server::postgres(&folder)?;
        topic::warm_up(&kafka.address).context("the broker's own topics")?;
        Ok(Self { kafka, postgres, wharf, cache, folder, _temporary: temporary, runs: 0 })
    }

    /// A folder for one run of a system, and a name that no other run has.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn run(&mut self) -> Result<(PathBuf, String)> {
        self.runs += 1;
        let name = format!("run{}", self.runs);
        let folder = self.folder.join(&name);
        std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        Ok((folder, name))
    }

    /// The servers whose CPU time is counted.
    pub fn servers(&self) -> [&Server; 2] {
        [&self.kafka, &self.postgres]
    }
}

fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).context("rights of the folder")
}

/// Builds the binary in release, into the target folder that this one was built in.
///
/// # Errors
/// When cargo fails.
pub fn build() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(2).context("the target folder")?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "--locked", "-p", "wharf"]).current_dir(script(""));
    command.env("CARGO_TARGET_DIR", target);
    // What `cargo run` tells this program of its package has crates built anew that look at it, and all that depends on them.
    let told = std::env::vars_os().map(|(name, _)| name);
    let of_the_package =
        |name: &OsString| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.to_string_lossy().starts_with(start));
    told.filter(of_the_package).for_each(|name| {
        command.env_remove(name);
    });
    let status = command.status().context("running cargo to build wharf")?;
    if !status.success() {
        bail!("wharf could not be built");
    }
    Ok(target.join("release/wharf"))
}

/// Shared with `.ci`.
fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("WHARF_CI_CACHE").unwrap_or_else(|| {
        let base = set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").unwrap_or_default().join(".cache"));
        base.join("wharf-ci")
    })
}

/// The machine in one line.
#[must_use]
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let gib = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0).div_ceil(1 << 20);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{processor}, {cores} cores, {gib} GiB, Linux {}", kernel.trim())
}

/// What a command prints first, for the table; empty where it is not there.
#[must_use]
pub fn version(program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    lines(command).ok().and_then(|lines| lines.into_iter().find(|line| !line.is_empty())).unwrap_or_default()
}
