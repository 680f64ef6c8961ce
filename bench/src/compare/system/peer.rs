//! How the peers are installed and started.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::template::{Values, fill, text};
use crate::compare::place::Place;
use crate::compare::server::{lines, script};

/// What the start scripts of Kafka give a standalone worker, with its log at WARN.
const JVM: [&str; 10] = [
    "-Xms256M",
    "-Xmx2G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
    "-Dorg.apache.logging.log4j.level=WARN",
];

/// A standalone worker, with one connector for each of `copies`, or one alone where there are none.
///
/// # Errors
/// When it cannot be installed, or a file cannot be written.
pub fn connect(place: &Place, folder: &Path, file: &str, values: &Values, copies: &[Values]) -> Result<Command> {
    let mut install = Command::new(script("bench/peers/kafka-connect.sh"));
    install.arg(&place.cache);
    let found = lines(install)?;
    let [class_path, plugins] = found.as_slice() else { bail!("kafka-connect.sh prints two lines, not {found:?}") };
    let mut worker = values.clone();
    worker.push(("PLUGINS", plugins.clone()));
    worker.push(("OFFSETS", folder.join("offsets").display().to_string()));
    let files = script("bench/peers/kafka-connect");
    let mut command = Command::new("java");
    command.args(JVM).arg("-cp").arg(class_path);
    command.arg("org.apache.kafka.connect.cli.ConnectStandalone").arg(fill(&files.join("worker.properties"), folder, &worker)?);
    if copies.is_empty() {
        command.arg(fill(&files.join(file), folder, values)?);
    }
    for (at, copy) in copies.iter().enumerate() {
        let connector = folder.join(format!("{at}-{file}"));
        std::fs::write(&connector, text(&files.join(file), copy)?)?;
        command.arg(connector);
    }
    Ok(command)
}

/// How Redpanda Connect is started.
#[derive(Debug)]
pub struct Redpanda {
    pub program: PathBuf,
    /// For the table.
    pub version: String,
    /// Before the file.
    pub argument: String,
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
