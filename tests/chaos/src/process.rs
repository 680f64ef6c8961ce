//! A worker as a process: started with a plan to die or stop, signalled, waited for. It is killed when it is dropped.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// When a process signals itself: at the n-th pass of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    pub phase: &'static str,
    pub nth: u64,
}

/// What a worker is started with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    pub die: Option<At>,
    pub stop: Option<At>,
    pub mutant: Option<&'static str>,
}

#[derive(Debug)]
pub struct Worker {
    child: Child,
    pub log: PathBuf,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Killed,
    Clean,
    /// By itself, with this exit code (-1: another signal).
    Code(i32),
}

impl Worker {
    /// Starts this binary as a worker; its log lines are appended to `log`.
    pub fn start(config: &Path, log: &Path, plan: Plan) -> Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        let mut command = Command::new(std::env::current_exe().context("this binary")?);
        command.arg("worker").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        for name in ["WHARF_CHAOS_DIE", "WHARF_CHAOS_STOP", "WHARF_CHAOS_MUTANT"] {
            command.env_remove(name);
        }
        for (name, at) in [("WHARF_CHAOS_DIE", plan.die), ("WHARF_CHAOS_STOP", plan.stop)] {
            if let Some(At { phase, nth }) = at {
                command.env(name, format!("{phase}:{nth}"));
            }
        }
        command.envs(plan.mutant.map(|mutant| ("WHARF_CHAOS_MUTANT", mutant)));
        let mut child = command.spawn().context("starting a worker")?;
        // Through a pipe: a worker whose files may not grow is to be able to say so.
        if let Some(mut lines) = child.stderr.take() {
            std::thread::spawn(move || {
                if let Err(error) = std::io::copy(&mut lines, &mut file) {
                    eprintln!("a worker's log could not be written: {error}");
                }
            });
        }
        Ok(Self { child, log: log.to_owned() })
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the worker's process id")
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).context("signalling a worker")
    }

    /// Without waiting: how it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<Ended>> {
        Ok(self.child.try_wait()?.map(ended))
    }

    /// It has to be running.
    pub fn check(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(ended) => bail!("a worker that was to run ended as {ended:?}; the end of its log:\n{}", tail(&self.log)),
        }
    }

    /// Kills it from outside, and waits.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to drain and waits for it.
    pub async fn drain(&mut self, patience: Duration) -> Result<Ended> {
        self.signal(Signal::TERM)?;
        let until = Instant::now() + patience;
        loop {
            if let Some(ended) = self.ended()? {
                return Ok(ended);
            }
            if Instant::now() > until {
                bail!("a worker did not drain in {patience:?}; the end of its log:\n{}", tail(&self.log));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGSTOP has taken effect, whoever sent it.
    pub fn is_stopped(&self) -> Result<bool> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).context("the state of a worker")?;
        // The state follows the name, which ends with the last parenthesis.
        Ok(stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T')))
    }

    /// Files of it grow no further than this; `None`: as far as they may.
    pub fn limit_files(&self, bytes: Option<u64>) -> Result<()> {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(self.pid()?), Resource::Fsize, limit).context("limiting the size of a worker's files")?;
        Ok(())
    }
}

fn ended(status: ExitStatus) -> Ended {
    match (status.signal(), status.code()) {
        (Some(9), _) => Ended::Killed,
        (_, Some(0)) => Ended::Clean,
        (_, code) => Ended::Code(code.unwrap_or(-1)),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("a worker could not be ended: {error:#}");
        }
    }
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(25)).map(|line| format!("    {line}\n")).collect()
}
