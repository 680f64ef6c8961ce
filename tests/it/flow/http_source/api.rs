//! A small API that hands out a list in every way that lists are handed out in, and fails on demand in the ways that APIs do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// Records a page.
pub const PAGE: usize = 7;

/// What goes wrong with a request, in place of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Status and `Retry-After`.
    Status(u16, u32),
    /// The right answer, so late.
    Slow(Duration),
    /// The connection breaks in the middle of the body.
    CutOff,
    /// Status 200 and a page for people.
    NotJson,
    /// Status 200 and an error.
    ErrorObject,
    /// The next page is said to be on another host.
    ForeignLink,
    /// The next page is said to be the first one.
    Circle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    id: u32,
    at: u32,
    version: u32,
}

/// A change of the list, made before the request of this number is answered.
type Change = (usize, Box<dyn FnOnce(&mut Inner) + Send>);

#[derive(Default)]
pub struct Inner {
    rows: Vec<Row>,
    /// What stands in the list beside rows, in the first page.
    odd: Vec<String>,
    faults: VecDeque<Option<Fault>>,
    changes: Vec<Change>,
    requests: Vec<(String, Instant)>,
}

#[derive(Clone, Default)]
pub struct Api(Arc<Mutex<Inner>>);

impl Inner {
    /// The row changes: it is the last by its cursor from now on.
    pub fn touch(&mut self, id: u32) {
        let last = self.rows.iter().map(|row| row.at).max().unwrap_or_default();
        for row in self.rows.iter_mut().filter(|row| row.id == id) {
            (row.at, row.version) = (last + 1, row.version + 1);
        }
    }

    /// The rows of these ids go.
    pub fn remove(&mut self, which: impl Fn(u32) -> bool) {
        self.rows.retain(|row| !which(row.id));
    }
}

impl Api {
    /// An API that lists so many records, and its port.
    pub async fn start(records: u32) -> (Self, u16) {
        let api = Self::default();
        api.add(1, records);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(answer).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (api, port)
    }

    /// Records of these ids, in the order of their cursors.
    pub fn add(&self, from: u32, to: u32) {
        self.0.lock().unwrap().rows.extend((from..=to).map(|id| Row { id, at: 1000 + id, version: 1 }));
    }

    pub fn add_odd(&self, json: &str) {
        self.0.lock().unwrap().odd.push(json.to_owned());
    }

    /// Faults of the next requests; `None` answers as usual.
    pub fn fail(&self, faults: &[Option<Fault>]) {
        self.0.lock().unwrap().faults.extend(faults);
    }

    /// Changes the list before the request of this number, from 1, is answered.
    pub fn change_before(&self, request: usize, change: impl FnOnce(&mut Inner) + Send + 'static) {
        self.0.lock().unwrap().changes.push((request, Box::new(change)));
    }

    /// Path and query of each request.
    pub fn requests(&self) -> Vec<String> {
        self.0.lock().unwrap().requests.iter().map(|(url, _)| url.clone()).collect()
    }

    /// The waits between requests.
    pub fn pauses(&self) -> Vec<Duration> {
        let inner = self.0.lock().unwrap();
        inner.requests.windows(2).map(|pair| pair[1].1.duration_since(pair[0].1)).collect()
    }
}

/// A record as it is served, with a number that no float holds.
pub fn record(id: u32, at: u32, version: u32) -> String {
    format!(r#"{{"id": {id}, "at": {at},  "version": {version}, "exact": 9007199254740993.10}}"#)
}

/// The answer to a request, and what its header `Link` says.
fn page(inner: &Inner, uri: &Uri) -> (String, String) {
    let query = uri.query().unwrap_or_default();
    let number = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok());
    let since = number("since").unwrap_or(0);
    let mut rows: Vec<Row> = inner.rows.iter().filter(|row| row.at as usize >= since).copied().collect();
    rows.sort_by_key(|row| (row.at, row.id));
    if query.contains("newest-first") {
        rows.reverse();
    }
    let from = match uri.path() {
        "/page" => (number("page").unwrap_or(1) - 1) * PAGE,
        "/offset" => number("offset").unwrap_or(0),
        // A key to go on behind: stable, whatever happens before it.
        "/cursor" => number("after").map_or(0, |after| rows.iter().take_while(|row| row.at as usize <= after).count()),
        _ => number("p").unwrap_or(0),
    };
    let part: Vec<&Row> = rows.iter().skip(from).take(PAGE).collect();
    let mut records: Vec<String> = part.iter().map(|row| record(row.id, row.at, row.version)).collect();
    if from == 0 {
        records.extend(inner.odd.iter().cloned());
    }
    let more = rows.len() > from + PAGE;
    let after = part.last().filter(|_| more).map_or("null".to_owned(), |row| row.at.to_string());
    let link = if more { format!("<{}?p={}&since={since}>; rel=\"next\"", uri.path(), from + PAGE) } else { String::new() };
    (format!(r#"{{"data": [{}], "after": {after}}}"#, records.join(", ")), link)
}

async fn answer(State(api): State<Api>, uri: Uri) -> Response {
    let (fault, body, link) = {
        let mut inner = api.0.lock().unwrap();
        inner.requests.push((uri.to_string(), Instant::now()));
        let number = inner.requests.len();
        let (due, later) = std::mem::take(&mut inner.changes).into_iter().partition(|(request, _)| *request <= number);
        inner.changes = later;
        for (_, change) in due {
            change(&mut inner);
        }
        let (body, link) = page(&inner, &uri);
        (inner.faults.pop_front().flatten(), body, link)
    };
    match fault {
        None => ([(header::LINK, link)], body).into_response(),
        Some(Fault::Slow(by)) => {
            tokio::time::sleep(by).await;
            ([(header::LINK, link)], body).into_response()
        }
        Some(Fault::Status(status, wait)) => {
            (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, wait.to_string())], "not now").into_response()
        }
        Some(Fault::NotJson) => "<html>Please sign in</html>".into_response(),
        Some(Fault::ErrorObject) => r#"{"error": {"message": "the index is being built"}}"#.into_response(),
        Some(Fault::ForeignLink) => ([(header::LINK, "<http://127.0.0.1:9/link>; rel=next")], body).into_response(),
        Some(Fault::Circle) => ([(header::LINK, format!("<{uri}>; rel=next"))], body).into_response(),
        Some(Fault::CutOff) => {
            let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
            let broken = futures_util::stream::iter([Ok(half), Err(std::io::Error::other("the line is cut"))]);
            Body::from_stream(broken).into_response()
        }
    }
}
