//! Both lines: a file of orders into a topic of the embedded log, then that topic into a table of SQLite, each a `wharf run --until-done`.
//! The rows are looked at, so that a count of less than all the work does not pass for a cheap one.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rusqlite::Connection;

use crate::compare::orders::{BYTES, orders};
use crate::compare::server::{lines, script};
use crate::instructions::place::Place;
use crate::instructions::valgrind;

const SOURCE: &str = "instructions-source.toml";
const SINK: &str = "instructions-sink.toml";

/// Instructions of the two processes.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    pub source: u64,
    pub sink: u64,
}

/// Carries so many records.
///
/// # Errors
/// When a line fails, cannot be counted, or does not deliver all.
pub fn count(place: &Place, records: u64) -> Result<Counts> {
    let folder = place.folder.join(format!("lines-{records}"));
    prepare(place, &folder, records).with_context(|| folder.display().to_string())?;
    let line = |name: &str, file| {
        let command = place.wharf(&["run", "--until-done", file], &folder);
        valgrind::count(place, &format!("{name}-{records}"), &command)
    };
    let counts = Counts { source: line("source", SOURCE)?, sink: line("sink", SINK)? };
    arrived(&folder, records)?;
    Ok(counts)
}

/// The file, both configurations, and their components compiled.
fn prepare(place: &Place, folder: &Path, records: u64) -> Result<()> {
    // Of an earlier count with `--keep`.
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder.join("in"))?;
    let mut file = BufWriter::new(File::create(folder.join("in/orders.jsonl"))?);
    let mut line = String::new();
    for order in orders(records) {
        order.value(BYTES, &mut line);
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    for file in [SOURCE, SINK] {
        std::fs::copy(script("bench/wharf").join(file), folder.join(file))?;
        lines(place.wharf(&["check", file], folder))?;
    }
    std::fs::create_dir(folder.join("state"))?;
    Ok(std::os::unix::fs::symlink(place.components(), folder.join("state/components"))?)
}

/// Every order is there, and every tenth in its second version.
fn arrived(folder: &Path, records: u64) -> Result<()> {
    let target = Connection::open(folder.join("warehouse.sqlite"))?;
    let (rows, versions): (i64, i64) =
        target.query_row("select count(*), coalesce(sum(version), 0) from orders", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let records = i64::try_from(records)?;
    if (rows, versions) != (records - records / 10, records) {
        bail!("{rows} rows with versions of {versions} in all have arrived of {records} records");
    }
    Ok(())
}
