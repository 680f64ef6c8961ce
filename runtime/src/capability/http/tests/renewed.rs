//! Credentials that are not the same for ever: fetched tokens, and secrets whose file changes.

use axum::extract::Request as Asked;

use super::*;
use crate::capability::secret::{Piece, read};
use crate::config::{ClientAuth, OAuth};

/// A token endpoint, and a service that lets in whoever has the token of now.
#[derive(Debug, Default)]
struct Office {
    /// Forms of the requests for a token.
    asked: Vec<String>,
    /// The number of the last token.
    issued: usize,
    /// What the service wants; tokens are `token-N`.
    wanted: String,
    /// A token's life, in seconds.
    life: u64,
    /// Bodies that the service took, with the credentials that came with them.
    took: Vec<(String, String)>,
    refused: usize,
}

type Shared = Arc<Mutex<Office>>;

async fn serve(router: Router) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

async fn issue(State(office): State<Shared>, form: String) -> Reply {
    let mut office = office.lock().unwrap();
    office.asked.push(form);
    office.issued += 1;
    let token = format!("token-{}", office.issued);
    office.wanted = format!("Bearer {token}");
    let body = format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{}}}"#, office.life);
    (StatusCode::OK, body).into_response()
}

async fn take(State(office): State<Shared>, request: Asked) -> Reply {
    let (head, body) = request.into_parts();
    // All of it, before it is refused: whoever sends has sent it then.
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let said = head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let mut office = office.lock().unwrap();
    if said != office.wanted {
        office.refused += 1;
        return StatusCode::UNAUTHORIZED.into_response();
    }
    office.took.push((String::from_utf8_lossy(&body).into_owned(), said));
    StatusCode::OK.into_response()
}

/// The office, the ports of its token endpoint and of its service.
async fn office(life: u64) -> (Shared, u16, u16) {
    let office = Shared::new(Mutex::new(Office { life, ..Office::default() }));
    let tokens = serve(Router::new().fallback(any(issue)).with_state(Arc::clone(&office))).await;
    let service = serve(Router::new().fallback(any(take)).with_state(Arc::clone(&office))).await;
    (office, tokens, service)
}

fn oauth(url: &str) -> Auth {
    Auth::OAuth(OAuth {
        token_url: url.parse().unwrap(),
        client_id: Secret::new("wharf".to_owned()),
        client_secret: Secret::new("hush-hush".to_owned()),
        scope: Some("orders".to_owned()),
        client_auth: ClientAuth::Post,
        parameters: Vec::new(),
    })
}

fn with_tokens(clients: &SharedClients, tokens: u16, service: u16) -> HttpAccess {
    let allow = [AllowedHost { https: false, host: "127.0.0.1".to_owned(), port: service, private: false }];
    access(clients, &allow, &[("127.0.0.1", oauth(&format!("http://127.0.0.1:{tokens}/token")))])
}

fn post(service: u16, body: impl Into<Bytes>) -> Request<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    Request::post(format!("http://127.0.0.1:{service}/in")).body(body).unwrap()
}

async fn status(access: &HttpAccess, service: u16, body: &str) -> StatusCode {
    access.send(post(service, body.to_owned()), Timeouts::default()).await.unwrap().status()
}

fn took(office: &Shared) -> Vec<(String, String)> {
    office.lock().unwrap().took.clone()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(body, token)| ((*body).to_owned(), format!("Bearer {token}"))).collect()
}

#[tokio::test]
async fn all_requests_and_connectors_of_an_account_share_one_token() {
    let (office, tokens, service) = office(3600).await;
    let clients = clients(&[]);
    let two = [with_tokens(&clients, tokens, service), with_tokens(&clients, tokens, service)];
    let requests = (0..40).map(|n| two[n % 2].send(post(service, n.to_string()), Timeouts::default()));
    let answers = futures_util::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == StatusCode::OK));
    assert_eq!(took(&office).len(), 40);
    let form = "grant_type=client_credentials&client_id=wharf&client_secret=hush-hush&scope=orders";
    assert_eq!(office.lock().unwrap().asked, [form]);
}

