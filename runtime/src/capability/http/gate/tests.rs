use super::*;

fn endpoint(host: &str) -> Endpoint {
    Endpoint { https: true, host: host.to_owned(), port: 443 }
}

fn asked(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, value.parse().unwrap());
    headers
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:00 GMT", now), Some(Duration::from_secs(23)));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), Some(Duration::ZERO));
    assert_eq!(retry_after("soon", now), None);
    assert_eq!(retry_after("99999999999", now), Some(Duration::from_secs(86_400)));
}

#[test]
fn requests_wait_for_as_long_as_their_own_account_asked() {
    let (gate, now) = (Gate::default(), Instant::now());
    let (a, b) = (endpoint("a"), endpoint("b"));
    gate.observe(&a, (StatusCode::TOO_MANY_REQUESTS, &asked("3")), now, now);
    assert_eq!(gate.held_until(&b, now), None);
    assert_eq!(gate.held_until(&a, now), Some(now + Duration::from_secs(3)));
    assert_eq!(gate.held_until(&a, now + Duration::from_secs(3)), None);
}

#[test]
fn a_shorter_pause_does_not_cut_a_longer_one() {
    let (gate, now) = (Gate::default(), Instant::now());
    let a = endpoint("a");
    gate.observe(&a, (StatusCode::TOO_MANY_REQUESTS, &asked("4")), now, now);
    gate.observe(&a, (StatusCode::TOO_MANY_REQUESTS, &asked("1")), now, now);
    assert_eq!(gate.held_until(&a, now), Some(now + Duration::from_secs(4)));
}

#[test]
fn a_long_pause_holds_a_request_for_five_seconds_at_most() {
    let (gate, now) = (Gate::default(), Instant::now());
    let a = endpoint("a");
    gate.observe(&a, (StatusCode::SERVICE_UNAVAILABLE, &asked("3600")), now, now);
    assert_eq!(gate.held_until(&a, now), Some(now + MAX_HOLD));
}

#[test]
fn an_account_that_is_well_again_is_open_at_once() {
    let (gate, now) = (Gate::default(), Instant::now());
    let a = endpoint("a");
    gate.observe(&a, (StatusCode::SERVICE_UNAVAILABLE, &asked("3600")), now, now);
    gate.observe(&a, (StatusCode::NO_CONTENT, &HeaderMap::new()), now, now);
    assert_eq!(gate.held_until(&a, now), None);
}

#[test]
fn an_answer_to_a_request_from_before_it_ends_no_pause() {
    let (gate, now) = (Gate::default(), Instant::now());
    let (a, before) = (endpoint("a"), now - Duration::from_millis(1));
    gate.observe(&a, (StatusCode::TOO_MANY_REQUESTS, &asked("3")), before, now);
    gate.observe(&a, (StatusCode::OK, &HeaderMap::new()), before, now + Duration::from_millis(1));
    assert_eq!(gate.held_until(&a, now), Some(now + Duration::from_secs(3)));
}

#[test]
fn other_answers_close_nothing() {
    let (gate, now) = (Gate::default(), Instant::now());
    let a = endpoint("a");
    gate.observe(&a, (StatusCode::OK, &asked("60")), now, now);
    gate.observe(&a, (StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new()), now, now);
    assert_eq!(gate.held_until(&a, now), None);
}
