//! `wharf dlq redrive`: says what goes and what stays, and sends.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use wharf_runtime::config::{Config, LogConfig};
use wharf_runtime::redrive::{self, Held, Plan, RedriveError, Request};
use wharf_runtime::supervisor::StateDir;
use wharf_runtime::topic_log::{TopicLog, open};

use super::Redrive;
use crate::output::{FAILED, OK, say, unusable};

/// `50/s`, or `50`.
pub fn rate(text: &str) -> Result<NonZeroU32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().map_err(|_| "expected records a second, such as 50/s".to_owned())
}

/// Runs the command.
pub async fn redrive(config: &Config, args: &Redrive) -> Result<ExitCode> {
    let mut request = match Request::new(config, &args.connector) {
        Ok(request) => request,
        Err(error) => return Ok(unusable(&format!("error: {error}"))),
    };
    request.filter = args.only.filter();
    (request.max_attempts, request.send_overtaken) = (args.max_attempts, args.overtaken);
    request.to.clone_from(&args.to);
    if args.dry_run {
        let plan = redrive::look(open::open_read_only(config)?.as_ref(), &request).await?;
        announce(&plan, "would be sent");
        held(&plan.held);
        tell_unmatched(&plan, args);
        return Ok(ExitCode::from(OK));
    }
    // Kafka has many writers, the embedded log one.
    let lock = matches!(config.log, LogConfig::Embedded { .. }).then(|| StateDir::lock(&config.state_dir)).transpose();
    let lock = match lock {
        Ok(lock) => lock,
        Err(text) => {
            eprintln!("error: the embedded log has one writer at a time: {text}");
            return Ok(ExitCode::from(FAILED));
        }
    };
    let log = open::open_beside(config)?;
    let done = send(&log, request, args).await;
    drop(tokio::task::spawn_blocking(move || drop(log)).await);
    drop(lock);
    match done {
        Err(error @ RedriveError::Refused(_)) => {
            eprintln!("error: {error}");
            Ok(ExitCode::from(FAILED))
        }
        Err(error) => Err(error.into()),
        Ok(code) => Ok(code),
    }
}

async fn send(log: &Arc<dyn TopicLog>, request: Request, args: &Redrive) -> Result<ExitCode, RedriveError> {
    let topic = request.dead_letters.clone();
    let Some(mut redrive) = redrive::Redrive::begin(log.as_ref(), request).await? else {
        say!("there is no topic `{topic}` yet: no dead letter was written");
        return Ok(ExitCode::from(OK));
    };
    let total = redrive.plan.send.len();
    let terminal = std::io::stderr().is_terminal();
    let told = |sent| {
        if terminal {
            eprint!("\r{sent} of {total} sent");
        }
    };
    let sent = redrive.send(log.as_ref(), args.rate, told).await;
    if terminal && total > 0 {
        eprintln!();
    }
    let sent = sent?;
    say!("{} of {} letters sent back", sent.records, total + redrive.plan.held.values().sum::<usize>() - sent.refused);
    for (topic, records) in &redrive.plan.topics {
        say!("  {records:>7}  to {topic}");
    }
    held(&redrive.plan.held);
    tell_unmatched(&redrive.plan, args);
    // Closing waits for Kafka.
    drop(tokio::task::spawn_blocking(move || drop(redrive)).await);
    Ok(ExitCode::from(if sent.refused > 0 { FAILED } else { OK }))
}

fn announce(plan: &Plan, verb: &str) {
    say!("{} of {} letters {verb}", plan.send.len(), plan.send.len() + plan.held.values().sum::<usize>());
    for (topic, records) in &plan.topics {
        say!("  {records:>7}  to {topic}");
    }
}

/// A filter that matches nothing is a mistake mostly.
fn tell_unmatched(plan: &Plan, args: &Redrive) {
    if plan.send.is_empty() && plan.held.is_empty() {
        say!("{}", super::nothing(&args.connector, &args.only, plan.passed));
    }
}

fn held(held: &BTreeMap<Held, usize>) {
    for (why, letters) in held {
        say!("  {letters:>7}  stay: {why}");
    }
}
