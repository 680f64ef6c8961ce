//! A connector from nothing to records that arrived, for each kind: `wharf new`, its tests, its component, `wharf try`, `wharf check`,
//! `wharf run`. In an empty home folder: what a project needs is in it, and in the crates that cargo has downloaded.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::{command, shown, stderr, stdout};

mod deployed;
mod documentation;
mod guide;
mod names;
mod trial;

/// A home folder in which a project is made.
struct Home {
    path: PathBuf,
    /// Goes with the test.
    _temporary: Option<tempfile::TempDir>,
}

impl Home {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self { path: temporary.path().to_owned(), _temporary: Some(temporary) }
    }

    /// At a path that is the same in each run: cargo knows what is built by the path of its sources, so nothing piles up.
    fn of(kind: &str) -> Self {
        let path = built().join(kind);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir_all(&path).unwrap();
        Self { path, _temporary: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The command in a folder of this home; nothing of the tests' own surroundings is left but where programs are.
    fn run(&self, dir: &str, mut command: Command) -> Output {
        command.current_dir(self.path(dir)).env_clear().env("HOME", &self.path);
        for (name, value) in surroundings() {
            command.env(name, value);
        }
        command.output().expect("the program runs")
    }

    fn wharf(&self, dir: &str, args: &[&str]) -> Output {
        self.run(dir, command(&self.path(dir), args))
    }

    fn cargo(&self, dir: &str, args: &[&str]) -> String {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(args);
        let output = self.run(dir, command);
        assert!(output.status.success(), "cargo {args:?}: {}", shown(&output));
        stdout(&output)
    }

    /// What a command prints; it must end with this code.
    fn said(&self, dir: &str, code: i32, args: &[&str]) -> String {
        let output = self.wharf(dir, args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", shown(&output));
        stdout(&output)
    }

    /// Makes a project, runs its tests, and builds its component.
    fn project(&self, name: &str, kind: &[&str]) {
        self.said("", 0, &[&["new", name, "--kind"], kind].concat());
        self.share_target(name);
        let tests = self.cargo(name, &["test", "--offline"]);
        assert!(tests.contains("test manifest_is_valid ... ok"), "{tests}");
        self.cargo(name, &["build", "--offline", "--locked", "--release", "--target", "wasm32-wasip2"]);
        self.formatted(name);
    }

    /// Holds a project's code against rustfmt, as it is where it finds no settings: above the target folder there may be some.
    fn formatted(&self, name: &str) {
        fs::write(self.path("rustfmt.toml"), "").unwrap();
        self.cargo(name, &["fmt", "--check", "--", "--config-path", ".."]);
    }

    /// One target folder for all projects: most of what they are made of is the same.
    fn share_target(&self, name: &str) {
        let target = built().join("target");
        fs::create_dir_all(&target).unwrap();
        std::os::unix::fs::symlink(&target, self.path(name).join("target")).unwrap();
    }

    /// Rows of a query on the project's database, columns joined by `|`.
    fn rows(&self, name: &str, sql: &str) -> Vec<String> {
        let database = rusqlite::Connection::open(self.path(name).join(format!("{name}.sqlite"))).unwrap();
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    }

    /// Checks and runs the project's pipeline; answers the line of the sum.
    fn pipeline(&self, name: &str) -> String {
        let toml = format!("{name}.toml");
        self.said(name, 0, &["check", &toml]);
        let run = self.said(name, 0, &["run", &toml, "--until-done"]);
        run.lines().last().unwrap_or_default().to_owned()
    }
}

/// Where projects lie and what is made of them.
fn built() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("authoring")
}

/// Where programs are, and a `CARGO_HOME` that holds the downloaded crates and nothing else: no settings, no logins.
fn surroundings() -> Vec<(&'static str, std::ffi::OsString)> {
    let real = |variable: &str, folder: &str| {
        env::var_os(variable).map_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(folder), PathBuf::from)
    };
    // One for all: cargo builds a crate anew where it lies at another path.
    let cargo_home = built().join("cargo");
    fs::create_dir_all(&cargo_home).unwrap();
    let made = std::os::unix::fs::symlink(real("CARGO_HOME", ".cargo").join("registry"), cargo_home.join("registry"));
    assert!(made.is_ok() || cargo_home.join("registry").exists(), "{made:?}");
    let mut surroundings = vec![
        ("CARGO_HOME", cargo_home.into()),
        ("PATH", env::var_os("PATH").unwrap_or_default()),
        ("RUSTUP_HOME", real("RUSTUP_HOME", ".rustup").into()),
        // The toolchains are the machine's own: a test installs and updates none, whatever the project's rust-toolchain.toml asks for.
        ("RUSTUP_AUTO_INSTALL", "0".into()),
        ("CARGO_TERM_COLOR", "never".into()),
        // Builds for these tests alone: nobody debugs them.
        ("CARGO_PROFILE_DEV_DEBUG", "0".into()),
        ("CARGO_INCREMENTAL", "0".into()),
    ];
    // The one that these tests were built with, which cargo's rustc would otherwise choose anew in the project's folder.
    surroundings.extend(env::var_os("RUSTUP_TOOLCHAIN").map(|toolchain| ("RUSTUP_TOOLCHAIN", toolchain)));
    surroundings
}

