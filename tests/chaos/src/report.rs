//! What a run says at its end: kills by phase, recovery times, and the last line. Decides what passes.

use std::collections::BTreeMap;

use crate::compare::Tally;
use crate::leg::Outcome;
use crate::options::PathName;

/// Each phase has at least this share of the kills, percent; with fewer kills chance decides.
const SHARE: u64 = 5;
const ENOUGH: u64 = 40;

/// Everything together.
#[derive(Debug, Default)]
pub struct Report {
    kills: BTreeMap<String, u64>,
    recoveries: BTreeMap<String, Vec<f64>>,
    records: u64,
    pub tally: Tally,
}

impl Report {
    pub fn of<'a>(done: impl IntoIterator<Item = &'a (PathName, Outcome)>) -> Self {
        let mut report = Self::default();
        for (path, outcome) in done {
            report.records += outcome.records;
            report.tally.add(outcome.tally);
            for (phase, count) in &outcome.kills {
                *report.kills.entry(phase.clone()).or_default() += count;
            }
            for (fault, times) in &outcome.recoveries {
                report.recoveries.entry(format!("{}: {fault}", path.name())).or_default().extend(times);
            }
        }
        report
    }

    fn total(&self) -> u64 {
        self.kills.values().sum()
    }

    /// A phase that was met too rarely, where there were kills enough to say so.
    pub fn rare(&self) -> Option<String> {
        let total = self.total();
        let rare = self.kills.iter().find(|(_, count)| **count * 100 < total * SHARE)?;
        (total >= ENOUGH).then(|| format!("only {} of {total} kills were in phase {}", rare.1, rare.0))
    }

    pub fn print(&self) {
        let total = self.total();
        say(&format!("\n{} records", self.records));
        say("\nkills by phase                                 number  share");
        for (phase, count) in &self.kills {
            say(&format!("  {:<44} {count:>6} {:>5} %", meaning(phase), count * 100 / total.max(1)));
        }
        say("\nseconds to the next record at the destination  number  median    most");
        for (fault, times) in &self.recoveries {
            let mut times = times.clone();
            times.sort_by(f64::total_cmp);
            let median = times.get(times.len() / 2).copied().unwrap_or_default();
            let most = times.last().copied().unwrap_or_default();
            say(&format!("  {fault:<44} {:>6} {median:>7.2} {most:>7.2}", times.len()));
        }
        let Tally { lost, duplicated, reordered, redelivered, dlq_repeated } = self.tally;
        say(&format!(
            "\nkills {total} lost {lost} duplicated {duplicated} reordered {reordered} redelivered {redelivered} dlq-repeated {dlq_repeated}"
        ));
    }
}

fn meaning(phase: &str) -> String {
    let meaning = match phase {
        "poll" => "polled, nothing appended",
        "transaction" => "in the transaction, not committed",
        "committed" => "committed, not acknowledged",
        "write" => "in the write, target not settled",
        "buried" => "dead letters confirmed, nothing committed",
        "written" => "delivered, offsets not in the log",
        other => other,
    };
    format!("{phase}: {meaning}").chars().take(44).collect()
}

/// A line of the report.
#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
pub fn say(line: &str) {
    println!("{line}");
}
