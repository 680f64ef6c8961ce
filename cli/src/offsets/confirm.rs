//! Asks before something changes.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::output::{OK, UNUSABLE};

/// Whether to go on: by `--yes`, or by the answer of whoever sits at the terminal. Else the exit code to end with.
pub fn confirmed(yes: bool) -> Result<(), ExitCode> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        eprintln!("nothing was changed: add --yes to do it");
        return Err(ExitCode::from(UNUSABLE));
    }
    eprint!("Do it? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stderr().flush().and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    eprintln!("nothing was changed");
    Err(ExitCode::from(OK))
}
