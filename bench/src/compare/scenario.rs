//! What is compared: a scenario a file.

use anyhow::Result;

use crate::compare::Options;
use crate::compare::place::Place;
use crate::compare::results::Found;

pub mod file;
pub mod http;
pub mod postgres;

/// The scenarios, in the order they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Scenario {
    /// A topic into a table, by upsert
    Postgres,
    /// A file into a topic
    File,
    /// A topic to an HTTP server
    Http,
}

impl Scenario {
    const ALL: [Self; 3] = [Self::Postgres, Self::File, Self::Http];

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
        }
    }

    /// # Errors
    /// When a system cannot do it.
    pub async fn run(self, options: &Options, place: &mut Place) -> Result<Found> {
        match self {
            Self::Postgres => postgres::run(options, place).await,
            Self::File => file::run(options, place).await,
            Self::Http => http::run(options, place).await,
        }
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.title())
    }
}
