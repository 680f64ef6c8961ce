//! wasi:http of a guest, led to the host's HTTP capability. Owns the translation of requests and errors; what may be reached
//! is decided there (`capability/http.rs`).

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::state::on_main;
use crate::capability::http::{HttpAccess, HttpError, Timeouts};

type Reply = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

/// Hook of one instance. `access` is `None` when the manifest does not ask for HTTP or the operator grants none.
pub(super) struct HttpHooks {
    pub(super) access: Option<HttpAccess>,
    pub(super) connector: String,
    pub(super) io: Handle,
}

impl WasiHttpHooks for HttpHooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Reply, Error>> + Send> {
        let (access, io) = (self.access.clone(), self.io.clone());
        let connector = self.connector.clone();
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
                translate(&error)
            })?;
            let response = response.map(|body| {
                body.map_err(|e| Error::InternalError(Some(e.to_string()))).map_frame(|f| f.map_data(Bytes::from)).boxed_unsync()
            });
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(std::future::ready(Ok(())));
            Ok((response, done))
        })
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
        // It would be the same once more: no kind of it says so and takes a text.
        HttpError::Unfit { .. } => Error::ConfigurationError,
        _ => Error::InternalError(Some(error.to_string())),
    }
}
