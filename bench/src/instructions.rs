//! The guard: instructions that a record costs at the guest boundary and on both lines, counted by callgrind on fixed input, held against
//! `bench/instructions.toml`. Counts hardly depend on how busy the machine is, so that a small regression shows.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

pub mod baseline;
pub mod boundary;
pub mod lines;
pub mod place;
pub mod valgrind;

use self::baseline::{Baseline, Counted};
use self::place::Place;

/// What the lines carry, and the boundary's batches: the difference of the two counts is what the records between them cost, without start and end.
const RECORDS: [u64; 2] = [10_000, 30_000];
const BATCHES: [u64; 2] = [200, 600];

/// Said below what has become dearer.
const WHAT_TO_DO: &str = "\
To see what came in, count this commit and the one before it with `--keep FOLDER` each, and lay `callgrind_annotate FOLDER/WORK-*.callgrind` side by side.
Where it is meant, write the new figures with `--update`, and say why.";

/// Where to count, and what to do with it.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Write what was counted as the new baseline
    #[arg(long)]
    update: bool,
    /// The binary to count; built where it is not given
    #[arg(long)]
    wharf: Option<PathBuf>,
    /// Where data, logs and callgrind's files are kept; by default a folder that goes at the end
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// # Errors
/// When it cannot be counted, or something has become dearer than the baseline allows.
#[expect(clippy::print_stdout, reason = "the table is what this is for")]
pub fn run(options: &Options) -> Result<()> {
    let file = baseline::file();
    let known = Baseline::read(&file)?;
    let place = Place::prepare(options.wharf.as_ref(), options.keep.as_ref())?;
    let counted = count(&place)?;
    let findings = known.findings(counted);
    println!("{}", baseline::heading());
    findings.iter().for_each(|finding| println!("{finding}"));
    if options.update {
        known.with(counted).write(&file)?;
        println!("{} is written", file.display());
        return Ok(());
    }
    findings.iter().filter_map(|finding| finding.cheaper()).for_each(|text| println!("{text}"));
    let dearer: Vec<String> = findings.iter().filter_map(|finding| finding.dearer()).collect();
    if !dearer.is_empty() {
        bail!("{}\n{WHAT_TO_DO}", dearer.join("\n"));
    }
    Ok(())
}

fn count(place: &Place) -> Result<Counted> {
    let [few, many] = BATCHES;
    let batches = difference(boundary::count(place, few)?, boundary::count(place, many)?)?;
    let boundary = a_record(batches, (many - few) * boundary::RECORDS as u64);
    let [few, many] = RECORDS;
    let (less, more) = (lines::count(place, few)?, lines::count(place, many)?);
    let source = a_record(difference(less.source, more.source)?, many - few);
    let sink = a_record(difference(less.sink, more.sink)?, many - few);
    Ok(Counted { boundary, source, sink })
}

fn difference(less: u64, more: u64) -> Result<u64> {
    more.checked_sub(less).with_context(|| format!("{less} instructions, but {more} for more records"))
}

/// Rounded: single instructions are noise.
fn a_record(instructions: u64, records: u64) -> u64 {
    (instructions + records / 2) / records.max(1)
}
