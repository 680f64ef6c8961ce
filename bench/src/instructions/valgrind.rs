//! One process under callgrind: how many instructions it took, all threads together.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::compare::process::Process;
use crate::instructions::place::Place;

/// A run that takes longer hangs: it needs some 20 s on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs `command` to its end. Beside one another in the place's folder: `NAME.log` with what it printed, and callgrind's `NAME.callgrind`.
///
/// # Errors
/// When it fails, or does not end.
pub fn count(place: &Place, name: &str, command: &Command) -> Result<u64> {
    let (log, file) = (place.folder.join(format!("{name}.log")), place.folder.join(format!("{name}.callgrind")));
    let mut counted = Command::new(&place.valgrind);
    counted.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", file.display()));
    counted.arg("--").arg(command.get_program()).args(command.get_args());
    command.get_envs().for_each(|(key, value)| {
        counted.env(key, value.unwrap_or_default());
    });
    command.get_current_dir().map(|folder| counted.current_dir(folder));
    let process = Process::start(counted, &log)?;
    ended(process).with_context(|| format!("{name} under {}", place.valgrind.display()))?;
    total(&file)
}

fn ended(mut process: Process) -> Result<()> {
    let began = Instant::now();
    while process.runs()? {
        if began.elapsed() > PATIENCE {
            bail!("it did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The line `totals: N` of callgrind's file.
fn total(file: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals:"));
    let total = total.with_context(|| format!("{}: no line `totals:`", file.display()))?;
    total.trim().parse().with_context(|| format!("{}: totals:{total}", file.display()))
}
