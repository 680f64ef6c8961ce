//! The `wharf` binary as a user meets it: what it prints, what arrives, and its exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

mod authoring;
mod bad_input;
mod demo;
mod dlq;
mod inspect;
mod kafka;
mod killed;
mod offsets;
mod readmes;
mod sap;
mod site;

/// Demos choose their ports before they listen on them: one at a time.
static DEMO: Mutex<()> = Mutex::new(());

/// The command with its arguments, run in a folder.
fn wharf(dir: &Path, args: &[&str]) -> Output {
    let _alone = args.contains(&"demo").then(|| DEMO.lock().unwrap_or_else(PoisonError::into_inner));
    command(dir, args).output().expect("the binary runs")
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.current_dir(dir).args(args).env("XDG_CACHE_HOME", dir.join("cache")).env_remove("RUST_LOG");
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// What is wrong is shown whole when an expectation fails.
fn shown(output: &Output) -> String {
    format!("exit {:?}\n--- stdout\n{}\n--- stderr\n{}", output.status.code(), stdout(output), stderr(output))
}
