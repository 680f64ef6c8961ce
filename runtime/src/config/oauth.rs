//! `auth."HOST".oauth`: the account at a token endpoint. Owns its syntax; tokens are `capability::http`'s.

use toml::Spanned;

use super::checker::Checker;
use super::diagnostic::Diagnostic;
use super::node::{Entries, Text};
use super::{ClientAuth, OAuth, raw};
use crate::capability::allow::Endpoint;

/// Parameters of the token request that have a key of their own, or are not to be chosen (RFC 6749, 4.4.2 and 2.3.1).
const OWN: [(&str, &str); 4] = [
    ("grant_type", "it is always client_credentials"),
    ("client_id", "write `client-id`"),
    ("client_secret", "write `client-secret`"),
    ("scope", "write `scope`"),
];

/// The validated section; `None` where it has errors.
pub fn oauth(checker: &mut Checker<'_>, raw: &Spanned<raw::OAuth>) -> Option<OAuth> {
    let (span, raw) = (raw.span(), raw.get_ref());
    let token_url = checker.required(raw.token_url.as_ref(), "token-url", &span).and_then(|text| token_url(checker, text));
    let client_id = checker.required(raw.client_id.as_ref(), "client-id", &span).map(|text| checker.secret(text));
    let client_secret = checker.required(raw.client_secret.as_ref(), "client-secret", &span).map(|text| checker.secret(text));
    let scope = raw.scope.as_ref().map(|text| checker.text(text)).filter(|scope| !scope.trim().is_empty());
    let client_auth = match raw.client_auth {
        None | Some(raw::ClientAuth::Basic) => ClientAuth::Basic,
        Some(raw::ClientAuth::Post) => ClientAuth::Post,
    };
    let parameters = parameters(checker, &raw.parameters);
    Some(OAuth {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scope,
        client_auth,
        parameters: parameters?,
    })
}

fn token_url(checker: &mut Checker<'_>, text: &Text) -> Option<http::Uri> {
    let written = checker.text(text);
    if written.is_empty() && !text.get_ref().is_empty() {
        // What is wrong with its reference is told.
        return None;
    }
    let parsed = written.parse::<http::Uri>().map_err(|error| error.to_string());
    let parsed = parsed.and_then(|uri| Endpoint::of(&uri).map(|endpoint| (uri, endpoint)).map_err(|bad| bad.to_string()));
    let (uri, endpoint) = match parsed {
        Ok(parsed) if !written.contains('#') => parsed,
        other => {
            let reason = other.err().unwrap_or_else(|| "a token endpoint has no fragment".to_owned());
            checker.error(text.span(), format!("not the address of a token endpoint: {reason}"), "expected https://host/path");
            return None;
        }
    };
    let local = endpoint.host == "localhost" || endpoint.literal().is_some_and(|address| address.is_loopback());
    if !endpoint.https && !local {
        let title = "the client's secret and its tokens go over the network in the clear";
        checker.push(Diagnostic::warning(text.span(), title).label("expected https://: RFC 6749 (3.2) asks for TLS"));
    }
    Some(uri)
}

fn parameters(checker: &mut Checker<'_>, raw: &Entries<Text>) -> Option<Vec<(String, String)>> {
    let mut parameters = Vec::new();
    for (name, value) in &raw.0 {
        if let Some((own, instead)) = OWN.iter().find(|(own, _)| own == name.get_ref()) {
            checker.error(name.span(), format!("`{own}` is no further parameter"), *instead);
            continue;
        }
        parameters.push((name.get_ref().clone(), checker.text(value)));
    }
    (parameters.len() == raw.0.len()).then_some(parameters)
}
