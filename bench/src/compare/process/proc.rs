//! What `/proc` says of a process.

use std::time::Duration;

use anyhow::{Context as _, Result};

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

/// CPU time of threads that run, to the nanosecond.
///
/// # Errors
/// When it is gone.
pub fn cpu_of_threads(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid}"))? {
        // A thread that ends in between has done nothing worth counting.
        let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
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

/// A field of `/proc/PID/status` in kB, as bytes.
///
/// # Errors
/// When it has ended.
pub fn memory(pid: u32, field: &str) -> Result<u64> {
    Ok(status(pid, field)? * 1024)
}

/// The number of a field of `/proc/PID/status`.
///
/// # Errors
/// When it has ended.
pub fn status(pid: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a process that has ended")?;
    line.trim().trim_end_matches("kB").trim().parse().context(field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{cpu_of_threads, is_running, status};

    #[test]
    fn this_process_is_running_and_has_threads() {
        let this = std::process::id();
        assert!(is_running(this) && !is_running(u32::MAX));
        assert!(status(this, "Threads:").unwrap() >= 1);
        assert!(!cpu_of_threads(this).unwrap().is_zero());
    }
}
