//! What the operator grants a guest: `allow` and `auth`. Owns their syntax; the checks at run time are `capability`'s.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;

use super::checker::Checker;
use super::diagnostic::{Diagnostic, suggest};
use super::json_body::json_body;
use super::node::Entries;
use super::oauth::oauth;
use super::{Allow, AllowedFolder, AllowedHost, Auth, raw};

/// Validated grants. `connections`: names of the file's `[connection.NAME]`.
pub fn allow(checker: &mut Checker<'_>, raw: Option<&Spanned<raw::Allow>>, connections: &[String]) -> Allow {
    let Some(raw) = raw.map(Spanned::get_ref) else { return Allow::default() };
    let mut allow = Allow::default();
    for entry in &raw.http {
        let (written, private) = match entry.get_ref() {
            raw::Either::Text(host) => (host, false),
            raw::Either::Table(table) => (&table.host, table.private),
        };
        let written = checker.text_or(written, &entry.span(), super::checker::SECRET_ELSEWHERE);
        match host(&written, private) {
            Ok(host) => allow.http.push(host),
            Err(reason) => checker.error(entry.span(), format!("`{written}` is not a host"), reason),
        }
    }
    for name in &raw.sql {
        let written = checker.text(name);
        if !connections.contains(&written) {
            let help = suggest(&written, "[connection.NAME]", connections.iter().map(String::as_str));
            let title = format!("unknown connection `{written}`");
            checker.push(Diagnostic::error(name.span(), title).label("no [connection.NAME] has this name").help(help));
        }
        allow.sql.push(written);
    }
    for entry in &raw.files {
        if let Some(folder) = folder(checker, entry) {
            allow.files.push(folder);
        }
    }
    allow
}

fn folder(checker: &mut Checker<'_>, entry: &Spanned<raw::Either<raw::AllowFiles>>) -> Option<AllowedFolder> {
    let (path, guest) = match entry.get_ref() {
        raw::Either::Text(path) => (path, path),
        raw::Either::Table(table) => (&table.path, table.r#as.as_ref().unwrap_or(&table.path)),
    };
    let path = Spanned::new(entry.span(), path.clone());
    let guest = checker.text_or(guest, &entry.span(), super::checker::SECRET_ELSEWHERE);
    let host = checker.path(&path);
    if !host.is_dir() {
        let title = format!("{} is not a folder", host.display());
        checker.error(entry.span(), title, "expected a folder that exists; a guest is granted folders, not files");
        return None;
    }
    Some(AllowedFolder::new(host, &guest))
}

impl AllowedFolder {
    /// The guest sees the folder under the name that it is granted by.
    #[must_use]
    pub fn new(host: PathBuf, written: &str) -> Self {
        let guest = written.trim_start_matches("./").trim_end_matches('/');
        Self { host, guest: if guest.is_empty() { "." } else { guest }.to_owned() }
    }
}

/// `host[:port]`, `http://host:port`, `https://host[:port]`; an IPv6 address stands in brackets.
///
/// # Errors
/// What was expected.
pub fn host(written: &str, private: bool) -> Result<AllowedHost, &'static str> {
    const FORM: &str = "expected host[:port], https and 443 unless written http://host:port";
    let (https, rest) = match written.split_once("://") {
        None => (true, written),
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        Some(_) => return Err("expected http:// or https://, or no scheme at all"),
    };
    if rest.contains(['/', '?', '#']) {
        return Err("expected a host without a path: what is allowed is the whole host");
    }
    if rest.contains(['*', '@', ' ']) {
        return Err("expected one literal host name: patterns and users are not allowed here");
    }
    let (name, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, Some(port.strip_prefix(':').ok_or(FORM)?)),
        None => rest.split_once(':').map_or((rest, None), |(name, port)| (name, Some(port))),
    };
    if name.is_empty() || (name.contains(':') && name.parse::<IpAddr>().is_err()) {
        return Err(FORM);
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or("expected a port from 1 to 65535")?,
        None if https => 443,
        None => 80,
    };
    Ok(AllowedHost { https, host: name.to_lowercase(), port, private })
}

/// Credentials by authority; each authority must be allowed too.
pub fn auth(checker: &mut Checker<'_>, raw: &Entries<Spanned<raw::Auth>>, allow: &Allow) -> BTreeMap<String, Auth> {
    let mut found = BTreeMap::new();
    for (authority, section) in &raw.0 {
        let name = checker.text(authority).to_lowercase();
        let listed = allow.http.iter().any(|host| matches(&name, host));
        if !listed {
            let hosts: Vec<_> = allow.http.iter().map(|host| host.host.clone()).collect();
            let help = suggest(&name, "host in allow.http", hosts.iter().map(String::as_str));
            let title = format!("credentials for `{name}`, which is not allowed");
            checker.push(Diagnostic::error(authority.span(), title).label("expected a host of `allow.http`").help(help));
        }
        let Some(auth) = credentials(checker, section.get_ref(), section.span()) else { continue };
        if found.contains_key(&name) {
            let label = "expected one section for each host; names in another case, or by ${var:…}, are the same host";
            checker.error(authority.span(), format!("credentials for `{name}` are there twice"), label);
        }
        found.insert(name, auth);
    }
    found
}

/// Whether `authority` (`host` or `host:port`) names an allowed host.
fn matches(authority: &str, host: &AllowedHost) -> bool {
    let bare = if host.host.contains(':') { format!("[{}]", host.host) } else { host.host.clone() };
    authority == bare || authority == host.host || authority == format!("{bare}:{}", host.port)
}

fn credentials(checker: &mut Checker<'_>, raw: &raw::Auth, span: Range<usize>) -> Option<Auth> {
    match (&raw.basic, &raw.bearer, &raw.header, &raw.json_body, &raw.oauth) {
        (Some(basic), None, None, None, None) => {
            // A user name may be a reference too: it is a credential like the password.
            Some(Auth::Basic { user: checker.secret(&basic.user), password: checker.secret(&basic.password) })
        }
        (None, Some(token), None, None, None) => Some(Auth::Bearer(checker.secret(token))),
        (None, None, Some(header), None, None) => {
            let name = checker.text(&header.name).to_lowercase();
            if http::HeaderName::try_from(&name).is_err() {
                checker.error(header.name.span(), format!("`{name}` is not a header name"), "expected letters, digits and `-`");
            }
            Some(Auth::Header { name, value: checker.secret(&header.value) })
        }
        (None, None, None, Some(body), None) => json_body(checker, body).map(Auth::JsonBody),
        (None, None, None, None, Some(account)) => oauth(checker, account).map(Auth::OAuth),
        _ => {
            let label = "expected one of `basic`, `bearer`, `header`, `json-body`, `oauth`";
            checker.error(span, "credentials need exactly one kind", label);
            None
        }
    }
}
