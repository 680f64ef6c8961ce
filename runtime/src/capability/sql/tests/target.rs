//! URLs of connections.
use std::path::PathBuf;

use crate::capability::secret::Secret;
use crate::capability::sql::target::{SslMode, Target};
use crate::config::Connection;

fn parse(url: &str, ca_file: Option<PathBuf>) -> Result<Target, String> {
    let connection = Connection { url: Secret::new(url.to_owned()), ca_file, pool: 1 };
    Target::parse(&connection, std::path::Path::new("/base"))
}

fn mode(url: &str) -> SslMode {
    match parse(url, None).unwrap() {
        Target::Postgres(target) => target.mode,
        Target::Sqlite(path) => panic!("{path:?}"),
    }
}

#[test]
fn server_elsewhere_is_verified_unless_the_url_says_otherwise() {
    assert_eq!(mode("postgres://u:p@db.example.com/x"), SslMode::VerifyFull);
    assert_eq!(mode("postgresql://u:p@10.0.0.1/x"), SslMode::VerifyFull);
    assert_eq!(mode("postgres://u:p@db/x?sslmode=require&connect_timeout=3"), SslMode::Require);
    assert_eq!(mode("postgres://u:p@db/x?connect_timeout=3&sslmode=verify-ca"), SslMode::VerifyCa);
    assert_eq!(mode("postgres://u:p@db/x?sslmode=disable"), SslMode::Disable);
}

#[test]
fn server_on_this_machine_needs_no_tls() {
    for host in ["localhost", "127.0.0.1:5433", "[::1]"] {
        assert_eq!(mode(&format!("postgres://u:p@{host}/x")), SslMode::Prefer, "{host}");
    }
    assert_eq!(mode("postgres://u:p@%2Fvar%2Frun%2Fpostgresql/x"), SslMode::Disable);
}

#[test]
fn sqlite_path_is_relative_to_the_configuration() {
    for (url, path) in [("sqlite://a/b.db", "/base/a/b.db"), ("sqlite:b.db", "/base/b.db"), ("sqlite:///abs/b.db", "/abs/b.db")] {
        match parse(url, None).unwrap() {
            Target::Sqlite(found) => assert_eq!(found, PathBuf::from(path)),
            Target::Postgres(target) => panic!("{target:?}"),
        }
    }
}

#[test]
fn error_of_a_url_names_the_fault_and_never_the_password() {
    let wrong = [
        ("postgres://u:hunter2@db/x?sslmode=hunter2", "sslmode"),
        ("postgres://u:hunter2@db:hunter2/x", "port"),
        ("postgres://u:hunter2@db/x?nonsense=hunter2", "nonsense"),
        ("postgres://u:hunter2@db/x?sslrootcert=hunter2", "ca-file"),
        ("mysql://u:hunter2@db/x", "postgres://"),
        ("sqlite://", "names no file"),
        ("sqlite::memory:", "names no file"),
        ("sqlite://x.db?mode=hunter2", "no options"),
    ];
    for (url, part) in wrong {
        let error = parse(url, None).unwrap_err();
        assert!(error.contains(part) && !error.contains("hunter2"), "{url}: {error}");
    }
    let error = super::sqlite::connections(std::path::Path::new("."), "postgres://u:hunter2@db:x/").unwrap_err().to_string();
    assert!(error.contains("`db`") && !error.contains("hunter2"), "{error}");
    let shown = format!("{:?}", parse("postgres://u:hunter2@db/x", None).unwrap());
    assert!(shown.contains("db:5432/x") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn ca_file_is_read_at_once_and_asks_for_verification() {
    let folder = tempfile::tempdir().unwrap();
    let missing = parse("postgres://localhost/x", Some(folder.path().join("none.pem"))).unwrap_err();
    assert!(missing.contains("none.pem"), "{missing}");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    let error = parse("postgres://localhost/x", Some(empty)).unwrap_err();
    assert!(error.contains("holds no certificate"), "{error}");
}

#[test]
fn nothing_of_a_password_that_is_not_percent_encoded_is_shown() {
    for password in ["Tail@hunter2", "p@ss/hunter2", "a/b@hunter2", "x#y@hunter2", "q?hunter2", "hunter2:@x"] {
        let url = format!("postgres://wharf:{password}@db.example.com:5432/shop");
        match parse(&url, None) {
            Err(text) => assert!(!text.contains("hunter2") && text.contains("percent-encoded"), "{password}: {text}"),
            Ok(target) => assert!(!format!("{target:?}").contains("hunter2"), "{password}: {target:?}"),
        }
    }
    assert!(parse("postgres://wharf:Tail%40hunter2@db.example.com:5432/shop", None).is_ok());
}
