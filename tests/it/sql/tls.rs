//! TLS to a PostgreSQL server that the test starts: certificates are made with the openssl command.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wharf_runtime::capability::sql::SqlError;

use super::columns::{def, ints, rows, table};
use super::database::connections;

/// A server with a certificate for `localhost` alone, which an authority of its own signed.
struct Secure {
    folder: tempfile::TempDir,
    server: Child,
    port: u16,
}

impl Drop for Secure {
    fn drop(&mut self) {
        if let Err(error) = self.server.kill().and_then(|()| self.server.wait()) {
            eprintln!("the server did not end: {error}");
        }
    }
}

fn server_binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).filter(|bin| bin.join("initdb").exists()).max()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn openssl(folder: &Path, arguments: &str) {
    run(Command::new("openssl").args(arguments.split(' ')).current_dir(folder));
}

/// PostgreSQL refuses to run as root.
fn as_postgres(folder: &Path, program: &Path) -> Command {
    let root = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0";
    let mut command = if root { Command::new("setpriv") } else { Command::new(program) };
    if root {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    }
    command.current_dir(folder);
    command
}

fn certificates(folder: &Path) {
    openssl(folder, "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=wharf-test-authority");
    openssl(folder, "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout other.key -out other.pem -subj /CN=another-authority");
    openssl(folder, "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(folder, "x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -extfile names");
}

impl Secure {
    fn start(test: &str) -> Option<Self> {
        let Some(bin) = server_binaries() else {
            let required = std::env::var("WHARF_TEST_SERVERS").is_ok_and(|v| v == "required");
            assert!(!required, "{test} needs PostgreSQL's server programs under /usr/lib/postgresql");
            eprintln!("skipped: {test} needs PostgreSQL's server programs; `.ci/postgres.sh` installs them");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        certificates(at);
        run(Command::new("chmod").args(["-R", "a+rX"]).arg(at));
        if as_postgres(at, &bin.join("initdb")).get_program() == "setpriv" {
            run(Command::new("chown").args(["-R", "postgres"]).arg(at));
        }
        run(Command::new("chmod").arg("600").arg(at.join("server.key")));
        run(as_postgres(at, &bin.join("initdb")).args([
            "-D",
            "data",
            "-U",
            "wharf",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]));
        // TLS only: what comes in the clear is turned away.
        std::fs::write(at.join("hba"), "hostssl all all all trust\n").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::create(at.join("log")).unwrap();
        let mut server = as_postgres(at, &bin.join("postgres"));
        server.args([
            "-D",
            "data",
            "-p",
            &port.to_string(),
            "-c",
            "ssl=on",
            "-c",
            "listen_addresses=localhost,127.0.0.1",
            "-c",
            "fsync=off",
        ]);
        for (name, file) in [
            ("ssl_cert_file", "server.pem"),
            ("ssl_key_file", "server.key"),
            ("hba_file", "hba"),
            ("unix_socket_directories", ""),
        ] {
            let value = if file.is_empty() { at.display().to_string() } else { at.join(file).display().to_string() };
            server.arg("-c").arg(format!("{name}={value}"));
        }
        let server = server.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Some(Self { folder, server, port })
    }

    fn url(&self, host: &str, options: &str) -> String {
        format!("postgres://wharf:hunter2@{host}:{}/postgres{options}", self.port)
    }

    fn ca(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn probe(&self, host: &str, options: &str, ca: Option<&str>) -> Result<String, SqlError> {
        connections(&self.url(host, options), ca.map(|ca| self.ca(ca)).as_deref())?.probe("db").await
    }

    async fn ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = self.probe("localhost", "?sslmode=require", None).await {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(matches!(error, SqlError::Retry(_)) && Instant::now() < deadline, "{error}; the server's log: {log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test]
async fn server_is_trusted_by_authority_and_name_as_sslmode_asks() {
    let Some(server) = Secure::start("server_is_trusted_by_authority_and_name_as_sslmode_asks") else { return };
    server.ready().await;
    let mut session = connections(&server.url("localhost", ""), Some(&server.ca("ca.pem"))).unwrap().session("db").unwrap();
    session.ensure(&table("t", &["id"]), &[def("id", wharf_runtime::capability::sql::Kind::Int64, false)]).await.unwrap();
    assert_eq!(session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(1)])])).await.unwrap(), []);
    let used = session.query("SELECT count(*) FROM t, pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()", &[], 1).await.unwrap();
    assert_eq!(super::columns::strings_of(&used[0]), [Some("1".to_owned())]);

    let trusted = [
        ("localhost", "", Some("ca.pem"), "verify-full"),
        ("localhost", "?sslmode=verify-full", Some("ca.pem"), "verify-full"),
        ("127.0.0.1", "?sslmode=verify-ca", Some("ca.pem"), "verify-ca"),
        ("127.0.0.1", "?sslmode=require", Some("ca.pem"), "verify-ca"),
        ("127.0.0.1", "?sslmode=require", None, "require"),
        ("localhost", "", None, "prefer"),
    ];
    for (host, options, ca, mode) in trusted {
        let seen = server.probe(host, options, ca).await.unwrap();
        assert!(seen.ends_with(&format!("sslmode {mode}")), "{host} {options} {ca:?}: {seen}");
    }
    let refused = [
        // The certificate is of another name, of another authority, of none that is known.
        ("127.0.0.1", "", Some("ca.pem")),
        ("localhost", "", Some("other.pem")),
        ("127.0.0.1", "?sslmode=verify-ca", Some("other.pem")),
        ("localhost", "?sslmode=verify-full", None),
    ];
    for (host, options, ca) in refused {
        let error = server.probe(host, options, ca).await.unwrap_err();
        assert!(
            matches!(&error, SqlError::Fatal(text) if text.contains("not trusted") && text.contains("ca-file") && !text.contains("hunter2")),
            "{host} {options} {ca:?}: {error}"
        );
    }
    let clear = server.probe("localhost", "?sslmode=disable", None).await.unwrap_err();
    assert!(matches!(&clear, SqlError::Fatal(text) if text.contains("pg_hba.conf")), "{clear}");
}
