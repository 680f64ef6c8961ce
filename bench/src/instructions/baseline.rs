//! What a record may cost: `bench/instructions.toml`, read, written, and held against what was counted.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

const HEAD: &str = "\
# What a record may cost: bench/README.md, The guard. Written by `wharf-bench instructions --update`, which leaves the tolerances as they are.
# A change that makes a record dearer on purpose brings its own figures, and says why.

";

/// Instructions a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub boundary: u64,
    pub source: u64,
    pub sink: u64,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// That was counted on: others have other instructions.
    processor: String,
    boundary: Mark,
    source: Mark,
    sink: Mark,
}

/// Of one work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Mark {
    instructions_a_record: u64,
    tolerance_percent: f64,
}

/// What was counted of one work, beside its mark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    work: &'static str,
    counted: u64,
    mark: Mark,
}

/// Where the baseline is kept.
#[must_use]
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

impl Baseline {
    /// # Errors
    /// When it cannot be read, or is that of another processor.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let known: Self = toml::from_str(&text).with_context(|| file.display().to_string())?;
        let this = std::env::consts::ARCH;
        if known.processor != this {
            bail!("{}: figures of {}, and this is {this}: they cannot be compared", file.display(), known.processor);
        }
        Ok(known)
    }

    /// With what was counted in place of the figures.
    #[must_use]
    pub fn with(&self, counted: Counted) -> Self {
        let mark = |mark: Mark, instructions_a_record| Mark { instructions_a_record, ..mark };
        Self {
            processor: self.processor.clone(),
            boundary: mark(self.boundary, counted.boundary),
            source: mark(self.source, counted.source),
            sink: mark(self.sink, counted.sink),
        }
    }

    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        std::fs::write(file, format!("{HEAD}{}", toml::to_string(self)?)).with_context(|| file.display().to_string())
    }

    /// Every work.
    #[must_use]
    pub const fn findings(&self, counted: Counted) -> [Finding; 3] {
        [
            Finding { work: "boundary", counted: counted.boundary, mark: self.boundary },
            Finding { work: "source", counted: counted.source, mark: self.source },
            Finding { work: "sink", counted: counted.sink, mark: self.sink },
        ]
    }
}

/// Heading of the lines that findings print as.
#[must_use]
pub fn heading() -> String {
    format!("{:<10} {:>21} {:>9} {:>9} {:>10}", "work", "instructions a record", "baseline", "change", "tolerance")
}

impl Finding {
    /// In percent.
    #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
    fn change(self) -> f64 {
        let baseline = self.mark.instructions_a_record.max(1) as f64;
        (self.counted as f64 - baseline) * 100.0 / baseline
    }

    /// What is to be said of one that has become dearer.
    #[must_use]
    pub fn dearer(self) -> Option<String> {
        let Self { work, counted, mark: Mark { instructions_a_record: baseline, tolerance_percent: tolerance } } = self;
        let change = self.change();
        (change > tolerance).then(|| {
            format!("{work} takes {counted} instructions a record, {baseline} in the baseline: {change:+.1} %, tolerance {tolerance} %")
        })
    }

    /// What is to be said of one that has become cheaper: that fails nothing.
    #[must_use]
    pub fn cheaper(self) -> Option<String> {
        (self.change() < -self.mark.tolerance_percent).then(|| {
            format!("{} has become cheaper: lower the baseline with `--update`, or as much may be lost again unseen", self.work)
        })
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { work, counted, mark: Mark { instructions_a_record: baseline, tolerance_percent: tolerance } } = self;
        write!(f, "{work:<10} {counted:>21} {baseline:>9} {:>+7.1} % {tolerance:>8} %", self.change())
    }
}

#[cfg(test)]
mod tests;
