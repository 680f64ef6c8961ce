//! The body of an answer: read as it comes, or whole with a limit.

use std::io::{self, Read};

use crate::error::{Error, Result};

/// A body that is read once.
#[derive(Debug)]
pub struct Body(Inner);

#[derive(Debug)]
enum Inner {
    Bytes(io::Cursor<Vec<u8>>),
    #[cfg(target_arch = "wasm32")]
    Stream(super::wasi::Stream),
}

impl Body {
    /// Everything, where it is at most `limit` bytes.
    pub(super) fn all(self, limit: usize) -> Result<Vec<u8>> {
        let bytes = self.start(limit.saturating_add(1))?;
        if bytes.len() > limit {
            return Err(Error::fatal(format!("the answer is longer than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// The first `limit` bytes.
    pub(super) fn start(self, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.take(u64::try_from(limit).unwrap_or(u64::MAX))
            .read_to_end(&mut bytes)
            .map_err(|e| Error::retry(format!("the answer broke off: {e}")))?;
        Ok(bytes)
    }

    #[cfg(target_arch = "wasm32")]
    pub(super) const fn stream(stream: super::wasi::Stream) -> Self {
        Self(Inner::Stream(stream))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Inner::Bytes(io::Cursor::new(bytes)))
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Bytes(bytes) => bytes.read(buffer),
            #[cfg(target_arch = "wasm32")]
            Inner::Stream(stream) => stream.read(buffer),
        }
    }
}

/// What a stream says of itself has the host's stack under it, which says nothing to whoever reads the connector's log.
#[cfg(any(target_arch = "wasm32", test))]
pub(super) fn first_line(told: &str) -> String {
    told.lines().next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::first_line;

    #[test]
    fn a_broken_stream_is_told_without_the_stack_of_the_host() {
        let told = "internal error: error reading a body from connection\nStack backtrace:\n   0: wasmtime::call\n";
        assert_eq!(first_line(told), "internal error: error reading a body from connection");
        assert_eq!(first_line(""), "");
    }
}
