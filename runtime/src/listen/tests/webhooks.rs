//! Webhook requests. Signatures over fixed vectors stand in `listen/signature/tests.rs`.

use hmac::{Hmac, Mac as _};

use super::*;

const BODY: &str = r#"{"id":1,"total":"9.90"}"#;
/// Made with Python's `hmac`, as in `listen/signature/tests.rs`.
const SHOPIFY: &str = "cZppqXSPzLWWOHy84oNlw7A8d5ubzL4gl9bNs9y4POw=";
const STRIPE: &str = "t=1700000000,v1=61f9a45c9e24303aa5aff6289f04e6301cbeac2e04d5adeed0f209e9a0087842";

/// What a sender is told before its deadline.
const NOT_DELIVERED: &str = r#"{"error":"not delivered, send it again"}"#;

fn signed(scheme: SignatureScheme, secret: &str) -> Option<Signature> {
    Some(Signature { scheme, secret: Secret::new(secret.to_owned()) })
}

fn with(header: &str, value: &str) -> Request<String> {
    Request::post("/hooks").header(header, value).body(BODY.to_owned()).unwrap()
}

#[tokio::test]
async fn a_sender_gets_200_only_after_its_records_are_durable() {
    let running = Running::unsigned().await;
    let sender = running.posting("a");
    let taken = running.poll().await;
    assert_eq!((taken.method.as_str(), taken.body.as_ref()), ("POST", b"a".as_slice()));
    assert!(taken.received > 1_700_000_000_000);
    // The answers to others do not wait for it, and it still has none.
    assert_eq!(running.get("/status").await.status, 200);
    assert!(!sender.is_finished());
    running.inbox.settle(true);
    assert_eq!(sender.await.unwrap().status, 200);
    assert!(running.get("/metrics").await.body.contains("wharf_webhook_requests_total{connector=\"shop\",status=\"200\"} 1\n"));
}

#[tokio::test]
async fn a_sender_gets_503_when_its_records_did_not_become_durable() {
    let running = Running::unsigned().await;
    let sender = running.posting("a");
    running.poll().await;
    running.inbox.settle(false);
    let told = sender.await.unwrap();
    assert_eq!((told.status.as_u16(), told.headers["retry-after"].to_str().unwrap()), (503, "5"));
    assert_eq!(told.body, NOT_DELIVERED);
}