#[tokio::test]
async fn a_token_that_has_expired_is_sent_no_more() {
    let (office, tokens, service) = office(0).await;
    let access = with_tokens(&clients(&[]), tokens, service);
    for body in ["1", "2", "3"] {
        assert_eq!(status(&access, service, body).await, StatusCode::OK);
    }
    assert_eq!(took(&office), pairs(&[("1", "token-1"), ("2", "token-2"), ("3", "token-3")]));
    assert_eq!(office.lock().unwrap().refused, 0);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_and_the_request_sent_once_more_with_its_body() {
    let (office, tokens, service) = office(3600).await;
    let access = with_tokens(&clients(&[]), tokens, service);
    assert_eq!(status(&access, service, "1").await, StatusCode::OK);
    office.lock().unwrap().wanted = "Bearer withdrawn".to_owned();
    assert_eq!(status(&access, service, "2").await, StatusCode::OK);
    assert_eq!(took(&office), pairs(&[("1", "token-1"), ("2", "token-2")]));
    let office = office.lock().unwrap();
    assert_eq!((office.refused, office.asked.len()), (1, 2));
}

#[tokio::test]
async fn a_service_that_refuses_the_new_token_too_has_the_last_word() {
    let (office, tokens, _) = office(3600).await;
    let always = server(|| StatusCode::UNAUTHORIZED.into_response()).await;
    let access = with_tokens(&clients(&[]), tokens, always.port);
    assert_eq!(status(&access, always.port, "1").await, StatusCode::UNAUTHORIZED);
    assert_eq!((always.seen().len(), office.lock().unwrap().issued), (2, 2));
}

#[tokio::test]
async fn a_long_body_is_not_kept_and_comes_again_from_the_guest() {
    let (office, tokens, service) = office(3600).await;
    let access = with_tokens(&clients(&[]), tokens, service);
    let long = "x".repeat(copy::LONGEST + 1);
    assert_eq!(status(&access, service, &long).await, StatusCode::OK);
    office.lock().unwrap().wanted = "Bearer withdrawn".to_owned();
    let again = access.send(post(service, long.clone()), Timeouts::default()).await.unwrap_err();
    assert!(matches!(again, HttpError::Renewed { .. }) && !again.is_of_credentials(), "{again}");
    assert_eq!(status(&access, service, &long).await, StatusCode::OK);
    assert_eq!(took(&office), pairs(&[(&long, "token-1"), (&long, "token-2")]));
    // A token that was never good for anything is not worth another try: the guest would try for ever.
    let refuse = any(async |body: Bytes| (StatusCode::UNAUTHORIZED, body.len().to_string()));
    let always = serve(Router::new().fallback(refuse).layer(axum::extract::DefaultBodyLimit::disable())).await;
    let access = with_tokens(&clients(&[]), tokens, always);
    assert_eq!(status(&access, always, &long).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_is_hidden_from_the_moment_that_it_is_fetched_and_after_it_was_replaced() {
    let (office, tokens, service) = office(0).await;
    let access = with_tokens(&clients(&[]), tokens, service);
    status(&access, service, "1").await;
    status(&access, service, "2").await;
    assert_eq!(took(&office).len(), 2);
    assert_eq!(access.veil().over("token-2 and token-1 of hush-hush"), "*** and *** of ***");
    assert!(!format!("{access:?}").contains("token-2"));
}

#[tokio::test]
async fn a_token_endpoint_is_not_followed_elsewhere_and_metadata_addresses_are_never_asked() {
    let (office, tokens, service) = office(3600).await;
    let to = format!("http://127.0.0.1:{tokens}/token");
    let moved = server(move || (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to.clone())]).into_response()).await;
    let refused =
        with_tokens(&clients(&[]), moved.port, service).send(post(service, "1"), Timeouts::default()).await.unwrap_err();
    assert!(refused.is_of_credentials() && refused.to_string().contains("redirects are not followed"), "{refused}");
    assert_eq!(office.lock().unwrap().asked.len(), 0);
    let allow = [AllowedHost { https: false, host: "127.0.0.1".to_owned(), port: service, private: false }];
    let clients = clients(&[("meta.test", "169.254.169.254")]);
    let named = access(&clients, &allow, &[("127.0.0.1", oauth("http://meta.test/token"))]);
    let refused = named.send(post(service, "1"), Timeouts::default()).await.unwrap_err();
    assert!(refused.is_of_credentials() && refused.to_string().contains("never dialled"), "{refused}");
    let auth = BTreeMap::from([("127.0.0.1".to_owned(), oauth("http://169.254.169.254/token"))]);
    let refused = HttpAccess::new(&clients, "erp", &allow, &auth).unwrap_err();
    assert!(matches!(&refused, BadCredentials::TokenUrl { .. }) && refused.to_string().contains("token-url"), "{refused}");
}

fn of_file(path: &std::path::Path) -> Secret {
    Secret::of(vec![Piece { text: read(path).unwrap(), file: Some(path.to_owned()) }])
}

#[tokio::test]
async fn a_secret_whose_file_has_changed_is_read_again_when_the_service_refuses_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "monday-4711\n").unwrap();
    let (office, _, service) = office(3600).await;
    office.lock().unwrap().wanted = "Bearer monday-4711".to_owned();
    let allow = [AllowedHost { https: false, host: "127.0.0.1".to_owned(), port: service, private: false }];
    let access = access(&clients(&[]), &allow, &[("127.0.0.1", Auth::Bearer(of_file(&path)))]);
    assert_eq!(status(&access, service, "1").await, StatusCode::OK);
    // The service knows the new one alone, and the file has the old one yet: that is the guest's to hear.
    office.lock().unwrap().wanted = "Bearer tuesday-0815".to_owned();
    assert_eq!(status(&access, service, "2").await, StatusCode::UNAUTHORIZED);
    std::fs::write(&path, "tuesday-0815\n").unwrap();
    assert_eq!(status(&access, service, "2").await, StatusCode::OK);
    assert_eq!(took(&office), pairs(&[("1", "monday-4711"), ("2", "tuesday-0815")]));
    assert_eq!(office.lock().unwrap().refused, 2);
    assert_eq!(access.veil().over("tuesday-0815, monday-4711"), "***, ***");
}
