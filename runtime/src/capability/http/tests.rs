//! Against real servers on loopback: what arrived there is what counts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ::http::header::{AUTHORIZATION, CONNECTION, HOST, LOCATION, RETRY_AFTER};
use ::http::{HeaderMap, Method, StatusCode};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response as Reply};
use axum::routing::any;
use bytes::Bytes;
use http_body_util::{Empty, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::capability::secret::Secret;

mod renewed;

/// A server on loopback that remembers the headers of each request and how often it was connected to.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    accepts: Arc<AtomicUsize>,
}

struct Counted(TcpListener, Arc<AtomicUsize>);

impl axum::serve::Listener for Counted {
    type Io = tokio::net::TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let accepted = self.0.accept().await.unwrap();
        self.1.fetch_add(1, Ordering::SeqCst);
        accepted
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

async fn server(answer: impl Fn() -> Reply + Clone + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, accepts) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let handler = move |State(seen): State<Arc<Mutex<Vec<HeaderMap>>>>, headers: HeaderMap| async move {
        seen.lock().unwrap().push(headers);
        answer()
    };
    let router = Router::new().fallback(any(handler)).with_state(Arc::clone(&seen));
    let counted = Counted(listener, Arc::clone(&accepts));
    tokio::spawn(async move { axum::serve(counted, router).await });
    Server { port, seen, accepts }
}

async fn ok_server() -> Server {
    server(|| "fine".into_response()).await
}

impl Server {
    fn seen(&self) -> Vec<HeaderMap> {
        self.seen.lock().unwrap().clone()
    }

    fn entry(&self, host: &str, private: bool) -> AllowedHost {
        AllowedHost { https: false, host: host.to_owned(), port: self.port, private }
    }
}

fn clients(hosts: &[(&str, &str)]) -> SharedClients {
    let hosts = hosts.iter().map(|(name, ip)| ((*name).to_owned(), vec![ip.parse::<IpAddr>().unwrap()])).collect();
    SharedClients::new(&ClientOptions { ca_file: None, hosts }).unwrap()
}

fn access(clients: &SharedClients, allow: &[AllowedHost], auth: &[(&str, Auth)]) -> HttpAccess {
    let auth = auth.iter().map(|(authority, auth)| ((*authority).to_owned(), auth.clone())).collect();
    HttpAccess::new(clients, "erp", allow, &auth).unwrap()
}

fn get(url: &str) -> Request<Body> {
    Request::get(url).body(Empty::new().map_err(|never| match never {}).boxed_unsync()).unwrap()
}

