//! The session with a service that guards its writes against forged requests (CSRF): a token, and the cookies that it belongs to. Both
//! stay in the memory of this instance. Sends requests; what a status means otherwise is not decided here.
//!
//! Source: SAP Gateway Foundation Developer Guide, "CSRF Protection": a GET with `X-CSRF-Token: Fetch` is answered with a token, and a
//! write without a valid one with 403 and `X-CSRF-Token: Required`.

use std::fmt;

use wharf_sdk::http::{Request, Response};
use wharf_sdk::{Error, Result};
use wharf_shared_odata::service::Service;

const TOKEN: &str = "x-csrf-token";

/// What was handed out by the service.
#[derive(Default)]
pub struct Session {
    token: Token,
    /// Name and value.
    cookies: Vec<(String, String)>,
}

#[derive(Default)]
enum Token {
    /// Not asked for yet.
    #[default]
    Unknown,
    /// The service hands out none.
    None,
    Some(String),
}

/// A token and a cookie are as good as a password while they live.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("cookies", &self.cookies.len()).finish_non_exhaustive()
    }
}

impl Session {
    /// Sends a request within the session. Where the token is no longer taken, another one is fetched and the request sent once more.
    ///
    /// # Errors
    /// Where no answer came, and for a token that cannot be fetched.
    pub fn send(&mut self, service: &mut Service, request: &Request) -> Result<Response> {
        if matches!(self.token, Token::Unknown) {
            self.fetch(service)?;
        }
        let response = self.dressed(request).send()?;
        self.keep_cookies(&response);
        if !wants_token(&response) {
            return Ok(response);
        }
        self.fetch(service)?;
        let response = self.dressed(request).send()?;
        self.keep_cookies(&response);
        if wants_token(&response) {
            let root = service.address().root();
            return Err(service.turned_away(format!("{root} does not take the CSRF token that it has just handed out")));
        }
        Ok(response)
    }

    /// Begins a session: a token with its cookies. A service that answers without one has no such guard.
    fn fetch(&mut self, service: &mut Service) -> Result<()> {
        (self.token, self.cookies) = (Token::Unknown, Vec::new());
        let url = format!("{}/", service.address().root());
        let request = Request::get(url).header("accept", "application/json").header(TOKEN, "Fetch").timeout(service.timeout());
        let response = request.send()?;
        self.keep_cookies(&response);
        let token = response.header(TOKEN).filter(|token| !token.eq_ignore_ascii_case("required")).map(ToOwned::to_owned);
        self.token = match (token, response.status) {
            (Some(token), _) => Token::Some(token),
            (None, 401 | 403 | 408 | 425 | 429 | 500..) => return Err(service.failure(response, "a CSRF token")),
            (None, _) => Token::None,
        };
        // What a connection needs to be used again.
        response.bytes_up_to(1 << 20).map(drop).or_else(|error| match error {
            Error::Fatal(_) => Ok(()),
            other => Err(other),
        })
    }

    fn dressed(&self, request: &Request) -> Request {
        let mut request = request.clone();
        if let Token::Some(token) = &self.token {
            request = request.header(TOKEN, token.clone());
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        request
    }

    /// Name and value of `Set-Cookie` (RFC 6265, 5.2); all of one service and session, so path and age are not looked at, except that
    /// an age of 0 or an empty value takes a cookie back.
    fn keep_cookies(&mut self, response: &Response) {
        for (_, line) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let gone = value.is_empty() || parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
            self.cookies.retain(|(known, _)| known != name);
            if !gone {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

/// Whether a write was refused for its token.
fn wants_token(response: &Response) -> bool {
    response.status == 403 && response.header(TOKEN).is_some_and(|said| said.eq_ignore_ascii_case("required"))
}
