//! The boundary: batches through the transform `identity` of the test guests, by the path that the pipelines take. Native code around it is
//! one batch handed on in a circle.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::compare::server::lines;
use crate::guest::Host;
use crate::instructions::place::Place;
use crate::instructions::valgrind;
use crate::records::orders;

/// Of a batch.
pub const RECORDS: usize = 1_000;
/// Of a value.
const BYTES: usize = 200;

/// What the process is told that is counted.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Compiled components
    #[arg(long)]
    components: PathBuf,
    #[arg(long)]
    batches: u64,
}

/// Sends batches through the guest.
///
/// # Errors
/// When the guest fails, or loses a record.
pub fn run(options: &Options) -> Result<()> {
    let host = Host::with_cache(&options.components)?;
    let mut guest = host.transform("identity")?;
    let mut batch = orders(RECORDS, BYTES);
    for _ in 0..options.batches {
        batch = guest.apply(batch)?.records;
        ensure!(batch.len() == RECORDS, "{} of {RECORDS} records came back", batch.len());
    }
    Ok(())
}

/// Instructions of a process that sends so many batches.
///
/// # Errors
/// When it cannot be counted.
pub fn count(place: &Place, batches: u64) -> Result<u64> {
    let path = place.components().display().to_string();
    let text = batches.to_string();
    let arguments = |batches| place.this(&["boundary", "--components", &path, "--batches", batches]);
    // Compiles: under valgrind that would take most of the time.
    lines(arguments("1")?)?;
    valgrind::count(place, &format!("boundary-{batches}"), &arguments(&text)?)
}
