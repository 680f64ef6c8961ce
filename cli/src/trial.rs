//! `wharf try`: a component on fixture records, and what came of them. Without a log: nothing is stored, nothing is sent again.
//! Loads, opens and calls components by the runtime's own ways; owns the flags and the exit code.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use wharf_runtime::guest::{Component, ComponentKind, Context, Grants, Guests};

use crate::bundle;
use crate::check::component_cache;
use crate::output::{FAILED, OK, unusable};

mod calls;
mod config;
mod deployed;
mod grants;
mod input;
mod show;

use input::Input;
use show::Show;

/// Arguments of `wharf try`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of a bundled component, or the path of a .wasm file; with --from the name of a source or sink.
    component: String,
    /// Take a source or sink as it stands in this configuration of a deployment: component, `config`, what it may reach, and its
    /// credentials. Only its component is run, without its transforms. What a sink writes arrives at the real target.
    #[arg(long, value_name = "FILE.toml", conflicts_with_all = ["config", "allow_http", "allow_files", "connection"])]
    from: Option<PathBuf>,
    /// What it is called with, as JSON Lines of 64 MiB at most; - reads stdin.
    ///
    /// Sink and transform: a record a line, in the form that `wharf topic cat --json` prints, of which only `value` has to be
    /// there: {"topic", "partition", "offset", "timestamp", "key", "value", "headers": [{"name", "value"}]}. In key and value null
    /// is null, a string is a text as it is, {"base64": "…"} is bytes, and everything else is JSON as it stands there.
    ///
    /// Source: the stored positions that it is opened with, {"slice", "place"}. Left out: none.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Each line of the input is the value of a record, as it stands there.
    #[arg(long, requires = "input")]
    values: bool,
    /// Its `config`, as a JSON object, as TOML, or in a file (TOML unless its name ends with .json).
    #[arg(long, value_name = "JSON|TOML|@FILE")]
    config: Option<String>,
    /// Sink and transform: spread the records over so many calls (default: 1,000 records or 1 MiB a call, as in a deployment).
    /// Source: poll at most so often (default: until nothing more comes, at most 10 times).
    #[arg(long, value_name = "N")]
    calls: Option<NonZeroUsize>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Let it reach a host by HTTP: host[:port], or http://host:port. May be given several times, as the following may.
    #[arg(long, value_name = "HOST")]
    allow_http: Vec<String>,
    /// Let it read a folder, which it sees under the name given here.
    #[arg(long, value_name = "FOLDER")]
    allow_files: Vec<String>,
    /// Let it use a database under a name: postgres://… or sqlite://FILE. What a sink writes stays there.
    #[arg(long, value_name = "NAME=URL")]
    connection: Vec<String>,
}

/// A component with what an instance of it is given.
#[derive(Debug)]
struct Trial {
    component: Component,
    grants: Grants,
    context: Context,
}

/// Runs the command.
pub async fn trial(args: Args) -> Result<ExitCode> {
    let prepared = match &args.from {
        Some(file) => by_deployment(&args, file).await,
        None => by_flags(&args).await.map_err(|error| format!("error: {error:#}")),
    };
    let (trial, input) = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => return Ok(unusable(&reason)),
    };
    let mut show = Show::new(args.json, input.records());
    let called = match input {
        Input::Records(batches) if trial.component.kind() == ComponentKind::Sink => calls::sink(trial, batches, &mut show).await,
        Input::Records(batches) => calls::transform(trial, batches, &mut show).await,
        Input::Positions(positions) => calls::source(trial, &positions, args.calls, &mut show).await,
    };
    called.with_context(|| format!("component `{}`", args.component))?;
    Ok(ExitCode::from(if show.end() { OK } else { FAILED }))
}

/// Everything that can be wrong before the component is opened.
async fn by_flags(args: &Args) -> Result<(Trial, Input)> {
    let bytes = bundle::bytes(&args.component)?;
    let guests = Arc::new(Guests::new(&component_cache())?);
    let component = Component::load(&guests, &bytes).await.with_context(|| format!("component `{}`", args.component))?;
    let input = input(args, component.kind())?;
    let config = config::read(args.config.as_deref())?;
    let grants = grants::grants(args, &component, &config)?;
    let context = Context { name: grants::NAME.to_owned(), task: 0, tasks: 1, config: config.to_string() };
    Ok((Trial { component, grants, context }, input))
}

/// The same of a connector of a deployment; the reason is ready to be shown.
async fn by_deployment(args: &Args, file: &Path) -> Result<(Trial, Input), String> {
    let trial = deployed::trial(file, &args.component).await?;
    let input = input(args, trial.component.kind()).map_err(|error| format!("error: {error:#}"))?;
    Ok((trial, input))
}

fn input(args: &Args, kind: ComponentKind) -> Result<Input> {
    Ok(match kind {
        ComponentKind::Source if args.values => bail!("--values: the input of a source is its stored positions, not records"),
        ComponentKind::Source => Input::Positions(input::positions(args.input.as_deref())?),
        ComponentKind::Sink | ComponentKind::Transform => {
            Input::Records(input::records(args.input.as_deref(), args.values, args.calls)?)
        }
    })
}
