//! Marketing's senders: signed posts to the deployment's webhook. They remember which posts were answered for good and send
//! only the rest, as real senders do; a 503 or a broken connection is sent again.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use sha2::Sha256;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Events a post.
const EVENTS: usize = 20;
/// Posts on their way at once.
const AT_ONCE: usize = 8;
/// Pause before a post is sent again.
const AGAIN: Duration = Duration::from_millis(100);

/// How the posts of this run were answered.
#[derive(Debug, Default)]
pub struct Posts {
    pub accepted: usize,
    /// Status and what was posted.
    pub refused: Vec<(u16, &'static str)>,
}

type Http = Client<HttpConnector, Full<Bytes>>;

/// One post: its name in the senders' memory, its body, and whether it is signed rightly.
#[derive(Debug)]
struct Post {
    name: String,
    what: &'static str,
    body: String,
    signed: bool,
}

/// Sends all that was not answered yet; turns `done` true at the end.
pub async fn send(dir: PathBuf, listen: String, done: watch::Sender<bool>) -> Result<Posts> {
    let secret =
        std::fs::read_to_string(super::inside(&dir, "secrets/webhook-secret")).context("reading the webhook's secret")?;
    let memory = super::inside(&dir, "marketing/answered");
    let answered = remembered(&memory)?;
    let mut waiting = posts(&dir)?;
    waiting.retain(|post| !answered.contains(&post.name));
    let url = format!("http://{listen}/hooks/marketing");
    let client: Http = Client::builder(TokioExecutor::new()).build_http();
    let (mut waiting, mut sending, mut posts) = (waiting.into_iter(), JoinSet::new(), Posts::default());
    loop {
        while sending.len() < AT_ONCE
            && let Some(post) = waiting.next()
        {
            sending.spawn(deliver(client.clone(), url.clone(), secret.trim().to_owned(), post));
        }
        let Some(delivered) = sending.join_next().await else { break };
        let (post, status) = delivered.context("a sender ended early")??;
        remember(&memory, &post.name)?;
        if status < 300 {
            posts.accepted += 1;
        } else {
            posts.refused.push((status, post.what));
        }
    }
    done.send_replace(true);
    Ok(posts)
}

/// Posts until there is an answer that stands.
async fn deliver(client: Http, url: String, secret: String, post: Post) -> Result<(Post, u16)> {
    let signature = sign(if post.signed { &secret } else { "another secret" }, post.body.as_bytes());
    loop {
        let request = hyper::Request::post(&url)
            .header("content-type", "application/json")
            .header("x-shopify-hmac-sha256", &signature)
            .body(Full::new(Bytes::from(post.body.clone())))?;
        match client.request(request).await {
            Ok(response) => {
                let status = response.status();
                drop(response.into_body().collect().await);
                if status.as_u16() < 500 && status.as_u16() != 429 {
                    return Ok((post, status.as_u16()));
                }
            }
            Err(error) => tracing::debug!(%error, "a post did not arrive, it is sent again"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Base64 of the HMAC-SHA256 of the body, as Shopify signs its webhooks.
fn sign(secret: &str, body: &[u8]) -> String {
    // HMAC takes a key of any length.
    Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(body);
            STANDARD.encode(mac.finalize().into_bytes())
        },
    )
}

/// The events in posts of some, one that is nested too deep alone, one that is no JSON, and one with a false signature.
fn posts(dir: &Path) -> Result<Vec<Post>> {
    let text = std::fs::read_to_string(super::inside(dir, "marketing/events.jsonl")).context("reading the marketing events")?;
    let (deep, plain): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains("\"DEEP\""));
    let named = |name: String, what, body: String| Post { name, what, body, signed: true };
    let mut posts: Vec<Post> = plain
        .chunks(EVENTS)
        .enumerate()
        .map(|(index, lines)| named(format!("events-{index}"), "events", format!("[{}]", lines.join(","))))
        .collect();
    let nested = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    posts.extend(
        deep.iter()
            .enumerate()
            .map(|(index, line)| named(format!("deep-{index}"), "an event of 200 levels", line.replace("\"DEEP\"", &nested))),
    );
    posts.push(named("broken".to_owned(), "a body that is no JSON", "{\"id\":\"evt-".to_owned()));
    let forged = "{\"id\":\"evt-forged\",\"type\":\"open\"}".to_owned();
    posts.push(Post { signed: false, ..named("forged".to_owned(), "a false signature", forged) });
    Ok(posts)
}

fn remembered(path: &Path) -> Result<BTreeSet<String>> {
    if !path.exists() {
        return Ok(BTreeSet::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn remember(path: &Path, name: &str) -> Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{name}").with_context(|| format!("writing {}", path.display()))
}
