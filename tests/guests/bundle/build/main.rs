//! Builds the guests beside this crate, as the bundle of connectors is built.
#![expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]

use std::path::Path;
use std::process::ExitCode;

#[path = "../../../../connectors/bundle/build/guests.rs"]
mod guests;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=../../../connectors/bundle/build/guests.rs");
    let here = guests::here();
    let folders: Vec<&Path> = here.ancestors().skip(1).take(3).collect();
    let built = match folders[..] {
        [folder, _, workspace] => guests::Guests { workspace, folder, except: "bundle", package_prefix: "wharf-guest-" }.build(),
        _ => Err("this crate is not in a workspace".to_owned()),
    };
    guests::exit(built)
}
