//! `$batch` as JSON: OData JSON Format 4.01, 19. Requests belong to no atomicity group, so that a failed one undoes no other record's.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wharf_sdk::http::{Request, Response};

use super::{Answers, BadBatch};
use crate::operation::{Answer, Operation};

#[derive(Deserialize)]
struct Batch {
    responses: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    /// Text; some services write the number.
    id: Value,
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<Value>,
}

pub(super) fn write(request: Request, operations: &[Operation]) -> Request {
    let one = |(operation, id): (&Operation, u32)| {
        let headers: Map<String, Value> =
            operation.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().into())).collect();
        let mut one = json!({ "id": id.to_string(), "method": operation.method, "url": operation.path, "headers": headers });
        if let (Some(body), Some(one)) = (&operation.body, one.as_object_mut()) {
            // It was JSON before it was bytes.
            one.insert("body".to_owned(), serde_json::from_slice(body).unwrap_or_default());
        }
        one
    };
    let requests: Vec<Value> = operations.iter().zip(1..).map(one).collect();
    let body = json!({ "requests": requests }).to_string();
    request.header("content-type", "application/json").header("accept", "application/json").body(body)
}

/// An answer that was cut off says nothing: JSON is read as a whole.
pub(super) fn read(body: &[u8], count: usize) -> Result<Answers, BadBatch> {
    let batch: Batch = serde_json::from_slice(body).map_err(|_| BadBatch::Json)?;
    let mut of = vec![None; count];
    for One { id, status, headers, body } in batch.responses {
        let place =
            id.as_str().map_or_else(|| id.to_string(), ToOwned::to_owned).parse::<usize>().ok().and_then(|id| id.checked_sub(1));
        let Some(slot) = place.and_then(|place| of.get_mut(place)) else { continue };
        let named =
            |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str());
        let wait = named("retry-after").map(|value| Response::new(status, "").with_header("retry-after", value));
        let retry_after = wait.and_then(|response| response.retry_after());
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        *slot = Some(Answer { status, retry_after, body });
    }
    Ok(Answers { of, whole: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: &'static str, path: &str, body: Option<&str>) -> Operation {
        let headers = vec![("If-Match", "*".to_owned())];
        Operation { method, path: path.to_owned(), headers, body: body.map(|body| body.as_bytes().to_vec()) }
    }

    #[test]
    fn operations_keep_their_digits_and_are_numbered() {
        let request = write(
            Request::post("https://h/s/$batch"),
            &[operation("PATCH", "O('1')", Some(r#"{"n":12345678901234567890.10}"#)), operation("DELETE", "O('2')", None)],
        );
        let expected = r#"{"requests":[{"id":"1","method":"PATCH","url":"O('1')","headers":{"if-match":"*"},"body":{"n":12345678901234567890.10}},{"id":"2","method":"DELETE","url":"O('2')","headers":{"if-match":"*"}}]}"#;
        assert_eq!(String::from_utf8(request.body).unwrap(), expected);
    }

    #[test]
    fn answers_are_known_by_their_ids_whatever_their_order() {
        let body = br#"{"responses": [{"id": "3", "status": 204}, {"id": 1, "status": 429, "headers": {"Retry-After": "7"},
            "body": {"error": {"code": "E", "message": "busy"}}}, {"id": "9", "status": 200}]}"#;
        let answers = read(body, 3).unwrap();
        let status: Vec<_> = answers.of.iter().map(|answer| answer.as_ref().map(|answer| answer.status)).collect();
        assert_eq!(status, [Some(429), None, Some(204)]);
        let first = answers.of[0].clone().unwrap();
        assert_eq!(first.retry_after, Some(std::time::Duration::from_secs(7)));
        assert_eq!(first.body, br#"{"error":{"code":"E","message":"busy"}}"#);
    }

    #[test]
    fn what_is_cut_off_or_no_batch_says_nothing() {
        for body in [r#"{"responses": [{"id": "1", "status": 204}"#, "<html>", r#"{"value": []}"#] {
            assert_eq!(read(body.as_bytes(), 1), Err(BadBatch::Json), "{body}");
        }
    }
}
