//! A line to mock-sap that breaks where a test wants it to: it passes requests on, loses them or their answers, and looks whether each
//! write carries a token with the cookie that came with it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It never arrives.
    Lost,
    /// It is done, and its answer breaks off in the middle.
    Cut,
    /// It is done, and nothing of its answer comes.
    Unanswered,
    /// It is done, but the first part of the answer says 503 in place of success.
    BusyPart,
    /// It is not done, and answered with this status.
    Status(u16),
    /// It takes a moment.
    Slow,
}

#[derive(Default)]
struct Inner {
    faults: VecDeque<Fault>,
    /// Cookie that came with a token.
    sessions: BTreeMap<String, String>,
    /// Bodies of the writes that were passed on, single requests with their first line.
    writes: Vec<String>,
    wrong: Vec<String>,
}

#[derive(Clone)]
pub struct Line {
    pub authority: String,
    inner: Arc<Mutex<Inner>>,
}

impl Line {
    /// A line to `service`; `faults` are of the writes to come, after these nothing breaks.
    pub async fn to(service: &str, faults: &[Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let inner = Arc::new(Mutex::new(Inner { faults: faults.iter().copied().collect(), ..Inner::default() }));
        let line = Self { authority, inner };
        let (own, service) = (line.clone(), service.to_owned());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (own, service) = (own.clone(), service.clone());
                tokio::spawn(async move { own.pass(stream, &service).await });
            }
        });
        line
    }

    /// What was written over it so far.
    pub fn writes(&self) -> Vec<String> {
        self.inner.lock().unwrap().writes.clone()
    }

    /// No write came without a token and its cookie, and all faults have been.
    pub fn assert_well(&self) {
        let inner = self.inner.lock().unwrap();
        assert_eq!((inner.wrong.as_slice(), inner.faults.len()), ([].as_slice(), 0));
        assert!(!inner.sessions.is_empty() && !inner.writes.is_empty());
    }

    /// One request of a connection, which ends with it.
    async fn pass(&self, mut stream: TcpStream, service: &str) {
        let Some((head, body)) = request(&mut stream).await else { return };
        let is_write = !head.starts_with("GET ");
        let fault = if is_write { self.inner.lock().unwrap().faults.pop_front().unwrap_or(Fault::None) } else { Fault::None };
        if fault == Fault::Lost {
            return;
        }
        if let Fault::Status(status) = fault {
            let answer = format!("HTTP/1.1 {status} Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            return stream.write_all(answer.as_bytes()).await.unwrap();
        }
        if fault == Fault::Slow {
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        if is_write {
            self.look_at(&head, &body);
        }
        let answer = forward(service, &head, &body).await;
        self.remember(&answer);
        let answer = match fault {
            Fault::Cut => answer[..answer.len() * 2 / 3].to_vec(),
            Fault::Unanswered => return,
            Fault::BusyPart => busy_part(&answer),
            _ => answer,
        };
        // A client that was killed does not wait for it.
        drop(stream.write_all(&answer).await);
    }

    fn look_at(&self, head: &str, body: &[u8]) {
        let mut inner = self.inner.lock().unwrap();
        let (token, cookie) = (header(head, "x-csrf-token"), header(head, "cookie"));
        let known = token.as_ref().and_then(|token| inner.sessions.get(token)).cloned();
        if known.is_none() || known != cookie {
            inner.wrong.push(format!("token {token:?} with cookie {cookie:?} in place of {known:?}"));
        }
        let first = head.lines().next().unwrap_or_default();
        let first = if first.contains("/$batch") { String::new() } else { format!("{first}\n") };
        inner.writes.push(format!("{first}{}", String::from_utf8_lossy(body)));
    }

    fn remember(&self, answer: &[u8]) {
        let answer = String::from_utf8_lossy(answer);
        if let (Some(token), Some(cookie)) = (header(&answer, "x-csrf-token"), header(&answer, "set-cookie")) {
            let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
            self.inner.lock().unwrap().sessions.insert(token, cookie);
        }
    }
}

/// Head and body; `None`: the client has gone.
async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..at + 4].to_vec()).unwrap();
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let chunked = header(&head, "transfer-encoding").is_some();
        let body = &bytes[at + 4..];
        if chunked && body.ends_with(b"0\r\n\r\n") {
            return Some((head, unchunked(body)));
        }
        if !chunked && body.len() >= length {
            return Some((head, body.to_vec()));
        }
    }
}

/// A chunked body as one.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|end| end == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap().trim(), 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + length + 4..];
    }
}

async fn forward(service: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !matches!(name.as_str(), "" | "connection" | "content-length" | "transfer-encoding")
    };
    let head: Vec<&str> = head.lines().filter(kept).collect();
    let head = format!("{}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", head.join("\r\n"), body.len());
    let mut stream = TcpStream::connect(service).await.unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    // mock-sap does not say that it closes; a client would send its next request into a connection that is gone.
    let line = answer.windows(2).position(|end| end == b"\r\n").unwrap();
    [&answer[..line], b"\r\nconnection: close", &answer[line..]].concat()
}

fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

/// The first success within the body becomes a 503; the length stays.
fn busy_part(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let body = body.replacen("HTTP/1.1 204 No Content", "HTTP/1.1 503 Overloaded", 1).replacen(
        "HTTP/1.1 201 Created",
        "HTTP/1.1 503 Created",
        1,
    );
    let body = body.replacen("\"status\": 204", "\"status\": 503", 1).replacen("\"status\": 201", "\"status\": 503", 1);
    format!("{head}\r\n\r\n{body}").into_bytes()
}
