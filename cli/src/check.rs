//! `wharf check`: everything that can be validated without moving a record. Reads the file, loads every component, compares
//! each section with its component's schema and wishes. With `--connect` it also asks the outside: log and databases.

use std::process::ExitCode;

use anyhow::Result;
use wharf_runtime::config::{Config, Diagnostic, Findings, LogConfig, Severity, locate};
use wharf_runtime::supervisor::{Misfit, Plan, StartError, missing_topics, sink_partitions};
use wharf_runtime::topic_log::{LogError, TopicLog, open};

use crate::output::{FAILED, OK, say, unusable};
use crate::{ConfigFile, bundle};

mod cache;

pub use cache::component_cache;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: ConfigFile,
    /// Also connect to the topic log and to every database.
    #[arg(long)]
    connect: bool,
}

/// Runs the command.
pub async fn check(args: Args) -> Result<ExitCode> {
    let (config, findings) = match Config::load_with(&args.file.config, &bundle::known()) {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(unusable(&errors)),
    };
    if !findings.list.is_empty() {
        eprintln!("{findings}");
    }
    let plan = match Plan::new(config, bundle::BUNDLE, &component_cache()).await {
        Ok(plan) => plan,
        Err(StartError::Misfits(list)) => return Ok(unusable(&misfits(findings, &list))),
        Err(error) => return Ok(unusable(&format!("error: {}: {error}", args.file.config.display()))),
    };
    let mut doubtful = misfits(findings, &plan.doubtful());
    if !doubtful.list.is_empty() {
        doubtful.list.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
        eprintln!("{doubtful}");
    }
    let (sources, sinks) = (plan.config.sources.len(), plan.config.sinks.len());
    if args.connect {
        let failed = connect(&plan).await;
        if failed > 0 {
            eprintln!("error: {failed} of the systems outside cannot be reached, or do not have what they should");
            return Ok(ExitCode::from(FAILED));
        }
    }
    say!("{}: {sources} sources and {sinks} sinks can run", args.file.config.display());
    Ok(ExitCode::from(OK))
}

/// What does not fit, shown at its place in the file.
pub fn misfits(mut findings: Findings, list: &[Misfit]) -> Findings {
    findings.list = list
        .iter()
        .map(|misfit| {
            let span = locate(&findings.text, &misfit.connector, &misfit.pointer);
            let error =
                Diagnostic::error(span.clone().unwrap_or_default(), format!("`{}`: {}", misfit.connector, misfit.message));
            Diagnostic { span, ..error }.maybe_help(misfit.help.clone())
        })
        .collect();
    findings
}

/// Asks the log and every database; answers how many did not answer.
async fn connect(plan: &Plan) -> usize {
    let mut failed = 0;
    if let LogConfig::Kafka { .. } = plan.config.log {
        failed += ask_log(&plan.config).await;
    }
    for name in plan.config.connections.keys() {
        let answer = plan.probe(name).await.map_err(|e| e.to_string());
        failed += usize::from(!shown(&format!("connection `{name}`"), answer));
    }
    failed
}

/// Asks Kafka, and for the positions that a worker with this state-dir has kept there.
async fn ask_log(config: &Config) -> usize {
    let log = match open::open_read_only(config) {
        Ok(log) => log,
        Err(error) => return usize::from(!shown("topic log", Err(error.to_string()))),
    };
    let answer = log.id().await.map_err(|e| e.to_string());
    let mut failed = usize::from(answer.is_err());
    if shown("topic log", answer) {
        for source in &config.sources {
            let name = &source.connector.name;
            let lost = log.lost_positions(&config.name, name).await.unwrap_or_else(|e: LogError| Some(e.to_string()));
            failed += usize::from(lost.is_some_and(|text| !shown(&format!("source `{name}`"), Err(text))));
        }
        if let Err(error) = warn_of_topics(config, &*log).await {
            failed += usize::from(!shown("topics", Err(error.to_string())));
        }
    }
    drop(tokio::task::spawn_blocking(move || drop(log)).await);
    failed
}

/// What a start would go on with all the same: topics that are not there, and tasks that no partition is left for.
async fn warn_of_topics(config: &Config, log: &dyn TopicLog) -> Result<(), LogError> {
    for topic in missing_topics(config, log).await? {
        eprintln!("warning: topic `{topic}` does not exist and `create` is off: what goes there will be refused");
    }
    for sink in config.sinks.iter().filter(|sink| sink.connector.tasks > 1) {
        let (name, tasks) = (&sink.connector.name, sink.connector.tasks);
        if let Some(partitions) = sink_partitions(sink, log).await?
            && partitions < tasks as usize
        {
            let idle = tasks as usize - partitions;
            eprintln!(
                "warning: sink `{name}`: its topics have {partitions} partitions, of its {tasks} tasks {idle} will have nothing to do"
            );
        }
    }
    Ok(())
}

fn shown(what: &str, answer: Result<String, String>) -> bool {
    match answer {
        Ok(answer) => {
            say!("{what}: {answer}");
            true
        }
        Err(error) => {
            eprintln!("error: {what}: {error}");
            false
        }
    }
}
