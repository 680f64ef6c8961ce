//! What an answer of ClickHouse that is no success means for the records. Knows the server's codes; sends nothing.

use std::time::Duration;

use wharf_sdk::Error;

/// Characters of an answer that are shown.
const SHOWN: usize = 200;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The same again after a while. Whether it has taken effect is not known.
    Later,
    /// A value does not please the server: find the record.
    Record,
    /// It was too much at once: fewer records, and a single one later.
    Fewer,
    /// No record is at fault, and waiting does not help.
    Fatal,
}

/// A request that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub meaning: Meaning,
    /// ClickHouse's own number.
    pub code: Option<u32>,
    /// One sentence: who answered what, and what to do.
    pub message: String,
    pub after: Option<Duration>,
}

impl Fault {
    /// Nobody answered, or nothing that could be understood.
    pub fn of(error: Error) -> Self {
        match error {
            Error::Retry { message, after } => Self { meaning: Meaning::Later, code: None, message, after },
            other => Self { meaning: Meaning::Fatal, code: None, message: other.message().to_owned(), after: None },
        }
    }

    /// An answer of this status. `code`: the header `X-ClickHouse-Exception-Code`, which old servers do not send.
    pub fn answered(host: &str, status: u16, code: Option<&str>, body: &str, after: Option<Duration>) -> Self {
        let code = code.and_then(|code| code.trim().parse().ok()).or_else(|| code_in(body));
        let shown = shown(body);
        let meaning = code.map_or_else(|| of_status(status), |code| of_code(code, body));
        let what = code.map_or_else(|| format!("status {status}"), |code| format!("error {code}"));
        let advice = if meaning == Meaning::Fatal { advice(code, status, host) } else { String::new() };
        Self { meaning, code, message: format!("{host} answers {what}: {shown}{advice}"), after }
    }

    /// An answer of 200 that did not come whole. What it would have said is not known.
    pub fn broken(host: &str, why: &str) -> Self {
        Self { meaning: Meaning::Later, code: None, message: format!("{host}: the answer broke off: {why}"), after: None }
    }

    /// A call has taken so long that no further request is sent.
    pub fn late(host: &str, taken: Duration) -> Self {
        let message =
            format!("{host} is slow: after {} s of a call nothing more is sent, and what is left comes again", taken.as_secs());
        Self { meaning: Meaning::Later, code: None, message, after: None }
    }

    /// An answer of 200 to a query that ClickHouse does not give.
    pub fn foreign(host: &str, body: &str) -> Self {
        let message = format!("{host} answers a query with {}{}", shown(body), advice(None, 200, host));
        Self { meaning: Meaning::Fatal, code: None, message, after: None }
    }

    /// For a call that cannot be parted by records.
    pub fn into_error(self) -> Error {
        match self.meaning {
            Meaning::Later | Meaning::Fewer => Error::Retry { message: self.message, after: self.after },
            Meaning::Record | Meaning::Fatal => Error::fatal(self.message),
        }
    }
}

/// `Code: 60, e.displayText() = …` of old servers, `Code: 60. DB::Exception: …` of new ones.
fn code_in(body: &str) -> Option<u32> {
    let rest = body.split_once("Code: ")?.1;
    rest.get(..rest.find(|c: char| !c.is_ascii_digit())?)?.parse().ok()
}

/// The server's own words on one line, without what it puts around them.
fn shown(body: &str) -> String {
    let text = body.trim();
    let text = text.split_once("DB::Exception: ").map_or(text, |(_, words)| words);
    let text = text.split(", e.what() = ").next().unwrap_or(text);
    // What a constraint does not take: values have no place in logs.
    let text = text.split(". Column values").next().unwrap_or(text);
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if line.is_empty() { "(no text)".to_owned() } else { line }
}

/// Without a code it was not ClickHouse that answered, but something before it; or it has said 200 and then something else.
const fn of_status(status: u16) -> Meaning {
    match status {
        200 | 408 | 425 | 429 | 500 | 502..=599 => Meaning::Later,
        // A body that is too long for something on the way: find the record that alone is.
        413 => Meaning::Record,
        _ => Meaning::Fatal,
    }
}

/// Numbers of `ErrorCodes.cpp`. What stands in no list comes again later: nothing is lost by it, and the retry budget decides. So
/// does a body that ends too early (32, 33), which somebody on the way has cut.
fn of_code(code: u32, body: &str) -> Meaning {
    match code {
        // So many parts that merges have to catch up, or one insert for too many partitions: fewer records go to fewer.
        252 if body.contains("single INSERT block") => Meaning::Record,
        // What one query may have, not what the server has.
        241 if ["(for query)", "Query memory limit"].iter().any(|words| body.contains(words)) => Meaning::Fewer,
        code if of_value(code) => Meaning::Record,
        code if of_query(code) || of_user(code) => Meaning::Fatal,
        _ => Meaning::Later,
    }
}

/// A value does not please the server.
const fn of_value(code: u32) -> bool {
    match code {
        // CANNOT_PARSE_*, ARGUMENT_OUT_OF_BOUND, CANNOT_CONVERT_TYPE, INCORRECT_DATA, TOO_LARGE_*, ILLEGAL_DIVISION, SIZES_OF_*,
        // TYPE_MISMATCH, SIZES_OF_ARRAYS_DOESNT_MATCH.
        6 | 26 | 27 | 38 | 41 | 53 | 69 | 70 | 72 | 117 | 128 | 131 | 153 | 190 => true,
        // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN, FUNCTION_THROW_IF_VALUE_IS_NON_ZERO,
        // DECIMAL_OVERFLOW, VIOLATED_CONSTRAINT, UNKNOWN_ELEMENT_OF_ENUM.
        _ => matches!(code, 321 | 349 | 395 | 407 | 469 | 691),
    }
}

