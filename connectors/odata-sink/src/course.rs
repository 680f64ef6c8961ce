//! What an answer means for its record: done, refused, later, or what to ask next. Sends nothing.

use std::time::Duration;

use serde_json::{Map, Value};
use wharf_sdk::Rejection;
use wharf_shared_odata::edm::Simple;
use wharf_shared_odata::message::message;
use wharf_shared_odata::value::Mapping;

use crate::config::{Etag, Write};
use crate::entry::{Change, Entry, Step};
use crate::operation::Answer;
use crate::target::Target;

/// The judgement on one answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Judged {
    Delivered,
    Rejected(Rejection),
    Next(Step),
    Later(Option<Duration>),
    /// V4 that does not take, or give, Int64 and Decimal as text; with its status.
    PlainNumbers(u16),
    /// Answered with 404. Where there is such a set at all, the record is rejected, or delivered where there is no rejection.
    SetOrNot(Option<Rejection>),
    /// The service does not take this kind of request.
    Never(u16),
}

/// Judges the answer to an entry's step. 401 does not come here, nor a 403 that may be the account's.
#[must_use]
pub fn judge(target: &Target, entry: &mut Entry, answer: &Answer) -> Judged {
    match answer.status {
        // A lock is let go; a request that another one had to precede was not tried.
        408 | 423 | 424 | 425 | 429 | 500 | 502.. => return Judged::Later(answer.retry_after),
        405 | 501 => return Judged::Never(answer.status),
        406 | 415 => return Judged::PlainNumbers(answer.status),
        _ => {}
    }
    let done = (200..300).contains(&answer.status);
    // Where any ETag would do (`*`), it is the entity itself that is missing (RFC 9110, 13.1.1).
    let any = entry.etag.is_none() && target.etag != Etag::None;
    let gone = matches!(answer.status, 404 | 410);
    let missing = gone || answer.status == 412 && any;
    match entry.step {
        Step::Update | Step::UpdateAgain | Step::Create { .. } | Step::Delete if done => Judged::Delivered,
        // A router in front of a service that is not there answers 404, too.
        Step::Delete if gone => Judged::SetOrNot(None),
        Step::Delete if missing => Judged::Delivered,
        Step::Update if missing => not_there(target, entry, answer),
        // What could not be created for a 409 is not there either: the 409 says why.
        Step::UpdateAgain if gone => {
            Judged::SetOrNot(Some(entry.refused.take().unwrap_or_else(|| refusal(target, entry, answer))))
        }
        // It may have been done by a request whose answer was lost: then the ETag is another one by now.
        Step::Update | Step::Delete if answer.status == 412 && entry.etag.is_some() => {
            entry.refused = Some(refusal(target, entry, answer));
            Judged::Next(Step::Ask { then_create: false })
        }
        Step::UpdateAgain | Step::Update | Step::Delete => Judged::Rejected(refusal(target, entry, answer)),
        Step::Create { again } => not_created(target, entry, answer, again),
        Step::Ask { then_create } => asked(target, entry, answer, then_create),
    }
}

/// There was nothing to update.
fn not_there(target: &Target, entry: &Entry, answer: &Answer) -> Judged {
    if entry.etag.is_some() {
        let message = format!("the entity of this ETag is no longer there{}", said(answer));
        return Judged::SetOrNot(Some(Rejection::new("odata.conflict", message)));
    }
    if target.write == Write::Update {
        let message = format!("there is no such entity in `{}`{}", target.set, said(answer));
        return Judged::SetOrNot(Some(Rejection::new("odata.missing", message)));
    }
    Judged::Next(Step::Create { again: true })
}

