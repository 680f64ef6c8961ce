//! Where a connection leads: its URL read and checked. Owns the defaults of TLS; connects to nothing.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::postgres::tls;
use crate::config::Connection;

#[derive(Debug)]
pub(super) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PostgresTarget>),
}

/// A PostgreSQL server.
#[derive(Clone)]
pub(super) struct PostgresTarget {
    pub config: tokio_postgres::Config,
    /// `None`: in the clear.
    pub tls: Option<MakeRustlsConnect>,
    pub mode: SslMode,
    /// Host, port and database, for messages.
    pub place: String,
}

/// `sslmode`, as libpq knows it. Where the URL has none: verify-full, but for a server on this machine (a loopback address,
/// `localhost`, a socket) without a `ca-file`: prefer. As in libpq, `require` with a `ca-file` is verify-ca.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    /// TLS where the server has it, whoever it is.
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS, and the certificate is signed by a trusted authority.
    VerifyCa,
    /// TLS, a trusted authority, and the certificate is of this host.
    VerifyFull,
}

impl std::fmt::Debug for PostgresTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresTarget").field("place", &self.place).field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl std::fmt::Display for SslMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        })
    }
}

impl SslMode {
    fn parse(text: &str) -> Result<Self, String> {
        let all = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];
        all.into_iter()
            .find(|mode| mode.to_string() == text)
            .ok_or_else(|| "`sslmode` is not one of disable, prefer, require, verify-ca, verify-full".to_owned())
    }
}

impl Target {
    /// Reads the URL, and the CA file where one is named. The error holds nothing of the URL but option names.
    pub(super) fn parse(connection: &Connection, base_dir: &Path) -> Result<Self, String> {
        let url = connection.url.expose();
        if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            return sqlite(path, connection, base_dir);
        }
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(
                "the URL is not one of a database: expected postgres://user:password@host/database or sqlite://path".to_owned()
            );
        }
        postgres(url, connection)
    }
}

fn sqlite(path: &str, connection: &Connection, base_dir: &Path) -> Result<Target, String> {
    if connection.ca_file.is_some() {
        return Err("`ca-file` is for PostgreSQL; a SQLite file has no TLS".to_owned());
    }
    if path.is_empty() || path == ":memory:" || path.starts_with("file:") {
        return Err("the URL names no file: expected sqlite://path".to_owned());
    }
    if path.contains('?') {
        return Err("a SQLite URL has no options: expected sqlite://path".to_owned());
    }
    Ok(Target::Sqlite(base_dir.join(path)))
}

fn postgres(url: &str, connection: &Connection) -> Result<Target, String> {
    let (url, mode) = take_ssl_mode(url)?;
    let cut = url.split_once('?').is_some_and(|(_, options)| options.contains('@'));
    let mut config: tokio_postgres::Config = url.parse().map_err(|error: tokio_postgres::Error| {
        // The source names the option or part at fault, never its value. With an `@` behind the `?` it is the rest of a password.
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let why = if source.is_empty() || cut { String::new() } else { format!(": {source}") };
        format!("the URL cannot be read{why}; expected postgres://user:password@host:5432/database?sslmode=verify-full, with special characters percent-encoded")
    })?;
    if config.get_hosts().is_empty() {
        return Err("the URL names no host".to_owned());
    }
    if !config.get_hosts().iter().all(is_name) || config.get_dbname().is_some_and(|name| name.contains('@')) {
        // What was taken for the host may be the rest of a password: nothing of it is shown.
        return Err(
            "the URL cannot be read: a user or password with one of @ : / ? # % has to be percent-encoded (@ is %40)".to_owned()
        );
    }
    let local = config.get_hosts().iter().all(is_local);
    let socket = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    let mode = match mode {
        Some(SslMode::Require) if connection.ca_file.is_some() => SslMode::VerifyCa,
        Some(mode) => mode,
        None if socket => SslMode::Disable,
        None if local && connection.ca_file.is_none() => SslMode::Prefer,
        None => SslMode::VerifyFull,
    };
    config.ssl_mode(match mode {
        SslMode::Disable => tokio_postgres::config::SslMode::Disable,
        SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
        _ => tokio_postgres::config::SslMode::Require,
    });
    if config.get_application_name().is_none() {
        config.application_name("wharf");
    }
    let tls = match mode {
        SslMode::Disable => None,
        _ => Some(MakeRustlsConnect::new(tls::client(mode, authorities(connection)?)?)),
    };
    Ok(Target::Postgres(Box::new(PostgresTarget { place: place(&config), config, tls, mode })))
}

/// Takes `sslmode` out of the URL: the client library knows three of its values only.
fn take_ssl_mode(url: &str) -> Result<(String, Option<SslMode>), String> {
    let Some((start, options)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let mut mode = None;
    let mut kept = Vec::new();
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("sslmode", value)) => mode = Some(SslMode::parse(value)?),
            Some(("sslrootcert", _)) => return Err("`sslrootcert` is not an option here: name the file as `ca-file`".to_owned()),
            _ => kept.push(option),
        }
    }
    let url = if kept.is_empty() { start.to_owned() } else { format!("{start}?{}", kept.join("&")) };
    Ok((url, mode))
}

/// Letters, digits and what else stands in names and addresses.
fn is_name(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c)),
        Host::Unix(_) => true,
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    }
}

fn place(config: &tokio_postgres::Config) -> String {
    let port = |index: usize| config.get_ports().get(index).or_else(|| config.get_ports().first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(index)),
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts = hosts.collect::<Vec<_>>().join(",");
    match config.get_dbname().or_else(|| config.get_user()) {
        Some(database) => format!("{hosts}/{database}"),
        None => hosts,
    }
}

/// The authorities to trust: those of the CA file alone, or Mozilla's list.
fn authorities(connection: &Connection) -> Result<Arc<rustls::RootCertStore>, String> {
    let Some(path) = &connection.ca_file else {
        return Ok(Arc::new(rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }));
    };
    let unusable = |why: String| format!("the ca-file {} {why}", path.display());
    let mut roots = rustls::RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| unusable(format!("cannot be read as PEM: {error}")))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(format!("cannot be read as PEM: {error}")))?;
        roots.add(certificate).map_err(|error| unusable(format!("holds a certificate that cannot be used: {error}")))?;
    }
    if roots.is_empty() { Err(unusable("holds no certificate".to_owned())) } else { Ok(Arc::new(roots)) }
}
