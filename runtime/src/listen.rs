//! The HTTP listener: webhook paths, `/health`, `/ready`, `/metrics` and `/status` on the address under `[listen]`, and the
//! four without webhooks on a socket in the state folder, always, for `wharf status`. Owns connections and their time limits;
//! what a request means stands in `listen/`. Moves no record: a webhook request ends in its source's inbox.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::capability::inbox::Intake;
use crate::config::{Listen, SourceListen};
use crate::telemetry::Telemetry;

mod ask;
mod connection;
mod operations;
mod signature;
mod socket;
mod tls;
mod webhook;

pub use ask::{AskError, ask_status};
use connection::{Door, Limits};
use operations::Site;

/// Open connections beyond those that held requests occupy.
const SPARE_CONNECTIONS: usize = 256;
/// Connections to the socket in the state folder.
const SOCKET_CONNECTIONS: usize = 32;
/// Longest time for a webhook's body to arrive.
const BODY: Duration = Duration::from_secs(30);
/// How long answers under way may take at the end.
const GRACE: Duration = Duration::from_secs(5);

/// The webhook path of one source.
#[derive(Debug, Clone)]
pub struct Route {
    /// Name of the source.
    pub connector: String,
    pub listen: SourceListen,
    pub intake: Arc<Intake>,
}

/// Why nobody can listen. The configuration or the machine has to change: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "[listen] address = \"{address}\": another process listens there; stop it (`ss -ltnp` shows it) or choose another address"
    )]
    InUse { address: String },
    #[error("[listen] address = \"{address}\": {source}; choose an address of this machine and a port that this user may open")]
    Bind { address: String, source: std::io::Error },
    #[error("[listen] tls: {}: {reason}", file.display())]
    Tls { file: PathBuf, reason: String },
    #[error("{}: {reason}", path.display())]
    Socket { path: PathBuf, reason: String },
}

/// A running listener. Dropping it ends every connection at once; [`Listener::shutdown`] lets answers under way finish.
#[derive(Debug)]
pub struct Listener {
    address: Option<SocketAddr>,
    socket: Option<PathBuf>,
    intakes: Vec<Arc<Intake>>,
    stop: watch::Sender<bool>,
    /// One a door; each owns its connections.
    doors: JoinSet<()>,
}

impl Listener {
    /// Listens on the address under `[listen]`, where there is one, and on the socket in the state folder.
    ///
    /// # Errors
    /// [`ListenError`]; nothing listens then.
    pub async fn start(
        config: Option<&Listen>,
        state_dir: &Path,
        routes: Vec<Route>,
        telemetry: Arc<Telemetry>,
    ) -> Result<Self, ListenError> {
        let (stop, stopping) = watch::channel(false);
        let intakes = routes.iter().map(|route| Arc::clone(&route.intake)).collect();
        let mut doors = JoinSet::new();
        let mut address = None;
        if let Some(listen) = config {
            let tls = listen.tls.as_ref().map(tls::acceptor).transpose()?;
            let listener = bind(&listen.address).await?;
            let own = listener.local_addr();
            address = Some(own.map_err(|source| ListenError::Bind { address: listen.address.clone(), source })?);
            let site = Site {
                telemetry: Arc::clone(&telemetry),
                routes: routes.into_iter().map(|route| (route.listen.path.clone(), route)).collect(),
                held: Arc::new(Semaphore::new(listen.max_held.min(Semaphore::MAX_PERMITS))),
                max_body: listen.max_body,
                body_time: BODY,
            };
            let limits = Limits::new(listen.max_held.saturating_add(SPARE_CONNECTIONS));
            doors.spawn(connection::keep(Door::Tcp(listener, tls), Arc::new(site), limits, stopping.clone()));
        }
        let socket = socket::bind(state_dir)?.map(|(path, listener)| {
            let (routes, held) = (BTreeMap::new(), Arc::new(Semaphore::new(0)));
            let site = Site { telemetry, routes, held, max_body: 0, body_time: BODY };
            doors.spawn(connection::keep(Door::Unix(listener), Arc::new(site), Limits::new(SOCKET_CONNECTIONS), stopping));
            path
        });
        Ok(Self { address, socket, intakes, stop, doors })
    }

    /// Where it listens for TCP connections, if it does; tells the port that the system chose for port 0.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Takes no more connections, answers 503 to requests that no task has taken, and waits a bounded time for answers under way.
    pub async fn shutdown(mut self) {
        self.intakes.iter().for_each(|intake| intake.close());
        self.stop.send_replace(true);
        while let Some(ended) = self.doors.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the listener panicked");
            }
        }
        if let Some(path) = &self.socket
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(path = %path.display(), %error, "the socket could not be removed");
        }
    }
}

async fn bind(address: &str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => ListenError::InUse { address: address.to_owned() },
        _ => ListenError::Bind { address: address.to_owned(), source },
    })
}

#[cfg(test)]
mod tests;
