//! From the body of a request to the texts of its records. Owns what is refused, and with which status; changes no byte.

use serde_json::value::RawValue;

use wharf_sdk::json::pick;

/// Deepest nesting of objects and arrays: what JSON readers after us, Wharf's included, still take.
const MAX_DEPTH: usize = 127;

/// An answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub message: String,
}

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into() }
    }
}

/// The objects of a body, in order, each as it was sent.
///
/// # Errors
/// [`Refusal`]: 415 for a form, 400 for what is no JSON object, no array of them, and no JSON Lines. The message names the
/// byte, from 0, and never holds what was sent.
pub fn objects<'a>(content_type: Option<&str>, body: &'a [u8]) -> Result<Vec<&'a str>, Refusal> {
    let media_type = media_type(content_type.unwrap_or_default());
    if media_type == "application/x-www-form-urlencoded" || media_type.starts_with("multipart/") {
        let message = format!("content type {media_type} is not taken: send application/json");
        return Err(Refusal { status: 415, message });
    }
    let text =
        std::str::from_utf8(body).map_err(|e| Refusal::bad(format!("the body is not UTF-8 at byte {}", e.valid_up_to())))?;
    if text.trim_ascii().is_empty() {
        return Err(Refusal::bad("the body is empty: expected JSON"));
    }
    check_depth(text)?;
    if matches!(media_type.as_str(), "application/x-ndjson" | "application/ndjson" | "application/jsonl") {
        return lines(text);
    }
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'[') => elements(text),
        _ => object(text, 0).map(|object| vec![object]),
    }
}

/// `application/json; charset=utf-8` without its parameters.
fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn lines(text: &str) -> Result<Vec<&str>, Refusal> {
    let mut objects = Vec::new();
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim_ascii().is_empty() {
            objects.push(object(line, from)?);
        }
        from += line.len();
    }
    Ok(objects)
}

fn elements(text: &str) -> Result<Vec<&str>, Refusal> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|e| refusal(&e, text, 0))?;
    for (at, element) in elements.iter().enumerate() {
        if !element.get().starts_with('{') {
            return Err(Refusal::bad(format!("element {at} of the array is not a JSON object")));
        }
    }
    Ok(elements.into_iter().map(RawValue::get).collect())
}

/// Checks one object that begins at byte `from` of the body; gives it without the white space around it.
fn object(text: &str, from: usize) -> Result<&str, Refusal> {
    pick(text, &[]).map_err(|e| refusal(&e, text, from))?;
    Ok(text.trim_ascii())
}

fn refusal(error: &serde_json::Error, text: &str, from: usize) -> Refusal {
    let line: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let byte = from + line + error.column().saturating_sub(1);
    if error.is_data() {
        // Data errors quote what they found.
        return Refusal::bad(format!("neither a JSON object nor an array of them, at byte {byte}"));
    }
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or_default();
    Refusal::bad(format!("not JSON at byte {byte}: {reason}"))
}

fn check_depth(text: &str) -> Result<(), Refusal> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Refusal::bad(format!("nested deeper than {MAX_DEPTH} levels at byte {at}")));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: Option<&str> = Some("application/json; charset=utf-8");
    const LINES: Option<&str> = Some("application/x-ndjson");

    fn refused(content_type: Option<&str>, body: &[u8]) -> (u16, String) {
        let refusal = objects(content_type, body).unwrap_err();
        (refusal.status, refusal.message)
    }

    #[test]
    fn object_is_one_record_with_the_bytes_that_were_sent() {
        assert_eq!(objects(JSON, b" {\"b\" : 1.10,\"a\":\"\\u00e9\"}\n").unwrap(), ["{\"b\" : 1.10,\"a\":\"\\u00e9\"}"]);
        assert_eq!(objects(None, b"{}").unwrap(), ["{}"]);
    }

    #[test]
    fn array_is_one_record_an_element_in_order() {
        assert_eq!(objects(JSON, b"[{\"a\": 1} ,\n {\"a\":2.0}]").unwrap(), ["{\"a\": 1}", "{\"a\":2.0}"]);
        assert_eq!(objects(JSON, b"[]").unwrap(), Vec::<&str>::new());
    }

    #[test]
    fn json_lines_are_one_record_a_line() {
        assert_eq!(objects(LINES, b"{\"a\":1}\r\n\n{\"a\":2}").unwrap(), ["{\"a\":1}", "{\"a\":2}"]);
    }

    #[test]
    fn what_is_no_json_is_refused_with_the_byte() {
        assert_eq!(refused(JSON, b"{\"a\":\n  x}"), (400, "not JSON at byte 8: expected value".to_owned()));
        assert_eq!(refused(LINES, b"{\"a\":1}\n{\"a\"}\n"), (400, "not JSON at byte 12: expected `:`".to_owned()));
        assert_eq!(refused(JSON, b"{\"a\":\"\xff\"}"), (400, "the body is not UTF-8 at byte 6".to_owned()));
        assert_eq!(refused(JSON, b"{} {}").0, 400);
        assert_eq!(refused(JSON, b"[{}").0, 400);
    }

    #[test]
    fn empty_bodies_scalars_and_arrays_of_them_are_refused() {
        assert_eq!(refused(JSON, b""), (400, "the body is empty: expected JSON".to_owned()));
        assert_eq!(refused(JSON, b" \n").0, 400);
        assert_eq!(refused(JSON, b"[{},7]"), (400, "element 1 of the array is not a JSON object".to_owned()));
        let (status, message) = refused(JSON, b"\"secret\"");
        assert_eq!(status, 400);
        assert!(!message.contains("secret"), "{message}");
        assert_eq!(refused(LINES, b"{}\n[]\n").0, 400);
    }

    #[test]
    fn forms_are_refused_with_415() {
        assert_eq!(refused(Some("application/x-www-form-urlencoded"), b"a=1").0, 415);
        assert_eq!(refused(Some("Multipart/Form-Data; boundary=x"), b"--x").0, 415);
    }

    #[test]
    fn what_is_taken_can_be_read_by_a_json_reader_with_a_limit_of_128() {
        let nested = |depth: usize| format!("{{\"[\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let deepest = nested(MAX_DEPTH);
        assert_eq!(objects(JSON, deepest.as_bytes()).unwrap(), [&deepest]);
        serde_json::from_str::<serde_json::Value>(&deepest).unwrap();
        let (status, message) = refused(JSON, nested(MAX_DEPTH + 1).as_bytes());
        assert_eq!((status, message.as_str()), (400, "nested deeper than 127 levels at byte 131"));
        serde_json::from_str::<serde_json::Value>(&nested(MAX_DEPTH + 1)).unwrap_err();
    }
}
