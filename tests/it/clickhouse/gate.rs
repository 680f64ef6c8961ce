//! What stands between a sink and the server, as a load balancer does, and what may go wrong there. Asserts nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

use super::database::{self, Database};

/// What becomes of an insert.
#[derive(Debug, Clone, Copy)]
pub enum Mishap {
    /// The server takes it, and its answer does not come back.
    Silent,
    /// So many bytes of its end do not get there.
    Cut(usize),
    /// The server does not get it, and the answer is 200, with an exception in a header.
    Exception,
}

pub struct Gate {
    server: String,
    database: String,
    /// Settings that the server works on inserts with: `&name=value`.
    settings: &'static str,
    /// Of the next inserts, in order; later ones pass.
    mishaps: Mutex<VecDeque<Mishap>>,
    /// Rows in the table after each insert.
    pub rows: Mutex<Vec<usize>>,
}

impl Gate {
    /// What goes wrong before a server of a database.
    pub fn new(db: &Database, settings: &'static str, mishaps: &[Mishap]) -> Arc<Self> {
        let mishaps = Mutex::new(mishaps.iter().copied().collect());
        let (server, database) = (db.url.clone(), db.name.clone());
        Arc::new(Self { server, database, settings, mishaps, rows: Mutex::new(Vec::new()) })
    }

    /// Opens on a port of its own; answers its URL.
    pub async fn open(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.serve(listener);
        format!("http://{address}")
    }

    pub fn serve(self: &Arc<Self>, listener: TcpListener) {
        let router = Router::new().fallback(pass).with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    /// What goes wrong next, from now on.
    pub fn add(&self, mishaps: &[Mishap]) {
        self.mishaps.lock().unwrap().extend(mishaps);
    }

    pub fn mishaps_left(&self) -> usize {
        self.mishaps.lock().unwrap().len()
    }
}

async fn pass(State(gate): State<Arc<Gate>>, uri: Uri, body: Bytes) -> Response {
    let path = uri.path_and_query().unwrap().as_str();
    if !body.windows(7).take(64).any(|bytes| bytes == b"INSERT ") {
        return answer(database::send(&gate.server, path, &body).await);
    }
    let path = format!("{path}{}", gate.settings);
    let mishap = gate.mishaps.lock().unwrap().pop_front();
    if let Some(Mishap::Exception) = mishap {
        return ([("x-clickhouse-exception-code", "209")], "").into_response();
    }
    let missing = if let Some(Mishap::Cut(missing)) = mishap { missing } else { 0 };
    let answered = database::send_part(&gate.server, &path, &body, body.len() - missing).await;
    let count = database::send(&gate.server, &format!("/?database={}", gate.database), b"SELECT count() FROM orders").await.1;
    gate.rows.lock().unwrap().push(count.trim().parse().unwrap());
    if mishap.is_some() { StatusCode::GATEWAY_TIMEOUT.into_response() } else { answer(answered) }
}

fn answer((status, text): (u16, String)) -> Response {
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}
