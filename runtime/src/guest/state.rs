//! What a store holds for one instance: WASI with nothing in it but the granted folders, HTTP through our hook, limits, grants.

use std::sync::Arc;

use tokio::runtime::Handle;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::Grants;
use super::component::ComponentError;
use super::http::HttpHooks;
use super::limits::MemoryLimit;
use super::stdio::Stdio;
use super::unsent::Unsent;
use super::waits::Waits;

/// Data of one store.
pub(super) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: HttpHooks,
    pub(super) memory: MemoryLimit,
    pub(super) waits: Waits,
    pub(super) unsent: Unsent,
    pub(super) grants: Arc<Grants>,
    /// The main runtime: host I/O runs there.
    pub(super) io: Handle,
}

impl State {
    pub(super) fn new(grants: Arc<Grants>, io: Handle, stdio: &Stdio) -> Result<Self, ComponentError> {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(stdio.clone()).stderr(stdio.clone());
        for folder in &grants.folders {
            wasi.preopened_dir(&folder.host, &folder.guest, FsPerms::ReadOnly)
                .map_err(|e| ComponentError::Folder { path: folder.host.clone(), reason: format!("{e:#}") })?;
        }
        let (waits, unsent) = (Waits::new(!grants.folders.is_empty()), Unsent::default());
        let (access, connector) = (grants.http.clone(), grants.connector.clone());
        Ok(Self {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: HttpHooks { access, connector, io: io.clone(), waits: waits.clone(), unsent: unsent.clone() },
            memory: MemoryLimit::new(grants.limits.memory),
            waits,
            unsent,
            grants,
            io,
        })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Runs host I/O on the main runtime and aborts it when the guest's call is dropped.
///
/// # Errors
/// When the host's task panicked or the runtime is going down.
pub(super) async fn on_main<T: Send + 'static>(
    io: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> wasmtime::Result<T> {
    let mut task = AbortOnDrop(io.spawn(work));
    (&mut task.0).await.map_err(|e| wasmtime::format_err!("a host call ended early: {e}"))
}

/// Aborts a task when it is dropped.
pub(super) struct AbortOnDrop<T>(pub(super) tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
