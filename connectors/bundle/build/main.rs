//! Builds every connector beside this crate and writes the list that `src/lib.rs` includes.

#![expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]

use std::process::ExitCode;

mod guests;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build");
    let here = guests::here();
    let built = here.parent().ok_or_else(|| "no folder of connectors".to_owned()).and_then(|connectors| {
        let workspace = connectors.parent().ok_or("no workspace")?;
        guests::Guests { workspace, folder: connectors, except: "bundle", package_prefix: "wharf-" }.build()
    });
    guests::exit(built)
}