fn not_created(target: &Target, entry: &mut Entry, answer: &Answer, again: bool) -> Judged {
    let refusal = refusal(target, entry, answer);
    if target.write == Write::Insert {
        // It may have been created by a request whose answer was lost, of this instance or of one before it.
        entry.refused = Some(refusal);
        return Judged::Next(Step::Ask { then_create: false });
    }
    match answer.status {
        409 if again => {
            entry.refused = Some(refusal);
            Judged::Next(Step::UpdateAgain)
        }
        409 => {
            entry.refused = Some(Rejection { code: "odata.conflict".to_owned(), ..refusal });
            Judged::Next(Step::Ask { then_create: false })
        }
        404 | 410 => Judged::SetOrNot(Some(refusal)),
        _ => Judged::Rejected(refusal),
    }
}

fn asked(target: &Target, entry: &mut Entry, answer: &Answer, then_create: bool) -> Judged {
    match answer.status {
        200..300 if is_as_sent(target, &entry.change, &answer.body) => Judged::Delivered,
        200..300 if target.write != Write::Insert && entry.refused.is_some() => {
            Judged::Rejected(entry.refused.take().unwrap_or_else(|| refusal(target, entry, answer)))
        }
        200..300 => {
            let message = format!("`{}` has an entity of this key with other values", target.set);
            Judged::Rejected(Rejection::new("odata.exists", message))
        }
        404 | 410 if entry.change == Change::Delete => Judged::SetOrNot(None),
        404 | 410 if then_create => Judged::Next(Step::Create { again: false }),
        404 | 410 => match entry.refused.take() {
            Some(refused) => Judged::SetOrNot(Some(refused)),
            None => Judged::Next(Step::Create { again: false }),
        },
        _ => Judged::Rejected(entry.refused.take().unwrap_or_else(|| refusal(target, entry, answer))),
    }
}

/// The service's own words, under a code of their own where the ETag is no longer the record's.
fn refusal(target: &Target, entry: &Entry, answer: &Answer) -> Rejection {
    if answer.status == 412 && entry.etag.is_some() {
        let message = format!("the entity was changed after the record's ETag{}", said(answer));
        return Rejection::new("odata.conflict", message);
    }
    Rejection::new(format!("odata.{}", answer.status), format!("`{}` answers {}{}", target.set, answer.status, said(answer)))
}

fn said(answer: &Answer) -> String {
    message(&answer.body).map_or_else(String::new, |text| format!(": {text}"))
}

/// Whether an entity, as the service gives it, holds what was to be created. What the service has filled in by itself does not count.
fn is_as_sent(target: &Target, change: &Change, body: &[u8]) -> bool {
    let Change::Put { create, .. } = change else { return false };
    let found: Option<Value> = serde_json::from_slice(body).ok();
    let found = found.map(|found| found.get("d").cloned().unwrap_or(found));
    let Some(Value::Object(found)) = found else { return false };
    let mapping = Mapping { model: Some(&target.model), version: target.version };
    let (found, sent) = (mapping.object(found, Some(&target.of)), mapping.object(create.clone(), Some(&target.of)));
    holds(target, &found, &sent)
}

fn holds(target: &Target, found: &Map<String, Value>, sent: &Map<String, Value>) -> bool {
    sent.iter().all(|(name, sent)| {
        let simple = target.model.simple(&target.of, name);
        found.get(name).is_some_and(|found| same(simple, found, sent))
    })
}

fn same(simple: Option<Simple>, found: &Value, sent: &Value) -> bool {
    match (found, sent) {
        // ABAP has no null: it keeps the initial value.
        (found, Value::Null) => found.is_null() || found == "" || is_zero(found) || *found == Value::Bool(false),
        (Value::Object(found), Value::Object(sent)) => {
            sent.iter().all(|(name, sent)| found.get(name).is_some_and(|found| same(None, found, sent)))
        }
        (Value::String(found), Value::String(sent)) if simple == Some(Simple::Decimal) => shortest(found) == shortest(sent),
        (Value::Number(found), Value::Number(sent)) => found == sent || found.as_f64() == sent.as_f64() && found.is_f64(),
        (found, sent) => found == sent,
    }
}

fn is_zero(value: &Value) -> bool {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    text.parse::<f64>() == Ok(0.0)
}

/// A decimal without zeros at its end.
fn shortest(decimal: &str) -> &str {
    if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal }
}
