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
        all.push(("BOOTSTRAP", place.kafka.address.clone()));
        all.push(("POSTGRES", place.postgres.address.clone()));
        all.extend(parts(&place.postgres.address)?);
        let mut command = match self.how {
            How::Wharf(file) => {
                let file = fill(&script("bench/wharf").join(file), folder, &all)?;
                compile(place, &file)?;
                let mut command = Command::new(&place.wharf);
                command.arg("run").arg(file);
                command
            }
            How::KafkaConnect(file) => connect(place, folder, file, &mut all)?,
            How::RedpandaConnect(file) => {
                let Redpanda { program, argument, .. } = redpanda(&place.cache)?;
                let mut command = Command::new(program);
                command.arg(argument).arg(fill(&script("bench/peers/redpanda-connect").join(file), folder, &all)?);
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

/// What the start scripts of Kafka give a standalone worker, with its log at WARN.
const JVM: [&str; 9] = [
    "-Xms256M",
    "-Xmx2G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
    "-Dorg.apache.logging.log4j.level=WARN",
];

fn connect(place: &Place, folder: &Path, file: &str, values: &mut Values) -> Result<Command> {
    let mut install = Command::new(script("bench/peers/kafka-connect.sh"));
    install.arg(&place.cache);
    let found = lines(install)?;
    let [class_path, plugins] = found.as_slice() else { bail!("kafka-connect.sh prints two lines, not {found:?}") };
    values.push(("PLUGINS", plugins.clone()));
    values.push(("OFFSETS", folder.join("offsets").display().to_string()));
    let files = script("bench/peers/kafka-connect");
    let (worker, connector) = (fill(&files.join("worker.properties"), folder, values)?, fill(&files.join(file), folder, values)?);
    let mut command = Command::new("java");
    command.args(JVM).arg("-cp").arg(class_path);
    command.arg("org.apache.kafka.connect.cli.ConnectStandalone").arg(worker).arg(connector);
    Ok(command)
}

/// How Redpanda Connect is started.
#[derive(Debug)]
pub struct Redpanda {
    program: PathBuf,
    /// For the table.
    pub version: String,
    /// Before the file.
    argument: String,
}

/// # Errors
/// When there is none and it cannot be built.
pub fn redpanda(cache: &Path) -> Result<Redpanda> {
    let mut install = Command::new(script("bench/peers/redpanda-connect.sh"));
    install.arg(cache);
    let found = lines(install)?;
    let [program, version, argument] = found.as_slice() else { bail!("redpanda-connect.sh prints three lines, not {found:?}") };
    Ok(Redpanda { program: program.into(), version: version.clone(), argument: argument.clone() })
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

/// The parts of PostgreSQL's URL, for those that take no URL. There is no password.
fn parts(url: &str) -> Result<Values> {
    let inner = url.strip_prefix("postgres://").and_then(|rest| {
        let (user, rest) = rest.split_once('@')?;
        let (place, database) = rest.split_once('/')?;
        Some((user, place.split_once(':')?, database))
    });
    let (user, (host, port), database) = inner.with_context(|| format!("{url} is not postgres://USER@HOST:PORT/DATABASE"))?;
    let values = [("PG_USER", user), ("PG_PASSWORD", ""), ("PG_HOST", host), ("PG_PORT", port), ("PG_DATABASE", database)];
    Ok(values.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
}
