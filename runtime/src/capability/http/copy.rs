//! A copy of a request, made while it is sent, so that it can be sent once more with other credentials.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ::http::header::CONTENT_LENGTH;
use ::http::{HeaderMap, Method, Request, Uri, Version};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::body::Body;

/// Of a longer body no copy is kept, in bytes.
pub(super) const LONGEST: usize = 1 << 20;

/// What was sent so far of one request.
#[derive(Debug)]
pub(super) struct Copy {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    sent: Arc<Mutex<Sent>>,
}

#[derive(Debug, Default)]
struct Sent {
    pieces: Vec<Bytes>,
    size: usize,
    /// The body has ended.
    whole: bool,
    /// It is too long, broke off, or has trailers.
    lost: bool,
}

impl Copy {
    /// The request as it is to be sent, and its copy.
    pub(super) fn of(request: Request<Body>) -> (Request<Body>, Self) {
        let (head, body) = request.into_parts();
        let sent = Arc::new(Mutex::new(Sent { whole: body.is_end_stream(), ..Sent::default() }));
        let (method, uri, version, headers) = (head.method.clone(), head.uri.clone(), head.version, head.headers.clone());
        let copied = Copied { inner: body, sent: Arc::clone(&sent) };
        (Request::from_parts(head, copied.boxed_unsync()), Self { method, uri, version, headers, sent })
    }

    /// The request once more; `None` where not all of its body is there.
    pub(super) fn request(self) -> Option<Request<Body>> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner));
        // Of a body whose length is told, the end is not asked for.
        let length = self.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if sent.lost || !(sent.whole || length == Some(sent.size)) {
            return None;
        }
        let body = Full::new(Bytes::from(sent.pieces.concat())).map_err(|never| match never {}).boxed_unsync();
        let mut request = Request::new(body);
        (*request.method_mut(), *request.uri_mut(), *request.version_mut()) = (self.method, self.uri, self.version);
        *request.headers_mut() = self.headers;
        Some(request)
    }
}

/// A body that leaves a copy behind.
struct Copied {
    inner: Body,
    sent: Arc<Mutex<Sent>>,
}

impl HttpBody for Copied {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(piece) = &polled {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.add(piece.as_ref());
            sent.whole |= self.inner.is_end_stream();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Sent {
    fn add<E>(&mut self, piece: Option<&Result<Frame<Bytes>, E>>) {
        match piece {
            None => self.whole = true,
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) if !self.lost && self.size.saturating_add(data.len()) <= LONGEST => {
                    self.size += data.len();
                    self.pieces.push(data.clone());
                }
                _ => self.lose(),
            },
            Some(Err(_)) => self.lose(),
        }
    }

    fn lose(&mut self) {
        self.lost = true;
        self.pieces.clear();
    }
}
