//! A database of one test on the ClickHouse that tests have, as a plain client sees it. Uses nothing of Wharf.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::servers::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// An empty database; it is dropped when the server is.
pub struct Database {
    /// Base URL of the server.
    pub url: String,
    pub name: String,
}

impl Database {
    /// `None` when there is no server.
    pub async fn new(test: &str) -> Option<Self> {
        let url = Server::ClickHouse.address(test)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let db = Self { url, name: format!("{test}_{now}") };
        db.ask("default", &format!("CREATE DATABASE {}", db.name)).await;
        Some(db)
    }

    /// With a table `orders` of these columns.
    pub async fn with_orders(test: &str, columns: &str) -> Option<Self> {
        let db = Self::new(test).await?;
        db.execute(&format!("CREATE TABLE orders ({columns}) ENGINE = MergeTree ORDER BY tuple()")).await;
        Some(db)
    }

    pub async fn execute(&self, statement: &str) {
        self.ask(&self.name, statement).await;
    }

    /// The lines of an answer, their fields parted by `|`.
    pub async fn query(&self, query: &str) -> Vec<String> {
        self.ask(&self.name, &format!("{query} FORMAT TabSeparated")).await.lines().map(|line| line.replace('\t', "|")).collect()
    }

    /// Waits until a query answers this.
    pub async fn when(&self, query: &str, expected: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.query(query).await;
            if found == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{query}: {found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ask(&self, database: &str, query: &str) -> String {
        let (status, body) = send(&self.url, &format!("/?database={database}"), query.as_bytes()).await;
        assert_eq!(status, 200, "{query}: {body}");
        body
    }
}

/// Status and body of a POST over a connection of its own.
pub async fn send(url: &str, path: &str, body: &[u8]) -> (u16, String) {
    send_part(url, path, body, body.len()).await
}

/// The same, of whose body only so many bytes come. HTTP/1.0, whose answers come in one piece.
pub async fn send_part(url: &str, path: &str, body: &[u8], sent: usize) -> (u16, String) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("POST {path} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..sent]).await.unwrap();
    if sent < body.len() {
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()))
}
