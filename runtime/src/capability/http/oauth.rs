//! Tokens of an account at a token endpoint (RFC 6749, 4.4, client credentials): fetched when a request needs one, kept until shortly
//! before they expire, thrown away when a service refuses one. All tasks and connectors of an account share its token, and one request
//! at a time asks for a new one. No guest sees any of it. Puts nothing on requests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::http::HeaderValue;
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::dial::Pool;
use super::error::HttpError;
use super::gate::Gate;
use super::{Timeouts, address, exchange};
use crate::capability::allow::{Endpoint, Reach};
use crate::capability::veil::{Later, Veil};
use crate::config::{Auth, OAuth};
use answer::{Denied, Granted};

mod answer;
mod token_request;

#[cfg(test)]
mod tests;

pub(crate) use token_request::percent_encoded;

/// A token is renewed this long before it expires, or a tenth of its life before, where that is less.
const EARLY: Duration = Duration::from_secs(60);
/// After a failure the token endpoint is left alone for so long: whoever waited for that request gets its failure.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest answer of a token endpoint that is read, in bytes.
const LONGEST: usize = 256 << 10;
const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(10), first_byte: Duration::from_secs(20), between_bytes: Duration::from_secs(20) };

/// Why there is no token. Texts hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// It passes by itself.
    #[error("the token endpoint {endpoint} gives none: {reason}")]
    Away { endpoint: Endpoint, reason: String },
    /// Someone has to change something.
    #[error("the token endpoint {endpoint} refuses to give one: {reason}")]
    Refused { endpoint: Endpoint, reason: String },
}

/// A token as requests carry it.
pub(super) struct Token {
    /// `Bearer …`, marked as sensitive.
    pub(super) header: HeaderValue,
    /// From when on a new one is fetched, and when it has expired. `None`: its life is not known, so it is kept until it is refused.
    life: Option<(Instant, Instant)>,
    /// A service has let a request in by it.
    accepted: AtomicBool,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("life", &self.life).field("accepted", &self.accepted).finish_non_exhaustive()
    }
}

/// An account, and the token that it has now.
#[derive(Debug)]
pub(super) struct Account {
    config: OAuth,
    endpoint: Endpoint,
    /// What was fetched, for whoever hides it.
    later: Later,
    gate: Gate,
    /// Locked while a token is fetched: the others wait for it.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    token: Option<Arc<Token>>,
    failed: Option<(Instant, NoToken)>,
}

impl Account {
    /// # Errors
    /// A sentence, where the token endpoint's address is never dialled.
    pub(super) fn new(config: &OAuth) -> Result<Self, String> {
        let endpoint = Endpoint::of(&config.token_url).map_err(|bad| bad.to_string())?;
        if let Some((literal, what)) =
            endpoint.literal().and_then(|ip| address::prohibited(ip, Reach::Private).map(|what| (ip, what)))
        {
            return Err(never_dialled(&literal, what));
        }
        let (later, gate, kept) = (Later::default(), Gate::default(), Mutex::default());
        Ok(Self { config: config.clone(), endpoint, later, gate, kept })
    }

    pub(super) fn is_of(&self, config: &OAuth) -> bool {
        self.config == *config
    }

    /// Where the account's tokens are told to whoever hides them.
    pub(super) fn later(&self) -> Later {
        self.later.clone()
    }

    /// The token, fetched where there is none that lives long enough. Where that fails, one that has not expired yet is used on.
    ///
    /// # Errors
    /// [`NoToken`].
    pub(super) async fn token(&self, pool: &Pool) -> Result<Arc<Token>, NoToken> {
        let mut kept = self.kept.lock().await;
        let begun = Instant::now();
        if let Some(token) = kept.token.as_ref().filter(|token| !token.is_due(begun)) {
            return Ok(Arc::clone(token));
        }
        let failed = match kept.failed.take_if(|(at, _)| begun.duration_since(*at) < PAUSE) {
            Some(failed) => failed,
            None => match self.fetch(pool, begun).await {
                Ok(token) => {
                    *kept = Kept { token: Some(Arc::clone(&token)), failed: None };
                    return Ok(token);
                }
                Err(no) => {
                    tracing::warn!(reason = %no, "no token");
                    (Instant::now(), no)
                }
            },
        };
        let no = failed.1.clone();
        kept.failed = Some(failed);
        let alive = kept.token.as_ref().filter(|token| !token.has_expired(Instant::now()));
        alive.map(Arc::clone).ok_or(no)
    }

