//! What the process logs, for tests that look for what must not be in it.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use tracing_subscriber::fmt::MakeWriter;

/// Lines of all tests of the process, at the level DEBUG: look for words that one test alone has.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

/// The log from the first call on. A process can have one only, so all tests share it.
pub fn log() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    let made = LOG.get_or_init(|| {
        let log = Log::default();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::DEBUG).with_writer(log.clone());
        tracing::subscriber::set_global_default(lines.finish()).expect("no other test has set one");
        log
    });
    made.clone()
}

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// The first line that holds a text, whatever its case.
    pub fn line_with(&self, text: &str) -> Option<String> {
        let text = text.to_lowercase();
        self.text().lines().find(|line| line.to_lowercase().contains(&text)).map(str::to_owned)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