#[tokio::test]
async fn a_refused_sender_gets_the_guests_4xx_at_once() {
    let running = Running::unsigned().await;
    let sender = running.posting("a");
    let taken = running.poll().await;
    running.inbox.refuse(taken.id, 422, "no order in it");
    let told = sender.await.unwrap();
    assert_eq!((told.status.as_u16(), told.body.as_str()), (422, r#"{"error":"no order in it"}"#));
}

#[tokio::test]
async fn a_sender_gets_503_after_its_deadline() {
    let running = start(listen(), route(None, Duration::from_millis(30))).await;
    assert_eq!(running.post("/hooks", "nobody takes it").await.status, 503);
    assert!(running.inbox.is_drained());
}

#[tokio::test]
async fn a_sender_that_hangs_up_leaves_the_queue() {
    let running = start(Listen { max_held: 1, ..listen() }, route(None, LONG)).await;
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    stream.write_all(b"POST /hooks HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\na").await.unwrap();
    running.inbox.arrived().await;
    drop(stream);
    let left = tokio::time::timeout(Duration::from_secs(20), async {
        while !running.inbox.is_drained() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    left.await.expect("its request leaves the queue");
    // Its place is given back: the next sender is held, not turned away.
    let sender = running.posting("b");
    assert_eq!(running.poll().await.body, "b");
    running.inbox.settle(true);
    assert_eq!(sender.await.unwrap().status, 200);
}

#[tokio::test]
async fn credentials_and_the_signature_are_not_handed_on() {
    let running = start(listen(), route(signed(SignatureScheme::Shopify, "shpss_secret"), LONG)).await;
    let address = running.address();
    let mut request = with("X-Shopify-Hmac-Sha256", SHOPIFY);
    *request.uri_mut() = "/hooks?shop=a%20b&x=1".parse().unwrap();
    for (name, value) in [
        ("Authorization", "Bearer x"),
        ("Proxy-Authorization", "Basic x"),
        ("Cookie", "a=b"),
        ("X-Shopify-Topic", "orders/create"),
    ] {
        request.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    let sender = tokio::spawn(tell(address, request));
    let taken = running.poll().await;
    running.inbox.settle(true);
    assert_eq!(sender.await.unwrap().status, 200);
    assert_eq!(taken.path, "/hooks?shop=a%20b&x=1");
    let names: Vec<_> = taken.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-shopify-topic", "host", "content-length"]);
}

#[tokio::test]
async fn an_unsigned_or_forged_request_gets_401_and_reaches_nobody() {
    let running = start(listen(), route(signed(SignatureScheme::Shopify, "shpss_secret"), LONG)).await;
    let missing = running.post("/hooks", BODY).await;
    assert_eq!((missing.status.as_u16(), missing.body.as_str()), (401, r#"{"error":"the request is not signed"}"#));
    let mut changed = with("x-shopify-hmac-sha256", SHOPIFY);
    *changed.body_mut() = BODY.replace("9.90", "0.00");
    let wrong = tell(running.address(), changed).await;
    assert_eq!((wrong.status.as_u16(), wrong.body.as_str()), (401, r#"{"error":"the signature does not fit"}"#));
    let malformed = tell(running.address(), with("x-shopify-hmac-sha256", "%")).await;
    assert_eq!((malformed.status, malformed.body), (wrong.status, wrong.body));
    assert!(running.inbox.is_drained());
}

#[tokio::test]
async fn an_old_stripe_signature_gets_401_and_a_fresh_one_200() {
    let running = start(listen(), route(signed(SignatureScheme::Stripe, "whsec_new"), LONG)).await;
    assert_eq!(tell(running.address(), with("stripe-signature", STRIPE)).await.status, 401);
    assert!(running.inbox.is_drained());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"whsec_new").unwrap();
    mac.update(format!("{now}.{BODY}").as_bytes());
    let tag: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let sender = tokio::spawn(tell(running.address(), with("stripe-signature", &format!("t={now},v1={tag}"))));
    running.poll().await;
    running.inbox.settle(true);
    assert_eq!(sender.await.unwrap().status, 200);
}

#[tokio::test]
async fn only_post_and_only_the_exact_path() {
    let running = Running::unsigned().await;
    let told = running.get("/hooks").await;
    assert_eq!((told.status.as_u16(), told.headers["allow"].to_str().unwrap()), (405, "POST"));
    for path in ["/hooks/", "/hook", "/hooks/x", "/Hooks", "/"] {
        assert_eq!(running.post(path, "a").await.status, 404, "{path}");
    }
    assert!(running.inbox.is_drained());
}

#[tokio::test]
async fn a_body_above_the_limit_gets_413_with_and_without_a_length() {
    let running = Running::unsigned().await;
    let sender = running.posting(Box::leak("x".repeat(1000).into_boxed_str()));
    assert_eq!(running.poll().await.body.len(), 1000);
    running.inbox.settle(true);
    assert_eq!(sender.await.unwrap().status, 200);
    assert_eq!(running.post("/hooks", &"x".repeat(1001)).await.status, 413);
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    let chunk =
        format!("POST /hooks HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001));
    stream.write_all(chunk.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(running.inbox.is_drained());
}

#[tokio::test]
async fn more_than_the_held_requests_over_all_connectors_get_503() {
    let (state_dir, telemetry) = (TempDir::new().unwrap(), Arc::new(Telemetry::default()));
    let (shop, mut pay) = (route(None, LONG), route(None, LONG));
    pay.listen.path = "/pay".to_owned();
    let inbox = Inbox::new(&shop.intake);
    let config = Listen { max_held: 1, ..listen() };
    let listener = Listener::start(Some(&config), state_dir.path(), vec![shop, pay], telemetry).await.unwrap();
    let address = listener.address().unwrap();
    let post = |path: &str| tell(address, Request::post(path).body("a".to_owned()).unwrap());
    let first = tokio::spawn(post("/hooks"));
    assert_eq!(inbox.take(1, LONG).await.len(), 1);
    let told = post("/pay").await;
    assert_eq!((told.status.as_u16(), told.headers["retry-after"].to_str().unwrap()), (503, "1"));
    inbox.polled();
    inbox.settle(true);
    assert_eq!(first.await.unwrap().status, 200);
    let second = tokio::spawn(post("/hooks"));
    assert_eq!(inbox.take(1, LONG).await.len(), 1);
    inbox.polled();
    inbox.settle(true);
    assert_eq!(second.await.unwrap().status, 200);
}

#[tokio::test]
async fn requests_in_flight_at_shutdown_get_503() {
    let running = Running::unsigned().await;
    let (untaken, address) = (running.posting("a"), running.address());
    running.inbox.arrived().await;
    let shutdown = tokio::spawn(running.listener.shutdown());
    let told = untaken.await.unwrap();
    assert_eq!((told.status.as_u16(), told.body.as_str()), (503, NOT_DELIVERED));
    shutdown.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_was_taken_is_still_answered_200_during_a_shutdown() {
    let running = Running::unsigned().await;
    let (sender, address) = (running.posting("a"), running.address());
    running.poll().await;
    let shutdown = tokio::spawn(running.listener.shutdown());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    running.inbox.settle(true);
    assert_eq!(sender.await.unwrap().status, 200);
    shutdown.await.unwrap();
}
