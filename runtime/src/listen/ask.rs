//! Asks the worker of a state folder how it is doing, over its socket: the client side of `wharf status`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::socket;
use crate::telemetry::Snapshot;

/// Longest time for the whole question.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer that makes sense.
const ANSWER: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(
        "no worker runs with state-dir {}: nobody answers on {}; start one with `wharf run`, or name the configuration of the one you mean",
        state_dir.display(), socket.display()
    )]
    NoWorker { state_dir: PathBuf, socket: PathBuf },
    #[error("{}: {source}; ask as the user that the worker runs as", socket.display())]
    Connect { socket: PathBuf, source: std::io::Error },
    #[error("the worker at {} gave no usable answer: {reason}; is it of the same version?", socket.display())]
    Answer { socket: PathBuf, reason: String },
}

/// The figures of the worker that runs with this state folder.
///
/// # Errors
/// [`AskError`].
pub async fn ask_status(state_dir: &Path) -> Result<Snapshot, AskError> {
    let socket = socket::path(state_dir);
    let stream = UnixStream::connect(&socket).await.map_err(|source| match source.kind() {
        // InvalidInput: too long for a socket, so no worker listens there.
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::InvalidInput => {
            AskError::NoWorker { state_dir: state_dir.to_owned(), socket: socket.clone() }
        }
        _ => AskError::Connect { socket: socket.clone(), source },
    })?;
    let unusable = |reason: String| AskError::Answer { socket: socket.clone(), reason };
    match tokio::time::timeout(PATIENCE, ask(stream)).await {
        Ok(answer) => answer.map_err(unusable),
        Err(_) => Err(unusable(format!("none within {PATIENCE:?}"))),
    }
}

async fn ask(stream: UnixStream) -> Result<Snapshot, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let request = Request::get("/status").header(HOST, "wharf").body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER).collect().await.map_err(|e| e.to_string())?.to_bytes();
        if status != StatusCode::OK {
            return Err(format!("HTTP status {status}"));
        }
        serde_json::from_slice(&body).map_err(|e| e.to_string())
    };
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    // Cancel-safe: the answer is polled again below, and the connection is over in that case.
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended.map_err(|e| e.to_string())?;
            answer.await
        }
    }
}
