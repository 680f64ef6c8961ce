//! The CSRF session: whatever becomes of the token, every write goes out with the one that holds, and its cookies.

use super::*;

const ONE: &str = r#"{"OrderID": "1"}"#;

fn required() -> Response {
    Response::new(403, "CSRF token validation failed").with_header("x-csrf-token", "Required")
}

fn tokens(arrived: &Arrived) -> Vec<(Option<String>, Option<String>)> {
    arrived.borrow().iter().map(|request| (header(request, "x-csrf-token"), header(request, "cookie"))).collect()
}

fn pair(token: &str, cookie: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(token.to_owned()), cookie.map(ToOwned::to_owned))
}

#[test]
fn a_token_and_its_cookie_go_with_every_write() {
    let ok = || answered(&[(204, "")]);
    let (mut sink, arrived) = orders("", vec![ok(), ok()]);
    for _ in 0..2 {
        sink.write(&values(&[ONE])).unwrap();
    }
    let with = pair("token-1", Some("SAP_SESSIONID=1"));
    assert_eq!(tokens(&arrived), [pair("Fetch", None), with.clone(), with]);
    assert_eq!(arrived.borrow()[0].url, "https://erp.example.com/s/");
}

#[test]
fn an_expired_token_is_fetched_anew_and_the_write_repeated_once() {
    let (mut sink, arrived) = orders("", vec![required(), answered(&[(204, "")])]);
    assert_eq!(told(&sink.write(&values(&[ONE])).unwrap(), 1), ["ok"]);
    let expected = [
        pair("Fetch", None),
        pair("token-1", Some("SAP_SESSIONID=1")),
        pair("Fetch", None),
        pair("token-2", Some("SAP_SESSIONID=2")),
    ];
    assert_eq!(tokens(&arrived), expected);
    assert_eq!(arrived.borrow()[1].body, arrived.borrow()[3].body);
}

#[test]
fn a_service_that_takes_no_token_of_its_own_stops_the_sink_after_two_more_tries() {
    let (mut sink, _) = orders("", vec![required(), required(), required(), required(), required(), required()]);
    for _ in 0..2 {
        assert!(matches!(sink.write(&values(&[ONE])), Err(Error::Retry { .. })));
    }
    let Err(Error::Fatal(text)) = sink.write(&values(&[ONE])) else { panic!("fatal") };
    assert!(text.contains("does not take the CSRF token"), "{text}");
}

#[test]
fn after_credentials_were_refused_the_next_try_begins_another_session() {
    for refused in [Response::new(401, ""), answered(&[(401, "")])] {
        let (mut sink, arrived) = orders("", vec![refused, answered(&[(204, "")])]);
        assert!(matches!(sink.write(&values(&[ONE])), Err(Error::Retry { .. })));
        assert_eq!(told(&sink.write(&values(&[ONE])).unwrap(), 1), ["ok"]);
        assert_eq!(tokens(&arrived).last(), Some(&pair("token-2", Some("SAP_SESSIONID=2"))));
    }
}

#[test]
fn cookies_that_a_later_answer_changes_or_takes_back_are_followed() {
    let answer = answered(&[(204, "")])
        .with_header("set-cookie", "SAP_SESSIONID=new; path=/")
        .with_header("set-cookie", "lang=EN")
        .with_header("set-cookie", "gone=1; Max-Age=0");
    let (mut sink, arrived) = orders("", vec![answer, answered(&[(204, "")])]);
    for _ in 0..2 {
        sink.write(&values(&[ONE])).unwrap();
    }
    assert_eq!(header(&arrived.borrow()[2], "cookie").as_deref(), Some("SAP_SESSIONID=new; lang=EN"));
}

#[test]
fn a_service_without_tokens_is_written_to_without_one() {
    let arrived = Arrived::default();
    let requests = Rc::clone(&arrived);
    testing::http(move |request| {
        requests.borrow_mut().push(request.clone());
        Ok(match request.url.rsplit('/').next().unwrap() {
            "$metadata" => Response::new(200, V2),
            "$batch" => answered(&[(204, "")]),
            _ => Response::new(404, ""),
        })
    });
    let config = r#"{"service": "https://erp.example.com/s", "entity": "OrderSet"}"#;
    let mut sink = Odata::open(&Context::new("orders", config)).unwrap();
    assert_eq!(told(&sink.write(&values(&[ONE])).unwrap(), 1), ["ok"]);
    let request = arrived.borrow().last().unwrap().clone();
    assert_eq!((header(&request, "x-csrf-token"), header(&request, "cookie")), (None, None));
}

#[test]
fn a_session_shows_neither_token_nor_cookie() {
    let (mut sink, _) = orders("", vec![answered(&[(204, "")])]);
    sink.write(&values(&[ONE])).unwrap();
    let shown = format!("{sink:?}");
    assert!(!shown.contains("token-1") && !shown.contains("SAP_SESSIONID"), "{shown}");
}
