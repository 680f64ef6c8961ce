//! Where connections come in: addresses, the socket, TLS, and senders that dawdle.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};

use super::connection::{Door, Limits, keep};
use super::operations::Site;
use super::*;

async fn socket_only(state_dir: &Path, telemetry: &Arc<Telemetry>) -> Result<Listener, ListenError> {
    Listener::start(None, state_dir, Vec::new(), Arc::clone(telemetry)).await
}

#[tokio::test]
async fn an_address_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let state_dir = TempDir::new().unwrap();
    let config = Listen { address: address.clone(), ..listen() };
    let error = Listener::start(Some(&config), state_dir.path(), Vec::new(), Arc::default()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("[listen] address = \"{address}\": another process listens there; stop it")), "{error}");
    assert!(!state_dir.path().join("wharf.sock").exists());
}

#[tokio::test]
async fn the_socket_answers_status_without_an_address() {
    let (state_dir, telemetry) = (TempDir::new().unwrap(), Arc::new(Telemetry::default()));
    telemetry.connector("warehouse", Kind::Sink, 0).state(TaskState::Failed, Some("no such table".to_owned()));
    let listener = socket_only(state_dir.path(), &telemetry).await.unwrap();
    assert_eq!(listener.address(), None);
    let snapshot = ask_status(state_dir.path()).await.unwrap();
    assert_eq!((snapshot.tasks[0].state, snapshot.tasks[0].reason.as_deref()), (TaskState::Failed, Some("no such table")));
    let mode = std::fs::metadata(state_dir.path().join("wharf.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    listener.shutdown().await;
    assert!(!state_dir.path().join("wharf.sock").exists());
}

#[tokio::test]
async fn the_socket_takes_no_webhooks() {
    let running = Running::unsigned().await;
    let stream = UnixStream::connect(running.state_dir.path().join("wharf.sock")).await.unwrap();
    assert_eq!(tell_over(stream, Request::post("/hooks").body("a".to_owned()).unwrap()).await.status, 404);
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let (state_dir, telemetry) = (TempDir::new().unwrap(), Arc::new(Telemetry::default()));
    // Dropped without being removed, as by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(state_dir.path().join("wharf.sock")).unwrap());
    let _first = socket_only(state_dir.path(), &telemetry).await.unwrap();
    assert!(ask_status(state_dir.path()).await.is_ok());
    let error = socket_only(state_dir.path(), &telemetry).await.unwrap_err().to_string();
    assert!(error.contains("another process answers on this socket"), "{error}");
    assert!(ask_status(state_dir.path()).await.is_ok());
}

#[tokio::test]
async fn a_file_in_the_place_of_the_socket_is_left_alone() {
    let state_dir = TempDir::new().unwrap();
    std::fs::write(state_dir.path().join("wharf.sock"), "mine").unwrap();
    let error = socket_only(state_dir.path(), &Arc::default()).await.unwrap_err().to_string();
    assert!(error.contains("is in the way"), "{error}");
    assert_eq!(std::fs::read_to_string(state_dir.path().join("wharf.sock")).unwrap(), "mine");
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_costs_only_the_socket() {
    let (state_dir, telemetry) = (TempDir::new().unwrap(), Arc::new(Telemetry::default()));
    let deep = state_dir.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let listener = Listener::start(Some(&listen()), &deep, Vec::new(), telemetry).await.unwrap();
    assert_eq!(tell(listener.address().unwrap(), Request::get("/health").body(String::new()).unwrap()).await.status, 200);
    assert!(matches!(ask_status(&deep).await, Err(AskError::NoWorker { .. })));
}

#[tokio::test]
async fn asking_where_no_worker_runs_says_so() {
    let state_dir = TempDir::new().unwrap();
    let error = ask_status(state_dir.path()).await.unwrap_err();
    assert!(matches!(error, AskError::NoWorker { .. }), "{error}");
    assert!(error.to_string().contains("start one with `wharf run`"), "{error}");
    drop(std::os::unix::net::UnixListener::bind(state_dir.path().join("wharf.sock")).unwrap());
    assert!(matches!(ask_status(state_dir.path()).await, Err(AskError::NoWorker { .. })));
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/listen/tests").join(name)
}

#[tokio::test]
async fn an_address_with_tls_talks_tls_only() {
    let tls = Some(ListenTls { cert: fixture("cert.pem"), key: fixture("key.pem") });
    let running = start(Listen { tls, ..listen() }, route(None, LONG)).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("cert.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
    let stream = TcpStream::connect(running.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(client).connect(name, stream).await.unwrap();
    assert_eq!(tell_over(stream, Request::get("/health").body(String::new()).unwrap()).await.status, 200);
    let mut plain = TcpStream::connect(running.address()).await.unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn an_unusable_certificate_names_the_file() {
    let state_dir = TempDir::new().unwrap();
    let start = async |cert: PathBuf, key: PathBuf| {
        let config = Listen { tls: Some(ListenTls { cert, key }), ..listen() };
        Listener::start(Some(&config), state_dir.path(), Vec::new(), Arc::default()).await.unwrap_err().to_string()
    };
    let swapped = start(fixture("key.pem"), fixture("cert.pem")).await;
    assert!(swapped.contains("key.pem: holds no certificate in PEM"), "{swapped}");
    let no_key = start(fixture("cert.pem"), fixture("cert.pem")).await;
    assert!(no_key.contains("cert.pem: no private key in PEM"), "{no_key}");
}

/// A listener with short patience.
async fn impatient() -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let site = Site {
        telemetry: Arc::default(),
        routes: BTreeMap::from([("/hooks".to_owned(), route(None, LONG))]),
        held: Arc::new(Semaphore::new(10)),
        max_body: 1000,
        body_time: Duration::from_millis(50),
    };
    let mut limits = Limits::new(10);
    limits.head = Duration::from_millis(50);
    (address, stop, tokio::spawn(keep(Door::Tcp(listener, None), Arc::new(site), limits, stopping)))
}

#[tokio::test]
async fn a_sender_that_dawdles_over_its_head_is_cut_off() {
    let (address, _stop, _door) = impatient().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /hooks HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

#[tokio::test]
async fn a_sender_that_dawdles_over_its_body_gets_408() {
    let (address, _stop, _door) = impatient().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /hooks HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let running = Running::unsigned().await;
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"HEAD /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            answer.push(char::from(stream.read_u8().await.unwrap()));
        }
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_a_shutdown() {
    let running = Running::unsigned().await;
    let mut kept = TcpStream::connect(running.address()).await.unwrap();
    kept.write_all(b"HEAD /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    kept.read_u8().await.unwrap();
    let _silent = TcpStream::connect(running.address()).await.unwrap();
    // Accepted after the silent one.
    assert_eq!(running.get("/health").await.status, 200);
    let began = std::time::Instant::now();
    running.listener.shutdown().await;
    // At the end of that time connections are cut; these two ended by themselves.
    assert!(began.elapsed() < GRACE);
}
