//! Texts without the credentials that they quote: a service may echo what it was sent, and a guest, which knows no secret, puts its
//! answer into errors, rejections and its own output. Owns what of a text is a credential; whoever shows the text asks.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::http::percent_encoded;
use super::secret::Secret;
use crate::config::{Auth, OAuth};

/// So many of a credential's first bytes give it away, wherever a text was cut behind them.
const START: usize = 8;

/// Of the credentials that came later so many are hidden, the newest: a text may quote one that was replaced since.
const KEPT: usize = 32;

/// Credentials of one connector. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Veil {
    /// Of the configuration.
    known: Arc<[Secret]>,
    later: Arc<[Later]>,
}

/// Credentials that come while the connector runs: fetched tokens, and secrets whose file has changed. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Later(Arc<RwLock<VecDeque<Secret>>>);

impl Later {
    /// Hides this one from now on. To be called before it is put on anything.
    pub fn hide(&self, secret: &Secret) {
        let mut hidden = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if secret.expose().is_empty() || hidden.contains(secret) {
            return;
        }
        if hidden.len() == KEPT {
            hidden.pop_front();
        }
        hidden.push_back(secret.clone());
    }

    /// Hides what of these credentials must not be seen.
    pub fn hide_all(&self, auth: &Auth) {
        spoken(auth).iter().for_each(|secret| self.hide(secret));
    }
}

impl Veil {
    /// `later`: where credentials of the connector come in that are not in `auth`.
    #[must_use]
    pub fn of(auth: &BTreeMap<String, Auth>, later: Vec<Later>) -> Self {
        Self { known: auth.values().flat_map(spoken).collect(), later: later.into() }
    }

    /// The text with `***` for each credential, and for the start of one (8 bytes or more).
    #[must_use]
    pub fn over<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let later: Vec<_> = self.later.iter().map(|later| later.0.read().unwrap_or_else(PoisonError::into_inner)).collect();
        let secrets: Vec<&Secret> = self.known.iter().chain(later.iter().flat_map(|hidden| hidden.iter())).collect();
        let mut shown = String::new();
        let (mut rest, mut hides) = (text, false);
        while let Some(first) = rest.chars().next() {
            let hidden = secrets.iter().map(|secret| given_away(rest, secret.expose())).max().unwrap_or(0);
            if hidden > 0 {
                hides = true;
                shown.push_str("***");
            } else {
                shown.push(first);
            }
            rest = rest.get(hidden.max(first.len_utf8())..).unwrap_or_default();
        }
        if hides { Cow::Owned(shown) } else { Cow::Borrowed(text) }
    }
}

/// How many bytes of the text's start are of the secret's, where they are enough to give it away.
fn given_away(text: &str, secret: &str) -> usize {
    let same: usize = text.chars().zip(secret.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    if same > 0 && same >= START.min(secret.len()) { same } else { 0 }
}

/// What of a credential must not be seen: its secret, and the form in which a header has it.
fn spoken(auth: &Auth) -> Vec<Secret> {
    let secrets = match auth {
        Auth::Basic { user, password } => vec![password.clone(), pair(user.expose(), password.expose())],
        Auth::Bearer(token) => vec![token.clone()],
        Auth::Header { value, .. } => vec![value.clone()],
        Auth::JsonBody(body) => in_json(&body.value),
        Auth::OAuth(account) => of_account(account),
    };
    secrets.into_iter().filter(|secret| !secret.expose().is_empty()).collect()
}

/// As `Authorization: Basic` has it (RFC 7617).
fn pair(user: &str, password: &str) -> Secret {
    Secret::new(STANDARD.encode(format!("{user}:{password}")))
}

/// The client's secret in the forms that a token request has for it; tokens come later.
fn of_account(account: &OAuth) -> Vec<Secret> {
    let [id, secret] = [&account.client_id, &account.client_secret].map(|text| percent_encoded(text.expose()));
    vec![account.client_secret.clone(), pair(&id, &secret), Secret::new(secret)]
}

/// A secret in the forms that JSON has for it: with the escapes that it needs, and with those that an ASCII text needs (Python's).
fn in_json(secret: &Secret) -> Vec<Secret> {
    let quoted = serde_json::to_string(secret.expose()).unwrap_or_default();
    let least = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned();
    let units = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    let ascii = least.chars().map(|c| if c.is_ascii() { c.to_string() } else { units(c) }).collect();
    vec![secret.clone(), Secret::new(least), Secret::new(ascii)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{JsonBody, Pointer};

    fn veil(secrets: &[&str]) -> Veil {
        let auth = |secret: &&str| (format!("{secret}.example.com"), Auth::Bearer(Secret::new((*secret).to_owned())));
        Veil::of(&secrets.iter().map(auth).collect(), Vec::new())
    }

    #[test]
    fn a_credential_is_hidden_wherever_the_text_was_cut() {
        let secret = "tök-4711-abcdef";
        let veil = veil(&[secret, "short"]);
        for end in START..=secret.len() {
            let Some(part) = secret.get(..end) else { continue };
            for text in [format!("answers: {part}"), format!("{part}…"), format!("{part}, {part}")] {
                let shown = veil.over(&text);
                assert!(!shown.contains("4711") && shown.contains("***"), "{text}: {shown}");
            }
        }
        assert_eq!(veil.over("it is short, and tök-471 too"), "it is ***, and *** too");
        assert_eq!(veil.over("tök-47 is not enough"), "tök-47 is not enough");
    }

    #[test]
    fn of_two_credentials_that_begin_alike_nothing_is_left() {
        let shown = veil(&["token-of-a-shop", "token-of-a-shop-and-more"]).over("token-of-a-shop-and-more").into_owned();
        assert_eq!(shown, "***");
        let veil = veil(&["sk_live_AAAAAAAA", "sk_live_BBBBBBBB"]);
        assert_eq!(veil.over("sk_live_BBBBBBBB, sk_live_AAAAAAAA, sk_live_BBB"), "***, ***, ***");
    }

    #[test]
    fn what_comes_later_is_hidden_too_and_what_it_replaced() {
        let later = Later::default();
        let veil = Veil::of(&BTreeMap::new(), vec![later.clone()]);
        assert_eq!(veil.over("token-of-monday"), "token-of-monday");
        for token in ["token-of-monday", "a-tuesday-token"] {
            later.hide(&Secret::new(token.to_owned()));
        }
        assert_eq!(veil.over("not token-of-monday but a-tuesday-token"), "not *** but ***");
        for number in 0..2 * KEPT {
            later.hide(&Secret::new(format!("{number:02}-token")));
        }
        assert_eq!(veil.over("63-token 32-token"), "*** ***");
        assert_eq!(later.0.read().unwrap().len(), KEPT);
    }

    #[test]
    fn a_secret_of_a_json_body_is_hidden_in_each_form_that_json_has_for_it() {
        let body = JsonBody {
            path: "/rpc".to_owned(),
            pointer: Pointer::parse("/a").unwrap(),
            value: Secret::new("pa\"ss\\wört-😀-x".to_owned()),
            only: Vec::new(),
        };
        let veil = Veil::of(&BTreeMap::from([("h".to_owned(), Auth::JsonBody(body))]), Vec::new());
        for echoed in ["pa\"ss\\wört-😀-x", r#"pa\"ss\\wört-😀-x"#, r#"pa\"ss\\w\u00f6rt-\ud83d\ude00-x"#] {
            assert_eq!(veil.over(&format!("said [{echoed}]")), "said [***]", "{echoed}");
        }
    }
}
