//! The sink against a small Odoo: all rows of a request or none, errors by row as recorded from Odoo 19.0.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use wharf_sdk::http::{Request, Response};
use wharf_sdk::{Verdict, testing};

use super::*;

/// What stands in it, and what was asked.
#[derive(Debug, Default)]
struct Small {
    /// By external id: the texts under their columns.
    records: BTreeMap<String, BTreeMap<String, String>>,
    archived: BTreeSet<String>,
    requests: Vec<String>,
    /// Operations that the account has no right to.
    denied: Vec<&'static str>,
    /// How long each answer takes.
    pause: Option<Duration>,
    /// Answers that come in place of its own.
    answers: Vec<Option<Response>>,
}

type Odoo = Rc<RefCell<Small>>;

impl Small {
    fn answer(&mut self, request: &Request) -> Response {
        let (rest, method) = request.url.rsplit_once('/').unwrap();
        let model = rest.rsplit_once('/').unwrap().1;
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if method == "fields_get" {
            return ok(&json!({
                "name": {"type": "char"}, "color": {"type": "integer"}, "active": {"type": "boolean"}, "parent_id": {"type": "many2one"},
                "date": {"type": "datetime"}
            }));
        }
        if method == "has_access" {
            return ok(&json!(!self.denied.contains(&body["operation"].as_str().unwrap())));
        }
        let rows = body["data"].as_array().map_or(0, Vec::len);
        self.requests.push(if method == "load" { format!("load {rows}") } else { method.to_owned() });
        if let Some(pause) = self.pause {
            std::thread::sleep(pause);
        }
        if !self.answers.is_empty()
            && let Some(answer) = self.answers.remove(0)
        {
            return answer;
        }
        match (model, method) {
            ("res.partner", "load") => self.load(&body),
            ("ir.model.data", "search_read") => {
                let names: Vec<_> = body["domain"][2][2].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                let known = self.records.keys().enumerate().map(|(at, name)| (at, name.strip_prefix("wharf.").unwrap()));
                ok(&known
                    .filter(|(_, name)| names.contains(name))
                    .map(|(at, name)| json!({"name": name, "res_id": at}))
                    .collect())
            }
            ("res.partner", "search") => {
                assert_eq!(body["context"], json!({"active_test": false}), "an archived record is there");
                let there = |id: &&Value| id.as_u64().is_some_and(|id| id < self.records.len() as u64);
                ok(&body["domain"][0][2].as_array().unwrap().iter().filter(there).cloned().collect())
            }
            ("res.partner", "write") => {
                assert_eq!(body["vals"], json!({"active": false}));
                let named: Vec<_> = body["ids"].as_array().unwrap().iter().map(|id| self.name(id)).collect();
                self.archived.extend(named);
                ok(&json!(true))
            }
            ("res.partner", "unlink") => {
                let names: Vec<_> = body["ids"].as_array().unwrap().iter().map(|id| self.name(id)).collect();
                if names.iter().any(|name| name.ends_with(".foreign")) {
                    return Response::new(403, include_str!("../../shared/odoo-api/tests/no-access.json"));
                }
                if names.iter().any(|name| name.ends_with(".used")) {
                    return Response::new(422, include_str!("../../shared/odoo-api/tests/constraint.json"));
                }
                self.records.retain(|name, _| !names.contains(name));
                ok(&json!(true))
            }
            other => panic!("{other:?}"),
        }
    }

    fn name(&self, id: &Value) -> String {
        self.records.keys().nth(usize::try_from(id.as_u64().unwrap()).unwrap()).unwrap().clone()
    }

