//! The counters of a run, by connector and in sum. The sum's line is for scripts too: its form never changes.

use wharf_runtime::telemetry::Snapshot;

use crate::output::say;

/// Prints both to stdout.
pub fn print(snapshot: &Snapshot) {
    table(snapshot);
    say!("{}", sum(snapshot));
}

/// One line a connector.
pub fn table(snapshot: &Snapshot) {
    let rows = snapshot.connectors();
    let width = rows.iter().map(|row| row.connector.len()).max().unwrap_or(0).max(9);
    say!(
        "{:width$}  {:<6} {:>9} {:>9} {:>9} {:>13} {:>8} {:>8}",
        "CONNECTOR",
        "KIND",
        "READ",
        "DELIVERED",
        "FILTERED",
        "DEAD-LETTERED",
        "RETRIED",
        "RESTARTS"
    );
    for row in &rows {
        say!(
            "{:width$}  {:<6} {:>9} {:>9} {:>9} {:>13} {:>8} {:>8}",
            row.connector,
            row.kind.to_string(),
            row.read,
            row.delivered,
            row.filtered,
            row.dead_lettered,
            row.retried,
            row.restarts
        );
        for failure in &row.failures {
            say!("{:width$}  failed: {failure}", "");
        }
    }
}

/// `read N = delivered N + filtered N + dead-lettered N`; what splits added and what is still in flight only where there is any.
pub fn sum(snapshot: &Snapshot) -> String {
    let rows = snapshot.connectors();
    let total = |figure: fn(&wharf_runtime::telemetry::ConnectorRow) -> u64| rows.iter().map(figure).sum::<u64>();
    let optional = |name: &str, count: u64| if count == 0 { String::new() } else { format!(" + {name} {count}") };
    format!(
        "read {}{} = delivered {} + filtered {} + dead-lettered {}{}",
        total(|r| r.read),
        optional("split", total(|r| r.split)),
        total(|r| r.delivered),
        total(|r| r.filtered),
        total(|r| r.dead_lettered),
        optional("in flight", total(|r| r.in_flight)),
    )
}