/// The query does not fit the server or the table: NO_SUCH_COLUMN_IN_TABLE, NUMBER_OF_COLUMNS_DOESNT_MATCH, UNKNOWN_IDENTIFIER,
/// UNKNOWN_FUNCTION, NOT_IMPLEMENTED, UNKNOWN_TYPE, UNKNOWN_TABLE, SYNTAX_ERROR, UNKNOWN_FORMAT, UNKNOWN_DATABASE, UNKNOWN_SETTING,
/// READONLY, SETTING_CONSTRAINT_VIOLATION (which names the setting).
const fn of_query(code: u32) -> bool {
    matches!(code, 16 | 20 | 46 | 47 | 48 | 50 | 60 | 62 | 73 | 81 | 115 | 164 | 452)
}

/// Who asks may not: UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED, DATABASE_ACCESS_DENIED, ACCESS_DENIED,
/// AUTHENTICATION_FAILED.
const fn of_user(code: u32) -> bool {
    matches!(code, 192..=195 | 291 | 497 | 516)
}

fn advice(code: Option<u32>, status: u16, host: &str) -> String {
    match (code, status) {
        (Some(192..=194 | 516), _) | (None, 401 | 403 | 407) => {
            format!("; check the credentials in `[sink.auth.\"{host}\"]`")
        }
        (Some(60 | 81), _) => "; create it, or mend `config.database` and `config.table`".to_owned(),
        (Some(452), _) => "; let the user's profile allow this setting, which the sink relies on".to_owned(),
        (Some(164 | 291 | 497), _) => "; the user needs INSERT, and SELECT of what it inserts".to_owned(),
        (None, 300..=399) => "; it redirects: give the address itself in `config.url`".to_owned(),
        (None, _) => "; is `config.url` the HTTP interface of ClickHouse?".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, header: Option<&str>, body: &str) -> Fault {
        Fault::answered("ch:8123", status, header, body, None)
    }

    #[test]
    fn code_and_words_are_found_in_answers_old_and_new() {
        let old = "Code: 60, e.displayText() = DB::Exception: Table default.t doesn't exist., e.what() = DB::Exception\n";
        let new = "Code: 60. DB::Exception: Table default.t does not exist. (UNKNOWN_TABLE) (version 24.3.1.1)\n";
        let told = fault(404, None, old);
        assert_eq!((told.meaning, told.code), (Meaning::Fatal, Some(60)));
        assert_eq!(
            told.message,
            "ch:8123 answers error 60: Table default.t doesn't exist.; create it, or mend `config.database` and `config.table`"
        );
        assert_eq!(fault(404, Some("60"), new).code, Some(60));
        assert_eq!(fault(404, None, new).code, Some(60));
    }

    #[test]
    fn answers_mean_what_can_be_done_about_them() {
        for (status, body, expected) in [
            (500, include_str!("../tests/error-190.txt"), Meaning::Record),
            (500, include_str!("../tests/error-16.txt"), Meaning::Fatal),
            (401, include_str!("../tests/error-193.txt"), Meaning::Fatal),
            (500, "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100)", Meaning::Record),
            (500, "Code: 252, e.displayText() = DB::Exception: Too many parts (300). Merges are slower", Meaning::Later),
            (500, "Code: 241. DB::Exception: Memory limit (total) exceeded", Meaning::Later),
            (500, "Code: 241. DB::Exception: Memory limit (for query) exceeded: would use 9.32 GiB", Meaning::Fewer),
            (500, "Code: 241. DB::Exception: Query memory limit exceeded: would use 9.32 GiB", Meaning::Fewer),
            (500, "Code: 7. DB::Exception: Incorrect number of columns", Meaning::Later),
            (500, "Code: 34. DB::Exception: Too many arguments for function f", Meaning::Later),
            (500, "Code: 452. DB::Exception: Setting insert_deduplicate should not be changed", Meaning::Fatal),
            (413, "<html>too large</html>", Meaning::Record),
            (500, "Code: 9999. DB::Exception: never heard of", Meaning::Later),
            (500, include_str!("../tests/error-33.txt"), Meaning::Later),
            (403, "Code: 516. DB::Exception: x: Authentication failed", Meaning::Fatal),
            (503, "<html>busy</html>", Meaning::Later),
            (401, "", Meaning::Fatal),
            (404, "not here", Meaning::Fatal),
            (308, "", Meaning::Fatal),
        ] {
            assert_eq!(fault(status, None, body).meaning, expected, "{status} {body}");
        }
    }

    #[test]
    fn what_stops_the_sink_says_what_to_do() {
        let refused = fault(500, None, "Code: 193, e.displayText() = DB::Exception: Wrong password for user default");
        assert!(refused.message.contains("[sink.auth.\"ch:8123\"]"), "{}", refused.message);
        let fixed = fault(500, None, "Code: 452. DB::Exception: Setting insert_deduplicate should not be changed");
        assert!(fixed.message.contains("insert_deduplicate") && fixed.message.contains("profile"), "{}", fixed.message);
        let constraint = "Code: 469. DB::Exception: Constraint `c` for table t is violated at row 1. Expression: (n > 7). Column values: n = 5";
        let told = fault(500, None, constraint).message;
        assert!(told.ends_with("Expression: (n > 7)"), "{told}");
        let long = fault(500, None, &format!("Code: 6, e.displayText() = DB::Exception: {}\n", "x".repeat(500)));
        assert_eq!(long.message, format!("ch:8123 answers error 6: {}", "x".repeat(200)));
    }
}