    /// A service has answered a request with this token by 401: it is not used again. Answers whether the token was good before.
    pub(super) async fn refused(&self, token: &Arc<Token>) -> bool {
        let mut kept = self.kept.lock().await;
        // Unless another request has found that out, and there is a new one.
        kept.token.take_if(|kept| Arc::ptr_eq(kept, token));
        token.accepted.load(Ordering::Relaxed)
    }

    async fn fetch(&self, pool: &Pool, begun: Instant) -> Result<Arc<Token>, NoToken> {
        let Granted { value, lifetime } = self.ask(pool).await.map_err(|denied| {
            let endpoint = self.endpoint.clone();
            // A server may echo what it was sent.
            let account = Auth::OAuth(self.config.clone());
            let veil = Veil::of(&[(String::new(), account)].into(), vec![self.later()]);
            match denied {
                Denied::Later(reason) => NoToken::Away { endpoint, reason: veil.over(&reason).into_owned() },
                Denied::Never(reason) => NoToken::Refused { endpoint, reason: veil.over(&reason).into_owned() },
            }
        })?;
        self.later.hide(&value);
        let header = HeaderValue::from_str(&format!("Bearer {}", value.expose()));
        let mut header = header.map_err(|_| NoToken::Refused {
            endpoint: self.endpoint.clone(),
            reason: "its token holds a character that no header can carry".to_owned(),
        })?;
        header.set_sensitive(true);
        let life = lifetime.map(|lifetime| life(begun, lifetime));
        tracing::info!(token_endpoint = %self.endpoint, ?lifetime, "token fetched");
        Ok(Arc::new(Token { header, life, accepted: AtomicBool::new(false) }))
    }

    async fn ask(&self, pool: &Pool) -> Result<Granted, Denied> {
        self.gate.pass(&self.endpoint).await;
        let account = OAuth {
            client_id: self.config.client_id.as_it_is_now().await,
            client_secret: self.config.client_secret.as_it_is_now().await,
            ..self.config.clone()
        };
        self.later.hide_all(&Auth::OAuth(account.clone()));
        let request = token_request::token_request(&account).map_err(Denied::Never)?;
        let begun = Instant::now();
        let answer = exchange(pool, request, &self.endpoint, TIMEOUTS).await.map_err(|error| match error {
            HttpError::Prohibited { address, what, .. } => Denied::Never(never_dialled(&address, what)),
            other => Denied::Later(other.to_string()),
        })?;
        self.gate.observe(&self.endpoint, (answer.status(), answer.headers()), begun, Instant::now());
        let (head, body) = answer.into_parts();
        let body = timeout(TIMEOUTS.between_bytes, Limited::new(body, LONGEST).collect()).await;
        let body = body.map_err(|_| Denied::Later(format!("its answer was not there after {:?}", TIMEOUTS.between_bytes)))?;
        let body = body.map_err(|error| Denied::Later(format!("its answer broke off: {error}")))?;
        answer::read(head.status, &body.to_bytes())
    }
}

/// When a token is renewed that was asked for at `begun`, and when it expires.
fn life(begun: Instant, lifetime: Duration) -> (Instant, Instant) {
    (begun + lifetime.saturating_sub(EARLY.min(lifetime / 10)), begun + lifetime)
}

fn never_dialled(address: &std::net::IpAddr, what: &str) -> String {
    format!("{address} is {what}, and never dialled: correct `token-url`")
}

impl Token {
    /// A service has let a request in.
    pub(super) fn accept(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.life.is_some_and(|(renewal, _)| renewal <= now)
    }

    fn has_expired(&self, now: Instant) -> bool {
        self.life.is_some_and(|(_, end)| end <= now)
    }
}
