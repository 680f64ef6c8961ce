//! Reach: environment, files, HTTP, databases. What is not granted is not there, and says how to grant it.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_runtime::capability::http::{ClientOptions, HttpAccess, SharedClients};
use wharf_runtime::config::{AllowedFolder, AllowedHost};

#[tokio::test(flavor = "multi_thread")]
async fn environment_arguments_and_folders_are_empty_unless_wanted() {
    let guests = guests();
    let folder = tempfile::tempdir().unwrap();
    let mut grants = nothing();
    // Granted by the operator, but this guest's manifest does not ask for files.
    grants.folders = vec![AllowedFolder { host: folder.path().to_owned(), guest: "/".to_owned() }];
    let mut guest = sink(&load(&guests, "environment").await, grants).await;
    let written = guest.write(&mut batch(&["a"])).await.unwrap();
    assert_eq!(rejections(&written.outcomes), [("environment", "[] [] false")]);
    assert!(std::env::vars_os().count() > 0, "the host has an environment");
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_is_read_only_and_the_only_one() {
    let guests = guests();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), "cargo").unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    let mut grants = nothing();
    grants.folders = vec![AllowedFolder { host: folder.path().to_owned(), guest: "/in".to_owned() }];
    let mut guest = sink(&load(&guests, "files").await, grants).await;
    let values = [
        "read /in/a",
        "write /in/a",
        "write /in/new",
        "remove /in/a",
        "read /in/link",
        "read /in/../etc/passwd",
        "read /etc/passwd",
    ];
    let written = guest.write(&mut batch(&values)).await.unwrap();
    let found = rejections(&written.outcomes);
    assert_eq!(found[0], ("files.done", "cargo"));
    assert!(found[1..].iter().all(|(code, _)| *code == "files.refused"), "{found:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("a")).unwrap(), "cargo");
    assert!(!folder.path().join("new").exists());

    let mut guest = sink(&load(&guests, "files").await, nothing()).await;
    let written = guest.write(&mut batch(&["read /in/a"])).await.unwrap();
    assert_eq!(rejections(&written.outcomes)[0].0, "files.refused", "without the grant there is nothing");
}

/// Answers each connection once: the request's own bytes as the body, or 404 for the path `/missing`.
async fn echo_server() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4_096];
            let mut len = 0;
            // All of the head, and the body where there is one.
            loop {
                len += stream.read(&mut request[len..]).await.unwrap();
                let text = String::from_utf8_lossy(&request[..len]).to_ascii_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            let request = &request[..len];
            let status = if request.starts_with(b"GET /missing") { "404 Not Found" } else { "200 OK" };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(request).await.unwrap();
        }
    });
    port
}

pub fn allow(port: u16) -> HttpAccess {
    let clients = SharedClients::new(&ClientOptions::default()).unwrap();
    let host = AllowedHost { https: false, host: "127.0.0.1".to_owned(), port, private: false };
    HttpAccess::new(&clients, "sandboxed", &[host], &BTreeMap::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_is_not_allowed_is_refused_and_the_error_says_where_to_allow_it() {
    let guests = guests();
    let (allowed, other) = (echo_server().await, echo_server().await);
    let mut grants = nothing();
    grants.http = Some(allow(allowed));
    let component = load(&guests, "fetch").await;
    let mut guest = sink(&component, grants).await;
    for url in [format!("http://127.0.0.1:{other}/a"), "https://example.com/".to_owned()] {
        let refused = guest.write(&mut batch(&[&url])).await.unwrap_err();
        assert!(matches!(&refused, GuestError::Fatal(m) if m.contains("allow.http") && m.contains(&url)), "{refused}");
    }
    let mut without = sink(&component, nothing()).await;
    let refused = without.write(&mut batch(&[&format!("http://127.0.0.1:{allowed}/a")])).await.unwrap_err();
    assert!(matches!(&refused, GuestError::Fatal(m) if m.contains("allow.http")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn allowed_host_is_reached_with_body_and_status() {
    let guests = guests();
    let port = echo_server().await;
    let mut grants = nothing();
    grants.http = Some(allow(port));
    let mut guest = sink(&load(&guests, "fetch").await, grants).await;
    let (get, missing) = (format!("http://127.0.0.1:{port}/a?b=c"), format!("http://127.0.0.1:{port}/missing"));
    let mut input = batch(&[&get, &missing]);
    input.push(&Record { key: Some(b"the body"), ..record(2, &get) });
    let written = guest.write(&mut input.clone()).await.unwrap();
    let found = rejections(&written.outcomes);
    assert!(found[0].0 == "fetch.body" && found[0].1.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{found:?}");
    assert!(found[1].0 == "fetch.status" && found[1].1.contains("status 404"), "{found:?}");
    assert!(found[2].1.starts_with("POST /a?b=c HTTP/1.1\r\n") && found[2].1.ends_with("\r\n\r\nthe body"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_that_does_not_answer_is_tried_again_later() {
    let guests = guests();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut grants = nothing();
    grants.http = Some(allow(port));
    let mut guest = sink(&load(&guests, "fetch").await, grants).await;
    let failed = guest.write(&mut batch(&[&format!("http://127.0.0.1:{port}/")])).await.unwrap_err();
    assert!(matches!(failed, GuestError::Retry { .. }), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_is_not_granted_is_fatal_and_says_where_to_grant_it() {
    let guests = guests();
    let component = Component::load(&guests, wharf_bundle::component("sql").unwrap()).await.unwrap();
    let mut sql = SinkGuest::start(&component, nothing()).await.unwrap();
    sql.open(context(r#"{"connection":"warehouse","table":"t"}"#)).await.unwrap();
    let refused = sql.write(&mut batch(&[r#"{"a":1}"#])).await.unwrap_err();
    assert!(matches!(&refused, GuestError::Fatal(m) if m.contains("`warehouse`") && m.contains("allow.sql")), "{refused}");
}
