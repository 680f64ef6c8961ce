//! What a service says of its own error, for the person who reads it. Shows nothing else of the answer.

/// Code and message of an error answer: `error.message` is text in V4 and `{"lang", "value"}` in V2 (OData JSON Format 4.01,
/// 21.1; V2 "JSON Format", 8). Takes `{"error": {…}}` and the inner object alone. At most 200 characters.
#[must_use]
pub fn message(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = json.get("error").unwrap_or(&json);
    let message = error.get("message")?;
    let text = message.as_str().or_else(|| message.get("value")?.as_str())?;
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    match error.get("code").and_then(serde_json::Value::as_str).filter(|code| !code.is_empty()) {
        Some(code) => Some(format!("{code}: {text}")),
        None => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_an_error_is_found_in_both_versions() {
        assert_eq!(
            message(br#"{"error": {"code": "", "message": {"lang": "en", "value": "no such property"}}}"#).as_deref(),
            Some("no such property")
        );
        assert_eq!(message(b"<html>"), None);
    }
}
