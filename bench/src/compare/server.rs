//! Kafka and PostgreSQL of a comparison, started by the scripts of `.ci`: their address, the CPU time that they have used, their end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::compare::process::proc;

/// A server is waited for this long when it is to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Server {
    pub name: &'static str,
    pub address: String,
    pid: u32,
    /// What ends it without waiting for its clients.
    end: Signal,
}

impl Server {
    /// One Kafka broker.
    ///
    /// # Errors
    /// When it does not start; the text is the script's.
    pub fn kafka(cache: &Path, folder: &Path) -> Result<Self> {
        let run = folder.join("kafka");
        let mut command = Command::new(script(".ci/kafka.sh"));
        // Records carry times of the day they were made; history must not vanish during a long comparison.
        command.arg(cache).arg(&run).env("WHARF_KAFKA_EXTRA", "log.retention.ms=-1");
        Self::start("Kafka", command, &run.join("broker.pid"), Signal::TERM)
    }

    /// PostgreSQL.
    ///
    /// # Errors
    /// When it does not start; the text is the script's.
    pub fn postgres(folder: &Path) -> Result<Self> {
        let run = folder.join("postgres");
        let mut command = Command::new(script(".ci/postgres.sh"));
        command.arg(&run);
        Self::start("PostgreSQL", command, &run.join("pid"), Signal::INT)
    }

    fn start(name: &'static str, command: Command, pid_file: &Path, end: Signal) -> Result<Self> {
        let address = lines(command)?.concat();
        let text = std::fs::read_to_string(pid_file).with_context(|| pid_file.display().to_string())?;
        let pid = text.lines().next().unwrap_or_default().trim().parse().context("a server's process id")?;
        Ok(Self { name, address, pid, end })
    }

    /// CPU-seconds of it and its children so far.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu(&self) -> Result<f64> {
        proc::cpu_of_tree(self.pid).with_context(|| format!("{} is gone", self.name))
    }
}

impl Drop for Server {
    /// Its folder goes next, so it has to be gone.
    fn drop(&mut self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, self.end)) {
            return eprintln!("{} could not be ended: {error}", self.name);
        }
        let asked = Instant::now();
        while proc::is_running(self.pid) {
            if asked.elapsed() > PATIENCE {
                return eprintln!("{} (process {}) does not end", self.name, self.pid);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A script of the repository.
#[must_use]
pub fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The lines that a script prints.
///
/// # Errors
/// When it fails, with its last words.
pub fn lines(mut command: Command) -> Result<Vec<String>> {
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        bail!("{}: {}", command.get_program().display(), text.lines().last().unwrap_or("it failed without a word"));
    }
    Ok(String::from_utf8_lossy(&done.stdout).lines().map(|line| line.trim().to_owned()).collect())
}
