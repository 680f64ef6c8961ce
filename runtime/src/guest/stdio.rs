//! A guest's stdout and stderr: lines go to the log with a limit, the last of them are kept for the event that names its end.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::capability::veil::Veil;

/// Lines kept for the event of a trap.
const KEPT: usize = 20;
/// Longest line; the rest of it is dropped.
const LINE: usize = 1_000;
/// Lines logged a second; what is above is counted.
const PER_SECOND: u32 = 50;

/// Both streams of one instance; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Stdio(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    connector: String,
    task: u32,
    veil: Veil,
    open: Vec<u8>,
    kept: VecDeque<String>,
    second: Instant,
    logged: u32,
    dropped: u64,
}

impl Stdio {
    pub(super) fn new(connector: &str, task: u32, veil: Veil) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            connector: connector.to_owned(),
            task,
            veil,
            open: Vec::new(),
            kept: VecDeque::new(),
            second: Instant::now(),
            logged: 0,
            dropped: 0,
        })))
    }

    /// The last lines, for the event that tells why the instance ended.
    pub(super) fn tail(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = lines.veil.over(&String::from_utf8_lossy(&lines.open)).into_owned();
        let all = lines.kept.iter().map(String::as_str).chain((!open.is_empty()).then_some(open.as_str()));
        all.collect::<Vec<_>>().join("\n")
    }
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.line();
            } else if self.open.len() < LINE {
                self.open.push(byte);
            }
        }
    }

    fn line(&mut self) {
        let line = self.veil.over(&String::from_utf8_lossy(&self.open)).into_owned();
        self.open.clear();
        if self.second.elapsed().as_secs() >= 1 {
            if self.dropped > 0 {
                tracing::warn!(connector = self.connector, task = self.task, lines = self.dropped, "guest output dropped");
            }
            (self.second, self.logged, self.dropped) = (Instant::now(), 0, 0);
        }
        if self.logged < PER_SECOND {
            self.logged += 1;
            tracing::info!(connector = self.connector, task = self.task, line, "guest output");
        } else {
            self.dropped += 1;
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
