//! The web shop: its API of sessions, whose tokens expire, and its webhooks, which are signed. Uses nothing of Wharf.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What webhooks are signed with.
pub const SECRET: &str = "hush";

#[derive(Default)]
struct Inner {
    sessions: Vec<Value>,
    /// The token that is good, and how many requests it is good for.
    token: (String, u32),
    refused: u32,
}

/// Sessions in the order of `updated_at`.
#[derive(Clone, Default)]
pub struct Shop(Arc<Mutex<Inner>>);

impl Shop {
    /// Starts the API; its port.
    pub async fn start() -> (Self, u16) {
        let shop = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(answer).with_state(shop.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (shop, port)
    }

    pub fn add(&self, sessions: impl IntoIterator<Item = Value>) {
        self.0.lock().unwrap().sessions.extend(sessions);
    }

    /// From now on this token is good, for so many requests.
    pub fn accept(&self, token: &str, requests: u32) {
        self.0.lock().unwrap().token = (token.to_owned(), requests);
    }

    /// How many requests had no good token.
    pub fn refused(&self) -> u32 {
        self.0.lock().unwrap().refused
    }

    pub fn sessions(&self) -> Vec<Value> {
        self.0.lock().unwrap().sessions.clone()
    }
}

async fn answer(State(shop): State<Shop>, headers: HeaderMap, uri: Uri) -> Response {
    let mut inner = shop.0.lock().unwrap();
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (token, left) = &mut inner.token;
    if *left == 0 || authorization.to_lowercase() != format!("bearer {token}") {
        inner.refused += 1;
        return (StatusCode::UNAUTHORIZED, r#"{"error": "the token has expired"}"#).into_response();
    }
    *left -= 1;
    let query = uri.query().unwrap_or_default().replace("%3A", ":");
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
    let (since, limit) = (parameter("since"), parameter("limit").parse().unwrap());
    // Times of one form: they compare as texts, to the second.
    let second = |text: &str| text.chars().take(19).collect::<String>();
    let later = inner.sessions.iter().filter(|session| second(session["updated_at"].as_str().unwrap()) >= second(since));
    let page: Vec<_> = later.take(limit).collect();
    json!({ "sessions": page }).to_string().into_response()
}

/// Posts JSON as the shop does, signed with a secret; the status that it is answered, 0 where nobody listens.
pub async fn post(address: &str, path: &str, body: &Value, secret: &str) -> u16 {
    let body = body.to_string();
    let mut mac: Hmac<sha2::Sha256> = Hmac::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return 0 };
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nx-signature: {signature}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut answer = Vec::new();
    // A worker that is killed breaks the connection off: its sender does not know, and sends it again.
    let sent = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    if sent.await.is_err() {
        return 0;
    }
    String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
