//! Real requests over TCP, TLS and the socket: what the sender is told, and what reaches the inbox.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::*;
use crate::capability::inbox::{Inbox, InboxRequest};
use crate::capability::secret::Secret;
use crate::config::{ListenTls, Signature, SignatureScheme};
use crate::telemetry::{Kind, Tally, TaskState};

mod doors;
mod pages;
mod webhooks;

/// Never reached where the rules hold.
const LONG: Duration = Duration::from_secs(20);

/// A running listener with one webhook path, `/hooks`, and one task that takes its requests.
struct Running {
    listener: Listener,
    inbox: Arc<Inbox>,
    telemetry: Arc<Telemetry>,
    state_dir: TempDir,
}

/// An answer as a client sees it.
#[derive(Debug)]
struct Told {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

fn listen() -> Listen {
    Listen { address: "127.0.0.1:0".to_owned(), tls: None, max_body: 1000, max_held: 100 }
}

fn route(signature: Option<Signature>, deadline: Duration) -> Route {
    let listen = SourceListen { path: "/hooks".to_owned(), signature, reply_deadline: deadline };
    Route { connector: "shop".to_owned(), listen, intake: Arc::new(Intake::new(1)) }
}

async fn start(config: Listen, route: Route) -> Running {
    let (state_dir, telemetry) = (TempDir::new().unwrap(), Arc::new(Telemetry::default()));
    let inbox = Arc::new(Inbox::new(&route.intake));
    let listener = Listener::start(Some(&config), state_dir.path(), vec![route], Arc::clone(&telemetry)).await.unwrap();
    Running { listener, inbox, telemetry, state_dir }
}

impl Running {
    async fn unsigned() -> Self {
        start(listen(), route(None, LONG)).await
    }

    fn address(&self) -> SocketAddr {
        self.listener.address().unwrap()
    }

    async fn post(&self, path: &str, body: &str) -> Told {
        tell(self.address(), Request::post(path).body(body.to_owned()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Told {
        tell(self.address(), Request::get(path).body(String::new()).unwrap()).await
    }

    /// Sends a request and leaves it waiting.
    fn posting(&self, body: &'static str) -> tokio::task::JoinHandle<Told> {
        let address = self.address();
        tokio::spawn(async move { tell(address, Request::post("/hooks").body(body.to_owned()).unwrap()).await })
    }

    /// Takes the next request, in a poll of its own.
    async fn poll(&self) -> InboxRequest {
        let taken = self.inbox.take(1, LONG).await.remove(0);
        self.inbox.polled();
        taken
    }
}

async fn tell(address: SocketAddr, request: Request<String>) -> Told {
    tell_over(TcpStream::connect(address).await.unwrap(), request).await
}

async fn tell_over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, mut request: Request<String>) -> Told {
    request.headers_mut().insert("host", "localhost".parse().unwrap());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request.map(|body| Full::new(Bytes::from(body)))).await.unwrap();
    let (head, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    connection.abort();
    Told { status: head.status, headers: head.headers, body }
}
