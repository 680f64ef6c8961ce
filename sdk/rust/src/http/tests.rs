use super::*;
use crate::testing;

fn ask(response: impl Fn() -> Response + 'static) -> Result<Response> {
    testing::http(move |_| Ok(response()));
    Request::get("https://erp.example.com/orders").query("$filter", "name eq 'Ann'").send()?.success()
}

#[test]
fn status_decides_between_retry_reject_and_fatal() {
    let wait = ask(|| Response::new(429, "slow down").with_header("Retry-After", "7")).unwrap_err();
    assert_eq!(
        wait,
        Error::retry("GET https://erp.example.com/orders: status 429: slow down").after(Duration::from_secs(7)),
        "and the query is not shown"
    );
    assert!(matches!(ask(|| Response::new(503, "")).unwrap_err(), Error::Retry { after: None, .. }));
    let over = || Response::new(503, "").with_header("Retry-After", "Wed, 01 May 2024 10:00:30 GMT");
    assert!(matches!(ask(over).unwrap_err(), Error::Retry { after: Some(Duration::ZERO), .. }));
    assert!(matches!(ask(|| Response::new(403, "")).unwrap_err(), Error::Fatal(_)));
    assert!(matches!(ask(|| Response::new(400, "")).unwrap_err(), Error::Reject(_)));
    assert_eq!(ask(|| Response::new(200, "[1]")).unwrap().json::<Vec<u8>>().unwrap(), [1]);
}

#[test]
fn body_longer_than_the_limit_is_an_error_not_a_cut() {
    assert_eq!(ask(|| Response::new(200, "12345")).unwrap().bytes_up_to(5).unwrap(), b"12345");
    assert!(ask(|| Response::new(200, "123456")).unwrap().bytes_up_to(5).unwrap_err().message().contains("longer than 5 bytes"));
}

#[test]
fn json_that_ends_in_the_middle_is_asked_for_again_and_other_json_is_not() {
    let read = |body: &'static str| ask(move || Response::new(200, body)).unwrap().json::<Vec<u8>>().unwrap_err();
    assert!(matches!(read("[1, 2"), Error::Retry { after: None, message } if message.contains("broke off after 5 bytes")));
    for body in ["", "<html>", "{}", "[1] x"] {
        assert!(matches!(read(body), Error::Reject(_)), "{body}");
    }
}

#[test]
fn query_is_percent_encoded() {
    let request = Request::get("https://h/p").query("$filter", "a eq 'é&b'").query("n", "1");
    assert_eq!(request.url, "https://h/p?%24filter=a%20eq%20%27%C3%A9%26b%27&n=1");
}

#[test]
fn what_is_no_url_is_named() {
    for url in ["erp.example.com/a", "ftp://erp/a", "https:///a"] {
        assert!(Request::get(url).send().unwrap_err().message().contains("is no URL"), "{url}");
    }
    let url = url::Url::parse("https://h:8?x=1#f").unwrap();
    assert_eq!(url, url::Url { https: true, authority: "h:8", path: "?x=1" });
}

#[test]
fn the_root_of_an_api_has_a_scheme_and_a_host_and_nothing_that_is_not_its_own() {
    for root in ["https://h", "http://h:8069/api/", "https://h/3.0"] {
        assert_eq!(check_root(root, "[sink.auth]"), Ok(()), "{root}");
    }
    for (root, told) in
        [("h/3.0", "no URL"), ("https:///x", "no URL"), ("https://me:pw@h/", "[sink.auth]"), ("https://h/?a", "query")]
    {
        let error = check_root(root, "[sink.auth]").unwrap_err();
        assert!(error.contains(told) && !error.contains("pw"), "{error}");
    }
    assert_eq!((authority("https://h:1/x?y"), authority("h#z"), authority("")), ("h:1", "h", ""));
}
