//! What a body becomes, and that what does not fit is never sent: by a real server on loopback.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::net::TcpListener;

use super::*;
use crate::capability::http::{ClientOptions, HttpAccess, HttpError, SharedClients, Timeouts};
use crate::capability::secret::Secret;
use crate::config::{AllowedHost, Auth};

const SECRET: &str = "pa\"ss\\wörd\n";
const IN_JSON: &str = r#""pa\"ss\\wörd\n""#;
const CALL: &str = r#"{"params": {"service": "object", "args": ["erp", 2, null]}}"#;

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

fn rule() -> JsonBody {
    JsonBody {
        path: "/jsonrpc".to_owned(),
        pointer: pointer("/params/args/2"),
        value: Secret::new(SECRET.to_owned()),
        only: vec![(pointer("/params/service"), vec!["object".to_owned(), "common".to_owned()])],
    }
}

fn filled(body: &str) -> Result<String, Unfit> {
    with_secret(body.as_bytes(), &rule()).map(|body| String::from_utf8(body).unwrap())
}

#[test]
fn only_the_value_at_the_pointer_changes() {
    for placeholder in ["null", "\"\"", r#""a \"b\" \\""#] {
        let body = |value: &str| {
            format!(
                " {{\"id\":123456789012345678901234567890.10e+2 ,\n\t\"params\" : {{ \"args\":[\"d\\u00e9\", 1.0, {value} , {{\"x\":null}}],\"service\":\"object\"}},\"x\":1,\"x\":2}}\r\n"
            )
        };
        assert_eq!(filled(&body(placeholder)).unwrap(), body(IN_JSON));
    }
}