/// The component of a project, as its commands name it.
fn component(name: &str) -> String {
    format!("target/wasm32-wasip2/release/{}.wasm", name.replace('-', "_"))
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_new_source_is_built_tested_tried_and_delivers() {
    let home = Home::of("source");
    home.project("branches", &["source"]);
    let try_it = ["try", &component("branches"), "--config", "@try.toml", "--allow-files", "documents", "--json"];
    let tried = json_lines(&home.said("branches", 0, &try_it));
    let of = |outcome: &str| tried.iter().filter(|line| line["outcome"] == outcome).cloned().collect::<Vec<_>>();
    let cities: Vec<_> = of("record").iter().map(|line| line["record"]["value"]["city"].clone()).collect();
    assert_eq!(cities, ["Berlin", "Hamburg"]);
    assert_eq!(of("record")[0]["record"]["key"], serde_json::json!({"document": "berlin"}));
    // A record that no log has given a place is the input of another trial.
    let records: String = of("record").iter().map(|line| format!("{}\n", line["record"])).collect();
    fs::write(home.path("branches/records.jsonl"), records).unwrap();
    let flags = ["--connection", "main=sqlite://try.sqlite", "--config", "connection = \"main\"\ntable = \"documents\""];
    let written = home.said("branches", 0, &[&["try", "sql", "--input", "records.jsonl"][..], &flags].concat());
    assert_eq!(written, "try/0/0  accepted\ntry/0/1  accepted\naccepted 2\n");
    // Opened with what it said last, it has nothing to read.
    let positions: String = of("position").iter().map(|line| format!("{line}\n")).collect();
    fs::write(home.path("branches/positions.jsonl"), positions).unwrap();
    let again = home.said("branches", 0, &[&try_it[..], &["--input", "positions.jsonl"]].concat());
    assert_eq!(json_lines(&again), [serde_json::json!({"outcome": "idle", "ms": 1000})]);

    assert_eq!(home.pipeline("branches"), "read 4 = delivered 4 + filtered 0 + dead-lettered 0");
    let cities = || home.rows("branches", "SELECT city FROM documents ORDER BY document");
    assert_eq!(cities(), ["Berlin", "Hamburg"]);
    // A document that is taken away is taken out of the table, and what is no JSON goes to the dead letters.
    fs::remove_file(home.path("branches/documents/berlin.json")).unwrap();
    fs::write(home.path("branches/documents/broken.json"), "{").unwrap();
    assert_eq!(home.pipeline("branches"), "read 3 = delivered 2 + filtered 0 + dead-lettered 1");
    assert_eq!(cities(), ["Hamburg"]);
}

#[test]
fn a_new_transform_is_built_tested_tried_and_delivers() {
    let home = Home::of("transform");
    home.project("order-lines", &["transform"]);
    let component = component("order-lines");
    let tried = home.said("order-lines", 1, &["try", &component, "--input", "records.jsonl", "--config", "@try.toml"]);
    let lines: Vec<&str> = tried.lines().collect();
    assert_eq!(
        lines,
        [
            r#"orders/0/0  output    A-1  {"order":"A-1","skus":"SKU-1","line":1}"#,
            r#"orders/0/0  output    A-1  {"order":"A-1","skus":"SKU-2","line":2}"#,
            "orders/0/1  reject    split.list at /skus: the field `skus` is no list",
            "orders/0/2  filtered",
            "orders/0/3  output    A-4  null",
            "output 3, filtered 1, reject 1",
        ]
    );
    assert_eq!(home.pipeline("order-lines"), "read 5 + split 1 = delivered 6 + filtered 0 + dead-lettered 0");
    let rows = home.rows("order-lines", "SELECT \"order\" || ' ' || line || ' ' || skus FROM order_lines ORDER BY 1");
    assert_eq!(rows, ["A-1 1 SKU-1", "A-1 2 SKU-2", "A-2 1 SKU-3"]);
    // Its own part of the configuration is held against its schema, at its place.
    let toml = fs::read_to_string(home.path("order-lines/order-lines.toml")).unwrap();
    fs::write(home.path("order-lines/order-lines.toml"), toml.replace("separator =", "separate =")).unwrap();
    let refused = home.wharf("order-lines", &["check", "order-lines.toml"]);
    assert_eq!(refused.status.code(), Some(2), "{}", shown(&refused));
    for part in ["unknown key `separate` in config", "--> order-lines.toml:13", "did you mean `separator`?"] {
        assert!(stderr(&refused).contains(part), "no {part}: {}", shown(&refused));
    }
}
