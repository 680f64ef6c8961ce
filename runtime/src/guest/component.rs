//! A component before it runs: compiled, its world recognised, linked against what Wharf provides, described.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::random::WasiRandom;

use super::engine::Guests;
use super::state::State;
use super::{cache, v0_1};

/// Interface exported by each world.
const WORLDS: [(&str, ComponentKind); 3] = [
    ("wharf:connector/source-guest@0.1.0", ComponentKind::Source),
    ("wharf:connector/sink-guest@0.1.0", ComponentKind::Sink),
    ("wharf:connector/transform-guest@0.1.0", ComponentKind::Transform),
];

/// Which world a component is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ComponentKind {
    Source,
    Sink,
    Transform,
}

impl std::fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Transform => "transform",
        })
    }
}

/// What a component says of itself: record `description` of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub name: String,
    pub version: String,
    /// `http`, `sql`, `inbox`, `files`.
    pub wants: Vec<String>,
    /// The manifest as JSON.
    pub manifest: String,
}

/// A component that cannot be used, before any record moved.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    #[error("the WebAssembly engine cannot start: {0}")]
    Engine(String),
    #[error("not a WebAssembly component: {0}")]
    Invalid(String),
    #[error("a core module, not a component: build it for the target wasm32-wasip2")]
    CoreModule,
    #[error(
        "exports no world of wharf:connector@0.1.0 (it exports: {0}); a connector exports source-guest, sink-guest or transform-guest"
    )]
    NoWorld(String),
    #[error("a {found}, but a {wanted} is needed here")]
    WrongKind { found: ComponentKind, wanted: ComponentKind },
    #[error("imports what Wharf does not provide: {0}")]
    Imports(String),
    #[error("asks for the capability `{0}`, which this version of Wharf does not know")]
    UnknownCapability(String),
    #[error("folder {path}: {reason}")]
    Folder { path: PathBuf, reason: String },
    #[error("cannot start an instance: {0}")]
    Instantiate(String),
    #[error("`describe` failed: {0}")]
    Describe(String),
}

/// A component that is ready to be instantiated; cheap to clone.
#[derive(Clone)]
pub struct Component {
    pub(super) pre: Pre,
    pub(super) guests: Arc<Guests>,
    kind: ComponentKind,
    description: Arc<Description>,
}

#[derive(Clone)]
pub(super) enum Pre {
    Source(v0_1::source::SourcePre<State>),
    Sink(v0_1::sink::SinkPre<State>),
    Transform(v0_1::transform::TransformPre<State>),
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("kind", &self.kind).field("name", &self.description.name).finish_non_exhaustive()
    }
}

impl Component {
    /// Compiles (or maps from the cache), links and describes a component. Takes about 100 ms when it has to compile: call it
    /// where blocking is allowed, the description runs in an instance of its own that reaches nothing.
    ///
    /// # Errors
    /// [`ComponentError`], naming what is wrong with the bytes.
    pub async fn load(guests: &Arc<Guests>, bytes: &[u8]) -> Result<Self, ComponentError> {
        if bytes.starts_with(b"\0asm\x01\0\0\0") {
            return Err(ComponentError::CoreModule);
        }
        let component = cache::compile(&guests.engine, &guests.cache_dir, bytes)?;
        let names: Vec<String> = component.component_type().exports(&guests.engine).map(|(name, _)| name.to_owned()).collect();
        let kind = WORLDS.iter().find(|(export, _)| names.iter().any(|n| n == export)).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| ComponentError::NoWorld(names.join(", ")))?;
        let pre = link(guests, &component, kind).map_err(|e| ComponentError::Imports(format!("{e:#}")))?;
        let description = super::instance::describe(guests, &pre).await?;
        const KNOWN: [&str; 4] = ["http", "sql", "inbox", "files"];
        if let Some(unknown) = description.wants.iter().find(|w| !KNOWN.contains(&w.as_str())) {
            return Err(ComponentError::UnknownCapability(unknown.clone()));
        }
        Ok(Self { pre, guests: Arc::clone(guests), kind, description: Arc::new(description) })
    }

    #[must_use]
    pub const fn kind(&self) -> ComponentKind {
        self.kind
    }

    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether the manifest asks for a capability.
    #[must_use]
    pub fn wants(&self, capability: &str) -> bool {
        self.description.wants.iter().any(|w| w == capability)
    }

    pub(super) const fn wrong_kind(&self, wanted: ComponentKind) -> ComponentError {
        ComponentError::WrongKind { found: self.kind, wanted }
    }
}

fn link(guests: &Guests, component: &wasmtime::component::Component, kind: ComponentKind) -> wasmtime::Result<Pre> {
    let mut linker = Linker::<State>::new(&guests.engine);
    add_wasi(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    v0_1::add_to_linker(&mut linker)?;
    let pre = linker.instantiate_pre(component)?;
    Ok(match kind {
        ComponentKind::Source => Pre::Source(v0_1::source::SourcePre::new(pre)?),
        ComponentKind::Sink => Pre::Sink(v0_1::sink::SinkPre::new(pre)?),
        ComponentKind::Transform => Pre::Transform(v0_1::transform::TransformPre::new(pre)?),
    })
}

/// WASI without sockets. The environment is linked (every Rust guest imports it) but empty.
fn add_wasi(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    random::insecure::add_to_linker::<State, WasiRandom>(linker, |s| s.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, |s| s.ctx().ctx.random())?;
    cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)
}
