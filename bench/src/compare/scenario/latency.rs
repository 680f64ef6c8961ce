//! One record at a time, from its sending until it is there: a request to a topic, and a topic to a table.

pub mod arrival;
pub mod table;
pub mod topic;

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::compare::Options;
use crate::compare::measure::{Measure, Run};
use crate::compare::place::Place;
use crate::compare::results::Found;
use crate::compare::round::in_turn;
use crate::compare::scenario::postgres::LIMIT;
use crate::compare::system::{How, System};

/// Records before those that count.
const WARM_UP: usize = 20;
/// Between two records.
const PAUSE: Duration = Duration::from_millis(20);
/// A record that has not come after this long will not come.
const PATIENCE: Duration = Duration::from_secs(30);

const SYSTEMS: [System; 4] = [
    System { name: "Wharf, request to topic", how: How::Wharf("latency-webhook.toml"), set: &[] },
    System { name: "limit, transactional producer", how: How::Harness, set: &[] },
    System { name: "Wharf, topic to PostgreSQL", how: How::Wharf("latency-postgres.toml"), set: &[] },
    System { name: "limit, topic to PostgreSQL", how: How::Limit(LIMIT, "--exactly-once --wait-ms 0"), set: &[] },
];

/// # Errors
/// When a system cannot do it.
pub async fn run(options: &Options, place: &mut Place) -> Result<Found> {
    let records = if options.quick { 50 } else { 200 };
    in_turn(options, &SYSTEMS, async |system| {
        let times = match system.how {
            How::Harness => topic::produced(place, records).await?,
            How::Wharf("latency-webhook.toml") => topic::posted(place, system, records).await?,
            _ => table::upserted(place, system, records).await?,
        };
        figures(times).context("no record was measured")
    })
    .await
}

/// The median and the 99th percentile: the smallest time that so many are not above.
fn figures(mut times: Vec<Duration>) -> Option<Run> {
    times.sort();
    let at = |per_cent: usize| {
        let time = times.get((times.len() * per_cent).div_ceil(100).checked_sub(1)?)?;
        Some(time.as_secs_f64() * 1e3)
    };
    Some(Run::from([(Measure::Median, at(50)?), (Measure::P99, at(99)?)]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::figures;
    use crate::compare::measure::Measure;

    #[test]
    fn percentiles() {
        let of = |many: u64| figures((1..=many).rev().map(Duration::from_millis).collect());
        let found = of(200).unwrap();
        assert_eq!((found[&Measure::Median], found[&Measure::P99]), (100.0, 198.0));
        let found = of(1).unwrap();
        assert_eq!((found[&Measure::Median], found[&Measure::P99]), (1.0, 1.0));
        assert_eq!(of(0), None);
    }
}
