//! Log lines on stderr: for people, or one JSON object a line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    Text,
    Json,
}

/// Starts logging; the first call of the process.
pub fn start(form: Form) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match form {
        Form::Text => lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).compact().init(),
        Form::Json => lines.json().flatten_event(true).init(),
    }
}
