//! `$batch` as multipart/mixed: OData 4.01 Part 1, 11.7.7 and V2 "Batch Processing"; parts as in RFC 2046, 5.1. Each write is a changeset
//! of its own, so that a failed one undoes no other record's; a read stands outside of changesets.

use std::time::Duration;

use wharf_sdk::http::{Request, Response};

use super::{Answers, BadBatch};
use crate::operation::{Answer, Operation};

/// JSON has no line that begins with a dash, so no body holds a delimiter.
const BOUNDARY: &str = "batch_wharf";
const CHANGESET: &str = "changeset_wharf";
/// Parts within parts: a batch holds changesets, and these hold answers.
const DEEPEST: u32 = 3;

pub(super) fn write(request: Request, operations: &[Operation]) -> Request {
    let mut out = String::new();
    for (operation, id) in operations.iter().zip(1..) {
        out.push_str(&format!("--{BOUNDARY}\r\n"));
        if operation.is_read() {
            push(&mut out, operation, id);
        } else {
            out.push_str(&format!("Content-Type: multipart/mixed; boundary={CHANGESET}_{id}\r\n\r\n--{CHANGESET}_{id}\r\n"));
            push(&mut out, operation, id);
            out.push_str(&format!("--{CHANGESET}_{id}--\r\n\r\n"));
        }
    }
    out.push_str(&format!("--{BOUNDARY}--\r\n"));
    request.header("content-type", format!("multipart/mixed; boundary={BOUNDARY}")).header("accept", "multipart/mixed").body(out)
}

fn push(out: &mut String, operation: &Operation, id: u32) {
    out.push_str("Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n");
    out.push_str(&format!("Content-ID: {id}\r\n\r\n{} {} HTTP/1.1\r\n", operation.method, operation.path));
    for (name, value) in &operation.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    match &operation.body {
        Some(body) => {
            out.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
            // A body is JSON, and JSON is text.
            out.push_str(&String::from_utf8_lossy(body));
            out.push_str("\r\n");
        }
        None => out.push_str("\r\n\r\n"),
    }
}

pub(super) fn read(content: &str, body: &[u8], count: usize) -> Result<Answers, BadBatch> {
    let boundary =
        boundary(content).ok_or_else(|| BadBatch::Content(content.split(';').next().unwrap_or_default().trim().to_owned()))?;
    let (parts, whole) = split(body, &boundary);
    let mut of = vec![None; count];
    for (place, part) in parts.into_iter().enumerate() {
        let Some((id, answer)) = answer(part, DEEPEST) else { continue };
        // Answers stand in the order of the requests (OData 4.01 Part 1, 11.7.7). An id that says something else, or comes a second
        // time, could make one record's answer another's.
        if let Some(id) = id.filter(|id| *id != place) {
            return Err(BadBatch::Id { id: id + 1, place: place + 1 });
        }
        if let Some(slot) = of.get_mut(place) {
            *slot = Some(answer);
        }
    }
    Ok(Answers { of, whole })
}

/// The one answer in a part, with the place that its `Content-ID` names. Of a changeset with several the first that failed would count;
/// those that are sent have one.
fn answer(part: &[u8], depth: u32) -> Option<(Option<usize>, Answer)> {
    let (headers, rest) = headers(part);
    let content = value(&headers, "content-type").unwrap_or_default();
    if let Some(boundary) = boundary(content) {
        let (parts, whole) = split(rest, &boundary);
        let first = parts.first().filter(|_| whole && depth > 0)?;
        return answer(first, depth - 1);
    }
    let (line, rest) = line(rest.trim_ascii_start());
    let status = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
    let (inner, body) = self::headers(rest);
    // Read as an answer of its own: `Retry-After` is a number of seconds or a date.
    let wait = value(&inner, "retry-after").map(|value| Response::new(status, "").with_header("retry-after", value));
    let retry_after: Option<Duration> = wait.and_then(|response| response.retry_after());
    let id = value(&headers, "content-id").or_else(|| value(&inner, "content-id"));
    let place = id.and_then(|id| id.trim_matches(['<', '>']).parse::<usize>().ok()?.checked_sub(1));
    Some((place, Answer { status, retry_after, body: body.trim_ascii().to_vec() }))
}

/// What stands between the delimiters, and whether the closing one was there. A part that no delimiter follows was cut off.
fn split<'a>(body: &'a [u8], boundary: &str) -> (Vec<&'a [u8]>, bool) {
    let delimiter = format!("--{boundary}");
    let (mut parts, mut begun, mut at) = (Vec::new(), None, 0);
    while at < body.len() {
        let rest = body.get(at..).unwrap_or_default();
        let (line, after) = line(rest);
        let end = at + rest.len() - after.len();
        let tail = line.strip_prefix(delimiter.as_bytes()).map(<[u8]>::trim_ascii_end);
        let ends_here = after.len() < rest.len() - line.len() || tail == Some(b"--");
        if let Some(tail) = tail.filter(|tail| ends_here && (tail.is_empty() || *tail == b"--")) {
            if let Some(begun) = begun {
                parts.push(body.get(begun..at).unwrap_or_default());
            }
            if tail == b"--" {
                return (parts, true);
            }
            begun = Some(end);
        }
        at = end;
    }
    (parts, false)
}

/// The first line without its end, and what follows.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, rest) = end.and_then(|end| Some((text.get(..end)?, text.get(end + 1..)?))).unwrap_or((text, &[]));
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

type Headers = Vec<(String, String)>;

/// The headers to the first empty line, and what follows it.
fn headers(mut text: &[u8]) -> (Headers, &[u8]) {
    let mut headers = Vec::new();
    while !text.is_empty() {
        let (line, rest) = line(text);
        text = rest;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = String::from_utf8_lossy(line).split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    (headers, text)
}

fn value<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The boundary of a multipart content type.
fn boundary(content: &str) -> Option<String> {
    let mut parts = content.split(';').map(str::trim);
    if !parts.next()?.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let named = |part: &str| {
        part.get(..9).filter(|name| name.eq_ignore_ascii_case("boundary=")).and(part.get(9..)).map(ToOwned::to_owned)
    };
    let boundary = parts.find_map(named)?;
    Some(boundary.trim_matches('"').to_owned()).filter(|boundary| !boundary.is_empty())
}

#[cfg(test)]
mod tests;
