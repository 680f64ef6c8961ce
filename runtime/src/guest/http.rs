//! wasi:http of a guest, led to the host's HTTP capability. Owns the translation of requests and errors; what may be reached
//! is decided there (`capability/http.rs`).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::runtime::Handle;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::state::on_main;
use super::unsent::Unsent;
use super::waits::{Asked, Waiting, Waits};
use crate::capability::http::{Body, HttpAccess, HttpError, Timeouts};

type Reply = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

/// Hook of one instance. `access` is `None` when the manifest does not ask for HTTP or the operator grants none.
pub(super) struct HttpHooks {
    pub(super) access: Option<HttpAccess>,
    pub(super) connector: String,
    pub(super) io: Handle,
    pub(super) waits: Waits,
    pub(super) unsent: Unsent,
}

impl WasiHttpHooks for HttpHooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Reply, Error>> + Send> {
        let (access, io) = (self.access.clone(), self.io.clone());
        let (connector, unsent) = (self.connector.clone(), self.unsent.clone());
        let waiting = self.waits.ask(Asked::Http { method: request.method().clone(), uri: request.uri().clone() });
        Box::new(async move {
            let Some(access) = access else {
                tracing::warn!(connector, authority = ?request.uri().authority(), "HTTP request denied: the connector has no `allow.http`");
                return Err(Error::HttpRequestDenied);
            };
            let request = request.map(|body| body.map_err(|e| e.to_string().into()).boxed_unsync());
            let timeouts = timeouts(options);
            let sent = on_main(&io, async move { access.send(request, timeouts).await }).await;
            let response = sent.map_err(|e| Error::InternalError(Some(e.to_string())))?.map_err(|error| {
                tracing::warn!(connector, %error, "HTTP request failed");
                if error.is_of_credentials() {
                    unsent.note(&error);
                }
                translate(&error)
            })?;
            waiting.moved();
            let response = response.map(|body| {
                let body = Awaited { body, waiting: Some(waiting) };
                body.map_err(|e| Error::InternalError(Some(e.to_string()))).map_frame(|f| f.map_data(Bytes::from)).boxed_unsync()
            });
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
    }
}

/// The body of an answer, which is waited for until it has ended.
struct Awaited {
    body: Body,
    waiting: Option<Waiting>,
}

impl HttpBody for Awaited {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) if !self.body.is_end_stream() => self.waiting.iter().for_each(Waiting::moved),
            Poll::Ready(_) => self.waiting = None,
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn timeouts(options: Option<RequestOptions>) -> Timeouts {
    let given = options.unwrap_or_default();
    let default = Timeouts::default();
    Timeouts {
        connect: given.connect_timeout.unwrap_or(default.connect),
        first_byte: given.first_byte_timeout.unwrap_or(default.first_byte),
        between_bytes: given.between_bytes_timeout.unwrap_or(default.between_bytes),
    }
}

fn translate(error: &HttpError) -> Error {
    match error {
        HttpError::Denied { .. } => Error::HttpRequestDenied,
        // It would be the same once more: no kind of it says so and takes a text, so that goes beside it (`unsent.rs`).
        error if error.is_of_credentials() => Error::ConfigurationError,
        _ => Error::InternalError(Some(error.to_string())),
    }
}
