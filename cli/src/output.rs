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
    eprintln!("error: {}", chain(error));
    ExitCode::from(FAILED)
}

/// An error with its causes, each once: many texts hold that of their cause already.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Shows why the command line or the configuration cannot work.
pub fn unusable(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(UNUSABLE)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "topic log: {}", self.0)
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn no_cause_is_printed_twice() {
        let cause = "x".parse::<i32>().unwrap_err();
        let error = Err::<(), _>(Outer(cause)).context("sink `a`").unwrap_err();
        assert_eq!(chain(&error), "sink `a`: topic log: invalid digit found in string");
    }
}
