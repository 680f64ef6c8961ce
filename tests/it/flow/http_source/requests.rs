//! What the source asks, and which answers end a round or the source: the README's GraphQL, JSON Lines, statuses.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::*;

/// Method, address, header `x-after` and body of each request.
type Asked = Arc<Mutex<Vec<String>>>;

/// Two orders a page, told by the cursor that the body's variables hold; an error with status 200 is the first answer.
fn graphql(asked: &[String], body: &str) -> String {
    if asked.len() == 1 {
        return r#"{"data": null, "errors": [{"message": "try again"}]}"#.to_owned();
    }
    let request: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(request["query"].as_str().unwrap().contains("orders(after: $after)"), "{body}");
    let from = request["variables"]["after"].as_str().map_or(0, |after| after.trim_start_matches("c\"").parse::<u32>().unwrap());
    let nodes: Vec<_> = (from + 1..=(from + 2).min(5)).map(|id| format!(r#"{{"id": {id},  "total": 1.50}}"#)).collect();
    let (end, more) = (from + 2, from + 2 < 5);
    format!(
        r#"{{"data": {{"orders": {{"nodes": [{}], "pageInfo": {{"endCursor": "c\"{end}", "hasNextPage": {more}}}}}}}}}"#,
        nodes.join(", ")
    )
}

async fn answer(State(asked): State<Asked>, method: Method, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let mut asked = asked.lock().unwrap();
    let after = headers.get("x-after").map_or("-", |value| value.to_str().unwrap());
    asked.push(format!("{method} {uri} {after} {body}"));
    match (uri.path(), uri.query()) {
        ("/graphql", _) => graphql(&asked, &body).into_response(),
        ("/lines", Some("page=1")) => "{\"id\": 1}\n\n{\"id\":  2}\nno JSON\n".into_response(),
        ("/lines", Some("page=2")) => "{\"id\": 3}".into_response(),
        ("/lines", _) => StatusCode::NOT_FOUND.into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "closed for good").into_response(),
    }
}

async fn start() -> (Asked, u16) {
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(answer).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (asked, port)
}

/// The source `api` with these lines as its configuration.
fn source_of(port: u16, config: &str) -> String {
    format!(
        "\n[[source]]\nname = \"api\"\ncomponent = \"http\"\ntopic = \"{{t}}orders\"\nallow.http = [\"http://127.0.0.1:{port}\"]\n\
         retry = {{ initial = \"1ms\", max = \"20ms\" }}\n{config}\ninterval = \"100ms\"\n"
    )
}

#[tokio::test]
async fn the_graphql_of_the_readme_reads_page_by_page_to_the_end() {
    let deployment = Deployment::embedded();
    let (asked, port) = start().await;
    let readme = include_str!("../../../../connectors/http-source/README.md");
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shown = blocks.filter(|block| block.contains("graphql")).last().unwrap();
    let config = shown.replace("https://api.example.com", &format!("http://127.0.0.1:{port}"));
    let ended = deployment.until_done(&source_of(port, &format!("{config}headers = {{ X-After = \"{{{{ cursor }}}}\" }}"))).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    let topic = deployment.read("orders").await;
    let expected: Vec<_> = (1..=5).map(|id| format!(r#"{{"id": {id},  "total": 1.50}}"#)).collect();
    assert_eq!(texts(&topic), expected, "each once, byte for byte");
    assert_eq!(topic[4].key.as_deref(), Some(r#"{"id":5}"#));
    // The first answer is an error, the same request comes again, and then the pages by their cursors, in body and header.
    let asked = asked.lock().unwrap();
    let after: Vec<_> = asked.iter().take(4).map(|line| line.split(' ').nth(2).unwrap()).collect();
    assert_eq!(after, ["-", "-", "c\"2", "c\"4"]);
    assert!(asked.iter().all(|line| line.starts_with("POST /graphql ")), "{asked:?}");
    assert!(asked[1].contains(r#""variables": {"after": null}"#) && asked[2].contains(r#"{"after": "c\"2"}"#), "{asked:?}");
}

#[tokio::test]
async fn each_line_is_a_record_and_a_status_of_end_ends_the_round() {
    let deployment = Deployment::embedded();
    let (asked, port) = start().await;
    let config = format!(
        "[source.config]\nurl = \"http://127.0.0.1:{port}/lines\"\nformat = \"json-lines\"\nkey = [\"id\"]\n\
         pagination = \"page\"\nquery = {{ page = \"{{{{ page }}}}\" }}\nend = [404]"
    );
    let ended = deployment.until_done(&source_of(port, &config)).await;
    assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
    assert_eq!(texts(&deployment.read("orders").await), [r#"{"id": 1}"#, r#"{"id":  2}"#, r#"{"id": 3}"#]);
    let dead = deployment.read_dead("api").await;
    assert_eq!(dead.iter().map(|row| (row.code(), row.text())).collect::<Vec<_>>(), [("value.json", "no JSON".to_owned())]);
    let asked = asked.lock().unwrap();
    assert_eq!(asked[..3], ["page=1", "page=2", "page=3"].map(|page| format!("GET /lines?{page} - ")));
}

#[tokio::test]
async fn a_status_of_stop_stops_the_source_at_once_and_says_what_came() {
    let deployment = Deployment::embedded();
    let (asked, port) = start().await;
    let config = format!("[source.config]\nurl = \"http://127.0.0.1:{port}/closed\"\nkey = [\"id\"]\nstop = [503]");
    let ended = deployment.until_done(&source_of(port, &config)).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let why = reason(&ended.snapshot, "api");
    assert!(why.contains("503") && why.contains("closed for good"), "{why}");
    assert_eq!(asked.lock().unwrap().len(), 1, "503 would mean later without it");
}
