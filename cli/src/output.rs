//! What commands print: results on stdout, errors on stderr. A reader that closes the pipe (`| head`) ends a command quietly.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Everything worked.
pub const OK: u8 = 0;
/// Something went wrong on the way.
pub const FAILED: u8 = 1;
/// The command line or the configuration cannot work.
pub const UNUSABLE: u8 = 2;
/// Every connector failed.
pub const ALL_FAILED: u8 = 3;

/// Prints a line to stdout. Ends the process when nobody reads any more.
pub fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.write_all(b"\n")) {
        let code = if error.kind() == ErrorKind::BrokenPipe { OK } else { FAILED };
        std::process::exit(i32::from(code));
    }
}

/// Prints a line to stdout.
macro_rules! say {
    ($($arg:tt)*) => { $crate::output::line(format_args!($($arg)*)) };
}
pub(crate) use say;

/// Shows an error that no command expected.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(FAILED)
}

/// Shows why the command line or the configuration cannot work.
pub fn unusable(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(UNUSABLE)
}
