//! A system's process: started, read in `/proc`, ended. It is killed when it is dropped.

pub mod proc;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A process is asked to end this long before it is killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a process has used.
#[derive(Debug, Default, Clone, Copy)]
pub struct Used {
    /// CPU-seconds, of user and system.
    pub cpu: f64,
    /// Peak resident memory in bytes.
    pub peak: u64,
}

/// One process that is measured.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it prints goes to `log`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Whether it is running; false where it has ended by itself, and well.
    ///
    /// # Errors
    /// When it has failed, with the end of its log.
    pub fn runs(&mut self) -> Result<bool> {
        match self.child.try_wait()? {
            None => Ok(true),
            Some(status) if status.success() => Ok(false),
            Some(status) => bail!("it ended by itself ({status}); {}", self.tail()),
        }
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// When it is gone.
    pub fn used(&self) -> Result<Used> {
        let pid = self.child.id();
        Ok(Used { cpu: proc::cpu_of_tree(pid)?, peak: proc::memory(pid, "VmHWM:")? })
    }

    /// CPU time so far, to the nanosecond, of threads that run: for one that does little, as the clock of `used` ticks too slowly.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_of_threads(&self) -> Result<Duration> {
        proc::cpu_of_threads(self.child.id())
    }

    /// # Errors
    /// When it is gone.
    pub fn threads(&self) -> Result<u64> {
        proc::status(self.child.id(), "Threads:")
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory(&self) -> Result<u64> {
        proc::memory(self.child.id(), "VmRSS:")
    }

    /// Asks it to end, and kills it where it does not. How long that took.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn stop(&mut self) -> Result<Duration> {
        let began = Instant::now();
        if self.child.try_wait()?.is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process without an id")?;
            kill_process(pid, Signal::TERM)?;
        }
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > PATIENCE {
                self.child.kill()?;
                self.child.wait()?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(began.elapsed())
    }

    /// The last lines of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last: String = lines.iter().skip(lines.len().saturating_sub(25)).map(|line| format!("\n    {line}")).collect();
        format!("the end of {}:{last}", self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_)))
            && let Err(error) = self.child.kill().and_then(|()| self.child.wait())
        {
            eprintln!("a measured process could not be ended: {error}");
        }
    }
}