async fn text(answer: Response<Body>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn fast() -> Timeouts {
    let short = Duration::from_millis(200);
    Timeouts { connect: short, first_byte: short, between_bytes: short }
}

fn bearer(token: &str) -> Auth {
    Auth::Bearer(Secret::new(token.to_owned()))
}

#[tokio::test]
async fn a_listed_host_answers_and_an_unlisted_one_is_never_asked() {
    let (listed, other) = (ok_server().await, ok_server().await);
    let access = access(&clients(&[]), &[listed.entry("127.0.0.1", false)], &[]);
    let answer = access.send(get(&format!("http://127.0.0.1:{}/x", listed.port)), Timeouts::default()).await.unwrap();
    assert_eq!((answer.status(), text(answer).await.as_str()), (StatusCode::OK, "fine"));
    for url in [format!("http://127.0.0.1:{}/", other.port), format!("http://localhost:{}/", listed.port)] {
        let denied = access.send(get(&url), Timeouts::default()).await.unwrap_err();
        assert!(matches!(&denied, HttpError::Denied { reason, .. } if reason.contains("allow.http of `erp`")), "{denied}");
    }
    assert_eq!(other.accepts.load(Ordering::SeqCst), 0);
    assert_eq!(listed.seen().len(), 1);
}

#[tokio::test]
async fn a_name_that_leads_to_loopback_is_refused_when_dialling_unless_private() {
    let server = ok_server().await;
    let clients = clients(&[("erp.test", "127.0.0.1")]);
    let url = format!("http://erp.test:{}/", server.port);
    // The private one first: its pooled connection must not help the other.
    let private = access(&clients, &[server.entry("erp.test", true)], &[]);
    assert_eq!(text(private.send(get(&url), Timeouts::default()).await.unwrap()).await, "fine");
    let public = access(&clients, &[server.entry("erp.test", false)], &[]);
    let refused = public.send(get(&url), Timeouts::default()).await.unwrap_err();
    assert!(matches!(refused, HttpError::Prohibited { what: "loopback", .. }), "{refused}");
    assert_eq!((server.accepts.load(Ordering::SeqCst), server.seen().len()), (1, 1));
}

#[tokio::test]
async fn metadata_addresses_are_refused_even_for_a_private_entry_or_a_literal() {
    let clients = clients(&[("meta.test", "169.254.169.254")]);
    let entry = |host: &str| AllowedHost { https: false, host: host.to_owned(), port: 80, private: true };
    let access = access(&clients, &[entry("meta.test"), entry("169.254.169.254"), entry("::ffff:169.254.169.254")], &[]);
    for url in ["http://meta.test/latest/", "http://169.254.169.254/latest/", "http://[::ffff:a9fe:a9fe]/"] {
        let refused = access.send(get(url), fast()).await.unwrap_err();
        assert!(matches!(refused, HttpError::Prohibited { .. }), "{url}: {refused}");
    }
}

#[tokio::test]
async fn credentials_go_to_their_own_authority_only_and_replace_the_guests() {
    let (mine, other) = (ok_server().await, ok_server().await);
    let allow = [mine.entry("127.0.0.1", false), other.entry("127.0.0.1", false)];
    let authority = format!("127.0.0.1:{}", mine.port);
    let access = access(&clients(&[]), &allow, &[(&authority, bearer("s3cret"))]);
    for port in [mine.port, other.port] {
        let mut request = get(&format!("http://127.0.0.1:{port}/"));
        request.headers_mut().insert(AUTHORIZATION, "Bearer forged".parse().unwrap());
        access.send(request, Timeouts::default()).await.unwrap();
    }
    assert_eq!(mine.seen()[0].get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer s3cret"]);
    assert_eq!(other.seen()[0][AUTHORIZATION], "Bearer forged");
    assert!(!format!("{access:?}").contains("s3cret"));
}

#[tokio::test]
async fn basic_and_header_credentials_are_written_as_servers_read_them() {
    let (basic, header) = (ok_server().await, ok_server().await);
    let allow = [basic.entry("127.0.0.1", false), header.entry("127.0.0.1", false)];
    let (one, two) = (format!("127.0.0.1:{}", basic.port), format!("127.0.0.1:{}", header.port));
    let pair = Auth::Basic { user: Secret::new("wharf".to_owned()), password: Secret::new("pa:ss".to_owned()) };
    let key = Auth::Header { name: "X-Api-Key".to_owned(), value: Secret::new("k1".to_owned()) };
    let access = access(&clients(&[]), &allow, &[(&one, pair), (&two, key)]);
    for port in [basic.port, header.port] {
        access.send(get(&format!("http://127.0.0.1:{port}/")), Timeouts::default()).await.unwrap();
    }
    assert_eq!(basic.seen()[0][AUTHORIZATION], "Basic d2hhcmY6cGE6c3M=");
    assert_eq!(header.seen()[0]["x-api-key"], "k1");
}

#[test]
fn credentials_that_no_header_can_carry_or_no_host_gets_are_named() {
    let clients = clients(&[]);
    let allow = [AllowedHost { https: true, host: "a.test".to_owned(), port: 443, private: false }];
    let with = |authority: &str, auth: Auth| {
        HttpAccess::new(&clients, "erp", &allow, &BTreeMap::from([(authority.to_owned(), auth)])).unwrap_err()
    };
    assert!(matches!(with("b.test", bearer("x")), BadCredentials::NotAllowed { .. }));
    assert!(matches!(with("a.test", bearer("x\ny")), BadCredentials::Value { .. }));
    let host = Auth::Header { name: "Host".to_owned(), value: Secret::new("x".to_owned()) };
    assert!(matches!(with("a.test", host), BadCredentials::ReservedHeader { .. }));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_its_target_is_checked_like_any_other_request() {
    let target = ok_server().await;
    let location = format!("http://127.0.0.1:{}/stolen", target.port);
    let to = location.clone();
    let first = server(move || (StatusCode::FOUND, [(LOCATION, to.clone())]).into_response()).await;
    let authority = format!("127.0.0.1:{}", first.port);
    let access = access(&clients(&[]), &[first.entry("127.0.0.1", false)], &[(&authority, bearer("s3cret"))]);
    let answer = access.send(get(&format!("http://{authority}/")), Timeouts::default()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()[LOCATION], location.as_str());
    let denied = access.send(get(&location), Timeouts::default()).await.unwrap_err();
    assert!(matches!(denied, HttpError::Denied { .. }), "{denied}");
    assert_eq!(target.accepts.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn connections_are_reused_across_requests_and_connectors() {
    let server = ok_server().await;
    let clients = clients(&[]);
    let url = format!("http://127.0.0.1:{}/", server.port);
    for _ in 0..3 {
        let access = access(&clients, &[server.entry("127.0.0.1", false)], &[]);
        for _ in 0..5 {
            assert_eq!(text(access.send(get(&url), Timeouts::default()).await.unwrap()).await, "fine");
        }
    }
    assert_eq!((server.accepts.load(Ordering::SeqCst), server.seen().len()), (1, 15));
}

#[tokio::test]
async fn hop_headers_and_a_forged_host_stay_behind() {
    let server = ok_server().await;
    let access = access(&clients(&[]), &[server.entry("localhost", false)], &[]);
    let mut request = get(&format!("http://LOCALHOST.:{}/", server.port));
    for (name, value) in
        [("connection", "x-internal"), ("x-internal", "1"), ("te", "trailers"), ("host", "evil.test"), ("x-kept", "1")]
    {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    access.send(request, Timeouts::default()).await.unwrap();
    let seen = server.seen().remove(0);
    assert_eq!(seen[HOST], format!("localhost:{}", server.port).as_str());
    assert_eq!(seen["x-kept"], "1");
    for gone in [CONNECTION.as_str(), "x-internal", "te"] {
        assert!(!seen.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn trace_and_connect_are_refused() {
    let server = ok_server().await;
    let access = access(&clients(&[]), &[server.entry("127.0.0.1", false)], &[]);
    for method in [Method::TRACE, Method::CONNECT] {
        let mut request = get(&format!("http://127.0.0.1:{}/", server.port));
        *request.method_mut() = method;
        assert!(matches!(access.send(request, Timeouts::default()).await, Err(HttpError::Denied { .. })));
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn after_retry_after_the_next_request_of_that_account_waits() {
    let server = server(|| (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")]).into_response()).await;
    let access = access(&clients(&[]), &[server.entry("127.0.0.1", false)], &[]);
    let url = format!("http://127.0.0.1:{}/", server.port);
    let started = Instant::now();
    for _ in 0..2 {
        // Each task holds its own clone.
        let answer = access.clone().send(get(&url), fast()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

/// A server that answers each connection with `bytes` and then says nothing more.
async fn silent_after(bytes: &'static [u8]) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            if stream.read(&mut head).await.is_ok() && stream.write_all(bytes).await.is_ok() {
                open.push(stream);
            }
        }
    });
    Server { port, seen: Arc::default(), accepts: Arc::default() }
}

#[tokio::test]
async fn a_silent_server_ends_in_a_timeout_that_says_what_was_awaited() {
    let quiet = silent_after(b"").await;
    let access = access(&clients(&[]), &[quiet.entry("127.0.0.1", false)], &[]);
    let late = access.send(get(&format!("http://127.0.0.1:{}/", quiet.port)), fast()).await.unwrap_err();
    assert!(matches!(late, HttpError::Timeout { waiting_for: "an answer", .. }), "{late}");
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_ends_in_a_timeout() {
    let stuck = silent_after(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let access = access(&clients(&[]), &[stuck.entry("127.0.0.1", false)], &[]);
    let answer = access.send(get(&format!("http://127.0.0.1:{}/", stuck.port)), fast()).await.unwrap();
    let error = answer.into_body().collect().await.unwrap_err();
    assert!(error.downcast_ref::<BetweenBytesTimeout>().is_some(), "{error}");
}

#[tokio::test]
async fn failures_are_named_by_kind() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
    let garbled = silent_after(b"SSH-2.0-OpenSSH\r\n").await;
    let entry = |https, host: &str, port| AllowedHost { https, host: host.to_owned(), port, private: true };
    let allow = [
        entry(false, "127.0.0.1", closed),
        entry(false, "127.0.0.1", garbled.port),
        entry(true, "127.0.0.1", garbled.port),
        entry(true, "no-such-host.invalid", 443),
    ];
    let access = access(&clients(&[]), &allow, &[]);
    let send = async |url: String| access.send(get(&url), Timeouts::default()).await.unwrap_err();
    let refused = send(format!("http://127.0.0.1:{closed}/?token=x")).await;
    assert!(matches!(&refused, HttpError::Connect { reason, .. } if reason.contains("refused")), "{refused}");
    assert!(!refused.to_string().contains("token"));
    let garbage = send(format!("http://127.0.0.1:{}/", garbled.port)).await;
    assert!(matches!(garbage, HttpError::Protocol { .. }), "{garbage}");
    let tls = send(format!("https://127.0.0.1:{}/", garbled.port)).await;
    assert!(matches!(tls, HttpError::Tls { .. }), "{tls}");
    let unknown = send("https://no-such-host.invalid/".to_owned()).await;
    assert!(matches!(unknown, HttpError::Dns { .. }), "{unknown}");
}

#[tokio::test]
async fn a_request_body_arrives_whole() {
    let server = ok_server().await;
    let access = access(&clients(&[]), &[server.entry("127.0.0.1", false)], &[]);
    let body = Full::new(Bytes::from_static(b"{\"a\":1}\n")).map_err(|never| match never {}).boxed_unsync();
    let request = Request::post(format!("http://127.0.0.1:{}/in", server.port)).body(body).unwrap();
    assert_eq!(access.send(request, Timeouts::default()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.seen()[0]["content-length"], "8");
}