    fn load(&mut self, body: &Value) -> Response {
        assert_eq!(body["context"]["tz"], "UTC", "times are meant in UTC");
        let columns: Vec<String> = serde_json::from_value(body["fields"].clone()).unwrap();
        let data: Vec<Vec<String>> = serde_json::from_value(body["data"].clone()).unwrap();
        let (mut new, mut messages) = (self.records.clone(), Vec::new());
        for (at, line) in data.iter().enumerate() {
            let cells: BTreeMap<String, String> = columns.iter().cloned().zip(line.clone()).skip(1).collect();
            let error = |field: Value, text: &str| json!({"rows": {"from": at, "to": at}, "type": "error", "record": at, "field": field, "message": text});
            if cells.get("name").is_some_and(|name| name == "Crash") {
                return Response::new(500, r#"{"name": "builtins.KeyError", "message": "'x'"}"#);
            }
            if cells.get("name").is_some_and(String::is_empty) {
                messages.push(error(Value::Null, "Contacts require a name"));
            } else if cells.get("parent_id/id").is_some_and(|parent| !new.contains_key(parent)) {
                messages.push(error("parent_id".into(), "No matching record found for external id"));
            } else {
                new.entry(line[0].clone()).or_default().extend(cells);
            }
        }
        if !messages.is_empty() {
            return ok(&json!({"ids": false, "messages": messages, "nextrow": 0}));
        }
        self.records = new;
        ok(&json!({"ids": (0..data.len()).collect::<Vec<_>>(), "messages": [], "nextrow": 0}))
    }
}

fn ok(value: &Value) -> Response {
    Response::new(200, value.to_string())
}

fn sink(more: &str) -> (OdooSink, Odoo) {
    let odoo = Odoo::default();
    let answering = Rc::clone(&odoo);
    testing::http(move |request| Ok(answering.borrow_mut().answer(request)));
    let config = format!(r#"{{"url": "https://erp.example.com", "model": "res.partner"{more}}}"#);
    (OdooSink::open(&Context::new("partners", config)).unwrap(), odoo)
}

fn write(sink: &mut OdooSink, records: &[(&str, Option<&str>)]) -> Result<Outcomes> {
    sink.write(&testing::batch("t", records.iter().map(|(key, value)| (Some(*key), *value))))
}

fn codes(outcomes: &Outcomes) -> Vec<(u32, String)> {
    let code = |verdict: &Verdict| match verdict {
        Verdict::Reject(rejection) => rejection.code.clone(),
        Verdict::Retry(after) => format!("retry {after:?}"),
    };
    outcomes.iter().map(|(index, verdict)| (index, code(verdict))).collect()
}

fn names(odoo: &Odoo) -> Vec<(String, String)> {
    odoo.borrow().records.iter().map(|(id, cells)| (id.clone(), cells["name"].clone())).collect()
}

fn requests(odoo: &Odoo) -> Vec<String> {
    std::mem::take(&mut odoo.borrow_mut().requests)
}

fn pair(id: &str, name: &str) -> (String, String) {
    (id.to_owned(), name.to_owned())
}

#[test]
fn records_of_equal_fields_go_in_one_request_and_a_repetition_changes_what_is_there() {
    let (mut sink, odoo) = sink("");
    let records = [(r#"{"id":1}"#, Some(r#"{"id":1,"name":"Ann"}"#)), (r#"{"id":2}"#, Some(r#"{"id":2,"name":"Bob"}"#))];
    assert!(write(&mut sink, &records).unwrap().is_empty());
    assert_eq!(requests(&odoo), ["load 2"]);
    assert!(write(&mut sink, &records).unwrap().is_empty());
    assert_eq!(names(&odoo), [pair("wharf.res_partner.1", "Ann"), pair("wharf.res_partner.2", "Bob")]);
}

#[test]
fn a_key_that_comes_again_and_other_fields_begin_a_new_request_so_that_order_is_kept() {
    let (mut sink, odoo) = sink(r#", "max-batch": 3"#);
    let records = [
        ("1", Some(r#"{"name":"a"}"#)),
        ("2", Some(r#"{"name":"b"}"#)),
        ("1", Some(r#"{"name":"c"}"#)),
        ("2", Some(r#"{"name":"d","color":1}"#)),
        ("3", Some(r#"{"name":"e","color":1}"#)),
        ("4", Some(r#"{"name":"f","color":1}"#)),
        ("5", Some(r#"{"name":"g","color":1}"#)),
    ];
    assert!(write(&mut sink, &records).unwrap().is_empty());
    assert_eq!(requests(&odoo), ["load 2", "load 1", "load 3", "load 1"]);
    assert_eq!(names(&odoo)[..2], [pair("wharf.res_partner.1", "c"), pair("wharf.res_partner.2", "d")]);
}

#[test]
fn only_the_records_that_odoo_refuses_are_rejected_and_the_others_arrive_in_order() {
    let (mut sink, odoo) = sink(r#", "relations": {"parent_id": "res_partner"}"#);
    let of = |name: &str, parent: u32| format!(r#"{{"name":"{name}","parent_id":{parent}}}"#);
    let values = [of("top", 0), of("under", 1), of("", 1), of("lost", 99), of("below", 2), of("", 2)];
    odoo.borrow_mut().records.insert("wharf.res_partner.0".to_owned(), BTreeMap::from([("name".to_owned(), "root".to_owned())]));
    let keys = ["1", "2", "3", "4", "5", "6"];
    let records: Vec<_> = keys.iter().zip(&values).map(|(key, value)| (*key, Some(value.as_str()))).collect();
    let outcomes = write(&mut sink, &records).unwrap();
    let refused = "odoo.refused".to_owned();
    assert_eq!(codes(&outcomes), [(2, refused.clone()), (3, refused.clone()), (5, refused)]);
    let Some(Verdict::Reject(rejection)) = outcomes.get(3) else { panic!("{outcomes:?}") };
    assert_eq!(
        (rejection.message.as_str(), rejection.field.as_deref()),
        ("No matching record found for external id", Some("/parent_id"))
    );
    let arrived: Vec<_> = names(&odoo).into_iter().map(|(_, name)| name).collect();
    assert_eq!(arrived, ["root", "top", "under", "below"]);
}

#[test]
fn a_record_over_which_odoo_fails_is_found_by_halves_and_rejected_after_five_calls() {
    let (mut sink, odoo) = sink("");
    let values: Vec<String> =
        (0..8).map(|n| if n == 5 { r#"{"name":"Crash"}"#.to_owned() } else { format!(r#"{{"name":"{n}"}}"#) }).collect();
    let keys: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let records: Vec<_> = keys.iter().zip(&values).map(|(key, value)| (key.as_str(), Some(value.as_str()))).collect();
    let later = |index| (index, "retry None".to_owned());
    assert_eq!(codes(&write(&mut sink, &records).unwrap()), [later(5), later(6), later(7)]);
    for _ in 2..blame::TRIES {
        assert!(matches!(write(&mut sink, &records[5..]), Err(Error::Retry { .. })));
    }
    let outcomes = write(&mut sink, &records[5..]).unwrap();
    assert_eq!(codes(&outcomes), [(0, "odoo.refused".to_owned())]);
    let Some(Verdict::Reject(rejection)) = outcomes.get(0) else { panic!("{outcomes:?}") };
    assert!(rejection.message.contains("builtins.KeyError"), "{}", rejection.message);
    assert_eq!(names(&odoo).len(), 7);
    assert!(matches!(write(&mut sink, &records[5..6]), Err(Error::Retry { .. })), "what is settled is counted anew");
}

#[test]
fn a_lost_race_that_the_import_tells_as_an_error_of_the_row_is_tried_again() {
    let race = || {
        let text = "could not serialize access due to concurrent update";
        ok(&json!({"ids": false, "messages": [{"rows": {"from": 0, "to": 0}, "type": "error", "message": text}]}))
    };
    let (mut sink, odoo) = sink("");
    odoo.borrow_mut().answers = vec![Some(race())];
    assert!(write(&mut sink, &[("1", Some(r#"{"name":"a"}"#))]).unwrap().is_empty());
    assert_eq!(names(&odoo).len(), 1);
    odoo.borrow_mut().answers = vec![Some(race()), Some(race())];
    assert!(matches!(write(&mut sink, &[("1", Some(r#"{"name":"b"}"#))]), Err(Error::Retry { .. })));
}

/// An answer of the import that has something against the first row.
fn against(text: &str) -> Option<Response> {
    Some(ok(&json!({"ids": false, "messages": [{"rows": {"from": 0, "to": 0}, "type": "error", "message": text}]})))
}

#[test]
fn an_error_in_odoo_that_the_import_tells_as_one_of_the_row_rejects_it_only_after_five_calls() {
    for text in [
        "Unknown error during import: <class 'AttributeError'>: x",
        "Unbekannter Fehler beim Import: <class 'AttributeError'>: x",
        "Unknown database error: 'x'",
    ] {
        let (mut sink, odoo) = sink("");
        let record = [("1", Some(r#"{"name":"a"}"#))];
        for _ in 1..blame::TRIES {
            odoo.borrow_mut().answers = vec![against(text), against(text)];
            assert!(matches!(write(&mut sink, &record), Err(Error::Retry { .. })), "{text}");
        }
        odoo.borrow_mut().answers = vec![against(text), against(text)];
        assert_eq!(codes(&write(&mut sink, &record).unwrap()), [(0, "odoo.refused".to_owned())]);
    }
}

#[test]
fn a_search_that_odoo_fails_over_is_tried_in_five_calls_and_then_stops_the_sink() {
    let (mut sink, odoo) = sink(r#", "tombstones": "delete""#);
    odoo.borrow_mut().answers =
        (0..blame::TRIES).map(|_| Some(Response::new(500, r#"{"name": "builtins.KeyError", "message": "'x'"}"#))).collect();
    for _ in 1..blame::TRIES {
        assert!(matches!(write(&mut sink, &[("1", None)]), Err(Error::Retry { .. })));
    }
    let Err(Error::Fatal(text)) = write(&mut sink, &[("1", None)]) else { panic!("fatal") };
    assert!(text.contains("`ir.model.data`") && text.contains("builtins.KeyError"), "{text}");
}

#[test]
fn a_full_disk_rejects_no_record() {
    let (mut sink, odoo) = sink("");
    let text = r#"could not extend file "base/16384/16397": No space left on device"#;
    for _ in 0..2 * blame::PASSING_TRIES {
        odoo.borrow_mut().answers = vec![against(text), against(text)];
        assert!(matches!(write(&mut sink, &[("1", Some(r#"{"name":"a"}"#))]), Err(Error::Retry { .. })));
    }
    assert!(write(&mut sink, &[("1", Some(r#"{"name":"a"}"#))]).unwrap().is_empty());
}

#[test]
fn an_error_that_passes_by_words_of_the_record_itself_rejects_it_after_five_calls() {
    let (mut sink, odoo) = sink("");
    let text = "Value 'ada@example.com deadlock detected' not found in selection field 'Address Type'";
    let records = [("1", Some(r#"{"name":"ada@example.com  Deadlock detected"}"#)), ("2", Some(r#"{"name":"b"}"#))];
    for _ in 1..blame::TRIES {
        odoo.borrow_mut().answers = vec![against(text), against(text)];
        assert!(matches!(write(&mut sink, &records), Err(Error::Retry { .. })));
    }
    odoo.borrow_mut().answers = vec![against(text), against(text)];
    assert_eq!(codes(&write(&mut sink, &records).unwrap()), [(0, "odoo.refused".to_owned())]);
    assert_eq!(names(&odoo), [pair("wharf.res_partner.2", "b")], "nothing waits behind it any more");
}

#[test]
fn an_error_that_passes_and_comes_for_one_record_alone_while_others_are_written_rejects_it() {
    let (mut sink, odoo) = sink("");
    let text = "The partner 'deadlock detected' is archived";
    let fails = |sink: &mut OdooSink| {
        odoo.borrow_mut().answers = vec![against(text), against(text)];
        write(sink, &[("1", Some(r#"{"name":"a"}"#))])
    };
    // Of another partition.
    let other = |sink: &mut OdooSink| assert!(write(sink, &[("2", Some(r#"{"name":"b"}"#))]).unwrap().is_empty());
    other(&mut sink);
    for _ in 0..blame::PASSING_TRIES {
        assert!(matches!(fails(&mut sink), Err(Error::Retry { .. })));
        other(&mut sink);
    }
    assert_eq!(codes(&fails(&mut sink).unwrap()), [(0, "odoo.refused".to_owned())]);
    assert!(matches!(fails(&mut sink), Err(Error::Retry { .. })), "what is settled is counted anew");
}

/// What is told of the first record: the text of its rejection, or of the error that has the call made again.
fn told(written: &Result<Outcomes>) -> String {
    match written {
        Ok(outcomes) => match outcomes.get(0) {
            Some(Verdict::Reject(rejection)) => rejection.message.clone(),
            other => panic!("{other:?}"),
        },
        Err(Error::Retry { message, .. }) => message.clone(),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn neither_a_reason_nor_an_error_quotes_the_record() {
    let failed = |name: &str, text: &str| Some(Response::new(500, json!({"name": name, "message": text}).to_string()));
    let value = r#"{"name":"Ada Lovelace <Ada@Example.com>"}"#;
    // Name of the exception of a 500, or none: an error that the import tells of the row.
    for (name, said, expected) in [
        ("", "Value 'Ada Lovelace <Ada@Example.com>' not found in 'Name'", "Value '…' not found in 'Name'"),
        ("", "Detail: Key (email)=(ada@example.com) already exists.", "Detail: Key (email)=(…) already exists."),
        ("", "deadlock detected for Lovelace", "deadlock detected for …"),
        ("", "Unknown error during import: <class 'KeyError'>: 'Ada'", "Unknown error during import: <class 'KeyError'>: '…'"),
        ("builtins.KeyError", "'Lovelace'", "https://erp.example.com answers 500 for `res.partner` (builtins.KeyError): '…'"),
        (
            "psycopg2.errors.DiskFull",
            "no room for (ada_40example_2ecom, Ada Lovelace)",
            "https://erp.example.com answers 500 for `res.partner` (psycopg2.errors.DiskFull): no room for (…, …)",
        ),
    ] {
        let (mut sink, odoo) = sink("");
        let again = || if name.is_empty() { against(said) } else { failed(name, said) };
        odoo.borrow_mut().answers = vec![again(), again()];
        assert_eq!(told(&write(&mut sink, &[("\"ada@example.com\"", Some(value))])), expected);
    }
}

#[test]
fn a_record_that_is_written_while_odoo_misses_one_is_rejected_after_five_calls() {
    let (mut sink, odoo) = sink("");
    let gone = || Some(Response::new(404, include_str!("../../shared/odoo-api/tests/gone.json")));
    let record = [("1", Some(r#"{"name":"a"}"#))];
    for _ in 1..blame::TRIES {
        odoo.borrow_mut().answers = vec![gone(), gone()];
        assert!(matches!(write(&mut sink, &record), Err(Error::Retry { .. })));
    }
    odoo.borrow_mut().answers = vec![gone(), gone()];
    assert_eq!(codes(&write(&mut sink, &record).unwrap()), [(0, "odoo.refused".to_owned())]);
}

#[test]
fn after_an_answer_that_means_later_the_rest_comes_again_and_what_is_settled_does_not() {
    let (mut sink, odoo) = sink("");
    odoo.borrow_mut().answers = vec![None, Some(Response::new(503, "").with_header("Retry-After", "9"))];
    let records = [
        ("1", Some(r#"{"name":"a"}"#)),
        ("1", Some(r#"{"name":"b"}"#)),
        ("2", Some(r#"{"name":"c","color":1}"#)),
        ("3", Some("[]")),
    ];
    let outcomes = write(&mut sink, &records).unwrap();
    let later = format!("retry {:?}", Some(Duration::from_secs(9)));
    assert_eq!(codes(&outcomes), [(1, later.clone()), (2, later), (3, "value.json".to_owned())]);
    assert_eq!(names(&odoo), [pair("wharf.res_partner.1", "a")]);
    odoo.borrow_mut().answers = vec![Some(Response::new(503, ""))];
    assert!(matches!(write(&mut sink, &records[..1]), Err(Error::Retry { .. })));
}

#[test]
fn after_its_share_of_a_call_no_request_begins_and_the_rest_comes_again() {
    let (mut sink, odoo) = sink(r#", "max-batch": 1"#);
    write(&mut sink, &[("0", Some(r#"{"name":"z"}"#))]).unwrap();
    odoo.borrow_mut().pause = Some(Duration::from_millis(60));
    sink.client.budget = Duration::from_millis(100);
    let keys = ["1", "2", "3", "4"];
    let records: Vec<_> = keys.iter().map(|key| (*key, Some(r#"{"name":"a"}"#))).collect();
    let outcomes = write(&mut sink, &records).unwrap();
    assert_eq!(codes(&outcomes), [(2, "retry None".to_owned()), (3, "retry None".to_owned())]);
    assert_eq!(names(&odoo).len(), 3);
    assert!(write(&mut sink, &records[2..]).unwrap().is_empty(), "the next call has its own share");
}

#[test]
fn a_tombstone_does_what_the_operator_said() {
    let some = [("1", Some(r#"{"name":"a"}"#)), ("2", Some(r#"{"name":"b"}"#)), ("\"used\"", Some(r#"{"name":"c"}"#))];
    let gone = [("1", None), ("9", None), ("\"used\"", None)];
    let after = |tombstones: &str| {
        let (mut sink, odoo) = sink(&format!(r#", "tombstones": "{tombstones}""#));
        write(&mut sink, &some).unwrap();
        let outcomes = write(&mut sink, &gone).unwrap();
        let left: Vec<_> = names(&odoo).into_iter().map(|(_, name)| name).collect();
        let archived = odoo.borrow().archived.iter().cloned().collect::<Vec<_>>();
        (codes(&outcomes), left, archived)
    };
    let (rejected, left, archived) = after("delete");
    assert_eq!(rejected, [(2, "odoo.refused".to_owned())], "a constraint holds it");
    assert_eq!((left, archived), (vec!["b".to_owned(), "c".to_owned()], vec![]));
    let (rejected, left, archived) = after("archive");
    assert_eq!((rejected.len(), left.len()), (0, 3));
    assert_eq!(archived, ["wharf.res_partner.1", "wharf.res_partner.used"]);
    assert_eq!(after("reject").0, [0, 1, 2].map(|index| (index, "odoo.tombstone".to_owned())));
    assert_eq!(after("skip"), (vec![], vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], vec![]));
}

#[test]
fn a_record_that_is_deleted_in_odoo_at_the_same_moment_counts_as_removed() {
    let (mut sink, odoo) = sink(r#", "tombstones": "delete""#);
    write(&mut sink, &[("1", Some(r#"{"name":"a"}"#))]).unwrap();
    let gone = || Some(Response::new(404, include_str!("../../shared/odoo-api/tests/gone.json")));
    odoo.borrow_mut().answers = vec![None, gone(), None, gone(), None, Some(ok(&json!([])))];
    requests(&odoo);
    assert!(write(&mut sink, &[("1", None)]).unwrap().is_empty());
    assert_eq!(requests(&odoo), ["search_read", "unlink", "search_read", "unlink", "search_read", "search"]);
}

#[test]
fn a_record_that_is_still_there_does_not_count_as_removed_because_odoo_misses_another() {
    let (mut sink, odoo) = sink(r#", "tombstones": "delete""#);
    write(&mut sink, &[("1", Some(r#"{"name":"a"}"#))]).unwrap();
    let gone = || Some(Response::new(404, include_str!("../../shared/odoo-api/tests/gone.json")));
    let answers = || vec![None, gone(), None, gone(), None, None];
    for _ in 1..blame::TRIES {
        odoo.borrow_mut().answers = answers();
        assert!(matches!(write(&mut sink, &[("1", None)]), Err(Error::Retry { .. })));
    }
    odoo.borrow_mut().answers = answers();
    assert_eq!(codes(&write(&mut sink, &[("1", None)]).unwrap()), [(0, "odoo.refused".to_owned())]);
}

#[test]
fn a_record_without_a_key_or_a_field_to_write_is_rejected() {
    let (mut sink, odoo) = sink("");
    let records =
        [("null", Some(r#"{"name":"a"}"#)), ("1", Some(r#"{"names":"a"}"#)), ("2", Some(r#"{"color":"red"}"#)), ("3", Some("7"))];
    let outcomes = write(&mut sink, &records).unwrap();
    let expected = ["key.invalid", "field.unknown", "value.type", "value.json"];
    assert_eq!(codes(&outcomes).into_iter().map(|(_, code)| code).collect::<Vec<_>>(), expected);
    let keyless = sink.write(&testing::batch("t", [(None, Some(r#"{"name":"a"}"#))])).unwrap();
    assert_eq!(codes(&keyless), [(0, "key.invalid".to_owned())]);
    assert_eq!(requests(&odoo), [] as [&str; 0]);
}

#[test]
fn refused_credentials_reject_no_record_and_stop_the_sink() {
    let (mut sink, odoo) = sink("");
    odoo.borrow_mut().answers =
        (0..3).map(|_| Some(Response::new(403, include_str!("../../shared/odoo-api/tests/no-access.json")))).collect();
    let records = [("1", Some(r#"{"name":"a"}"#))];
    assert!(matches!(write(&mut sink, &records), Err(Error::Retry { .. })));
    assert!(matches!(write(&mut sink, &records), Err(Error::Retry { .. })));
    let Err(Error::Fatal(text)) = write(&mut sink, &records) else { panic!("fatal") };
    assert!(text.contains(r#"[sink.auth."erp.example.com"]"#) && text.contains("not allowed to access"), "{text}");
}

#[test]
fn an_account_without_the_rights_to_write_stops_the_sink_before_a_record_is_rejected() {
    for (more, denied) in [("", "create"), ("", "write"), (r#", "tombstones": "delete""#, "unlink")] {
        let (mut sink, odoo) = sink(more);
        odoo.borrow_mut().denied = vec![denied];
        let Err(Error::Fatal(text)) = write(&mut sink, &[("1", Some(r#"{"name":"a"}"#))]) else { panic!("fatal") };
        assert!(text.contains(denied) && text.contains("`res.partner`") && text.contains("erp.example.com"), "{text}");
        assert_eq!(requests(&odoo), [] as [&str; 0]);
    }
    let (mut sink, odoo) = sink("");
    odoo.borrow_mut().denied = vec!["unlink"];
    assert!(write(&mut sink, &[("1", Some(r#"{"name":"a"}"#))]).unwrap().is_empty(), "what is not needed is not asked for");
}

#[test]
fn only_the_records_that_the_account_may_not_delete_are_rejected() {
    let (mut sink, odoo) = sink(r#", "tombstones": "delete""#);
    let keys = ["1", "2", "\"foreign\"", "4"];
    let all: Vec<_> = keys.iter().map(|key| (*key, Some(r#"{"name":"a"}"#))).collect();
    write(&mut sink, &all).unwrap();
    let outcomes = write(&mut sink, &keys.map(|key| (key, None))).unwrap();
    assert_eq!(codes(&outcomes), [(2, "odoo.refused".to_owned())]);
    let Some(Verdict::Reject(rejection)) = outcomes.get(2) else { panic!("{outcomes:?}") };
    assert!(rejection.message.contains("not allowed to access"), "{}", rejection.message);
    assert_eq!(odoo.borrow().records.keys().collect::<Vec<_>>(), ["wharf.res_partner.foreign"]);
    odoo.borrow_mut().denied = vec!["unlink"];
    let Err(Error::Fatal(text)) = write(&mut sink, &[("\"foreign\"", None)]) else { panic!("fatal: the right was taken away") };
    assert!(text.contains("unlink"), "{text}");
}

#[test]
fn a_model_that_is_not_there_stops_the_sink() {
    testing::http(|_| Ok(Response::new(404, include_str!("../../shared/odoo-api/tests/unknown-model.json"))));
    let config = r#"{"url": "https://erp.example.com", "model": "res.nope"}"#;
    let mut sink = OdooSink::open(&Context::new("partners", config)).unwrap();
    let Err(Error::Fatal(text)) = write(&mut sink, &[("1", Some(r#"{"name":"a"}"#))]) else { panic!("fatal") };
    assert!(text.contains("res.nope") && text.contains("config.model"), "{text}");
}
