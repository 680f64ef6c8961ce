//! What the body of an answer says beyond its status: an error in spite of it, or records of a batch that failed. Sends nothing.

use wharf_http_rules::answer::{says_yes, shown};
use wharf_http_rules::jsonpath::JsonPath;
use wharf_sdk::http::Response;
use wharf_sdk::{Error, Rejection};

use crate::Sent;
use crate::config::{Config, OnFail};
use crate::element::Element;
use crate::lanes::Lane;

/// The longest answer that is looked into, in bytes.
const LONGEST: usize = 8 << 20;

/// The rules of a configuration that has any.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    success_if: Option<JsonPath>,
    fail_if: Option<JsonPath>,
    on_fail: OnFail,
    failures: Option<JsonPath>,
    /// Within a failure: the record's place in the request, or what `id-field` holds.
    index: Option<JsonPath>,
    id: Option<JsonPath>,
}

impl Rules {
    /// `None`: the status says all.
    ///
    /// # Errors
    /// One sentence that names the key at fault.
    pub fn new(config: &Config) -> Result<Option<Self>, String> {
        let path = |key: &str, text: &Option<String>| match text {
            Some(text) => JsonPath::path_or_field(text).map(Some).map_err(|e| format!("`config.{key}`: {e}")),
            None => Ok(None),
        };
        let rules = Self {
            success_if: config.success_if.clone(),
            fail_if: config.fail_if.clone(),
            on_fail: config.on_fail,
            failures: config.failures.clone(),
            index: path("failure-index", &config.failure_index)?,
            id: path("failure-id", &config.failure_id)?,
        };
        let named = rules.index.is_some() || rules.id.is_some();
        if rules.failures.is_none() && named {
            return Err(
                "`config.failure-index` and `failure-id` look into what `config.failures` selects, which is missing".to_owned()
            );
        }
        if rules.failures.is_some() && !named && config.elements_per_request() > 1 {
            return Err(
                "`config.failures` needs `config.failure-index` or `failure-id`, by which a record of a request is known"
                    .to_owned(),
            );
        }
        if rules.id.is_some() && config.id_field.is_none() {
            return Err("`config.failure-id` goes with `config.id-field`, whose text it is compared with".to_owned());
        }
        let whole = rules.success_if.is_some() || rules.fail_if.is_some();
        let looks = whole || rules.failures.is_some();
        if rules.on_fail == OnFail::Reject && !looks {
            return Err(
                "`config.on-fail` is about `config.success-if`, `fail-if` and `failures`, of which none is given".to_owned()
            );
        }
        Ok(looks.then_some(rules))
    }

    /// What became of the request that is under way, by an answer whose status says that it was delivered. One that is too long to be
    /// looked into says nothing of any record: it is an error of the whole request, which would be as long again.
    pub fn sent(&self, lane: &Lane<'_>, host: &str, response: Response) -> Sent {
        let (status, after) = (response.status, response.retry_after());
        let body = match response.bytes_up_to(LONGEST) {
            Ok(body) => body,
            // Nobody knows what it would have said.
            Err(Error::Retry { message, after }) => return Sent::Later(message, after),
            Err(_) => {
                let message = format!(
                    "{host} answers {status} with more than {} MiB, in which config.success-if, fail-if or failures cannot look: \
                     the receiver may have taken the record",
                    LONGEST >> 20
                );
                return Sent::Never(Rejection::new("http.answer", message));
            }
        };
        let text = String::from_utf8_lossy(&body);
        let said = format!("{host} answers {status}: {}", shown(&text));
        match self.failed(&text) {
            None => {}
            Some(why) if self.on_fail == OnFail::Retry => return Sent::Later(format!("{said} ({why})"), after),
            Some(why) => return Sent::Never(Rejection::new("http.answer", format!("{said} ({why})"))),
        }
        let elements: Vec<&Element<'_>> = lane.under_way().collect();
        let Some(failures) = self.failures(&text) else { return Sent::Delivered };
        let mut rejected = Vec::new();
        for failure in failures {
            match self.element(failure, &elements) {
                Some(element) => {
                    let message = format!("{host} answers {status}: {}", shown(failure));
                    rejected.push((element.index, Rejection::new("http.failure", message)));
                }
                // It tells of a record that cannot be found: each is sent by itself, so that it is known which it was.
                None => return Sent::Never(Rejection::new("http.failure", said)),
            }
        }
        if rejected.is_empty() { Sent::Delivered } else { Sent::Partly(rejected) }
    }

    /// Why the whole answer is an error.
    fn failed(&self, text: &str) -> Option<String> {
        let found = |path: &JsonPath| path.select(text).map(|found| found.into_iter().any(says_yes));
        if let Some(path) = self.fail_if.as_ref().filter(|_| !text.trim().is_empty()) {
            match found(path) {
                Ok(false) => {}
                Ok(true) => return Some(format!("config.fail-if `{path}` holds")),
                Err(_) => return Some("it is no JSON, in which config.fail-if could look".to_owned()),
            }
        }
        if let Some(path) = self.failures.as_ref().filter(|_| !text.trim().is_empty())
            && path.select(text).is_err()
        {
            return Some("it is no JSON, in which config.failures could look".to_owned());
        }
        let path = self.success_if.as_ref()?;
        match found(path) {
            Ok(true) => None,
            Ok(false) => Some(format!("config.success-if `{path}` does not hold")),
            Err(_) => Some("it is no JSON, in which config.success-if could look".to_owned()),
        }
    }

    /// The failures of single records; an empty answer tells of none. In a list null and false are no failures, and 0 is the
    /// record at that place.
    fn failures<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let path = self.failures.as_ref()?;
        // What one place holds may say "none" in other ways than by a list: `{"failed": 0}`.
        let is_one = path.is_single();
        let selected = path.select(text).ok()?;
        let mut failures = Vec::new();
        for found in selected {
            if found.starts_with('[') {
                let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(found).ok()?;
                failures.extend(items.into_iter().map(serde_json::value::RawValue::get));
            } else if !is_one || says_yes(found) {
                failures.push(found);
            }
        }
        failures.retain(|failure| !matches!(*failure, "null" | "false"));
        Some(failures)
    }

    /// The record that a failure is about.
    fn element<'e, 'a>(&self, failure: &str, elements: &[&'e Element<'a>]) -> Option<&'e Element<'a>> {
        if let [one] = elements {
            return Some(one);
        }
        let text = |path: &JsonPath| path.first(failure).ok().flatten();
        if let Some(index) = self.index.as_ref().and_then(text) {
            return elements.get(index.trim_matches('"').parse::<usize>().ok()?).copied();
        }
        let id: String = serde_json::from_str(self.id.as_ref().and_then(text)?).ok()?;
        elements.iter().find(|e| format!("{}/{}/{}", e.topic, e.partition, e.offset) == id).copied()
    }
}
