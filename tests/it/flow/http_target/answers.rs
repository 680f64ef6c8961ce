//! A target that takes arrays, tells in its answers which elements it has taken, and answers in the ways that APIs do besides.

use axum::http::HeaderMap;

use super::*;

/// Tenant, record of the header, and body of each request, in the order of their arrival.
type Arrived = Arc<Mutex<Vec<String>>>;

/// 409 for the first body that holds `busy`, 410 for one that holds `gone`, a page for people for the first that holds `page`; the elements that hold
/// `odd` are told of by their places.
async fn bulk(State(arrived): State<Arrived>, headers: HeaderMap, body: String) -> Response {
    let header = |name: &str| headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
    let line = format!("{} {} {body}", header("x-tenant"), header("x-record"));
    let mut arrived = arrived.lock().unwrap();
    let first = !arrived.contains(&line);
    arrived.push(line);
    match () {
        () if first && body.contains("busy") => StatusCode::CONFLICT.into_response(),
        () if body.contains("gone") => (StatusCode::GONE, "not here any more").into_response(),
        () if first && body.contains("page") => "<html>Please sign in</html>".into_response(),
        () => {
            let elements: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap_or_default();
            let odd = elements.iter().enumerate().filter(|(_, element)| element.to_string().contains("odd"));
            let failed: Vec<_> = odd.map(|(at, _)| serde_json::json!({ "at": at, "why": "no such sku" })).collect();
            serde_json::json!({ "failed": failed }).to_string().into_response()
        }
    }
}

async fn api() -> (Arrived, u16) {
    let arrived = Arrived::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(bulk).with_state(Arc::clone(&arrived));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (arrived, port)
}

/// The sink `events` with these lines of configuration.
fn sink(port: u16, config: &str) -> String {
    format!(
        "\n[[sink]]\nname = \"events\"\ncomponent = \"http\"\ntopics = [\"{{t}}orders\"]\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         retry = {{ initial = \"1ms\", max = \"10ms\" }}\n[sink.config]\nurl = \"http://127.0.0.1:{port}/bulk\"\n{config}\n"
    )
}

const FAILURES: &str = "body = \"json-array\"\nfailures = \"$.failed\"\nfailure-index = \"at\"";

/// What became a dead letter: code and record.
async fn dead(deployment: &Deployment) -> Vec<(String, String)> {
    deployment.read_dead("events").await.iter().map(|row| (row.code().to_owned(), row.text())).collect()
}

#[tokio::test]
async fn of_an_array_only_those_become_dead_letters_that_the_answer_names_and_nothing_is_sent_again() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1", "\"odd\"", "2", "\"odd too\""]).await;
    let (arrived, port) = api().await;
    let ended = deployment.until_done(&sink(port, FAILURES)).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(*arrived.lock().unwrap(), [r#"- - [1,"odd",2,"odd too"]"#]);
    assert_eq!(dead(&deployment).await, ["\"odd\"", "\"odd too\""].map(|text| ("http.failure".to_owned(), text.to_owned())));
    assert!(deployment.read_dead("events").await[0].header("__connect.errors.exception.message").contains("no such sku"));
    assert_eq!(counts(&ended.snapshot, "events"), [4, 0, 2, 0, 2]);
}

#[tokio::test]
async fn a_page_for_people_in_place_of_the_answer_delivers_nothing_and_the_request_comes_again() {
    let deployment = Deployment::embedded();
    deployment.produce_values("orders", &["1", "\"page\""]).await;
    let (arrived, port) = api().await;
    let ended = deployment.until_done(&sink(port, FAILURES)).await;
    assert_eq!((ended.outcome, dead(&deployment).await), (Outcome::Clean, Vec::new()), "{:#?}", ended.snapshot);
    assert_eq!(*arrived.lock().unwrap(), [r#"- - [1,"page"]"#; 2]);
    assert!(task(&ended.snapshot, "events").retried > 0);
    assert_eq!(counts(&ended.snapshot, "events"), [2, 0, 2, 0, 0]);
}

#[tokio::test]
async fn statuses_mean_what_the_configuration_says_and_headers_are_made_for_each_record() {
    let deployment = Deployment::embedded();
    let records: [(Option<&str>, Option<&[u8]>); 4] = [
        (Some(r#"{"shop":"b"}"#), Some(br#"{"sku": "busy"}"#)),
        (Some(r#"{"shop":"a"}"#), Some(br#"{"sku": "gone"}"#)),
        (Some(r#"{"shop":"a\r\nx: y"}"#), Some(br#"{"sku": "c"}"#)),
        (Some(r#"{"shop":"a"}"#), Some(br#"{"sku": "d"}"#)),
    ];
    deployment.produce("orders", 1, &records).await;
    let (arrived, port) = api().await;
    // 409 would be a rejection, 410 too: the one comes again by this, the other counts as delivered.
    let config = "body = \"record\"\nretry = [409]\naccept = [\"200..299\", 410]\n\
                  headers = { X-Tenant = \"{{ key.shop }}\", X-Record = \"{{ topic }}/{{ offset }}\" }";
    let ended = deployment.until_done(&sink(port, config)).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    let busy = r#"b orders/0 {"sku": "busy"}"#;
    assert_eq!(*arrived.lock().unwrap(), [busy, busy, r#"a orders/1 {"sku": "gone"}"#, r#"a orders/3 {"sku": "d"}"#]);
    assert_eq!(dead(&deployment).await, [("http.template".to_owned(), r#"{"sku": "c"}"#.to_owned())]);
    assert_eq!(counts(&ended.snapshot, "events"), [4, 0, 3, 0, 1]);
}
