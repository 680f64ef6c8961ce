//! A proxy before a real server. It passes requests on, one a connection, and does to some of them what a busy service or a broken
//! network does.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
pub struct Request {
    /// First line and headers.
    pub head: String,
    pub body: Vec<u8>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub enum Does {
    Passes,
    /// Answers this status itself; the server does not hear of it.
    Refuses(u16),
    /// The server does what it is asked, and its answer breaks off in the middle.
    Cuts,
    /// The server does what it is asked, and no answer comes.
    Loses,
    /// The answer of a status 200 comes altered.
    Alters(fn(&Request, &str) -> String),
}

impl Request {
    /// `None` where the connection ends before the request does.
    pub async fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut got = Vec::new();
        loop {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.ok().filter(|length| *length > 0)?;
            got.extend_from_slice(&part[..length]);
            let Some(at) = got.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8(got[..at].to_vec()).unwrap();
            let expected = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if got.len() - at - 4 >= expected.unwrap_or(0_usize) {
                return Some(Self { head, body: got[at + 4..].to_vec() });
            }
        }
    }

    /// Its path, with the query.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

/// Starts it before the server at a host and port; its own. `does` is asked for each request, in the order in which they come.
pub async fn before(server: &str, does: impl FnMut(&Request) -> Does + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (server, does) = (server.to_owned(), Arc::new(Mutex::new(does)));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (server, does) = (server.clone(), Arc::clone(&does));
            tokio::spawn(async move {
                let Some(request) = Request::read(&mut client).await else { return };
                let does = (does.lock().unwrap())(&request);
                if let Some(answer) = answer(&server, &request, does).await
                    && let Err(error) = client.write_all(answer.as_bytes()).await
                {
                    eprintln!("{}: {error}", request.path());
                }
            });
        }
    });
    address
}

/// What the client gets.
async fn answer(server: &str, request: &Request, does: Does) -> Option<String> {
    let (status, body) = match does {
        Does::Refuses(status) => (status, "{}".to_owned()),
        _ => pass_on(server, request).await,
    };
    let body = match does {
        Does::Loses => return None,
        Does::Alters(alter) if status == 200 => alter(request, &body),
        _ => body,
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let half = || body.char_indices().map(|(at, _)| at).find(|at| *at >= length / 2).unwrap_or_default();
    let sent = if matches!(does, Does::Cuts) { &body[..half()] } else { &body };
    Some(format!("{head}{sent}"))
}

/// Status and body of the server's answer. By HTTP 1.0, so that the body ends with the connection.
async fn pass_on(server: &str, request: &Request) -> (u16, String) {
    let mut lines = request.head.lines();
    let line = lines.next().unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let others = lines.filter(|line| !["host:", "connection:"].iter().any(|own| line.to_ascii_lowercase().starts_with(own)));
    let others: String = others.map(|line| format!("{line}\r\n")).collect();
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(format!("{line}\r\nhost: {server}\r\n{others}\r\n").as_bytes()).await.unwrap();
    stream.write_all(&request.body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
