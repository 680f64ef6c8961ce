//! JSON objects of JSON Lines: checked and looked into without building them. Changes no byte of a value.

use wharf_sdk::Rejection;
use wharf_sdk::json::{key as write_key, pick, pick_text, pointer, scan};

/// Deepest nesting of objects and arrays: what JSON readers after us, Wharf's included, still take.
const MAX_DEPTH: usize = 127;

/// Checks the object of a line; puts its key into `key`.
///
/// # Errors
/// `json.invalid`, `json.not-object`, `key.missing`.
pub fn check(json: &str, names: &[String], line: u64, key: &mut Vec<u8>) -> Result<(), Rejection> {
    // A plain object is shallow: what most lines are is read once. Without a key nothing is looked for in it.
    if names.is_empty() {
        if scan::object_of_text(json).is_some() {
            key.clear();
            return Ok(());
        }
    } else if let Some(picked) = pick_text(json, names) {
        return put_key(names, &picked, line, key);
    }
    if !is_shallow(json) {
        let message = format!("line {line}: nested deeper than {MAX_DEPTH} levels");
        return Err(Rejection::new("json.invalid", message));
    }
    let picked = pick(json, names).map_err(|e| {
        if e.is_data() {
            return Rejection::new("json.not-object", format!("line {line}: expected a JSON object"));
        }
        let text = e.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        Rejection::new("json.invalid", format!("line {line}: not JSON at byte {}: {reason}", e.column()))
    })?;
    put_key(names, &picked, line, key)
}

fn put_key(names: &[String], picked: &[Option<&str>], line: u64, key: &mut Vec<u8>) -> Result<(), Rejection> {
    key.clear();
    if names.is_empty() {
        return Ok(());
    }
    write_key(names, picked, key).map_err(|name| missing(name, line))
}

/// The rejection of a record whose key has no value here.
pub fn missing(name: &str, line: u64) -> Rejection {
    let message = format!("line {line}: `{name}` of the key has no value");
    Rejection::new("key.missing", message).at(pointer(name))
}

/// Whether later readers can take this text's nesting.
pub fn is_shallow(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    // Most texts do not have that many brackets at all.
    if memchr::memchr2_iter(b'{', b'[', json.as_bytes()).nth(MAX_DEPTH).is_none() {
        return true;
    }
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' if depth == MAX_DEPTH => return false,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(json: &str, fields: &[&str]) -> String {
        let names: Vec<String> = fields.iter().map(|&name| name.to_owned()).collect();
        let mut key = vec![b'x'];
        match check(json, &names, 3, &mut key) {
            Ok(()) => String::from_utf8(key).unwrap(),
            Err(why) => format!("{} {}", why.code, why.message),
        }
    }

    #[test]
    fn key_has_the_configured_order_and_keeps_numbers_exact() {
        let json = r#"{"b":"x","n":{"a":1},"a": 12345678901234567890.10 }"#;
        assert_eq!(key_of(json, &["a", "b"]), r#"{"a":12345678901234567890.10,"b":"x"}"#);
        assert_eq!(key_of(json, &[]), "");
    }

    #[test]
    fn key_without_a_value_names_the_field() {
        assert_eq!(key_of(r#"{"a":1}"#, &["a", "b"]), "key.missing line 3: `b` of the key has no value");
        assert_eq!(key_of(r#"{"a":null}"#, &["a"]), "key.missing line 3: `a` of the key has no value");
    }

    #[test]
    fn reason_of_a_bad_line_has_the_byte_and_no_value() {
        assert_eq!(key_of(r#"{"a":secret}"#, &["a"]), "json.invalid line 3: not JSON at byte 6: expected value");
        assert_eq!(key_of(r#"{"a":1} {"#, &[]), "json.invalid line 3: not JSON at byte 9: trailing characters");
        for json in ["[]", "1", "\"secret\"", "null"] {
            assert_eq!(key_of(json, &[]), "json.not-object line 3: expected a JSON object", "{json}");
        }
    }

    #[test]
    fn what_is_taken_can_be_read_by_a_json_reader_with_a_limit_of_128() {
        let nested = |depth: usize| format!("{{\"[\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert_eq!(key_of(&nested(MAX_DEPTH), &[]), "");
        serde_json::from_str::<serde_json::Value>(&nested(MAX_DEPTH)).unwrap();
        assert_eq!(key_of(&nested(MAX_DEPTH + 1), &[]), "json.invalid line 3: nested deeper than 127 levels");
        // Many brackets that do not nest are no depth.
        assert_eq!(key_of(&format!("{{\"a\":[{}0]}}", "[],".repeat(500)), &[]), "");
    }
}
