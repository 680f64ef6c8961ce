//! A service that wants credentials: `wharf try --from`, and `wharf new --http` from nothing to rows that arrived.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Output;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Home, json_lines};
use crate::{command, shown, stderr, stdout};

const KEY: &str = "key-that-nobody-may-see";

/// Orders for whoever shows the key, none behind the last one; everybody else is told what was shown.
async fn shop(request: Request) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    if shown != format!("Bearer {KEY}") {
        return (StatusCode::UNAUTHORIZED, format!("`{shown}` opens nothing")).into_response();
    }
    let rest = request.uri().query().is_some_and(|query| query.contains("after=2"));
    let orders = if rest { json!([]) } else { json!([{"id": 1, "total": "19.90"}, {"id": 2, "total": "5.00"}]) };
    (StatusCode::OK, orders.to_string()).into_response()
}

async fn serve() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(shop);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A deployment whose source reads the shop; its sink is faulty.
fn home(shop: SocketAddr) -> Home {
    let home = Home::new();
    let toml = format!(
        r#"
[[source]]
name = "orders"
component = "http"
topic = "shop.orders"
config = {{ url = "http://{shop}/orders", key = ["id"] }}
allow.http = ["http://{shop}"]
[source.auth."{shop}"]
bearer = "${{env:SHOP_KEY}}"
[[source.transform]]
drop = ["total"]

[[source]]
name = "hooks"
component = "webhook"
topic = "hooks"
listen.path = "/hooks"

[[sink]]
name = "table"
component = "sql"
topics = ["shop.orders"]
config = {{ connection = "main", tabel = "orders" }}
allow.sql = ["main"]

[listen]
address = "127.0.0.1:0"

[connection.main]
url = "sqlite://orders.sqlite"
"#
    );
    fs::write(home.path("shop.toml"), toml).unwrap();
    home
}

fn tried(home: &Home, key: &str, args: &[&str]) -> Output {
    let mut command = command(&home.path(""), &[&["try", "--from", "shop.toml"][..], args].concat());
    command.env("SHOP_KEY", key).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_a_deployment_is_tried_with_its_credentials_and_shows_none() {
    let home = home(serve().await);
    let read = tried(&home, KEY, &["orders", "--json"]);
    assert_eq!(read.status.code(), Some(0), "{}", shown(&read));
    let lines = json_lines(&stdout(&read));
    let keys: Vec<_> =
        lines.iter().filter(|line| line["outcome"] == "record").map(|line| line["record"]["key"].clone()).collect();
    assert_eq!(keys, [json!({"id": 1}), json!({"id": 2})]);
    assert!(stdout(&read).contains("19.90"), "its component alone, without the transform: {}", shown(&read));
    assert!(!home.path("wharf-state").exists(), "nothing of the deployment is touched");

    let wrong = "another-key-that-nobody-may-see";
    let refused = tried(&home, wrong, &["orders"]);
    assert_eq!(refused.status.code(), Some(1), "{}", shown(&refused));
    assert!(stdout(&refused).contains("answers 401: check the credentials in"), "{}", shown(&refused));
    for output in [read, refused] {
        assert!(![KEY, wrong].iter().any(|key| shown(&output).contains(key)), "a key is shown: {}", shown(&output));
    }
}

#[test]
fn what_of_a_deployment_cannot_be_tried_is_refused_at_its_place() {
    let home = home(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
    for (args, reason) in [
        (vec!["order"], "there is no connector `order`; there are: orders, hooks, table"),
        (vec!["hooks"], "shop.toml: `hooks` takes requests, and a trial has no listener"),
        (vec!["table"], "--> shop.toml:23:41"),
        (vec!["table", "--allow-http", "a.example.com"], "cannot be used with"),
        (vec!["orders", "--values", "--input", "shop.toml"], "stored positions, not records"),
    ] {
        let refused = tried(&home, KEY, &args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {}", shown(&refused));
        assert!(stderr(&refused).contains(reason), "{args:?} does not say `{reason}`: {}", shown(&refused));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_source_of_an_api_is_built_tested_tried_and_delivers() {
    let shop = serve().await;
    let home = Home::of("http");
    home.project("orders", &["source", "--http"]);
    let toml = home.path("orders/orders.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let text = text.replace("https://api.example.com", &format!("http://{shop}"));
    let text = text.replace("allow.http = [\"api.example.com\"]", &format!("allow.http = [\"http://{shop}\"]"));
    fs::write(&toml, text.replace("api.example.com", &shop.to_string()).replace("${env:API_KEY}", KEY)).unwrap();
    let tried = json_lines(&home.said("orders", 0, &["try", "orders", "--from", "orders.toml", "--json"]));
    let outcomes: Vec<_> = tried.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["record", "record", "position", "idle"]);
    assert_eq!(home.pipeline("orders"), "read 4 = delivered 4 + filtered 0 + dead-lettered 0");
    assert_eq!(home.rows("orders", "SELECT id || ' ' || total FROM items ORDER BY id"), ["1 19.90", "2 5.00"]);
    // What was read stays read.
    assert_eq!(home.pipeline("orders"), "read 0 = delivered 0 + filtered 0 + dead-lettered 0");
}
