//! One answer with records: where each record's text is, and what the answer says of what comes after it. Keeps the body and
//! hands records out as the bytes that came. Sends nothing.

use std::collections::VecDeque;
use std::ops::Range;

use serde::de::IgnoredAny;
use wharf_http_rules::answer::{says_yes, shown};
use wharf_http_rules::jsonpath::JsonPath;
use wharf_packing::hash_of;

use crate::config::{Config, Format, Pagination};

/// An answer, its records not yet read.
#[derive(Debug, Default)]
pub struct Page {
    body: String,
    records: VecDeque<Range<usize>>,
    /// How many it had when it came, by which the API counts: those that a filter of `config.records` leaves out too.
    pub count: u64,
    /// A hash of its records, where pages are counted: so two of the same are known, whatever stands around them.
    pub content: u64,
    /// What `config.next` selects: JSON text.
    pub next: Option<String>,
    /// What `config.more` says.
    pub more: Option<bool>,
}

/// An answer that is not what it should be. Each says what came instead.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPage {
    #[error("the answer is no JSON, or was cut off ({why}); it begins: {start}")]
    Json { why: String, start: String },
    #[error("the answer has nothing at `{path}` (config.records): it begins: {start}")]
    Shape { path: String, start: String },
    #[error("the answer is an error by `{path}` (config.fail-if): {found}")]
    Failed { path: String, found: String },
}

impl Page {
    /// # Errors
    /// [`BadPage`].
    pub fn read(config: &Config, body: Vec<u8>) -> Result<Self, BadPage> {
        let body = String::from_utf8(body).map_err(|e| {
            let why = "not UTF-8".to_owned();
            BadPage::Json { why, start: shown(&String::from_utf8_lossy(e.as_bytes())) }
        })?;
        let text = body.strip_prefix('\u{feff}').unwrap_or(&body);
        let mut page = match config.format {
            Format::JsonLines => json_lines(&body, text)?,
            Format::Json => json(config, &body, text)?,
        };
        if matches!(config.pagination, Pagination::Page | Pagination::Offset) {
            let records = page.records.iter().filter_map(|range| body.get(range.clone()));
            page.content = hash_of(records.chain([page.count.to_string().as_str()]));
        }
        page.body = body;
        Ok(page)
    }

    /// The next record as it came.
    pub fn next_record(&mut self) -> Option<&str> {
        let range = self.records.pop_front()?;
        self.body.get(range)
    }

