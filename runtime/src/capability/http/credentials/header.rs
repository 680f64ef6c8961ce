//! A header that carries a secret of the configuration: its name, its value, and the value anew once the secret's file has changed.

use std::sync::{Mutex, PoisonError};

use ::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::BadCredentials;
use crate::capability::veil::Later;
use crate::config::Auth;

/// A header with a secret of the configuration, which may be another one when its file is.
#[derive(Debug)]
pub(super) struct Header {
    auth: Auth,
    name: HeaderName,
    value: Mutex<HeaderValue>,
}

impl Header {
    /// `authority`: whose credentials they are, for errors.
    pub(super) fn new(authority: &str, auth: &Auth) -> Result<Self, BadCredentials> {
        let (name, value) = header(authority, auth)?;
        Ok(Self { auth: auth.clone(), name, value: Mutex::new(value) })
    }

    pub(super) const fn name(&self) -> &HeaderName {
        &self.name
    }

    /// Whether it may be another one later.
    pub(super) fn has_file(&self) -> bool {
        match &self.auth {
            Auth::Basic { user, password } => user.has_file() || password.has_file(),
            Auth::Bearer(value) | Auth::Header { value, .. } => value.has_file(),
            Auth::JsonBody(_) | Auth::OAuth(_) => false,
        }
    }

    pub(super) fn value(&self) -> HeaderValue {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the secret's file again; whether there is another value now than `refused`.
    pub(super) async fn renew(&self, refused: &HeaderValue, later: &Later) -> bool {
        if self.value() != *refused {
            return true;
        }
        let auth = as_it_is_now(&self.auth).await;
        // A value that no header can carry is as good as none.
        let Ok((_, value)) = header("", &auth) else { return false };
        if value == *refused {
            return false;
        }
        later.hide_all(&auth);
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = value;
        true
    }
}

/// A header's credentials as their files have them now.
async fn as_it_is_now(auth: &Auth) -> Auth {
    match auth {
        Auth::Basic { user, password } => {
            Auth::Basic { user: user.as_it_is_now().await, password: password.as_it_is_now().await }
        }
        Auth::Bearer(token) => Auth::Bearer(token.as_it_is_now().await),
        Auth::Header { name, value } => Auth::Header { name: name.clone(), value: value.as_it_is_now().await },
        Auth::JsonBody(_) | Auth::OAuth(_) => auth.clone(),
    }
}

fn header(authority: &str, auth: &Auth) -> Result<(HeaderName, HeaderValue), BadCredentials> {
    let (name, value) = match auth {
        Auth::Basic { user, password } => {
            if user.expose().contains(':') {
                return Err(BadCredentials::User { authority: authority.to_owned() });
            }
            let pair = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
            (AUTHORIZATION, format!("Basic {pair}"))
        }
        Auth::Bearer(token) => (AUTHORIZATION, format!("Bearer {}", token.expose())),
        Auth::Header { name, value } => (header_name(authority, name)?, value.expose().to_owned()),
        // They have no header of the configuration.
        Auth::JsonBody(_) | Auth::OAuth(_) => (AUTHORIZATION, String::new()),
    };
    let mut value = HeaderValue::from_str(&value).map_err(|_| BadCredentials::Value { authority: authority.to_owned() })?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn header_name(authority: &str, name: &str) -> Result<HeaderName, BadCredentials> {
    let bad = |_| BadCredentials::HeaderName { authority: authority.to_owned(), name: name.to_owned() };
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(bad)?;
    if super::super::request::is_hop_header(&header) || header == ::http::header::CONTENT_LENGTH {
        return Err(BadCredentials::ReservedHeader { authority: authority.to_owned(), name: name.to_owned() });
    }
    Ok(header)
}
