//! The systems that are compared, and how each is started: Wharf by a file of `bench/wharf`, peers by files of `bench/peers`, the limit by a
//! subcommand of this program. Files hold `${NAME}` where a run puts its own values.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::compare::place::Place;
use crate::compare::server::{lines, script};

/// What a run puts into files and arguments: name and value.
pub type Values = Vec<(&'static str, String)>;

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
    /// `wharf-bench limit`, with arguments.
    Limit(&'static [&'static str]),
}

impl System {
    /// The command of a run in `folder`.
    ///
    /// # Errors
    /// When a peer cannot be installed, or a file cannot be written.
    pub fn command(&self, place: &Place, folder: &Path, values: &Values) -> Result<Command> {
        let mut all: Values = self.set.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        all.extend(values.iter().cloned());
        all.push(("FOLDER", folder.display().to_string()));
        all.push(("KAFKA", place.kafka.address.clone()));
        all.push(("POSTGRES", place.postgres.address.clone()));
        let mut command = match self.how {
            How::Wharf(file) => {
                let file = fill(&script("bench/wharf").join(file), folder, &all)?;
                let mut command = Command::new(&place.wharf);
                command.arg("run").arg(file);
                command
            }
            How::KafkaConnect(file) => connect(place, folder, file, &mut all)?,
            How::RedpandaConnect(file) => {
                let program = redpanda(&place.cache)?.0;
                let mut command = Command::new(program);
                command.arg("-c").arg(fill(&script("bench/peers/redpanda-connect").join(file), folder, &all)?);
                command
            }
            How::Limit(arguments) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("limit");
                for argument in arguments {
                    command.arg(filled(argument, &all)?);
                }
                command
            }
        };
        command.current_dir(folder);
        Ok(command)
    }
}

/// A copy of a file in the run's folder, with the run's values.
fn fill(from: &Path, folder: &Path, values: &Values) -> Result<PathBuf> {
    let text = std::fs::read_to_string(from).with_context(|| from.display().to_string())?;
    let to = folder.join(from.file_name().context("a file's name")?);
    std::fs::write(&to, filled(&text, values).with_context(|| from.display().to_string())?)?;
    Ok(to)
}

fn filled(text: &str, values: &Values) -> Result<String> {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    // A comment may name them.
    let left = text.lines().filter(|line| !line.trim_start().starts_with('#')).find(|line| line.contains("${"));
    match left {
        Some(line) => bail!("no value for what this line names: {line}"),
        None => Ok(text),
    }
}

fn connect(place: &Place, folder: &Path, file: &str, values: &mut Values) -> Result<Command> {
    let mut install = Command::new(script("bench/peers/kafka-connect.sh"));
    install.arg(&place.cache);
    let found = lines(install)?;
    let [class_path, plugins] = found.as_slice() else { bail!("kafka-connect.sh prints two lines, not {found:?}") };
    values.push(("PLUGINS", plugins.clone()));
    let files = script("bench/peers/kafka-connect");
    let (worker, connector) = (fill(&files.join("worker.properties"), folder, values)?, fill(&files.join(file), folder, values)?);
    let mut command = Command::new("java");
    command.arg("-cp").arg(class_path).args(["-Xms256m", "-Xmx2g", "-XX:+UseG1GC"]);
    command.arg("org.apache.kafka.connect.cli.ConnectStandalone").arg(worker).arg(connector);
    Ok(command)
}

/// The binary, and what it is called.
///
/// # Errors
/// When there is none and it cannot be built.
pub fn redpanda(cache: &Path) -> Result<(PathBuf, String)> {
    let mut install = Command::new(script("bench/peers/redpanda-connect.sh"));
    install.arg(cache);
    let found = lines(install)?;
    let [program, version] = found.as_slice() else { bail!("redpanda-connect.sh prints two lines, not {found:?}") };
    Ok((program.into(), version.clone()))
}
