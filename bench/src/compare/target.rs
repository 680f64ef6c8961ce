//! What is asked of Wharf: ratios within one run of the comparison, round by round, and their median.

use std::fmt::{self, Display, Formatter};

use crate::compare::measure::Measure::{self, Cpu, CpuAfterFirst, First, Load, Memory, P99, Peak, Rate};
use crate::compare::results::{Results, median};
use crate::compare::scenario::Scenario;

/// One target and what was found.
#[derive(Debug, Clone)]
pub struct Verdict {
    what: String,
    bound: String,
    found: String,
    /// The bound lies within the noise of what was found.
    close: bool,
    /// None where nothing was asked.
    met: Option<bool>,
}

/// A bound of ours over theirs.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// Printed, and no target; the text says why.
    Told(&'static str),
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
const WHARF: &str = "Wharf";
const CONNECT: &str = "Kafka Connect";
const REDPANDA: &str = "Redpanda Connect";
const LIMIT: &str = "limit";
const LIMIT_ONCE: &str = "limit, exactly once";
const STEPS: &str = "Wharf, three built-in";
const WASM: &str = "Wharf, one in WebAssembly";
const CONNECT_STEPS: &str = "Kafka Connect, three";
const REDPANDA_STEPS: &str = "Redpanda Connect, mapping";
const POSTED: &str = "Wharf, request to topic";
const UPSERTED: &str = "Wharf, topic to PostgreSQL";
const LIMIT_UPSERTED: &str = "limit, topic to PostgreSQL";
const CLIENTS: &str = "limit, bare consumers";

/// The limit's own ratio stands beside it.
const SERVER: &str = "bounded by the server";
const COST: &str = "what it costs";
const GAIN: &str = "what it gains";

use Bound::{Above, AtLeast, AtMost, Told};

const TARGETS: &[Target] = &[
    target(Scenario::Postgres, Rate, ONCE, CONNECT, Told(SERVER)),
    target(Scenario::Postgres, Rate, LIMIT_ONCE, CONNECT, Told(SERVER)),
    target(Scenario::Postgres, Rate, ONCE, REDPANDA, Told(SERVER)),
    target(Scenario::Postgres, Rate, LIMIT_ONCE, REDPANDA, Told(SERVER)),
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
    target(Scenario::File, Rate, ONCE, CONNECT, Told(SERVER)),
    target(Scenario::File, Rate, LIMIT_ONCE, CONNECT, Told(SERVER)),
    target(Scenario::File, Rate, ONCE, REDPANDA, Told(SERVER)),
    target(Scenario::File, Rate, LIMIT_ONCE, REDPANDA, Told(SERVER)),
    target(Scenario::File, Rate, ONCE, LIMIT_ONCE, AtLeast(0.85)),
    target(Scenario::File, Rate, LEAST, LIMIT, AtLeast(0.85)),
    target(Scenario::File, Rate, ONCE, LEAST, AtLeast(0.85)),
    target(Scenario::File, Peak, ONCE, CONNECT, AtMost(1.0 / 15.0)),
    target(Scenario::File, Peak, ONCE, REDPANDA, AtMost(1.0 / 3.0)),
    target(Scenario::File, First, ONCE, CONNECT, AtMost(1.0 / 15.0)),
    target(Scenario::Http, Rate, WHARF, REDPANDA, Told(SERVER)),
    target(Scenario::Http, Rate, LIMIT, REDPANDA, Told(SERVER)),
    target(Scenario::Http, Rate, WHARF, LIMIT, AtLeast(0.7)),
    target(Scenario::Http, Peak, WHARF, REDPANDA, AtMost(1.0 / 3.0)),
    target(Scenario::Transforms, Rate, STEPS, WHARF, Told(COST)),
    target(Scenario::Transforms, Rate, CONNECT_STEPS, CONNECT, Told(COST)),
    target(Scenario::Transforms, Rate, REDPANDA_STEPS, REDPANDA, Told(COST)),
    target(Scenario::Transforms, Rate, WASM, WHARF, Told(COST)),
    target(Scenario::Transforms, Cpu, STEPS, WHARF, Told(COST)),
    target(Scenario::Transforms, Cpu, WASM, WHARF, Told(COST)),
    target(Scenario::Transforms, Cpu, STEPS, CONNECT_STEPS, AtMost(1.0 / 5.0)),
    target(Scenario::Transforms, Cpu, STEPS, REDPANDA_STEPS, AtMost(1.0 / 5.0)),
    target(Scenario::Transforms, Peak, STEPS, CONNECT_STEPS, AtMost(1.0 / 15.0)),
    target(Scenario::Transforms, Peak, STEPS, REDPANDA_STEPS, AtMost(1.0 / 3.0)),
    target(Scenario::Scaling, Rate, "Wharf, 64 sinks", "Wharf, 1 sink", Told(GAIN)),
    target(Scenario::Scaling, Cpu, "Wharf, 64 sinks", "Wharf, 1 sink", Told(COST)),
    target(Scenario::Scaling, Rate, "Wharf, 16 partitions, 16 tasks", "Wharf, 16 partitions, 1 task", Told(GAIN)),
    target(Scenario::Latency, P99, POSTED, "limit, transactional producer", Above(10.0)),
    target(Scenario::Latency, P99, UPSERTED, LIMIT_UPSERTED, Told(COST)),
    target(Scenario::Idle, Memory, WHARF, CONNECT, AtMost(1.0 / 10.0)),
    target(Scenario::Idle, Load, WHARF, CLIENTS, AtMost(1.5)),
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
        let (bound, met) = self.bound.judge(found);
        let heading = self.measure.name();
        let what = format!("{}: {heading} of {}, against {}", self.scenario, self.ours, self.theirs);
        let close =
            results.found.get(&self.scenario)?.noise(self.measure).is_some_and(|noise| self.bound.is_within(found, noise));
        Some(Verdict { what, bound, found: self.bound.show(found), close, met })
    }
}

