//! The systems that are compared, and how each is started: Wharf by a file of `bench/wharf`, peers by files of `bench/peers`, the limit by a
//! subcommand of this program.

pub mod peer;
pub mod template;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

pub use self::template::Values;
use self::template::{fill, filled, parts, text};
use crate::compare::place::Place;
use crate::compare::server::{lines, script};

/// One way to do the work of a scenario.
#[derive(Debug, Clone, Copy)]
pub struct System {
    pub name: &'static str,
    pub how: How,
    /// Values of this system alone, before those of the run.
    pub set: &'static [(&'static str, &'static str)],
}

/// How a system is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `wharf run` of a file under `bench/wharf`.
    Wharf(&'static str),
    /// A standalone worker of Kafka Connect with a connector's file under `bench/peers/kafka-connect`.
    KafkaConnect(&'static str),
    /// A file under `bench/peers/redpanda-connect`.
    RedpandaConnect(&'static str),
    /// `wharf-bench limit`, with arguments and further ones. Blanks part them.
    Limit(&'static str, &'static str),
    /// The harness does it itself.
    Harness,
}

impl System {
    /// The command of a run in `folder`.
    ///
    /// # Errors
    /// When a peer cannot be installed, or a file cannot be written.
    pub fn command(&self, place: &Place, folder: &Path, values: &Values) -> Result<Command> {
        self.with_copies(place, folder, values, &[])
    }

    /// The same with many connectors, each with further values: Wharf's file has `${SINKS}` where a `sink.toml` of each is put, Kafka
    /// Connect gets a file for each.
    ///
    /// # Errors
    /// When a peer cannot be installed, or a file cannot be written.
    pub fn with_copies(&self, place: &Place, folder: &Path, values: &Values, copies: &[Values]) -> Result<Command> {
        let mut all: Values = self.set.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        all.extend(values.iter().cloned());
        all.push(("FOLDER", folder.display().to_string()));
        all.push(("KAFKA", place.kafka.address.clone()));
        all.push(("BOOTSTRAP", place.kafka.address.clone()));
        all.push(("POSTGRES", place.postgres.address.clone()));
        all.extend(parts(&place.postgres.address)?);
        let copies: Vec<Values> = copies.iter().map(|copy| copy.iter().chain(&all).cloned().collect()).collect();
        let mut command = match self.how {
            How::Wharf(file) => {
                let files = script("bench/wharf");
                let sinks = copies.iter().map(|copy| text(&files.join("sink.toml"), copy)).collect::<Result<Vec<_>>>()?;
                all.push(("SINKS", sinks.join("\n")));
                let file = fill(&files.join(file), folder, &all)?;
                compile(place, &file)?;
                let mut command = Command::new(&place.wharf);
                command.arg("run").arg(file);
                command
            }
            How::KafkaConnect(file) => peer::connect(place, folder, file, &all, &copies)?,
            How::RedpandaConnect(file) => {
                let peer::Redpanda { program, argument, .. } = peer::redpanda(&place.cache)?;
                let mut command = Command::new(program);
                command.arg(argument).arg(fill(&script("bench/peers/redpanda-connect").join(file), folder, &all)?);
                command
            }
            How::Limit(arguments, further) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("limit");
                // Parted before they are filled: a value may hold blanks.
                for argument in [arguments, further].iter().flat_map(|text| text.split_whitespace()) {
                    command.arg(filled(argument, &all)?);
                }
                command
            }
            How::Harness => bail!("{} is no process of its own", self.name),
        };
        command.current_dir(folder);
        Ok(command)
    }
}

/// Compiles the components of a deployment into its state-dir, as every start but the first finds them.
fn compile(place: &Place, file: &Path) -> Result<()> {
    let folder = file.parent().context("a folder")?;
    let mut check = Command::new(&place.wharf);
    check.arg("check").arg(file).current_dir(folder).env("XDG_CACHE_HOME", &place.folder);
    lines(check)?;
    let state = folder.join("state");
    std::fs::create_dir(&state)?;
    std::os::unix::fs::symlink(place.folder.join("wharf/components"), state.join("components"))?;
    Ok(())
}
