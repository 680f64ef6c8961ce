//! `wharf new`: a connector project that stands alone. Writes it and says what to do with it; builds nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::output::{OK, say, unusable};

mod name;
mod project;
mod sdk;

/// What `OUT_DIR` holds: `SDK` and `TEMPLATES`, path and text of each file.
mod written_out {
    include!(concat!(env!("OUT_DIR"), "/written_out.rs"));

    pub(super) const fn sdk() -> &'static [(&'static str, &'static str)] {
        SDK
    }

    pub(super) const fn templates() -> &'static [(&'static str, &'static str)] {
        TEMPLATES
    }
}

/// The template of a source with `--http`.
const HTTP: &str = "http";

/// Arguments of `wharf new`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the project, its folder and its connector: a-z, 0-9 and `-`.
    name: String,
    /// What it is: a source reads a business system, a sink writes to one, a transform changes records on their way.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Of a source: one that reads an HTTP API page by page, instead of a folder.
    #[arg(long)]
    http: bool,
}

/// What a connector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Source,
    Sink,
    Transform,
}

impl Kind {
    /// As it is written in manifests.
    const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Transform => "transform",
        }
    }
}

impl Args {
    /// The folder of the template.
    const fn template(&self) -> &'static str {
        if self.http { HTTP } else { self.kind.name() }
    }

    /// How the component is tried.
    fn trial(&self) -> String {
        let name = &self.name;
        let component = format!("target/wasm32-wasip2/release/{}.wasm", name.replace('-', "_"));
        match self.kind {
            Kind::Source if self.http => format!("{name} --from {name}.toml"),
            Kind::Source => format!("{component} --allow-files documents --config @try.toml"),
            Kind::Sink => {
                format!("{component} --input records.jsonl --connection main=sqlite://try.sqlite --config @try.toml")
            }
            Kind::Transform => format!("{component} --input records.jsonl --config @try.toml"),
        }
    }
}

/// Runs the command.
pub fn new(args: &Args) -> Result<ExitCode> {
    if let Err(reason) = name::check(&args.name) {
        return Ok(unusable(&format!("error: {reason}")));
    }
    if args.http && args.kind != Kind::Source {
        return Ok(unusable(&"error: --http is for sources: leave it out, a sink sends its requests by `wharf_sdk::http`"));
    }
    let dir = Path::new(&args.name);
    let files = project::files(&args.name, args.template())?;
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Ok(unusable(&format!("error: `{}` is already here: choose another name, or move it away", args.name)));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot make the folder `{}`", args.name)),
    }
    for (path, text) in &files {
        write(&dir.join(path), text)
            .with_context(|| format!("cannot write {}/{path}: the project is not complete, remove `{}`", args.name, args.name))?;
    }
    next_steps(args);
    Ok(ExitCode::from(OK))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

fn next_steps(args: &Args) {
    let name = &args.name;
    say!("{name}/ is a {} (what it does: src/lib.rs, what it takes: connector.toml)", args.kind.name());
    say!("");
    say!("  cd {name}");
    say!("  cargo test                                      its tests, without WebAssembly");
    say!("  cargo build --release --target wasm32-wasip2    the component");
    if args.http {
        say!("  (write your API into {name}.toml: url, allow.http, auth)");
    }
    say!("  wharf try {}", args.trial());
    say!("  wharf run {name}.toml --until-done");
}
