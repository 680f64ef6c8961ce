//! Guests as the host runs them: engine, instance and the two runtimes, with the limits of a configuration that names none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wharf_runtime::batch::Batch;
use wharf_runtime::config::GuestLimits;
use wharf_runtime::guest::{Component, Context, Grants, Guests, SinkGuest, TransformGuest};
use wharf_runtime::outcome::Written;
use wharf_runtime::transform::Applied;
use wharf_runtime::transform::delta::apply_delta;

/// The host's main runtime and engine.
#[derive(Debug)]
pub struct Host {
    runtime: Runtime,
    guests: Arc<Guests>,
    /// Compiled components, where they are gone at the end.
    _cache: Option<TempDir>,
}

impl Host {
    /// # Errors
    /// When the machine does not allow what the engine needs.
    pub fn new() -> Result<Self> {
        let cache = tempfile::tempdir()?;
        let mut host = Self::with_cache(cache.path())?;
        host._cache = Some(cache);
        Ok(host)
    }

    /// With compiled components kept in this folder.
    ///
    /// # Errors
    /// When the machine does not allow what the engine needs.
    pub fn with_cache(cache: &Path) -> Result<Self> {
        // A pipeline's task runs on a thread that also drives the timers; only here `block_on` does so too.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guests = {
            let _inside = runtime.enter();
            Arc::new(Guests::new(cache)?)
        };
        Ok(Self { runtime, guests, _cache: None })
    }

    /// An open transform of the test guests.
    ///
    /// # Errors
    /// When there is none of this name, or it does not open.
    pub fn transform(&self, name: &str) -> Result<Running<'_, TransformGuest>> {
        let guest = self.runtime.block_on(async {
            let mut guest = TransformGuest::start(&self.component(name).await?, grants(name)).await?;
            guest.open(context(name)).await?;
            anyhow::Ok(guest)
        })?;
        Ok(Running { host: self, guest })
    }

    /// An open sink of the test guests.
    ///
    /// # Errors
    /// When there is none of this name, or it does not open.
    pub fn sink(&self, name: &str) -> Result<Running<'_, SinkGuest>> {
        let guest = self.runtime.block_on(async {
            let mut guest = SinkGuest::start(&self.component(name).await?, grants(name)).await?;
            guest.open(context(name)).await?;
            anyhow::Ok(guest)
        })?;
        Ok(Running { host: self, guest })
    }

    async fn component(&self, name: &str) -> Result<Component> {
        let bytes =
            wharf_guest_bundle::component(name).with_context(|| format!("no guest `{name}`: is WHARF_BUNDLE=skip set?"))?;
        Ok(Component::load(&self.guests, bytes).await?)
    }
}

/// An instance and where it runs.
#[derive(Debug)]
pub struct Running<'a, G> {
    host: &'a Host,
    guest: G,
}

impl Running<'_, TransformGuest> {
    /// What a Wasm step does with a batch: the call, and its delta laid over the input.
    ///
    /// # Errors
    /// When the guest dies or answers with what does not fit.
    pub fn apply(&mut self, mut records: Batch) -> Result<Applied> {
        let delta = self.host.runtime.block_on(self.guest.apply(&mut records))?;
        Ok(apply_delta(&mut records, delta)?)
    }
}

impl Running<'_, SinkGuest> {
    /// # Errors
    /// When the guest dies.
    pub fn write(&mut self, mut records: Batch) -> Result<Written> {
        Ok(self.host.runtime.block_on(self.guest.write(&mut records))?)
    }
}

fn grants(name: &str) -> Grants {
    Grants {
        connector: name.to_owned(),
        task: 0,
        http: None,
        sql: BTreeMap::new(),
        folders: Vec::new(),
        inbox: None,
        limits: GuestLimits::default(),
        metrics: Arc::default(),
    }
}

fn context(name: &str) -> Context {
    Context { name: name.to_owned(), task: 0, tasks: 1, config: "{}".to_owned() }
}
