//! What is asked of Wharf: ratios within one run of the comparison, round by round, and their median.

use std::fmt::{self, Display, Formatter};

use crate::compare::measure::Measure::{self, Cpu, CpuAfterFirst, First, Peak, Rate};
use crate::compare::results::{Results, median};
use crate::compare::scenario::Scenario;

/// One target and what was found.
#[derive(Debug, Clone)]
pub struct Verdict {
    what: String,
    bound: String,
    found: f64,
    pub met: bool,
}

/// A bound of ours over theirs.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Printed beside the limit's own ratio, and no target: the server bounds it.
    Told,
    /// Ours less theirs.
    Above(f64),
}

struct Target {
    scenario: Scenario,
    measure: Measure,
    ours: &'static str,
    theirs: &'static str,
    bound: Bound,
}

const fn target(scenario: Scenario, measure: Measure, ours: &'static str, theirs: &'static str, bound: Bound) -> Target {
    Target { scenario, measure, ours, theirs, bound }
}

const ONCE: &str = "Wharf, exactly once";
const LEAST: &str = "Wharf, at least once";
const HTTP: &str = "Wharf";
const CONNECT: &str = "Kafka Connect";
const REDPANDA: &str = "Redpanda Connect";
const LIMIT: &str = "limit";
const LIMIT_ONCE: &str = "limit, exactly once";

use Bound::{Above, AtLeast, AtMost, Told};

const TARGETS: &[Target] = &[
    target(Scenario::Postgres, Rate, ONCE, CONNECT, Told),
    target(Scenario::Postgres, Rate, LIMIT_ONCE, CONNECT, Told),
    target(Scenario::Postgres, Rate, ONCE, REDPANDA, Told),
    target(Scenario::Postgres, Rate, LIMIT_ONCE, REDPANDA, Told),
    target(Scenario::Postgres, Rate, ONCE, LIMIT_ONCE, AtLeast(0.85)),
    target(Scenario::Postgres, Rate, LEAST, LIMIT, AtLeast(0.85)),
    target(Scenario::Postgres, Rate, ONCE, LEAST, AtLeast(0.85)),
    target(Scenario::Postgres, Cpu, ONCE, CONNECT, AtMost(1.0 / 5.0)),
    target(Scenario::Postgres, CpuAfterFirst, ONCE, CONNECT, AtMost(1.0 / 3.0)),
    target(Scenario::Postgres, Cpu, ONCE, REDPANDA, AtMost(1.0 / 5.0)),
    target(Scenario::Postgres, Cpu, ONCE, LIMIT_ONCE, AtMost(1.5)),
    target(Scenario::Postgres, Peak, ONCE, CONNECT, AtMost(1.0 / 15.0)),
    target(Scenario::Postgres, Peak, ONCE, REDPANDA, AtMost(1.0 / 3.0)),
    target(Scenario::Postgres, First, ONCE, CONNECT, AtMost(1.0 / 15.0)),
    target(Scenario::Postgres, First, ONCE, LIMIT_ONCE, Above(150.0)),
    target(Scenario::File, Rate, ONCE, CONNECT, Told),
    target(Scenario::File, Rate, LIMIT_ONCE, CONNECT, Told),
    target(Scenario::File, Rate, ONCE, REDPANDA, Told),
    target(Scenario::File, Rate, LIMIT_ONCE, REDPANDA, Told),
    target(Scenario::File, Rate, ONCE, LIMIT_ONCE, AtLeast(0.85)),
    target(Scenario::File, Rate, LEAST, LIMIT, AtLeast(0.85)),
    target(Scenario::File, Rate, ONCE, LEAST, AtLeast(0.85)),
    target(Scenario::File, Peak, ONCE, CONNECT, AtMost(1.0 / 15.0)),
    target(Scenario::File, Peak, ONCE, REDPANDA, AtMost(1.0 / 3.0)),
    target(Scenario::File, First, ONCE, CONNECT, AtMost(1.0 / 15.0)),
    target(Scenario::Http, Rate, HTTP, REDPANDA, Told),
    target(Scenario::Http, Rate, LIMIT, REDPANDA, Told),
    target(Scenario::Http, Rate, HTTP, LIMIT, AtLeast(0.7)),
    target(Scenario::Http, Peak, HTTP, REDPANDA, AtMost(1.0 / 3.0)),
];

/// Those whose two systems were measured.
#[must_use]
pub fn verdicts(results: &Results) -> Vec<Verdict> {
    TARGETS.iter().filter_map(|target| target.verdict(results)).collect()
}

impl Target {
    fn verdict(&self, results: &Results) -> Option<Verdict> {
        let found = results.found.get(&self.scenario)?;
        let (ours, theirs) = (found.row(self.ours)?, found.row(self.theirs)?);
        let pairs = ours.runs.iter().zip(&theirs.runs);
        let pairs = pairs.filter_map(|(ours, theirs)| Some((*ours.get(&self.measure)?, *theirs.get(&self.measure)?)));
        let compared = pairs.map(|(ours, theirs)| if matches!(self.bound, Above(_)) { ours - theirs } else { ours / theirs });
        let found = median(compared.collect())?;
        let (bound, met) = match self.bound {
            AtLeast(least) => (format!("at least {least:.2} x"), found >= least),
            AtMost(most) => (format!("at most {most:.3} x"), found <= most),
            Told => ("bounded by the server".to_owned(), true),
            Above(most) => (format!("at most {most:.0} above"), found <= most),
        };
        let what = format!("{}: {:?}, {} against {}", self.scenario, self.measure, self.ours, self.theirs);
        Some(Verdict { what, bound, found, met })
    }
}

impl Verdict {
    /// Of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let verdict = if self.met { "met" } else { "MISSED" };
        format!("| {}: {} | {:.3} | {verdict} |\n", self.what, self.bound, self.found)
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, found {:.3}", self.what, self.bound, self.found)
    }
}
