//! A target that takes one record a request, each at an address of its own, and tells in its answers what it makes of them.

use axum::http::{Method, Uri};

use super::*;

/// Method, path and body of each request, in the order of their arrival.
type Arrived = Arc<Mutex<Vec<String>>>;

/// Answers 404 for what is to be deleted, and 200 with an error for a body that says so.
async fn store(State(arrived): State<Arrived>, method: Method, uri: Uri, body: String) -> Response {
    arrived.lock().unwrap().push(format!("{method} {uri} {body}"));
    if method == Method::DELETE {
        return StatusCode::NOT_FOUND.into_response();
    }
    if body.contains("unknown") { r#"{"errors": ["no such sku"]}"#.into_response() } else { r#"{"errors": []}"#.into_response() }
}

async fn shop() -> (Arrived, u16) {
    let arrived = Arrived::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(store).with_state(Arc::clone(&arrived));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (arrived, port)
}

#[tokio::test]
async fn each_record_goes_to_the_address_that_its_template_makes_and_what_lacks_a_field_becomes_a_dead_letter() {
    let deployment = Deployment::embedded();
    let (arrived, port) = shop().await;
    let records: [(Option<&str>, Option<&[u8]>); 7] = [
        (Some(r#"{"id":1}"#), Some(br#"{"sku": "a/1", "left": 12345678901234567890.10}"#)),
        (Some(r#"{"id":2}"#), Some(br#"{"left": 1}"#)),
        (Some(r#"{"id":1}"#), None),
        (Some(r#"{"id":3}"#), Some(br#"{"sku": "unknown"}"#)),
        (Some(r#"{"no":4}"#), None),
        (Some(r#"{"id":1}"#), Some(br#"{"sku": "a/1", "left": 2}"#)),
        (Some(r#"{"id":".."}"#), Some(br#"{"sku": "b"}"#)),
    ];
    deployment.produce("orders", 1, &records).await;
    let body = format!(
        "\n[[sink]]\nname = \"events\"\ncomponent = \"http\"\ntopics = [\"{{t}}orders\"]\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         [sink.config]\nurl = \"http://127.0.0.1:{port}/items/{{{{ key.id }}}}?at={{{{ offset }}}}\"\nmethod = \"PUT\"\nbody = \"record\"\n\
         body-template = '{{\"sku\": \"{{{{ value.sku }}}}\", \"left\": {{{{ value.left }}}}}}'\ntombstones = \"delete\"\n\
         fail-if = \"$.errors\"\non-fail = \"reject\"\n"
    );
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(
        *arrived.lock().unwrap(),
        [
            r#"PUT /items/1?at=0 {"sku": "a/1", "left": 12345678901234567890.10}"#,
            "DELETE /items/1?at=2 ",
            r#"PUT /items/3?at=3 {"sku": "unknown", "left": null}"#,
            r#"PUT /items/1?at=5 {"sku": "a/1", "left": 2}"#,
        ]
    );
    let dead = deployment.read_dead("events").await;
    let told: Vec<_> = dead.iter().map(|row| (row.code(), row.text())).collect();
    let expected = [
        ("http.template", r#"{"left": 1}"#),
        ("http.answer", r#"{"sku": "unknown"}"#),
        ("http.template", ""),
        ("http.template", r#"{"sku": "b"}"#),
    ];
    assert_eq!(told, expected.map(|(code, text)| (code, text.to_owned())));
    assert!(dead[1].header("__connect.errors.exception.message").contains("no such sku"), "{dead:?}");
    assert_eq!(counts(&ended.snapshot, "events"), [7, 0, 3, 0, 4]);
}
