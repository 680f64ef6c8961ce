//! A request to a webhook path: checked, handed to its source's inbox, and answered when its records are durable.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, COOKIE, PROXY_AUTHORIZATION, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};

use super::Route;
use super::operations::{Reply, Site, error, not_allowed, reply};
use super::signature::{self, Unsigned};
use crate::capability::inbox::{Answer, Arrival};
use crate::config::Signature;

/// When a sender may come again, in seconds: after too many at once, and after one was not delivered.
const SOON: HeaderValue = HeaderValue::from_static("1");
const LATER: HeaderValue = HeaderValue::from_static("5");

impl Site {
    /// Answers a request to a webhook path, and counts the answer.
    pub(super) async fn receive(&self, route: &Route, request: Request<Incoming>) -> Reply {
        let reply = match self.hold(route, request).await {
            Ok(answer) => told(answer),
            Err(reply) => reply,
        };
        self.telemetry.webhook(&route.connector, reply.status().as_u16());
        reply
    }

    async fn hold(&self, route: &Route, request: Request<Incoming>) -> Result<Answer, Reply> {
        if request.method() != Method::POST {
            return Err(not_allowed("POST"));
        }
        let signed = route.listen.signature.as_ref();
        if let Some(Signature { scheme, .. }) = signed
            && !request.headers().contains_key(signature::header(scheme))
        {
            return Err(refused(Unsigned::Missing));
        }
        // Known from Content-Length before a byte of it is read.
        if request.body().size_hint().lower() > self.max_body as u64 {
            return Err(self.too_large());
        }
        let Ok(held) = Arc::clone(&self.held).try_acquire_owned() else {
            return Err(unavailable("too many requests wait for delivery", SOON));
        };
        let (head, body) = request.into_parts();
        let body = self.read(body).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let Some(signed) = signed {
            signature::verify(signed, &head.headers, &body, now).map_err(|why| {
                tracing::debug!(connector = route.connector, ?why, "webhook request refused");
                refused(why)
            })?;
        }
        let hidden = signed.map(|signed| signature::header(&signed.scheme));
        let arrival = arrival(&head, body, now, hidden);
        Ok(route.intake.submit(arrival, held).answer(route.listen.reply_deadline).await)
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Reply> {
        match tokio::time::timeout(self.body_time, Limited::new(body, self.max_body).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(failed)) if failed.is::<LengthLimitError>() => Err(self.too_large()),
            Ok(Err(failed)) => {
                tracing::debug!(error = %failed, "a body ended early");
                Err(closing(error(StatusCode::BAD_REQUEST, "the body ended early")))
            }
            Err(_) => Err(closing(error(StatusCode::REQUEST_TIMEOUT, "the body took too long"))),
        }
    }

    fn too_large(&self) -> Reply {
        closing(error(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {} bytes", self.max_body)))
    }
}

/// What a guest gets: without credentials, and without the signature, which proves nothing to one that has no secret.
fn arrival(head: &Parts, body: Bytes, now: Duration, signature: Option<&str>) -> Arrival {
    Arrival {
        received: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        method: head.method.as_str().to_owned(),
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: handed_on(&head.headers, signature),
        body,
    }
}

fn handed_on(headers: &HeaderMap, signature: Option<&str>) -> Vec<(String, String)> {
    const HIDDEN: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
    let shown = headers.iter().filter(|(name, _)| !HIDDEN.contains(*name) && Some(name.as_str()) != signature);
    // HTTP allows bytes that no text encoding covers; they are replaced, as the interface has text.
    shown.map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

fn told(answer: Answer) -> Reply {
    match answer {
        Answer::Durable => reply(StatusCode::OK, "application/json", Bytes::from_static(b"{}")),
        Answer::Refused { status, message } => error(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), &message),
        Answer::Unavailable(why) => unavailable(why, LATER),
    }
}

/// Nobody learns from the answer how close a forged signature came.
fn refused(why: Unsigned) -> Reply {
    let message = match why {
        Unsigned::Missing => "the request is not signed",
        Unsigned::Wrong => "the signature does not fit",
        Unsigned::Old => "the signature is too old",
    };
    error(StatusCode::UNAUTHORIZED, message)
}

fn unavailable(why: &str, retry_after: HeaderValue) -> Reply {
    let mut reply = error(StatusCode::SERVICE_UNAVAILABLE, why);
    reply.headers_mut().insert(RETRY_AFTER, retry_after);
    reply
}

/// The rest of the body is not read: the connection is of no further use.
fn closing(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}
