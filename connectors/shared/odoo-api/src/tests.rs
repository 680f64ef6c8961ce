//! Answers of Odoo 19.0 as they were recorded (tracebacks cut), and what each means.

use std::time::Duration;

use wharf_sdk::http::{Request, Response};
use wharf_sdk::{Error, testing};

use super::*;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../tests/", $name))
    };
}

fn server() -> Server {
    Server::new("https://erp.example.com/", Some("erp".to_owned()), Duration::from_secs(9)).unwrap()
}

fn call(answer: impl Fn() -> Response + 'static) -> Result<Answer, Refusal> {
    testing::http(move |_| Ok(answer()));
    server().call("res.partner", "search", &serde_json::json!({ "domain": [] })).unwrap()
}

fn refusal(status: u16, body: &'static str) -> Refusal {
    call(move || Response::new(status, body)).unwrap_err()
}

#[test]
fn a_call_names_its_arguments_and_the_database() {
    let sent: std::rc::Rc<std::cell::RefCell<Option<Request>>> = std::rc::Rc::default();
    let seen = std::rc::Rc::clone(&sent);
    testing::http(move |request| {
        *seen.borrow_mut() = Some(request.clone());
        Ok(Response::new(200, "[7]"))
    });
    let answer = server().call("res.partner", "search", &serde_json::json!({ "domain": [["id", "=", 7]] })).unwrap().unwrap();
    assert_eq!(answer.body, b"[7]");
    let request = sent.borrow().clone().unwrap();
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://erp.example.com/json/2/res.partner/search"));
    assert_eq!(request.body, br#"{"domain":[["id","=",7]]}"#);
    assert!(request.headers.contains(&("x-odoo-database".to_owned(), "erp".to_owned())));
    assert!(request.headers.iter().all(|(name, _)| name != "authorization"), "credentials are the host's");
    assert_eq!(request.timeout, Some(Duration::from_secs(9)));
}

#[test]
fn what_an_answer_means_goes_by_the_exception_and_not_by_the_status_alone() {
    for (status, body, expected) in [
        (500, recorded!("unknown-field.json"), Meaning::Request),
        (500, recorded!("bad-value.json"), Meaning::Request),
        (422, recorded!("wrong-argument.json"), Meaning::Request),
        (422, recorded!("constraint.json"), Meaning::Request),
        (404, recorded!("unknown-model.json"), Meaning::Missing),
        (404, recorded!("no-database.html"), Meaning::Missing),
        (404, recorded!("gone.json"), Meaning::Gone),
        (401, recorded!("wrong-key.json"), Meaning::Credentials),
        (403, recorded!("no-access.json"), Meaning::Credentials),
        (500, r#"{"name": "psycopg2.errors.SerializationFailure", "message": "could not serialize access"}"#, Meaning::Later),
        (500, r#"{"name": "psycopg2.OperationalError", "message": "the connection was lost"}"#, Meaning::Later),
        (409, r#"{"name": "odoo.exceptions.LockError", "message": "locked"}"#, Meaning::Later),
        (500, "<html>Internal Server Error</html>", Meaning::Later),
        (502, "", Meaning::Later),
        (503, "", Meaning::Later),
        (429, "", Meaning::Later),
        (303, "", Meaning::Elsewhere),
        (400, "", Meaning::Request),
    ] {
        assert_eq!(refusal(status, body).meaning(), expected, "{status} {body}");
    }
}

#[test]
fn a_refusal_is_told_in_one_line_without_the_traceback() {
    assert_eq!(
        refusal(500, recorded!("unknown-field.json")).text("https://erp.example.com", "`res.partner`"),
        "https://erp.example.com answers 500 for `res.partner` (builtins.ValueError): Invalid field 'nope' on 'res.partner'"
    );
    let page = refusal(404, recorded!("no-database.html")).text("https://erp.example.com", "`res.partner`");
    assert!(page.contains("No database is selected") && !page.contains(['<', '>', '\n']), "{page}");
    let elsewhere = call(|| Response::new(301, "").with_header("Location", "https://login.example.net/x?token=1")).unwrap_err();
    let text = elsewhere.text("https://erp.example.com", "`res.partner`");
    assert!(text.contains("a redirect to login.example.net") && !text.contains("token"), "{text}");
    let long = call(|| Response::new(500, format!(r#"{{"name": "builtins.ValueError", "message": "{}"}}"#, "é".repeat(900))));
    let text = long.unwrap_err().text("r", "m");
    assert!(text.ends_with("é…") && text.chars().filter(|c| *c == 'é').count() == 400, "{text}");
}

#[test]
fn a_refusal_is_told_without_the_values_that_were_sent_also_where_it_is_cut() {
    let value = format!("{}@example.com", "ada".repeat(150));
    let body =
        serde_json::json!({ "name": "builtins.ValueError", "message": format!("Wrong value for type: '{value}'") }).to_string();
    let refusal = call(move || Response::new(500, body.clone())).unwrap_err();
    assert_eq!(
        refusal.without([value.as_str()]).text("r", "m"),
        "r answers 500 for m (builtins.ValueError): Wrong value for type: '…'"
    );
}

#[test]
fn a_busy_server_says_for_how_long() {
    let busy = call(|| Response::new(429, "").with_header("Retry-After", "7")).unwrap_err();
    assert_eq!(busy.after, Some(Duration::from_secs(7)));
}

#[test]
fn the_time_of_asking_is_that_of_the_slower_clock() {
    let asked = |date: &'static str| call(move || Response::new(200, "[]").with_header("Date", date)).unwrap().asked;
    assert_eq!(asked("Wed, 01 May 2024 10:00:00 GMT"), 1_714_557_599, "a second for the answer's way");
    let ahead = asked("Thu, 01 Jan 2099 00:00:00 GMT");
    let none = call(|| Response::new(200, "[]")).unwrap().asked;
    assert!((none - ahead).abs() < 60 && none > 1_714_557_600, "{ahead} {none}");
}

#[test]
fn roots_that_cannot_work_are_refused() {
    for url in ["erp.example.com", "ftp://erp", "https://", "https://erp example"] {
        assert_eq!(Server::new(url, None, Duration::ZERO).unwrap_err(), BadServer::Form(url.to_owned()));
    }
    for url in ["https://erp.example.com/?key=s3cret", "https://erp.example.com/#s3cret", "https://erp.example.com/?key=s3@cret"]
    {
        assert_eq!(Server::new(url, None, Duration::ZERO).unwrap_err(), BadServer::Form("https://erp.example.com/".to_owned()));
    }
    for url in ["https://me:key@erp.example.com", "me:key@erp.example.com", "ftp://me:key@erp.example.com"] {
        assert_eq!(Server::new(url, None, Duration::ZERO).unwrap_err(), BadServer::UserInUrl, "{url}");
    }
    let server = Server::new("https://erp.example.com:8069/odoo/", None, Duration::ZERO).unwrap();
    assert_eq!((server.root(), server.host()), ("https://erp.example.com:8069/odoo", "erp.example.com:8069"));
}

#[test]
fn no_answer_is_an_error_to_try_again() {
    testing::http(|_| Err(Error::retry("connection refused")));
    let error = server().call("res.partner", "search", &serde_json::json!({})).unwrap_err();
    assert!(matches!(error, Error::Retry { .. }));
}
