//! A token endpoint (RFC 6749, 4.4), and a service behind it that lets in whoever has a token which is good now. Both misbehave as told.
//! Each listens on a port of its own. Uses nothing of Wharf.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The server, and what it was asked. Clones share it.
#[derive(Debug, Clone)]
pub struct Tokens {
    office: Arc<Mutex<Office>>,
    /// Of the token endpoint.
    pub port: u16,
    /// Of the service.
    pub service: u16,
}

#[derive(Debug)]
pub struct Office {
    /// The client's secret; its id is `wharf`.
    pub secret: String,
    /// What a token request is answered by, where it is no token.
    pub away: Option<StatusCode>,
    /// Seconds that a token lives by its answer; it is good until it is withdrawn.
    pub life: u64,
    /// Requests for a token, each with the form that it came with.
    pub asked: Vec<String>,
    /// All tokens so far.
    pub issued: Vec<String>,
    /// Authorizations that the service accepts.
    pub good: Vec<String>,
    /// Requests that the service has let in: body and authorization.
    pub took: Vec<(String, String)>,
    /// Requests that it has refused by 401.
    pub refused: usize,
    /// A body with this text is answered by 422, and what it came with is told.
    pub bad: Option<String>,
}

impl Tokens {
    /// Starts both, with tokens of an hour.
    pub async fn start() -> Self {
        let office = Arc::new(Mutex::new(Office {
            secret: "the-secret-of-the-client".to_owned(),
            away: None,
            life: 3600,
            asked: Vec::new(),
            issued: Vec::new(),
            good: Vec::new(),
            took: Vec::new(),
            refused: 0,
            bad: None,
        }));
        let port = serve(Router::new().fallback(issue).with_state(Arc::clone(&office))).await;
        let service = serve(Router::new().fallback(take).with_state(Arc::clone(&office))).await;
        Self { office, port, service }
    }

    pub fn office(&self) -> MutexGuard<'_, Office> {
        self.office.lock().unwrap()
    }

    /// No token that was issued so far is good any more.
    pub fn withdraw(&self) {
        self.office().good.clear();
    }

    /// What the service took, in the order of its arrival.
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        self.office().took.iter().map(|(body, _)| body.clone()).collect()
    }
}

async fn serve(router: Router) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

async fn issue(State(office): State<Arc<Mutex<Office>>>, headers: HeaderMap, form: String) -> Response {
    let mut office = office.lock().unwrap();
    office.asked.push(form);
    if let Some(status) = office.away {
        return status.into_response();
    }
    let said = authorization(&headers);
    if said != format!("Basic {}", STANDARD.encode(format!("wharf:{}", office.secret))) {
        // As servers do that help more than they should.
        let told = format!(r#"{{"error":"invalid_client","error_description":"wrong secret, you said {said}"}}"#);
        return (StatusCode::UNAUTHORIZED, told).into_response();
    }
    let token = format!("{}-token-of-the-shop", office.issued.len() + 1);
    office.good.push(format!("Bearer {token}"));
    let answer = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{}}}"#, office.life);
    office.issued.push(token);
    (StatusCode::OK, answer).into_response()
}

async fn take(State(office): State<Arc<Mutex<Office>>>, headers: HeaderMap, body: String) -> Response {
    let mut office = office.lock().unwrap();
    let said = authorization(&headers);
    if !office.good.contains(&said) {
        office.refused += 1;
        return (StatusCode::UNAUTHORIZED, format!("not let in by {said}")).into_response();
    }
    if office.bad.as_ref().is_some_and(|bad| body.contains(bad)) {
        return (StatusCode::UNPROCESSABLE_ENTITY, format!("not taken, it came with {said}")).into_response();
    }
    office.took.push((body, said));
    StatusCode::OK.into_response()
}

fn authorization(headers: &HeaderMap) -> String {
    headers.get(header::AUTHORIZATION).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}
