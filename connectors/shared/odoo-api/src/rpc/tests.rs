//! Answers of Odoo 19.0 by JSON-RPC as they were recorded (tracebacks cut), and what is asked.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use wharf_sdk::http::Response;
use wharf_sdk::testing;

use super::*;
use crate::{BadServer, Meaning, Protocol};

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../tests/rpc/", $name, ".json"))
    };
}

const USER: &str = recorded!("user");
const DENIED: &str = recorded!("wrong-password");

type Sent = Rc<RefCell<Vec<Request>>>;

fn server() -> Server {
    let server = Server::new("https://erp.example.com/", Some("nodb".to_owned()), Duration::from_secs(9)).unwrap();
    server.by(Protocol::JsonRpc, Some("wharf".to_owned())).unwrap()
}

/// Answers in their order.
fn answers(bodies: impl IntoIterator<Item = &'static str>) -> Sent {
    let sent = Sent::default();
    let requests = Rc::clone(&sent);
    let mut bodies: VecDeque<&str> = bodies.into_iter().collect();
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        Ok(Response::new(200, bodies.pop_front().expect("no answer is left")))
    });
    sent
}

fn search(server: &Server) -> Result<Answer, Refusal> {
    server.call("res.nope", "search", &json!({ "domain": [] })).unwrap()
}

/// Service, method and arguments of each request.
fn asked(sent: &Sent) -> Vec<Value> {
    let params = |request: &Request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["jsonrpc"], &body["method"]), (&json!("2.0"), &json!("call")));
        let params = &body["params"];
        json!([params["service"], params["method"], params["args"]])
    };
    sent.borrow().iter().map(params).collect()
}

#[test]
fn the_user_is_asked_for_once_and_the_place_of_the_password_is_null() {
    let sent = answers([USER, recorded!("ids"), recorded!("ids")]);
    let server = server();
    for _ in 0..2 {
        assert_eq!(search(&server).unwrap().body, b"[1, 2, 3]");
    }
    let execute = json!(["object", "execute_kw", ["nodb", 2, null, "res.nope", "search", [[]], {}]]);
    assert_eq!(asked(&sent), [json!(["common", "authenticate", ["nodb", "wharf", null, {}]]), execute.clone(), execute]);
    for request in sent.borrow().iter() {
        assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://erp.example.com/jsonrpc"));
        assert!(request.headers.contains(&("content-type".to_owned(), "application/json".to_owned())), "{:?}", request.headers);
        assert!(request.timeout.is_some_and(|timeout| timeout <= Duration::from_secs(9) && timeout > Duration::from_secs(8)));
    }
}

#[test]
fn arguments_that_have_a_place_are_given_by_place_and_ids_first() {
    let context = json!({ "lang": "de_DE" });
    for (method, arguments, expected) in [
        (
            "search",
            json!({ "domain": [1], "order": "id", "context": context }),
            json!([[[1]], { "order": "id", "context": context }]),
        ),
        ("search_count", json!({ "domain": [1] }), json!([[[1]], {}])),
        ("search_read", json!({ "fields": ["a"], "domain": [1] }), json!([[[1]], { "fields": ["a"] }])),
        (
            "load",
            json!({ "data": [["x"]], "fields": ["id"], "context": context }),
            json!([[["id"], [["x"]]], { "context": context }]),
        ),
        ("write", json!({ "vals": { "a": 1 }, "ids": [7] }), json!([[[7], { "a": 1 }], {}])),
        ("unlink", json!({ "ids": [7], "context": context }), json!([[[7]], { "context": context }])),
        ("fields_get", json!({ "attributes": ["type"] }), json!([[], { "attributes": ["type"] }])),
        ("create", json!({ "vals_list": [{ "a": 1.50 }] }), json!([[[{ "a": 1.50 }]], {}])),
        ("has_access", json!({ "operation": "write" }), json!([[[], "write"], {}])),
        ("action_confirm", json!({ "ids": [7], "x": 1 }), json!([[[7]], { "x": 1 }])),
        ("web_read", json!({ "x": 1 }), json!([[], { "x": 1 }])),
    ] {
        let sent = answers([USER, recorded!("ids")]);
        server().call("m", method, &arguments).unwrap().unwrap();
        let args = &asked(&sent)[1][2];
        assert_eq!(json!([args[5], args[6]]), expected, "{method}");
    }
}

