//! The operator's grant of HTTP hosts: which endpoint a request goes to, and whether that endpoint is listed.
//! Pure rules over names; addresses are judged in `http/address.rs`, when dialling.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ::http::Uri;
use ::http::uri::Scheme;

use crate::config::AllowedHost;

#[cfg(test)]
mod tests;

/// Where a request goes: scheme, host (lower case, no trailing dot, a literal address in its shortest form without
/// brackets) and port. Two endpoints are the same remote account only when all three agree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub https: bool,
    pub host: String,
    pub port: u16,
}

/// Which addresses an endpoint may resolve to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Addresses of the public Internet only.
    Public,
    /// Private and loopback addresses too; never link-local and metadata ones.
    Private,
}

/// Why a request has no endpoint at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("the URL has no scheme and host")]
    Relative,
    #[error("the scheme `{0}` is neither http nor https")]
    Scheme(String),
    #[error("the URL carries credentials; they belong in the connector's auth section")]
    UserInfo,
    #[error("the URL's port is not a number from 1 to 65535")]
    Port,
}

/// The hosts that one connector may reach.
#[derive(Debug, Clone, Default)]
pub struct HostGrants(BTreeMap<Endpoint, Reach>);

impl Endpoint {
    /// The endpoint of an absolute URL.
    ///
    /// # Errors
    /// [`BadTarget`] when it is not absolute, not http(s), or carries user information.
    pub fn of(uri: &Uri) -> Result<Self, BadTarget> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(BadTarget::Relative);
        };
        let https = if *scheme == Scheme::HTTPS {
            true
        } else if *scheme == Scheme::HTTP {
            false
        } else {
            return Err(BadTarget::Scheme(scheme.to_string()));
        };
        if authority.as_str().contains('@') {
            return Err(BadTarget::UserInfo);
        }
        let default = if https { 443 } else { 80 };
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(0) => return Err(BadTarget::Port),
            Some(port) => port,
            None if has_port => return Err(BadTarget::Port),
            None => default,
        };
        let host = canonical_host(authority.host());
        if host.is_empty() {
            return Err(BadTarget::Relative);
        }
        Ok(Self { https, host, port })
    }

    /// The host as a literal address, where it is one.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// `host`, or `host:port` where the port is not the scheme's own; an IPv6 literal stands in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.https { 443 } else { 80 };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl HostGrants {
    #[must_use]
    pub fn new(allow: &[AllowedHost]) -> Self {
        Self(allow.iter().map(|entry| (endpoint_of(entry), reach_of(entry))).collect())
    }

    /// The addresses that this endpoint may resolve to; `None`: it is not listed.
    #[must_use]
    pub fn reach(&self, endpoint: &Endpoint) -> Option<Reach> {
        self.0.get(endpoint).copied()
    }

    /// The endpoints that credentials for `authority` (`host` or `host:port`, as the operator wrote it) belong to. A bare
    /// host means its default port, or, where only one endpoint of that host is listed, that one.
    #[must_use]
    pub fn of_authority(&self, authority: &str) -> Vec<Endpoint> {
        let (host, port) = split_authority(authority);
        let same_host = self.0.keys().filter(|endpoint| endpoint.host == host);
        if let Some(port) = port {
            return same_host.filter(|endpoint| endpoint.port == port).cloned().collect();
        }
        let listed: Vec<Endpoint> = same_host.cloned().collect();
        match listed.as_slice() {
            [_one] => listed,
            _ => listed.into_iter().filter(|e| e.port == if e.https { 443 } else { 80 }).collect(),
        }
    }

    /// The listed endpoints, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        let listed: Vec<String> = self.0.keys().map(ToString::to_string).collect();
        if listed.is_empty() { "none".to_owned() } else { listed.join(", ") }
    }
}

fn endpoint_of(entry: &AllowedHost) -> Endpoint {
    Endpoint { https: entry.https, host: canonical_host(&entry.host), port: entry.port }
}

/// A literal address and `localhost` say themselves that they are meant; a name needs `private = true`.
fn reach_of(entry: &AllowedHost) -> Reach {
    let host = canonical_host(&entry.host);
    let said = entry.private || host == "localhost" || host.parse::<IpAddr>().is_ok();
    if said { Reach::Private } else { Reach::Public }
}

/// Lower case, without brackets and the root's dot; a literal address in its shortest form.
fn canonical_host(host: &str) -> String {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let bare = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
    bare.parse::<IpAddr>().map_or(bare, |address| address.to_string())
}

fn split_authority(authority: &str) -> (String, Option<u16>) {
    let port_at = authority.rfind(':').filter(|&at| {
        let host = authority.get(..at).unwrap_or_default();
        !host.contains(':') || host.ends_with(']')
    });
    let split = port_at.and_then(|at| {
        let port = authority.get(at + 1..)?.parse().ok()?;
        Some((authority.get(..at)?, port))
    });
    match split {
        Some((host, port)) => (canonical_host(host), Some(port)),
        None => (canonical_host(authority), None),
    }
}
