//! `wharf check`: everything that can be validated without moving a record. Reads the file, loads every component, compares
//! each section with its component's schema and wishes. With `--connect` it also asks the outside: log and databases.

use std::process::ExitCode;

use anyhow::Result;
use wharf_runtime::config::{Config, Diagnostic, Findings, LogConfig, locate};
use wharf_runtime::supervisor::{Misfit, Plan, StartError};
use wharf_runtime::topic_log::{LogError, open};

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
    let (sources, sinks) = (plan.config.sources.len(), plan.config.sinks.len());
    if args.connect {
        let failed = connect(&plan).await;
        if failed > 0 {
            eprintln!("error: {failed} of the systems outside cannot be reached");
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
        let asked = async { open::open(&plan.config)?.id().await };
        failed += usize::from(!shown("topic log", asked.await.map_err(|e: LogError| e.to_string())));
    }
    for name in plan.config.connections.keys() {
        let answer = plan.probe(name).await.map_err(|e| e.to_string());
        failed += usize::from(!shown(&format!("connection `{name}`"), answer));
    }
    failed
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
