use std::net::Ipv4Addr;
use std::sync::atomic::AtomicUsize;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;

use super::super::dial::{ClientOptions, SharedClients};
use super::*;
use crate::capability::secret::Secret;
use crate::config::ClientAuth;

fn account(port: u16) -> Account {
    let config = OAuth {
        token_url: format!("http://127.0.0.1:{port}/token").parse().unwrap(),
        client_id: Secret::new("wharf".to_owned()),
        client_secret: Secret::new("hush-hush".to_owned()),
        scope: None,
        client_auth: ClientAuth::Basic,
        parameters: Vec::new(),
    };
    Account::new(&config).unwrap()
}

/// A token endpoint that is away, and how often it was asked.
async fn away() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let answer = move || async move {
        count.fetch_add(1, Ordering::SeqCst);
        (StatusCode::SERVICE_UNAVAILABLE, "away; you said Basic d2hhcmY6aHVzaC1odXNo")
    };
    let router = Router::new().route("/token", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, asked)
}

fn token(life: Option<(Instant, Instant)>) -> Arc<Token> {
    Arc::new(Token { header: HeaderValue::from_static("Bearer old"), life, accepted: AtomicBool::new(true) })
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_token_is_renewed_a_minute_before_it_expires_or_a_tenth_of_its_life() {
    let begun = Instant::now();
    for (seconds, early) in [(86_400, 60), (3600, 60), (300, 30), (10, 1), (0, 0)] {
        let (renewal, end) = life(begun, Duration::from_secs(seconds));
        assert_eq!(end, begun + Duration::from_secs(seconds));
        assert_eq!(end - renewal, Duration::from_secs(early), "{seconds}");
        let token = token(Some((renewal, end)));
        assert!(token.is_due(renewal) && token.has_expired(end));
        assert!(seconds == 0 || (!token.is_due(begun) && !token.has_expired(renewal)), "{seconds}");
    }
    // One whose life nobody told is kept until it is refused.
    assert!(!token(None).is_due(begun + 1000 * HOUR));
}

#[tokio::test]
async fn a_token_is_used_until_it_expires_where_a_new_one_cannot_be_had() {
    let (port, _) = away().await;
    let (account, clients) = (account(port), SharedClients::new(&ClientOptions::default()).unwrap());
    let now = Instant::now();
    let old = token(Some((now, now + HOUR)));
    account.kept.lock().await.token = Some(Arc::clone(&old));
    let used = account.token(clients.pool(Reach::Private)).await.unwrap();
    assert!(Arc::ptr_eq(&used, &old));
    account.kept.lock().await.token = Some(token(Some((now, now))));
    let none = account.token(clients.pool(Reach::Private)).await.unwrap_err();
    assert!(matches!(&none, NoToken::Away { reason, .. } if reason.contains("503")), "{none}");
}

#[tokio::test]
async fn whoever_waits_for_a_token_gets_the_failure_of_the_one_that_asked() {
    let (port, asked) = away().await;
    let (account, clients) = (account(port), SharedClients::new(&ClientOptions::default()).unwrap());
    let pool = clients.pool(Reach::Private);
    let all = futures_util::future::join_all((0..50).map(|_| account.token(pool))).await;
    assert!(all.iter().all(|token| matches!(token, Err(NoToken::Away { .. }))), "{all:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // Not for ever: from the failure on, not from the last question.
    account.kept.lock().await.failed.as_mut().unwrap().0 -= PAUSE;
    account.token(pool).await.unwrap_err();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
