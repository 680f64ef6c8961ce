//! Vectors made with another implementation, Python's `hmac`:
//! `hmac.new(key, body, hashlib.sha256)`, base64 of `.digest()` for Shopify, `.hexdigest()` otherwise; for Stripe over
//! `b"1700000000." + body`.

use http::HeaderValue;

use super::*;
use crate::capability::secret::Secret;

const BODY: &[u8] = br#"{"id":1,"total":"9.90"}"#;
const SHOPIFY: &str = "cZppqXSPzLWWOHy84oNlw7A8d5ubzL4gl9bNs9y4POw=";
const PLAIN: &str = "211da03ec14bd0c9f1127d543eaf9cc154af04256d21b20d1f1a07c78d015cf0";
/// With the secrets `whsec_new` and `whsec_old`.
const STRIPE_NEW: &str = "61f9a45c9e24303aa5aff6289f04e6301cbeac2e04d5adeed0f209e9a0087842";
const STRIPE_OLD: &str = "100aa22c64e0650ebecafc9f690d76a617b25695086bc5c398703e9ee7b11fb3";
/// HMAC of the body alone: no `v1`.
const STRIPE_UNTIMED: &str = "dbb125b58caf52cfbe0df36ffeb6781b9781aaf8acb8a48e975de5d4bfe0dad5";
const SIGNED_AT: u64 = 1_700_000_000;

fn outcome(scheme: SignatureScheme, secret: &str, value: &str, body: &[u8], now: u64) -> Result<(), Unsigned> {
    let name = header(&scheme).to_owned();
    let signature = Signature { scheme, secret: Secret::new(secret.to_owned()) };
    let mut headers = HeaderMap::new();
    headers.insert(http::HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
    verify(&signature, &headers, body, Duration::from_secs(now))
}

fn stripe(value: &str, now: u64) -> Result<(), Unsigned> {
    outcome(SignatureScheme::Stripe, "whsec_new", value, BODY, now)
}

#[test]
fn shopify_signs_the_raw_body_in_base64() {
    let shopify = |secret, value, body| outcome(SignatureScheme::Shopify, secret, value, body, 0);
    assert_eq!(shopify("shpss_secret", SHOPIFY, BODY), Ok(()));
    assert_eq!(shopify("another", SHOPIFY, BODY), Err(Unsigned::Wrong));
    assert_eq!(shopify("shpss_secret", SHOPIFY, br#"{"id":1,"total":"9.91"}"#), Err(Unsigned::Wrong));
    assert_eq!(shopify("shpss_secret", "not base64!", BODY), Err(Unsigned::Wrong));
    assert_eq!(shopify("shpss_secret", "", BODY), Err(Unsigned::Wrong));
    // A part of the right tag is not the right tag.
    assert_eq!(shopify("shpss_secret", "cZppqXSPzLWWOHy84oNlww==", BODY), Err(Unsigned::Wrong));
}

#[test]
fn stripe_signs_time_and_body() {
    assert_eq!(stripe(&format!("t={SIGNED_AT},v1={STRIPE_NEW}"), SIGNED_AT), Ok(()));
    assert_eq!(stripe(&format!("t={SIGNED_AT},v1={STRIPE_UNTIMED}"), SIGNED_AT), Err(Unsigned::Wrong));
    assert_eq!(stripe(&format!("t={},v1={STRIPE_NEW}", SIGNED_AT + 1), SIGNED_AT), Err(Unsigned::Wrong));
    assert_eq!(stripe(&format!("v1={STRIPE_NEW}"), SIGNED_AT), Err(Unsigned::Wrong));
    assert_eq!(stripe(&format!("t={SIGNED_AT}"), SIGNED_AT), Err(Unsigned::Wrong));
    assert_eq!(stripe("", SIGNED_AT), Err(Unsigned::Wrong));
}

#[test]
fn one_of_several_stripe_signatures_is_enough_while_a_secret_is_rolled() {
    let both = format!("t={SIGNED_AT},v1={STRIPE_OLD},v1={STRIPE_NEW},v0={STRIPE_UNTIMED}");
    assert_eq!(stripe(&both, SIGNED_AT), Ok(()));
    assert_eq!(stripe(&format!("t={SIGNED_AT},v1={STRIPE_OLD},v1=zz"), SIGNED_AT), Err(Unsigned::Wrong));
}

#[test]
fn another_stripe_scheme_does_not_count() {
    assert_eq!(stripe(&format!("t={SIGNED_AT},v0={STRIPE_NEW}"), SIGNED_AT), Err(Unsigned::Wrong));
}

#[test]
fn a_stripe_signature_counts_for_five_minutes() {
    let value = format!("t={SIGNED_AT},v1={STRIPE_NEW}");
    assert_eq!(stripe(&value, SIGNED_AT + 300), Ok(()));
    assert_eq!(stripe(&value, SIGNED_AT + 301), Err(Unsigned::Old));
    assert_eq!(stripe(&value, SIGNED_AT - 301), Err(Unsigned::Old));
    // Whoever has no secret does not learn which times would do.
    assert_eq!(stripe(&format!("t={SIGNED_AT},v1={STRIPE_OLD}"), SIGNED_AT + 301), Err(Unsigned::Wrong));
}

#[test]
fn a_plain_signature_is_hex_in_the_operators_header() {
    let scheme = || SignatureScheme::Hmac { header: "x-signature".to_owned() };
    assert_eq!(outcome(scheme(), "plain", PLAIN, BODY, 0), Ok(()));
    assert_eq!(outcome(scheme(), "plain", &PLAIN.to_uppercase(), BODY, 0), Ok(()));
    assert_eq!(outcome(scheme(), "plain", &format!("sha256={PLAIN}"), BODY, 0), Ok(()));
    assert_eq!(outcome(scheme(), "plain", &PLAIN[1..], BODY, 0), Err(Unsigned::Wrong));
    assert_eq!(outcome(scheme(), "plain", STRIPE_NEW, BODY, 0), Err(Unsigned::Wrong));
}

#[test]
fn a_missing_header_is_told_apart() {
    let signature = Signature { scheme: SignatureScheme::Shopify, secret: Secret::new("s".to_owned()) };
    assert_eq!(verify(&signature, &HeaderMap::new(), BODY, Duration::ZERO), Err(Unsigned::Missing));
}