#[test]
fn what_an_exception_means_is_the_same_as_by_json_2() {
    let passing = |name: &str, message: &str| -> &'static str {
        let data = json!({ "name": name, "message": message });
        json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": 200, "message": "Odoo Server Error", "data": data } })
            .to_string()
            .leak()
    };
    for (body, status, expected) in [
        (recorded!("unknown-field"), 500, Meaning::Request),
        (recorded!("unknown-method"), 500, Meaning::Request),
        (recorded!("wrong-argument"), 500, Meaning::Request),
        (recorded!("constraint"), 422, Meaning::Request),
        (recorded!("unknown-model"), 404, Meaning::Missing),
        (recorded!("no-database"), 404, Meaning::Missing),
        (recorded!("gone"), 404, Meaning::Gone),
        (recorded!("no-access"), 403, Meaning::Credentials),
        (passing("psycopg2.OperationalError", "database \"another\" does not exist"), 500, Meaning::Later),
        (passing("psycopg2.errors.SerializationFailure", "could not serialize access"), 500, Meaning::Later),
        (passing("odoo.exceptions.ConcurrencyError", "busy"), 500, Meaning::Later),
        (passing("odoo.exceptions.LockError", "locked"), 409, Meaning::Later),
        (passing("odoo.exceptions.UserError", "No"), 422, Meaning::Request),
        (passing("odoo.exceptions.Warning", "No"), 422, Meaning::Request),
        (passing("werkzeug.exceptions.TooManyRequests", "429"), 429, Meaning::Later),
        (passing("werkzeug.exceptions.ServiceUnavailable", "503"), 503, Meaning::Later),
        (r#"{"jsonrpc": "2.0", "id": 1, "error": {"code": 404, "message": "404: Not Found"}}"#, 404, Meaning::Missing),
        (
            r#"{"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "message": "Odoo Server Error", "data": null}}"#,
            500,
            Meaning::Later,
        ),
    ] {
        answers([USER, body]);
        let refusal = search(&server()).unwrap_err();
        assert_eq!((refusal.status, refusal.meaning()), (status, expected), "{body}");
    }
    answers([USER, recorded!("no-access")]);
    assert!(search(&server()).unwrap_err().is_access_error());
}

#[test]
fn a_refusal_is_told_without_a_status_that_nobody_answered() {
    answers([USER, recorded!("unknown-field")]);
    assert_eq!(
        search(&server()).unwrap_err().text("https://erp.example.com", "`res.partner`"),
        "https://erp.example.com answers with an error for `res.partner` (builtins.ValueError): Invalid field res.partner.nope in condition ('nope', '=', 1)"
    );
    testing::http(|_| Ok(Response::new(502, "<html>Bad Gateway</html>")));
    let refusal = search(&server()).unwrap_err();
    assert_eq!((refusal.meaning(), refusal.text("r", "m").as_str()), (Meaning::Later, "r answers 502 for m: Bad Gateway"));
}

#[test]
fn a_password_that_is_not_taken_is_told_with_the_name_of_the_user() {
    let sent = answers([recorded!("no-user"), recorded!("no-user")]);
    let server = server();
    for _ in 0..2 {
        let refusal = search(&server).unwrap_err();
        assert_eq!(refusal.meaning(), Meaning::Credentials);
        assert!(refusal.text("r", "m").contains("the user `wharf` or the password is not taken"), "{refusal:?}");
    }
    assert_eq!(sent.borrow().len(), 2, "nothing is called without a user");
}

#[test]
fn an_id_that_is_not_taken_any_more_is_asked_for_again_and_the_call_made_with_it() {
    let new = r#"{"jsonrpc": "2.0", "id": 1, "result": 77}"#;
    let sent = answers([USER, recorded!("ids"), DENIED, new, recorded!("ids"), recorded!("ids")]);
    let server = server();
    for _ in 0..3 {
        assert_eq!(search(&server).unwrap().body, b"[1, 2, 3]");
    }
    let ids: Vec<_> = asked(&sent).iter().map(|asked| asked[2][1].clone()).collect();
    assert_eq!(ids, [json!("wharf"), json!(2), json!(2), json!("wharf"), json!(77), json!(77)]);

    // Once a call: where the new one is not taken either, it is told.
    let sent = answers([USER, DENIED, USER, DENIED]);
    let server = self::server();
    for _ in 0..2 {
        assert_eq!(search(&server).unwrap_err().meaning(), Meaning::Credentials);
    }
    let methods: Vec<_> = asked(&sent).iter().map(|asked| asked[1].clone()).collect();
    assert_eq!(methods, ["authenticate", "execute_kw", "authenticate", "execute_kw"]);
    // Rights that are missing are another thing.
    let sent = answers([USER, recorded!("ids"), recorded!("no-access"), recorded!("ids")]);
    let server = self::server();
    search(&server).unwrap();
    search(&server).unwrap_err();
    search(&server).unwrap();
    assert_eq!(sent.borrow().len(), 4);
}

#[test]
fn a_method_without_a_result_gives_null() {
    for body in [recorded!("no-result"), r#"{"jsonrpc": "2.0", "id": 1, "result": null}"#] {
        answers([USER, body]);
        assert_eq!(search(&server()).unwrap().body, b"null");
    }
}

