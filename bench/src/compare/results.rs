//! What was found, and the table that is written of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::compare::Options;
use crate::compare::measure::{Measure, Run};
use crate::compare::place::{Place, machine, version};
use crate::compare::scenario::Scenario;
use crate::compare::system::peer;
use crate::compare::target::Verdict;

/// Of one scenario.
#[derive(Debug, Default)]
pub struct Found {
    pub rows: Vec<Row>,
    /// Second turns of the first row.
    pub again: Vec<Run>,
}

/// Of one system: its runs in order.
#[derive(Debug)]
pub struct Row {
    pub system: String,
    pub runs: Vec<Run>,
}

/// Of a whole comparison.
#[derive(Debug)]
pub struct Results {
    pub found: BTreeMap<Scenario, Found>,
    head: String,
}

impl Measure {
    /// Heading of its column, and digits behind the point.
    pub const fn heading(self) -> (&'static str, usize) {
        match self {
            Self::Rate => ("records/s", 0),
            Self::RateWithStart => ("… with start", 0),
            Self::Cpu => ("CPU-s per 1 M", 2),
            Self::CpuAfterFirst => ("… after the first", 2),
            Self::KafkaCpu => ("Kafka CPU-s per 1 M", 1),
            Self::PostgresCpu => ("PostgreSQL CPU-s per 1 M", 1),
            Self::Peak => ("peak RSS, MB", 0),
            Self::First => ("start to first, ms", 0),
            Self::Memory => ("RSS, MB", 1),
            Self::Load => ("% of a core", 2),
            Self::Median => ("p50, ms", 1),
            Self::P99 => ("p99, ms", 1),
            Self::Threads => ("threads", 0),
            Self::BusyMemory => ("RSS at work, MB", 1),
            Self::BusyLoad => ("% of a core at work", 2),
            Self::Megabytes => ("MB/s", 1),
        }
    }

    /// Its heading, where none stands before it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RateWithStart => "records/s with start",
            Self::CpuAfterFirst => "CPU-s per 1 M after the first record",
            _ => self.heading().0,
        }
    }
}

impl Row {
    #[must_use]
    pub fn of(system: &str) -> Self {
        Self { system: system.to_owned(), runs: Vec::new() }
    }

    /// Median over the runs.
    #[must_use]
    pub fn median(&self, measure: Measure) -> Option<f64> {
        median(self.runs.iter().filter_map(|run| run.get(&measure)).copied().collect())
    }

    /// One run in one line, for whoever waits.
    #[must_use]
    pub fn line(&self, run: &Run) -> String {
        let mut line = format!("{}:", self.system);
        for (measure, value) in run {
            let (heading, digits) = measure.heading();
            // Writing into a string cannot fail; a lost figure would be seen.
            if write!(line, " {heading} {value:.digits$};").is_err() {
                break;
            }
        }
        line
    }
}

/// The middle one; of an even number the mean of the two in the middle.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

impl Found {
    /// The row of a system.
    #[must_use]
    pub fn row(&self, system: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.system == system)
    }

    /// How far two turns of the same system are apart, run by run: the largest, as a share.
    #[must_use]
    pub fn noise(&self, measure: Measure) -> Option<f64> {
        let pairs = self.rows.first()?.runs.iter().zip(&self.again);
        let apart = pairs.filter_map(|(one, other)| Some((one.get(&measure)? / other.get(&measure)? - 1.0).abs()));
        apart.filter(|share| share.is_finite()).max_by(f64::total_cmp)
    }

    fn markdown(&self) -> String {
        let measures: std::collections::BTreeSet<Measure> =
            self.rows.iter().flat_map(|row| row.runs.iter().flat_map(|run| run.keys().copied())).collect();
        let head: Vec<&str> = measures.iter().map(|measure| measure.heading().0).collect();
        let mut lines = vec![format!("| | {} |", head.join(" | ")), format!("|---|{}", "---|".repeat(head.len()))];
        for row in &self.rows {
            let cell = |measure: &Measure| {
                let digits = measure.heading().1;
                row.median(*measure).map(|value| format!("{value:.digits$}")).unwrap_or_default()
            };
            let cells: Vec<String> = measures.iter().map(cell).collect();
            lines.push(format!("| {} | {} |", row.system, cells.join(" | ")));
        }
        if !self.again.is_empty() {
            let cell =
                |measure: &Measure| self.noise(*measure).map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default();
            let cells: Vec<String> = measures.iter().map(cell).collect();
            lines.push(format!("| noise floor | {} |", cells.join(" | ")));
        }
        lines.join("\n")
    }
}

impl Results {
    /// Nothing yet but what it is about.
    #[must_use]
    pub fn new(options: &Options, place: &Place) -> Self {
        let wharf = version(&place.wharf, &["--version"]);
        let java = version("java".as_ref(), &["--version"]);
        let postgres = version("psql".as_ref(), &["--version"]).replace("psql (PostgreSQL)", "PostgreSQL");
        let none = "no Redpanda Connect".to_owned();
        // It is built where it is not there: not for nothing.
        let redpanda = if options.wants("Redpanda Connect") {
            peer::redpanda(&place.cache).map_or(none, |found| found.version)
        } else {
            none
        };
        let head = format!(
            "# Results\n\nWritten by `cargo run --release -p wharf-bench -- compare`; what it does stands in [README.md](README.md).\n\n\
             - Machine: {}. Servers, systems and the counting share it.\n\
             - Versions: {wharf}; Apache Kafka and Kafka Connect 4.3.1 on {java}; {redpanda}; {postgres}.\n\
             - {} records a run where the table says nothing else, {} runs of each system in turn; each figure is a median. The noise floor is the largest difference between two runs of the first system.\n\
             - What is set other than by default: of Wharf in [README.md](README.md), of its peers in [peers/README.md](peers/README.md). The limits are hand-written programs.\n",
            machine(),
            options.rows(),
            options.rounds(),
        );
        Self { found: BTreeMap::new(), head }
    }

    pub fn add(&mut self, scenario: Scenario, found: Found) {
        self.found.insert(scenario, found);
    }

    /// The whole page.
    #[must_use]
    pub fn markdown(&self, verdicts: &[Verdict]) -> String {
        let mut page = self.head.clone();
        for (scenario, found) in &self.found {
            page.push_str(&format!("\n## {}\n\n", scenario.title()));
            if !scenario.note().is_empty() {
                page.push_str(&format!("{}\n\n", scenario.note()));
            }
            page.push_str(&format!("{}\n", found.markdown()));
        }
        if !verdicts.is_empty() {
            page.push_str("\n## Targets\n\nOurs over theirs, round by round, the median. What is bounded by a server that both share has no bound; the limit's own figure stands beside it.\n\n| | target | found | |\n|---|---|---|---|\n");
            for verdict in verdicts {
                page.push_str(&verdict.row());
            }
        }
        page
    }
}