    /// Those that are not handed out yet, as they came.
    pub fn records(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter_map(|range| self.body.get(range.clone()))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// The places of all lines that are not empty. Where none of them is JSON it is another answer, such as a page of a proxy.
fn json_lines(body: &str, text: &str) -> Result<Page, BadPage> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let json = |line: &str| serde_json::from_str::<IgnoredAny>(line);
    if let Some(Err(why)) = lines().next().map(json)
        && !lines().any(|line| json(line).is_ok())
    {
        return Err(BadPage::Json { why: why.to_string(), start: shown(text) });
    }
    let records: VecDeque<_> = lines().map(|line| place(body, line)).collect();
    Ok(Page { count: records.len() as u64, records, ..Page::default() })
}

/// `part` is a part of `body`.
fn place(body: &str, part: &str) -> Range<usize> {
    let from = (part.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    from..from + part.len()
}

fn json(config: &Config, body: &str, text: &str) -> Result<Page, BadPage> {
    let no_json = |e: serde_json::Error| BadPage::Json { why: e.to_string(), start: shown(text) };
    if let Some(path) = &config.fail_if
        && let Some(found) = path.select(text).map_err(no_json)?.into_iter().find(|found| says_yes(found))
    {
        return Err(BadPage::Failed { path: path.to_string(), found: shown(found) });
    }
    let selected = config.records.select(text).map_err(no_json)?;
    let container = config.records.container().first(text).map_err(no_json)?;
    if selected.is_empty() && container.is_none() {
        return Err(BadPage::Shape { path: config.records.to_string(), start: shown(text) });
    }
    let mut records = VecDeque::new();
    for found in selected {
        if found.starts_with('[') {
            let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(found).map_err(no_json)?;
            records.extend(items.into_iter().map(|item| place(body, item.get())));
        } else if found != "null" {
            records.push_back(place(body, found));
        }
    }
    let select = |path: &Option<JsonPath>| match path {
        Some(path) => path.first(text).map_err(no_json),
        None => Ok(None),
    };
    let next = select(&config.next)?.filter(|found| says_yes(found)).map(ToOwned::to_owned);
    let more = if config.more.is_some() { Some(select(&config.more)?.is_some_and(says_yes)) } else { None };
    let listed = match container.filter(|list| list.starts_with('[') && !config.records.is_single()) {
        Some(list) => serde_json::from_str::<Vec<IgnoredAny>>(list).map_err(no_json)?.len(),
        None => records.len(),
    };
    Ok(Page { records, count: listed as u64, next, more, ..Page::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        serde_json::from_str(&format!(r#"{{"url": "https://h"{more}}}"#)).unwrap()
    }

    fn read(more: &str, body: &str) -> Result<(Vec<String>, Page), BadPage> {
        let mut page = Page::read(&config(more), body.as_bytes().to_vec())?;
        let mut records = Vec::new();
        while let Some(record) = page.next_record() {
            records.push(record.to_owned());
        }
        assert!(page.is_empty());
        Ok((records, page))
    }

    fn records(more: &str, body: &str) -> Vec<String> {
        read(more, body).unwrap().0
    }

    #[test]
    fn records_come_out_as_they_stood_whatever_the_answer_wraps_them_in() {
        let record = r#"{"n" : 12345678901234567890.10}"#;
        for (more, body) in [
            ("", format!("[ {record} , {record}]")),
            (r#", "records": "$.data""#, format!("\u{feff}{{\"data\": [{record}, {record}]}}")),
            (r#", "records": "$.data[*]""#, format!("{{\"data\": [{record}, {record}]}}")),
            (
                r#", "records": "$.o.edges[*].node""#,
                format!("{{\"o\": {{\"edges\": [{{\"node\": {record}}}, {{\"node\":{record}}}]}}}}"),
            ),
            (r#", "format": "json-lines""#, format!("{record}\r\n\n {record}")),
        ] {
            assert_eq!(records(more, &body), [record, record], "{body}");
        }
        assert_eq!(records("", record), [record], "one object is one record");
    }

    #[test]
    fn a_page_counts_what_the_api_has_listed_whatever_is_selected_of_it() {
        for (records, body, expected) in [
            ("$.d[?@.ok == true]", r#"{"d": [{"ok": true}, {"ok": false}, {}]}"#, (1, 3)),
            ("$.d[*].node", r#"{"d": [{"node": {}}, {"node": null}, {"node": {}}]}"#, (2, 3)),
            ("$.d[*].lines", r#"{"d": [{"lines": [1, 2]}]}"#, (2, 1)),
            ("$.d", r#"{"d": [1, 2]}"#, (2, 2)),
            ("$", r#"{"id": 1}"#, (1, 1)),
        ] {
            let (found, page) = read(&format!(r#", "records": "{records}""#), body).unwrap();
            assert_eq!((found.len(), page.count), expected, "{records}");
        }
    }

    #[test]
    fn lines_of_which_none_is_json_are_another_answer() {
        let lines = r#", "format": "json-lines""#;
        let error = read(lines, "<html>\n<p>Maintenance</p>\n</html>").unwrap_err();
        assert!(matches!(&error, BadPage::Json { start, .. } if start.contains("Maintenance")), "{error}");
        assert_eq!(records(lines, "oops\n{}"), ["oops", "{}"], "one of them is rejected alone");
        assert_eq!(records(lines, ""), [""; 0]);
    }

    #[test]
    fn an_empty_list_is_no_fault_and_another_shape_is() {
        let data = r#", "records": "$.data[*]""#;
        assert_eq!(records(data, r#"{"data": []}"#), [""; 0]);
        assert_eq!(records(r#", "records": "$.data""#, r#"{"data": null}"#), [""; 0]);
        assert_eq!(records(data, r#"{"data": null}"#), [""; 0], "how some write an empty list");
        assert_eq!(records(r#", "records": "$.data[?@.ok == true]""#, r#"{"data": [{"ok": false}]}"#), [""; 0]);
        let error = read(data, r#"{"error": "try later"}"#).unwrap_err();
        assert!(
            matches!(&error, BadPage::Shape { path, start } if path == "$.data[*]" && start.contains("try later")),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_json_is_told_by_its_first_characters() {
        for body in ["<html>\nPlease sign in</html>", r#"[{"a": 1}, {"a""#, ""] {
            let error = read("", body).unwrap_err();
            assert!(matches!(error, BadPage::Json { .. }), "{error}");
        }
        let error = read("", &format!("<html>\n{}", "x".repeat(300))).unwrap_err().to_string();
        assert!(error.contains(&format!("begins: <html> {}", "x".repeat(193))) && !error.contains(&"x".repeat(194)), "{error}");
    }

    #[test]
    fn an_error_in_place_of_records_is_found_by_its_path() {
        let errors = r#", "records": "$.data", "fail-if": "$.errors""#;
        assert_eq!(records(errors, r#"{"data": [1], "errors": []}"#), ["1"]);
        assert_eq!(records(errors, r#"{"data": [1], "errors": null}"#), ["1"]);
        let error = read(errors, r#"{"data": null, "errors": [{"message": "throttled"}]}"#).unwrap_err();
        assert!(matches!(&error, BadPage::Failed { found, .. } if found.contains("throttled")), "{error}");
        let code = r#", "fail-if": "$[?@ != 0]", "records": "$.d""#;
        assert!(read(code, r#"{"code": 5}"#).is_err());
    }

    #[test]
    fn next_and_more_say_no_where_they_are_empty() {
        let paths = r#", "records": "$.d", "pagination": "cursor", "next": "$.next", "more": "$.more""#;
        let of = |body| read(paths, body).map(|(_, page)| (page.next, page.more)).unwrap();
        assert_eq!(of(r#"{"d": [], "next": "a", "more": true}"#), (Some("\"a\"".to_owned()), Some(true)));
        assert_eq!(of(r#"{"d": [], "next": "", "more": 0}"#), (None, Some(false)));
        assert_eq!(of(r#"{"d": []}"#), (None, Some(false)));
    }
}
