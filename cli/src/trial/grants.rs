//! What a trial lets its component reach: the flags, held against what the component asks for and what its configuration names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use wharf_runtime::capability::http::{ClientOptions, HttpAccess, SharedClients};
use wharf_runtime::capability::secret::Secret;
use wharf_runtime::capability::sql::Connections;
use wharf_runtime::config::{Allow, AllowedFolder, Connection, GuestLimits, parse_host};
use wharf_runtime::guest::{Component, ComponentKind, Grants, SharedSession};
use wharf_runtime::supervisor::{Section, section};
use wharf_runtime::telemetry::ConnectorMetrics;

use super::Args;

/// Name of the one connector of a trial.
pub const NAME: &str = "try";

/// Connections to a database at once.
const POOL: usize = 2;

/// How a deployment's configuration grants what flags grant here.
const IN_FLAGS: [(&str, &str); 6] = [
    ("allow.http = [\"host.example.com\"]", "--allow-http HOST"),
    ("allow.sql = [\"name of a [connection.NAME]\"]", "--connection NAME=URL"),
    ("allow.files = [\"folder\"]", "--allow-files FOLDER"),
    ("allow.http", "--allow-http"),
    ("allow.sql", "--connection"),
    ("allow.files", "--allow-files"),
];

/// What an instance is given.
///
/// # Errors
/// What cannot be granted, what is missing, and what of the configuration does not fit the component.
pub fn grants(args: &Args, component: &Component, config: &Value) -> Result<Grants> {
    let connections = connections(&args.connection)?;
    let allow = allow(args, &connections)?;
    fits(args, component, config, &allow)?;
    let sessions = Connections::new(&connections, Path::new("."))?;
    let session = |name: &String| -> Result<(String, SharedSession)> {
        Ok((name.clone(), Arc::new(tokio::sync::Mutex::new(sessions.session(name)?))))
    };
    let http = if allow.http.is_empty() {
        None
    } else {
        let clients = SharedClients::new(&ClientOptions::default())?;
        Some(HttpAccess::new(&clients, NAME, &allow.http, &BTreeMap::new())?)
    };
    Ok(Grants {
        connector: NAME.to_owned(),
        task: 0,
        http,
        sql: connections.keys().map(session).collect::<Result<_>>()?,
        folders: allow.files,
        inbox: None,
        limits: GuestLimits::default(),
        metrics: Arc::new(ConnectorMetrics::default()),
    })
}

fn connections(flags: &[String]) -> Result<BTreeMap<String, Connection>> {
    let mut connections = BTreeMap::new();
    for flag in flags {
        // Not the flag itself: what stands there may hold a password.
        let (name, url) = flag
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| anyhow!("--connection: expected NAME=URL, for example main=sqlite://try.sqlite"))?;
        let connection = Connection { url: Secret::new(url.to_owned()), ca_file: None, pool: POOL };
        if connections.insert(name.to_owned(), connection).is_some() {
            bail!("--connection: `{name}` is there twice");
        }
    }
    Ok(connections)
}

fn allow(args: &Args, connections: &BTreeMap<String, Connection>) -> Result<Allow> {
    let mut allow = Allow { sql: connections.keys().cloned().collect(), ..Allow::default() };
    for written in &args.allow_http {
        let host = parse_host(written, false).map_err(|reason| anyhow!("--allow-http: `{written}` is not a host: {reason}"))?;
        allow.http.push(host);
    }
    for written in &args.allow_files {
        let host = PathBuf::from(written);
        if !host.is_dir() {
            bail!("--allow-files: `{written}` is not a folder that exists");
        }
        allow.files.push(AllowedFolder::new(host, written));
    }
    Ok(allow)
}

/// What `wharf check` would say of a section with this configuration and these grants.
fn fits(args: &Args, component: &Component, config: &Value, allow: &Allow) -> Result<()> {
    if component.kind() == ComponentKind::Source && component.wants("inbox") {
        bail!(
            "component `{}` takes requests, and a trial has no listener: use `wharf run` with a [source.listen]",
            args.component
        );
    }
    if component.kind() == ComponentKind::Transform && *allow != Allow::default() {
        bail!("component `{}` is a transform: it reaches nothing, so nothing can be allowed", args.component);
    }
    let found = section(&Section { name: NAME, reference: &format!("`{}`", args.component), config, allow }, component);
    let lines: Vec<String> = found
        .into_iter()
        .map(|misfit| {
            let of_config = misfit.pointer.strip_prefix("/config");
            let place = of_config.map_or_else(String::new, |key| format!("config{}: ", key.replace('/', ".")));
            let flag = if of_config.is_some() && args.config.is_none() { "; give it by --config" } else { "" };
            let help = misfit.help.map_or_else(String::new, |help| format!("\n  help: {help}{flag}"));
            in_flags(format!("{place}{}{help}", misfit.message))
        })
        .collect();
    if lines.is_empty() { Ok(()) } else { Err(anyhow!(lines.join("\nerror: "))) }
}

fn in_flags(text: String) -> String {
    IN_FLAGS.iter().fold(text, |text, (written, flag)| text.replace(written, flag))
}
