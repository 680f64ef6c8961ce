//! Sending over `wasi:http`: the only place that knows its resources. Order of drops matters: a stream goes before the
//! body that it belongs to.

use std::io::{self, Read};

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::body::first_line;
use super::url::Url;
use super::{Body, Request, Response};
use crate::error::{Error, Result};

/// A request that the host has and that is not answered yet.
#[derive(Debug)]
pub(super) struct Pending {
    // In order of their drops.
    pollable: Pollable,
    future: FutureIncomingResponse,
}

impl Pending {
    pub(super) fn start(request: &Request) -> Result<Self> {
        let outgoing = outgoing(request)?;
        let body = outgoing.body().map_err(|()| broken("no body"))?;
        let future = outgoing_handler::handle(outgoing, options(request)?).map_err(|code| failed(&code))?;
        if !request.body.is_empty() {
            let stream = body.write().map_err(|()| broken("no stream for the body"))?;
            // A server that answers before it has read all closes the stream: what it answers says why, and where it answers nothing,
            // the error is that of the answer.
            drop(write(&stream, &request.body));
        }
        drop(OutgoingBody::finish(body, None));
        Ok(Self { pollable: future.subscribe(), future })
    }

    /// The head of the answer, waited for.
    pub(super) fn answer(self) -> Result<Response> {
        let answer = loop {
            match self.future.get() {
                Some(answer) => break answer,
                None => self.pollable.block(),
            }
        };
        let incoming = answer.map_err(|()| broken("the answer was taken twice"))?.map_err(|code| failed(&code))?;
        let status = incoming.status();
        let headers = incoming.headers().entries();
        let headers =
            headers.into_iter().map(|(name, value)| (name.to_lowercase(), String::from_utf8_lossy(&value).into_owned()));
        Ok(Response { status, headers: headers.collect(), body: Body::stream(Stream::new(incoming)?), place: String::new() })
    }
}

/// Waits until one of these is answered: its place among them, the first of several.
pub(super) fn first_ready<'a>(pending: impl Iterator<Item = &'a Pending>) -> usize {
    let pollables: Vec<&Pollable> = pending.map(|pending| &pending.pollable).collect();
    match pollables.as_slice() {
        // Its answer waits by itself.
        [_] => 0,
        several => poll(several).into_iter().min().map_or(0, |place| place as usize),
    }
}

fn outgoing(request: &Request) -> Result<OutgoingRequest> {
    let url = Url::parse(&request.url)?;
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers.append(name, value.as_bytes()).map_err(|e| Error::fatal(format!("header `{name}` cannot be sent: {e}")))?;
    }
    if !request.body.is_empty() && !headers.has("content-length") {
        let length = request.body.len().to_string();
        headers.append("content-length", length.as_bytes()).map_err(|_| broken("no content-length"))?;
    }
    let outgoing = OutgoingRequest::new(headers);
    let scheme = if url.https { Scheme::Https } else { Scheme::Http };
    let path = if url.path.starts_with('/') { url.path.to_owned() } else { format!("/{}", url.path) };
    let bad = |part: &str| Error::fatal(format!("the {part} of the URL cannot be sent"));
    outgoing.set_method(&method(&request.method)).map_err(|()| bad("method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| bad("scheme"))?;
    outgoing.set_authority(Some(url.authority)).map_err(|()| bad("host"))?;
    outgoing.set_path_with_query(Some(&path)).map_err(|()| bad("path"))?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn options(request: &Request) -> Result<Option<RequestOptions>> {
    let Some(timeout) = request.timeout else { return Ok(None) };
    let options = RequestOptions::new();
    let nanos = Some(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
    options.set_first_byte_timeout(nanos).map_err(|()| broken("no timeouts"))?;
    options.set_between_bytes_timeout(nanos).map_err(|()| broken("no timeouts"))?;
    Ok(Some(options))
}

fn write(stream: &OutputStream, mut body: &[u8]) -> Result<(), StreamError> {
    while !body.is_empty() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if room == 0 {
            stream.subscribe().block();
            continue;
        }
        let (now, later) = body.split_at_checked(room).unwrap_or((body, &[]));
        stream.write(now)?;
        body = later;
    }
    // Not flushed: what was taken is sent, and waiting for that would hold up the next request.
    Ok(())
}

fn failed(code: &ErrorCode) -> Error {
    match code {
        ErrorCode::HttpRequestDenied => Error::fatal("the host is not allowed: list it under `allow.http` of this connector"),
        ErrorCode::ConfigurationError => {
            Error::fatal("the host did not send the request, as it could not put the credentials on it")
        }
        ErrorCode::HttpRequestMethodInvalid | ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestUriTooLong => {
            Error::reject(format!("the request is not valid: {code}"))
        }
        ErrorCode::InternalError(Some(reason)) => Error::retry(reason.clone()),
        other => Error::retry(other.to_string()),
    }
}

fn broken(what: &str) -> Error {
    Error::fatal(format!("wasi:http does not work as expected: {what}"))
}

/// An answer's body as it comes.
#[derive(Debug)]
pub(super) struct Stream {
    // In order of their drops.
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Stream {
    fn new(response: IncomingResponse) -> Result<Self> {
        let body = response.consume().map_err(|()| broken("the body was taken twice"))?;
        let stream = body.stream().map_err(|()| broken("the body has no stream"))?;
        Ok(Self { stream, _body: body, _response: response })
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        match self.stream.blocking_read(most) {
            Ok(bytes) => {
                let (into, _) = buffer.split_at_mut_checked(bytes.len()).ok_or(io::ErrorKind::InvalidData)?;
                into.copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            Err(StreamError::Closed) => Ok(0),
            Err(StreamError::LastOperationFailed(error)) => Err(io::Error::other(first_line(&error.to_debug_string()))),
        }
    }
}
