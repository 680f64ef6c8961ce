//! What is compared: a scenario a file.

use anyhow::Result;

use crate::compare::Options;
use crate::compare::place::Place;
use crate::compare::results::Found;

pub mod file;
pub mod http;
pub mod idle;
pub mod latency;
pub mod postgres;
pub mod scaling;
pub mod transforms;

/// The scenarios, in the order they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Scenario {
    /// A topic into a table, by upsert
    Postgres,
    /// A file into a topic
    File,
    /// A topic to an HTTP server
    Http,
    /// A topic into a table, through transforms
    Transforms,
    /// More connectors, tasks, and other sizes of values
    Scaling,
    /// One record at a time
    Latency,
    /// Twenty connectors with nothing to do, and with little
    Idle,
}

impl Scenario {
    const ALL: [Self; 7] = [Self::Postgres, Self::File, Self::Http, Self::Transforms, Self::Scaling, Self::Latency, Self::Idle];

    /// Those that were asked for; all where none was.
    #[must_use]
    pub fn chosen(only: &[Self]) -> Vec<Self> {
        Self::ALL.into_iter().filter(|scenario| only.is_empty() || only.contains(scenario)).collect()
    }

    /// Heading of its table.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Postgres => "Topic to PostgreSQL, upsert",
            Self::File => "File to topic",
            Self::Http => "Topic to HTTP, requests of 500 lines",
            Self::Transforms => "Topic to PostgreSQL through transforms",
            Self::Scaling => "Wharf: connectors, tasks, sizes",
            Self::Latency => "Latency of one record",
            Self::Idle => "Twenty connectors with little to do",
        }
    }

    /// What its table shows that is not plain from the headings; empty where nothing is.
    #[must_use]
    pub const fn note(self) -> &'static str {
        match self {
            Self::Postgres | Self::File | Self::Http => "",
            Self::Transforms => {
                "Three transforms: one renames a field, one masks one, one sets one. In WebAssembly: `mask` of the test guests, which \
                 parses each value and writes it anew."
            }
            Self::Scaling => {
                "200,000 records of 890 B in all (`--quick`: half of that), upserted exactly once: spread over the topics of so many \
                 sinks of one process, or in one topic. Values of other sizes: as many as make 200 MB, at most 400,000. Batches: `batch.records` of the sink; \
                 their rows are gathered in transactions all the same."
            }
            Self::Latency => {
                "200 records (`--quick`: 50), 20 ms apart, each awaited. To a topic: from the sending until a consumer of committed \
                 records has it; to PostgreSQL: from the sending to the topic until the row is seen. `batch.linger` is 0."
            }
            Self::Idle => {
                "Wharf: 20 sinks to PostgreSQL and a file source. Kafka Connect: 20 file sources in one standalone worker. Limit: 20 \
                 consumers in one process. A minute after the start, load over its second half (`--quick`: 15 s, the last 5); then at \
                 work for 30 s (5), 100 records a second over all."
            }
        }
    }

    /// # Errors
    /// When a system cannot do it.
    pub async fn run(self, options: &Options, place: &mut Place) -> Result<Found> {
        match self {
            Self::Postgres => postgres::run(options, place).await,
            Self::File => file::run(options, place).await,
            Self::Http => http::run(options, place).await,
            Self::Transforms => transforms::run(options, place).await,
            Self::Scaling => scaling::run(options, place).await,
            Self::Latency => latency::run(options, place).await,
            Self::Idle => idle::run(options, place).await,
        }
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.title())
    }
}
