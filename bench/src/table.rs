//! Figures of a run, and the table at its end: each operation through the guest and natively, and the targets.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    pub operation: &'static str,
    /// Bytes of a value.
    pub bytes: usize,
    /// Records of a batch.
    pub records: usize,
    pub native: bool,
}

/// What the design asks for.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Nanoseconds a record through the guest.
    PerRecord { operation: &'static str, bytes: usize, records: usize, at_most: f64 },
    /// Through the guest, as a multiple of the native code.
    TimesNative { operation: &'static str, bytes: usize, records: usize, at_most: f64 },
}

/// Times of batches by case.
#[derive(Debug, Default)]
pub struct Table(Mutex<BTreeMap<Case, Vec<Duration>>>);

impl Table {
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Adds the time of one batch.
    pub fn record(&self, case: Case, took: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(case).or_default().push(took);
    }

    /// The figures with the targets below them. Nothing where nothing was measured (a filter on the command line).
    #[must_use]
    pub fn report(&self, targets: &[Target]) -> String {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let figures: BTreeMap<Case, Figure> =
            times.iter().filter_map(|(case, times)| Some((*case, Figure::of(times, case.records)?))).collect();
        drop(times);
        if figures.is_empty() {
            return String::new();
        }
        let mut lines = vec![
            "ns/record, median (fastest); ratio of the medians or of the fastest, whichever is worse:".to_owned(),
            format!("{:<10} {:>7} {:>8} {:>20} {:>20} {:>7}", "operation", "value", "records", "guest", "native", "ratio"),
        ];
        for (case, guest) in figures.iter().filter(|(case, _)| !case.native) {
            let native = figures.get(&Case { native: true, ..*case });
            let ratio = native.map(|n| format!("{:.2}", guest.ratio_to(*n))).unwrap_or_default();
            let native = native.map(ToString::to_string).unwrap_or_default();
            let Case { operation, bytes, records, .. } = case;
            lines.push(format!("{operation:<10} {bytes:>5} B {records:>8} {:>20} {native:>20} {ratio:>7}", guest.to_string()));
        }
        lines.extend(targets.iter().filter_map(|target| target.verdict(&figures)));
        lines.join("\n")
    }
}

#[derive(Debug, Clone, Copy)]
struct Figure {
    median: f64,
    fastest: f64,
}

impl Figure {
    fn of(times: &[Duration], records: usize) -> Option<Self> {
        let mut times: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        times.sort_by(f64::total_cmp);
        let a_record = |seconds: f64| seconds * 1e9 / f64::from(u32::try_from(records).unwrap_or(u32::MAX));
        Some(Self { median: a_record(*times.get(times.len() / 2)?), fastest: a_record(*times.first()?) })
    }
}

impl Figure {
    /// The worse of the two ratios: where the machine disturbed the native run, its median would flatter the guest.
    fn ratio_to(self, native: Self) -> f64 {
        (self.median / native.median).max(self.fastest / native.fastest)
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} ({:.0})", self.median, self.fastest)
    }
}

impl Target {
    fn verdict(self, figures: &BTreeMap<Case, Figure>) -> Option<String> {
        let figure = |operation, bytes, records, native| figures.get(&Case { operation, bytes, records, native }).copied();
        let (what, unit, at_most, found) = match self {
            Self::PerRecord { operation, bytes, records, at_most } => {
                let what = format!("{operation}, {bytes} B, {records} records");
                (what, " ns/record", at_most, figure(operation, bytes, records, false)?.median)
            }
            Self::TimesNative { operation, bytes, records, at_most } => {
                let ratio = figure(operation, bytes, records, false)?.ratio_to(figure(operation, bytes, records, true)?);
                (format!("{operation}, {bytes} B, {records} records"), " x native", at_most, ratio)
            }
        };
        let verdict = if found <= at_most { "met" } else { "MISSED" };
        Some(format!("target: {what}: at most {at_most}{unit}: {found:.2}, {verdict}"))
    }
}
