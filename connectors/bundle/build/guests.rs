//! Building guests from a build script: one nested cargo for all of them, in a target folder of its own. Used by the
//! bundle and by the tests. Decides nothing about what is in a guest.

use std::env;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const TARGET: &str = "wasm32-wasip2";
/// The profile of the workspace's `Cargo.toml` that guests are built with.
const PROFILE: &str = "guest";
/// Setting it to `skip` leaves all guests out.
const SWITCH: &str = "WHARF_BUNDLE";

/// Guests in the folders of `folder`: package `<package_prefix><folder's name>`, known by the folder's name.
pub struct Guests<'a> {
    pub workspace: &'a Path,
    pub folder: &'a Path,
    /// A folder that is none.
    pub except: &'a str,
    pub package_prefix: &'a str,
}

impl Guests<'_> {
    /// Builds them, and writes `guests.rs` in `OUT_DIR`: a slice of (name, bytes), sorted by name.
    ///
    /// # Errors
    /// A text that says what to do.
    pub fn build(&self) -> Result<(), String> {
        println!("cargo::rerun-if-env-changed={SWITCH}");
        let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: this runs as a build script only")?);
        let names = self.names()?;
        self.watch();
        if env::var_os(SWITCH).is_some_and(|value| value == "skip") {
            println!("cargo::warning={SWITCH}=skip: no connectors are in this build");
            return write_list(&out, &[]);
        }
        require_target()?;
        let built = if names.is_empty() { PathBuf::new() } else { self.run_cargo(&names, &out)? };
        let guests: Vec<(String, PathBuf)> = names
            .into_iter()
            .map(|name| {
                let file = format!("{}{name}.wasm", self.package_prefix).replace('-', "_");
                (name, built.join(file))
            })
            .collect();
        write_list(&out, &guests)
    }

    fn names(&self) -> Result<Vec<String>, String> {
        let unreadable = |e: std::io::Error| format!("cannot read {}: {e}", self.folder.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != self.except && entry.path().join("Cargo.toml").is_file() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// What the guests are made of; the whole folder, as guests come and go.
    fn watch(&self) {
        let watch = |path: &Path| println!("cargo::rerun-if-changed={}", path.display());
        watch(self.folder);
        for part in ["sdk/rust/src", "sdk/rust/Cargo.toml", "sdk/rust/wit", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
            watch(&self.workspace.join(part));
        }
    }

    /// Gives the folder that holds the components.
    fn run_cargo(&self, names: &[String], out: &Path) -> Result<PathBuf, String> {
        // OUT_DIR is <target>/<profile>/build/<package>/out. One folder for all profiles: guests are the same in each.
        let target_dir = out.ancestors().nth(4).ok_or("OUT_DIR is not where cargo puts it")?.join("guests");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.current_dir(self.workspace).args(["build", "--locked", "--profile", PROFILE, "--target", TARGET]);
        command.arg("--target-dir").arg(&target_dir);
        for name in names {
            command.args(["--package", &format!("{}{name}", self.package_prefix)]);
        }
        clean(&mut command);
        // Fixed-width vectors: every engine that runs components has them, and texts are scanned by them.
        command.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+simd128");
        let output = command.stdin(Stdio::null()).output().map_err(|e| format!("cannot start cargo: {e}"))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "the connectors do not build ({}). cargo says:\n{words}\nTo go on without them set {SWITCH}=skip.",
                output.status
            ));
        }
        Ok(target_dir.join(TARGET).join(PROFILE))
    }
}

/// The folder of the package that is built: as it is now, not when this script was compiled. Checkouts may share a target folder.
pub fn here() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// Shows what went wrong as the error of the package that is built.
pub fn exit(built: Result<(), String>) -> ExitCode {
    let Err(reason) = built else { return ExitCode::SUCCESS };
    // One directive is one line.
    for line in reason.lines() {
        println!("cargo::error={line}");
    }
    ExitCode::FAILURE
}

/// Takes out what belongs to the outer build: with it the guests would be built otherwise (clippy's wrapper, the host's
/// linker) or not at all (the outer target folder is locked).
fn clean(command: &mut Command) {
    const NAMES: [&str; 9] = [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC",
        "RUSTDOC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CLIPPY_ARGS",
        "CARGO_TARGET_DIR",
        "CARGO_INCREMENTAL",
    ];
    const PREFIXES: [&str; 6] = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_FEATURE_", "CARGO_CFG_", "CARGO_PKG_", "DEP_"];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if NAMES.contains(&text) || PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
}

/// The toolchain's part for wasm32-wasip2, fetched by rustup where it is missing.
fn require_target() -> Result<(), String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    if asked.is_ok_and(|o| o.status.success() && Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir()) {
        return Ok(());
    }
    let advice = format!(
        "Connectors are WebAssembly components and need the Rust target {TARGET}.\n\
         Install it with `rustup target add {TARGET}` (offline, or without rustup: the package rust-std-{TARGET} of your distribution),\n\
         or set {SWITCH}=skip to build without connectors."
    );
    match Command::new("rustup").args(["target", "add", TARGET]).output() {
        Ok(added) if added.status.success() => Ok(()),
        Ok(added) => Err(format!("{advice}\nrustup says: {}", String::from_utf8_lossy(&added.stderr).trim())),
        Err(error) => Err(format!("{advice}\nrustup cannot be started: {error}")),
    }
}

fn write_list(out: &Path, guests: &[(String, PathBuf)]) -> Result<(), String> {
    let mut list = String::from("&[\n");
    for (name, path) in guests {
        if !path.is_file() {
            return Err(format!(
                "{} was not built: its crate must be a `cdylib` whose package is named after its folder",
                path.display()
            ));
        }
        writeln!(list, "    ({name:?}, include_bytes!({path:?})),").map_err(|e| e.to_string())?;
    }
    list.push_str("]\n");
    let file = out.join("guests.rs");
    fs::write(&file, list).map_err(|e| format!("cannot write {}: {e}", file.display()))
}
