//! What a call answers when it does not work: three kinds, as a type, because the host does something else for each.

use std::fmt;
use std::time::Duration;

use crate::bindings::types;

/// Result of a guest's function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Failure of a whole call. For one record of several there are [`Outcomes`](crate::Outcomes) and
/// [`Rejection`](crate::Rejection).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Nothing of this call took effect, or repeating it does no harm: the host tries again, `after` this long or after its
    /// own backoff.
    Retry { message: String, after: Option<Duration> },
    /// This input can never work; the host isolates the record at fault.
    Reject(String),
    /// The connector cannot go on: it is stopped and this text is shown.
    Fatal(String),
}

impl Error {
    /// One sentence: what was tried, what answered.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry { message: message.into(), after: None }
    }

    pub fn reject(message: impl Into<String>) -> Self {
        Self::Reject(message.into())
    }

    pub fn fatal(message: impl Into<String>) -> Self {
        Self::Fatal(message.into())
    }

    /// The wait before the next try; has no meaning for the other kinds.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        match self {
            Self::Retry { message, .. } => Self::Retry { message, after: Some(wait) },
            other => other,
        }
    }

    /// Puts what was being done before the message: `reading the schema: connection refused`.
    #[must_use]
    pub fn context(self, doing: impl fmt::Display) -> Self {
        match self {
            Self::Retry { message, after } => Self::Retry { message: format!("{doing}: {message}"), after },
            Self::Reject(message) => Self::Reject(format!("{doing}: {message}")),
            Self::Fatal(message) => Self::Fatal(format!("{doing}: {message}")),
        }
    }

    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Retry { message, .. } | Self::Reject(message) | Self::Fatal(message) => message,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Retry { message, after } => Self::Retry(types::RetryLater { message, after_ms: after.map(milliseconds) }),
            Error::Reject(message) => Self::Reject(message),
            Error::Fatal(message) => Self::Fatal(message),
        }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Retry(later) => {
                Self::Retry { message: later.message, after: later.after_ms.map(Duration::from_millis) }
            }
            types::Error::Reject(message) => Self::Reject(message),
            types::Error::Fatal(message) => Self::Fatal(message),
        }
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