#[test]
fn names_are_compared_as_they_are_meant_and_pointers_unescaped() {
    let body = r#"{"p\u0061rams": {"servic\u0065": "\u006fbject", "args": ["erp", 2, null]}}"#;
    assert_eq!(filled(body).unwrap(), body.replace("null", IN_JSON));
    let tilde = JsonBody { pointer: pointer("/a~1b/c~0d/~01"), only: Vec::new(), ..rule() };
    let body = r#"{"a/b": {"c~d": {"~1": null, "/": null}}}"#;
    let expected = body.replacen("null", IN_JSON, 1);
    assert_eq!(with_secret(body.as_bytes(), &tilde).unwrap(), expected.into_bytes());
    let empty = JsonBody { pointer: pointer("//0"), only: Vec::new(), ..rule() };
    assert_eq!(with_secret(br#"{"": [null]}"#, &empty).unwrap(), format!(r#"{{"": [{IN_JSON}]}}"#).into_bytes());
}

#[test]
fn a_body_that_says_something_else_gets_no_secret() {
    for body in [
        r#"{"params": {"service": "db", "args": ["master", "new", null]}}"#,
        r#"{"params": {"service": null, "args": ["erp", 2, null]}}"#,
        r#"{"params": {"service": ["object"], "args": ["erp", 2, null]}}"#,
        r#"{"params": {"service": "object ", "args": ["erp", 2, null]}}"#,
    ] {
        let error = filled(body).unwrap_err();
        assert!(matches!(&error, Unfit::Guard { place, .. } if *place == pointer("/params/service")), "{body}: {error}");
        assert!(error.to_string().contains("(object, common)"), "{error}");
    }
    let missing = filled(r#"{"params": {"args": ["erp", 2, null]}}"#).unwrap_err();
    assert_eq!(missing, Unfit::Missing(pointer("/params/service")));
    let both = JsonBody { only: vec![(pointer("/a"), vec!["1".to_owned()]), (pointer("/b"), vec!["2".to_owned()])], ..rule() };
    let error = with_secret(br#"{"a": "1", "b": "3", "params": {"args": [0, 0, null]}}"#, &both).unwrap_err();
    assert!(matches!(error, Unfit::Guard { place, .. } if place == pointer("/b")), "each of them has to hold");
}

#[test]
fn a_name_that_is_there_twice_on_the_way_is_refused() {
    for body in [
        r#"{"params": {"service": "object", "args": [1, 2, null]}, "params": {"service": "db", "args": [1, 2, null]}}"#,
        r#"{"params": {"service": "object", "args": [1, 2, null]}, "p\u0061rams": {}}"#,
        r#"{"params": {"service": "object", "args": [1, 2, null]}, "PARAMS": {"service": "db"}}"#,
        r#"{"params": {"service": "object", "service": "db", "args": [1, 2, null]}}"#,
        r#"{"params": {"service": "object", "\u017fervice": "db", "args": [1, 2, null]}}"#,
        r#"{"params": {"service": "object", "args": [1, 2, null], "args": []}}"#,
    ] {
        assert!(matches!(filled(body), Err(Unfit::Twice(_))), "{body}: {:?}", filled(body));
    }
    // Beside the way it is the server's business.
    assert!(filled(r#"{"x": 1, "x": 2, "params": {"service": "object", "args": [{"y": 1, "y": 2}, 2, null]}}"#).is_ok());
}

#[test]
fn where_neither_null_nor_a_string_stands_nothing_is_put() {
    for other in ["false", "0", "[null]", r#"{"a": null}"#] {
        assert_eq!(filled(&CALL.replace("null", other)).unwrap_err(), Unfit::Place(pointer("/params/args/2")), "{other}");
    }
    for body in [CALL.replace(", null", ""), CALL.replace("\"args\"", "\"arg\""), CALL.replace("[\"erp\", 2, null]", "2")] {
        assert_eq!(filled(&body).unwrap_err(), Unfit::Missing(pointer("/params/args/2")), "{body}");
    }
    for index in ["/params/args/02", "/params/args/-", "/params/args/+2", "/params/args/2/0"] {
        let rule = JsonBody { pointer: pointer(index), ..rule() };
        assert!(matches!(with_secret(CALL.as_bytes(), &rule), Err(Unfit::Missing(_))), "{index}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let open = CALL.strip_suffix('}').unwrap();
    let marked = format!("\u{feff}{CALL}");
    for body in ["", open, &format!("{CALL} {CALL}"), &CALL.replace("2,", "NaN,"), "service=object", &marked] {
        assert_eq!(filled(body).unwrap_err(), Unfit::NotJson, "{body}");
    }
    assert_eq!(with_secret(b"{\"params\": \"\xff\"}", &rule()).unwrap_err(), Unfit::NotJson);
    // Deep, and long.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = CALL.replace('2', &deep);
    assert_eq!(filled(&body).unwrap(), body.replace("null", IN_JSON));
}

/// A server on loopback that remembers path, headers and body of each request.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>);

async fn server(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> (u16, Seen) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let handler = move |State(seen): State<Seen>, request: axum::extract::Request| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        seen.0.lock().unwrap().push((head.uri.to_string(), head.headers, body));
        answer()
    };
    let router = Router::new().fallback(any(handler)).with_state(seen.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, seen)
}

/// May call these ports; the first has the secret.
fn access(ports: &[u16]) -> HttpAccess {
    let clients = SharedClients::new(&ClientOptions::default()).unwrap();
    let entry = |port: &u16| AllowedHost { https: false, host: "127.0.0.1".to_owned(), port: *port, private: false };
    let allow: Vec<_> = ports.iter().map(entry).collect();
    let auth = BTreeMap::from([(format!("127.0.0.1:{}", ports[0]), Auth::JsonBody(rule()))]);
    HttpAccess::new(&clients, "erp", &allow, &auth).unwrap()
}

fn post(port: u16, path: &str, body: &str) -> Request<Body> {
    let length = body.len();
    let body = Full::new(Bytes::from(body.to_owned())).map_err(|never| match never {}).boxed_unsync();
    let url = format!("http://127.0.0.1:{port}{path}");
    Request::post(url).header("content-type", "application/json").header("content-length", length).body(body).unwrap()
}

#[tokio::test]
async fn the_secret_arrives_in_the_body_with_its_new_length_and_any_json_type() {
    let (port, seen) = server(|| "fine".into_response()).await;
    let access = access(&[port]);
    let types =
        ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\"", "application/vnd.erp+json"];
    for written in types {
        let mut request = post(port, "/jsonrpc", CALL);
        request.headers_mut().insert(CONTENT_TYPE, written.parse().unwrap());
        access.send(request, Timeouts::default()).await.unwrap();
    }
    let seen = seen.0.lock().unwrap().clone();
    assert_eq!(seen.len(), types.len());
    for (_, headers, body) in seen {
        let expected = CALL.replace("null", IN_JSON);
        assert_eq!(body, expected.as_bytes());
        assert_eq!(headers.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>(), [expected.len().to_string().as_str()]);
    }
    assert!(!format!("{access:?}").contains("ss\\"), "{access:?}");
}

#[tokio::test]
async fn another_path_host_or_redirect_never_gets_it() {
    let (other, at_other) = server(|| "fine".into_response()).await;
    let location = format!("http://127.0.0.1:{other}/jsonrpc");
    let moved = move || (http::StatusCode::PERMANENT_REDIRECT, [(http::header::LOCATION, location.clone())]).into_response();
    let (port, at_port) = server(moved).await;
    let access = access(&[port, other]);
    let paths = ["/jsonrpc/", "/web", "/JSONRPC", "/%6asonrpc", "//jsonrpc", "/x/../jsonrpc", "/jsonrpc;x"];
    for path in paths {
        access.send(post(port, path, CALL), Timeouts::default()).await.unwrap();
    }
    let answer = access.send(post(port, "/jsonrpc", CALL), Timeouts::default()).await.unwrap();
    assert_eq!(answer.status(), http::StatusCode::PERMANENT_REDIRECT, "an answer, and not followed");
    access.send(post(other, "/jsonrpc", CALL), Timeouts::default()).await.unwrap();
    let bodies = |seen: &Seen| seen.0.lock().unwrap().iter().map(|(_, _, body)| body.clone()).collect::<Vec<_>>();
    assert_eq!(bodies(&at_other), [CALL]);
    let mut expected = vec![CALL.to_owned(); paths.len()];
    expected.push(CALL.replace("null", IN_JSON));
    assert_eq!(bodies(&at_port), expected);
}

#[tokio::test]
async fn what_does_not_fit_is_not_sent_and_the_error_names_no_value() {
    let (port, seen) = server(|| "fine".into_response()).await;
    let access = access(&[port]);
    let with = |name: &'static str, value: &str| {
        let mut request = post(port, "/jsonrpc", CALL);
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let mut get = post(port, "/jsonrpc", CALL);
    *get.method_mut() = Method::GET;
    let mut two_types = post(port, "/jsonrpc", CALL);
    two_types.headers_mut().append(CONTENT_TYPE, "text/plain".parse().unwrap());
    let mut no_type = post(port, "/jsonrpc", CALL);
    no_type.headers_mut().remove(CONTENT_TYPE);
    let long = format!("{CALL}{}", " ".repeat(LONGEST));
    let requests = [
        (get, Unfit::Target),
        (post(port, "/jsonrpc?db=x", CALL), Unfit::Target),
        (two_types, Unfit::ContentType),
        (no_type, Unfit::ContentType),
        (with("content-type", "text/plain"), Unfit::ContentType),
        (with("content-type", "application/json; charset=utf-16"), Unfit::ContentType),
        (with("content-type", "application/x-www-form-urlencoded"), Unfit::ContentType),
        (with("content-encoding", "gzip"), Unfit::Header("content-encoding".to_owned())),
        (with("x-original-url", "/web"), Unfit::Header("x-original-url".to_owned())),
        (with("x-http-method-override", "PUT"), Unfit::Header("x-http-method-override".to_owned())),
        (post(port, "/jsonrpc", "s3cr3t"), Unfit::NotJson),
        (post(port, "/jsonrpc", &long), Unfit::TooLong),
    ];
    for (request, expected) in requests {
        let error = access.send(request, Timeouts::default()).await.unwrap_err();
        assert!(matches!(&error, HttpError::Unfit { reason, .. } if *reason == expected), "{expected}: {error}");
        let text = error.to_string();
        assert!(text.contains("`json-body`") && !text.contains("s3cr3t") && !text.contains("wörd"), "{text}");
    }
    let fitting = post(port, "/jsonrpc", &format!("{CALL}{}", " ".repeat(LONGEST - CALL.len())));
    access.send(fitting, Timeouts::default()).await.unwrap();
    assert_eq!(seen.0.lock().unwrap().len(), 1, "the last alone");
}

#[tokio::test]
async fn a_body_that_breaks_off_or_does_not_come_is_not_sent() {
    let (port, seen) = server(|| "fine".into_response()).await;
    let access = access(&[port]);
    let short = Timeouts { first_byte: Duration::from_millis(50), ..Timeouts::default() };
    let head = || Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Frame::data(Bytes::from_static(CALL.as_bytes())));
    let broken = futures_util::stream::iter([head(), Err("the guest stopped".into())]);
    let request = post(port, "/jsonrpc", "").map(|_| StreamBody::new(broken).boxed_unsync());
    let error = access.send(request, short).await.unwrap_err();
    assert!(error.to_string().contains("broke off: the guest stopped"), "{error}");
    let endless = futures_util::StreamExt::chain(futures_util::stream::iter([head()]), futures_util::stream::pending());
    let request = post(port, "/jsonrpc", "").map(|_| StreamBody::new(endless).boxed_unsync());
    let error = access.send(request, short).await.unwrap_err();
    assert!(matches!(error, HttpError::Unfit { reason: Unfit::Late(_), .. }), "{error}");
    assert!(seen.0.lock().unwrap().is_empty());
}
