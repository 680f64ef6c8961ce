//! The request for a token (RFC 6749, 4.4.2 and 2.3.1). Sends nothing.

use ::http::Request;
use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};

use super::super::body::Body;
use crate::config::{ClientAuth, OAuth};

/// # Errors
/// A sentence, where the account's values make no request.
pub(super) fn token_request(account: &OAuth) -> Result<Request<Body>, String> {
    let form = form(account);
    let mut request = Request::post(account.token_url.clone())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(CONTENT_LENGTH, form.len());
    if account.client_auth == ClientAuth::Basic {
        let [id, secret] = [&account.client_id, &account.client_secret].map(|text| percent_encoded(text.expose()));
        let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))));
        let mut value = value.map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let body = Full::new(Bytes::from(form)).map_err(|never| match never {}).boxed_unsync();
    request.body(body).map_err(|error| error.to_string())
}

fn form(account: &OAuth) -> String {
    let mut pairs = vec![("grant_type", "client_credentials")];
    if account.client_auth == ClientAuth::Post {
        pairs.extend([("client_id", account.client_id.expose()), ("client_secret", account.client_secret.expose())]);
    }
    pairs.extend(account.scope.as_deref().map(|scope| ("scope", scope)));
    pairs.extend(account.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let encoded = pairs.iter().map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// Everything but letters, digits and `-._~` (RFC 3986, 2.3) as `%XX`: reads the same by a form's decoding (RFC 6749, appendix B) and by
/// that of URLs, and is left as it is where a server decodes nothing and nothing needs it.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::secret::Secret;

    fn account(client_auth: ClientAuth) -> OAuth {
        OAuth {
            token_url: "https://login.example.com/t/oauth2/token".parse().unwrap(),
            client_id: Secret::new("sb-app!b1|x".to_owned()),
            client_secret: Secret::new("s:c+r/t~=ö".to_owned()),
            scope: Some("a/.default b".to_owned()),
            client_auth,
            parameters: vec![("audience".to_owned(), "https://api".to_owned())],
        }
    }

    async fn sent(client_auth: ClientAuth) -> (Option<String>, String) {
        let (head, body) = token_request(&account(client_auth)).unwrap().into_parts();
        let header = head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        (header, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_client_is_told_in_the_header_encoded_before_it_is_joined() {
        let (header, form) = sent(ClientAuth::Basic).await;
        let pair = STANDARD.decode(header.unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(pair).unwrap(), "sb-app%21b1%7Cx:s%3Ac%2Br%2Ft~%3D%C3%B6");
        assert_eq!(form, "grant_type=client_credentials&scope=a%2F.default%20b&audience=https%3A%2F%2Fapi");
    }

    #[tokio::test]
    async fn the_client_is_told_in_the_body_alone_where_the_operator_says_post() {
        let (header, form) = sent(ClientAuth::Post).await;
        assert_eq!(header, None);
        let told = "grant_type=client_credentials&client_id=sb-app%21b1%7Cx&client_secret=s%3Ac%2Br%2Ft~%3D%C3%B6&scope=";
        assert!(form.starts_with(told), "{form}");
    }
}