impl Bound {
    /// Its text, and whether what was found is within it.
    fn judge(self, found: f64) -> (String, Option<bool>) {
        match self {
            AtLeast(least) => (format!("at least {least:.2} x"), Some(found >= least)),
            AtMost(most) => (format!("at most {most:.3} x"), Some(found <= most)),
            Above(most) => (format!("at most {most:.0} ms more"), Some(found <= most)),
            Told(why) => (format!("none: {why}"), None),
        }
    }

    fn show(self, found: f64) -> String {
        match self {
            Above(_) => format!("{found:+.0} ms"),
            _ => format!("{found:.3} x"),
        }
    }

    /// Whether a ratio that differs by this share could as well be on the other side.
    fn is_within(self, found: f64, noise: f64) -> bool {
        match self {
            AtLeast(bound) | AtMost(bound) => (found / bound - 1.0).abs() <= noise,
            Above(_) | Told(_) => false,
        }
    }
}

impl Verdict {
    /// False where nothing was asked.
    #[must_use]
    pub fn missed(&self) -> bool {
        self.met == Some(false)
    }

    /// False where it is only told.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.met.is_some()
    }

    /// Of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let verdict = match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let close = if self.close && self.met.is_some() { ", within the noise" } else { "" };
        format!("| {} | {} | {} | {verdict}{close} |\n", self.what, self.bound, self.found)
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, found {}", self.what, self.bound, self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::Bound::{Above, AtLeast, AtMost, Told};

    #[test]
    fn what_is_found_is_judged() {
        assert_eq!(AtLeast(0.85).judge(0.85), ("at least 0.85 x".to_owned(), Some(true)));
        assert_eq!(AtLeast(0.85).judge(0.84).1, Some(false));
        assert_eq!(AtMost(0.1).judge(0.11), ("at most 0.100 x".to_owned(), Some(false)));
        assert_eq!(Above(150.0).judge(-3.0).1, Some(true));
        assert_eq!(Told("why").judge(9.0), ("none: why".to_owned(), None));
        // Nothing against nothing is not good.
        assert_eq!(AtMost(1.5).judge(f64::NAN).1, Some(false));
    }

    #[test]
    fn a_bound_that_the_noise_reaches_is_told_of() {
        assert!(AtLeast(0.85).is_within(0.80, 0.06) && AtMost(1.5).is_within(1.45, 0.04));
        assert!(!AtLeast(0.85).is_within(0.80, 0.05) && !AtMost(1.5).is_within(1.8, 0.04));
        assert_eq!((Above(150.0).show(-56.4), AtMost(1.5).show(1.8182)), ("-56 ms".to_owned(), "1.818 x".to_owned()));
    }
}
