//! Answers as far as a message, or a rule of the operator, looks into them.

use std::io::Read as _;

use wharf_sdk::http::Response;

/// How much of an answer is read for a message, and how many characters of it are shown.
const READ: u64 = 64 << 10;
const SHOWN: usize = 200;

/// Whether a JSON value says more than no: it is not null, false (in quotes neither), 0, or empty.
#[must_use]
pub fn says_yes(json: &str) -> bool {
    let empty = |open, close| {
        let inside = json.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside: &str| inside.trim().is_empty())
    };
    let is_zero = || json.starts_with(['-', '0']) && json.parse::<f64>() == Ok(0.0);
    !matches!(json, "null" | "false" | "\"\"" | "\"false\"") && !is_zero() && !empty('[', ']') && !empty('{', '}')
}

/// The first characters of a text, on one line.
#[must_use]
pub fn shown(text: &str) -> String {
    let shown: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if shown.is_empty() { "(no text)".to_owned() } else { shown }
}

/// The first characters of an answer. Reads what a connection needs to be used again, within bounds.
pub fn start(response: Response) -> String {
    let mut bytes = Vec::new();
    let read = response.into_body().take(READ).read_to_end(&mut bytes);
    let broken = if read.is_err() { " (the answer broke off)" } else { "" };
    format!("{}{broken}", shown(&String::from_utf8_lossy(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_or_false_says_no() {
        for json in ["null", "false", "\"false\"", "0", "0.0", "-0", "0e5", "\"\"", "[]", "{ }"] {
            assert!(!says_yes(json), "{json}");
        }
        for json in ["true", "1", "\"a\"", "[0]", "{\"a\": null}", "0.5"] {
            assert!(says_yes(json), "{json}");
        }
    }

    #[test]
    fn a_message_shows_the_start_of_an_answer_on_one_line() {
        assert_eq!(start(Response::new(500, "<html>\n sorry")), "<html>  sorry");
        assert_eq!(start(Response::new(500, " \n")), "(no text)");
        assert_eq!(start(Response::new(500, "x".repeat(300))), "x".repeat(200));
    }
}
