//! A system's process: started, read in `/proc`, ended. It is killed when it is dropped.

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
        Ok(Used { cpu: cpu_of_tree(pid)?, peak: memory(pid, "VmHWM:")? })
    }

    /// CPU time so far, to the nanosecond, of threads that run: for one that does little, as the clock of `used` ticks too slowly.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_of_threads(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread that ends in between has done nothing worth counting.
            let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanoseconds += text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// # Errors
    /// When it is gone.
    pub fn threads(&self) -> Result<u64> {
        status(self.child.id(), "Threads:")
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory(&self) -> Result<u64> {
        memory(self.child.id(), "VmRSS:")
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

/// CPU-seconds of a process, of its children that have ended, and of those that run.
///
/// # Errors
/// When it is gone.
pub fn cpu_of_tree(pid: u32) -> Result<f64> {
    let mut ticks = ticks(pid).with_context(|| format!("process {pid}"))?;
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    // One that ends in between is counted by its parent at the next look.
    ticks += children.split_whitespace().filter_map(|child| self::ticks(child.parse().ok()?).ok()).sum::<u64>();
    let a_second = u32::try_from(rustix::param::clock_ticks_per_second()).context("the clock's ticks")?;
    Ok(f64::from(u32::try_from(ticks).context("a process that has run for years")?) / f64::from(a_second))
}

/// Whether a process is there and has not ended. One that has may wait for whoever inherited it.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// utime, stime, cutime and cstime: fields 14 to 17 of proc(5).
fn ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold blanks; it ends with the last parenthesis, and the next field is the third.
    let (_, rest) = stat.rsplit_once(')').context("a line of /proc/PID/stat")?;
    let fields = rest.split_whitespace().skip(11).take(4).map(str::parse::<u64>);
    Ok(fields.collect::<Result<Vec<_>, _>>()?.iter().sum())
}

/// A field in kB, as bytes.
fn memory(pid: u32, field: &str) -> Result<u64> {
    Ok(status(pid, field)? * 1024)
}

/// The number of a field of `/proc/PID/status`.
fn status(pid: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a process that has ended")?;
    line.trim().trim_end_matches("kB").trim().parse().context(field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{is_running, status};

    #[test]
    fn this_process_is_running_and_has_threads() {
        let this = std::process::id();
        assert!(is_running(this) && !is_running(u32::MAX));
        assert!(status(this, "Threads:").unwrap() >= 1);
    }
}