#[test]
fn a_result_is_given_as_it_is_written() {
    answers([USER, " {\"id\": 1, \"result\": [ {\"a\": 1.10, \"b\": 12345678901234567890} ]  , \"jsonrpc\": \"2.0\"}\n"]);
    assert_eq!(search(&server()).unwrap().body, br#"[ {"a": 1.10, "b": 12345678901234567890} ]"#);
}

#[test]
fn what_is_no_json_rpc_is_tried_again() {
    for body in ["<html>login</html>", "{}", "[1, 2, 3]", r#"{"jsonrpc": "2.0", "id": 1, "resu"#] {
        answers([USER, body]);
        let error = server().call("res.partner", "search", &json!({})).unwrap_err();
        assert!(matches!(&error, Error::Retry { message, .. } if message.contains("no JSON-RPC")), "{error:?}");
    }
}

#[test]
fn before_odoo_18_rights_are_asked_for_by_another_method() {
    let unknown = recorded!("unknown-method");
    let sent = answers([USER, unknown, r#"{"jsonrpc": "2.0", "id": 1, "result": true}"#]);
    let answer = server().call("res.partner", "has_access", &json!({ "operation": "write" })).unwrap().unwrap();
    assert_eq!(answer.body, b"true");
    let older = json!(["nodb", 2, null, "res.partner", "check_access_rights", ["write"], { "raise_exception": false }]);
    assert_eq!(asked(&sent)[2][2], older);
    // Any other refusal is one.
    let sent = answers([USER, recorded!("no-access")]);
    server().call("res.partner", "has_access", &json!({ "operation": "write" })).unwrap().unwrap_err();
    assert_eq!(sent.borrow().len(), 2);
}

#[test]
fn the_requests_of_a_call_have_its_timeout_together() {
    let server = Server::new("https://erp", Some("erp".to_owned()), Duration::from_secs(5)).unwrap();
    let server = server.by(Protocol::JsonRpc, Some("wharf".to_owned())).unwrap();
    let sent = Sent::default();
    let requests = Rc::clone(&sent);
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        std::thread::sleep(Duration::from_millis(300));
        Ok(Response::new(200, USER))
    });
    // Authenticates, and has what is left to search.
    server.call("m", "search", &json!({ "domain": [] })).unwrap().unwrap();
    let left: Vec<_> = sent.borrow().iter().map(|request| request.timeout.unwrap()).collect();
    assert!(left[1] + Duration::from_millis(300) <= left[0] && left[0] <= Duration::from_secs(5), "{left:?}");

    let server = Server::new("https://erp", Some("erp".to_owned()), Duration::from_millis(100)).unwrap();
    let server = server.by(Protocol::JsonRpc, Some("wharf".to_owned())).unwrap();
    let error = server.call("m", "search", &json!({ "domain": [] })).unwrap_err();
    assert!(matches!(&error, Error::Retry { message, .. } if message.contains("config.timeout")), "{error:?}");
    server.call("m", "search", &json!({ "domain": [] })).unwrap().unwrap();
    assert_eq!(sent.borrow().len(), 4, "the second call knows the user");
}

#[test]
fn a_protocol_has_what_it_needs() {
    let by = |protocol, database: Option<&str>, user: Option<&str>| {
        let server = Server::new("https://erp", database.map(str::to_owned), Duration::ZERO).unwrap();
        server.by(protocol, user.map(str::to_owned)).map(|server| server.credentials())
    };
    assert_eq!(by(Protocol::Json2, None, None).unwrap(), "the API key");
    assert_eq!(by(Protocol::Json2, None, Some("a")).unwrap_err(), BadServer::UserOfKey);
    assert_eq!(by(Protocol::JsonRpc, None, Some("a")).unwrap_err(), BadServer::Missing("database"));
    assert_eq!(by(Protocol::JsonRpc, Some("erp"), None).unwrap_err(), BadServer::Missing("user"));
    assert!(by(Protocol::JsonRpc, Some("erp"), Some("a")).unwrap().contains("`json-body`"));
}

#[test]
fn who_judges_by_status_and_exception_gets_them_as_json_2_has_them() {
    answers([USER, recorded!("ids"), recorded!("gone")]);
    let server = server();
    let ids = server.respond("res.partner", "search", &json!({ "domain": [] })).unwrap();
    assert_eq!((ids.status, ids.header("date").is_some_and(|date| crate::time::of_header(date).is_some())), (200, true));
    assert!(serde_json::from_slice::<Vec<i64>>(&ids.bytes_up_to(1 << 20).unwrap()).is_ok());
    let gone = server.respond("res.partner", "write", &json!({ "ids": [7], "vals": {} })).unwrap();
    assert_eq!(gone.status, 404);
    let body: Value = serde_json::from_slice(&gone.bytes_up_to(1 << 20).unwrap()).unwrap();
    assert_eq!(body["name"], "odoo.exceptions.MissingError");
}
