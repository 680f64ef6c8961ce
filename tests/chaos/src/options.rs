//! The command line. Holds no rules beyond what a value may be.

use std::path::PathBuf;

use wharf_runtime::fault_point::Mutant;

use crate::fault::Fault;

/// Proves that nothing is lost and nothing comes twice, by crashes. The last line of the output is the result.
#[derive(Debug, clap::Parser)]
#[command(version, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The worker that is killed: `wharf run` with fault points.
    #[command(hide = true)]
    Worker { config: PathBuf },
}

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Kills in all, shared out over the paths.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub kills: u32,
    /// The schedule of kills, faults and records.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// One path alone; without it all for which the servers are installed.
    #[arg(long, value_enum)]
    pub path: Option<PathName>,
    /// `embedded`: only what needs no server.
    #[arg(long, value_enum)]
    pub log: Option<Log>,
    /// Breaks a rule on purpose: the run must find it and exit 1.
    #[arg(long, value_enum)]
    pub mutant: Option<MutantName>,
    /// One kind of fault alone, after each kill.
    #[arg(long, value_enum)]
    pub fault: Option<Fault>,
    /// Folder that keeps the progress: a run that was ended goes on where it was.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// A way through Wharf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathName {
    /// csv files to a topic of Kafka.
    Source,
    /// An OData service that fails often, to a topic of Kafka.
    Odata,
    /// A topic of Kafka to a table of PostgreSQL.
    Sink,
    /// A topic of Kafka to an HTTP target that fails often.
    Http,
    /// csv files over the embedded log to a table of SQLite.
    Embedded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Log {
    Kafka,
    Embedded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum MutantName {
    /// Positions and offsets move before delivery.
    CommitFirst,
    /// Records and positions, or rows and offsets, in two transactions.
    NoTransaction,
    /// Offsets in the database without compare-and-set.
    NoCas,
}

impl PathName {
    pub const ALL: [Self; 5] = [Self::Source, Self::Odata, Self::Sink, Self::Http, Self::Embedded];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Odata => "odata",
            Self::Sink => "sink",
            Self::Http => "http",
            Self::Embedded => "embedded",
        }
    }

    /// Whether a rule is one that this path depends on.
    pub const fn has(self, mutant: Mutant) -> bool {
        match mutant {
            Mutant::CommitFirst => true,
            Mutant::NoTransaction => !matches!(self, Self::Http),
            Mutant::NoCas => matches!(self, Self::Sink | Self::Embedded),
        }
    }
}

impl Options {
    pub fn mutant(&self) -> Option<Mutant> {
        self.mutant.map(|mutant| match mutant {
            MutantName::CommitFirst => Mutant::CommitFirst,
            MutantName::NoTransaction => Mutant::NoTransaction,
            MutantName::NoCas => Mutant::NoCas,
        })
    }

    /// The paths that are asked for.
    pub fn paths(&self) -> Vec<PathName> {
        let asked = |path: &PathName| {
            self.path.is_none_or(|one| one == *path)
                && self.log.is_none_or(|log| (log == Log::Embedded) == (*path == PathName::Embedded))
                && self.mutant().is_none_or(|mutant| path.has(mutant))
        };
        PathName::ALL.into_iter().filter(asked).collect()
    }
}
