//! Where the real servers are. A test asks for one; without it the test says in one line what it skips, and in CI
//! (`WHARF_TEST_SERVERS=required`) a missing server is a failure.
//!
//! The environment names them: `.ci/servers` starts what it needs and sets these.

/// A server that tests can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// `WHARF_TEST_KAFKA`: bootstrap servers.
    Kafka,
    /// `WHARF_TEST_POSTGRES`: a URL of a superuser.
    Postgres,
    /// `WHARF_TEST_MOCK_SAP`: base URL.
    MockSap,
}

impl Server {
    /// The environment variable that names it.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Kafka => "WHARF_TEST_KAFKA",
            Self::Postgres => "WHARF_TEST_POSTGRES",
            Self::MockSap => "WHARF_TEST_MOCK_SAP",
        }
    }

    /// Its address; `None` after a line that says what is skipped and how to enable it.
    ///
    /// # Panics
    /// When servers are required and this one is missing.
    #[must_use]
    pub fn address(self, test: &str) -> Option<String> {
        let found = std::env::var(self.variable()).ok().filter(|address| !address.is_empty());
        if found.is_none() {
            let required = std::env::var("WHARF_TEST_SERVERS").is_ok_and(|v| v == "required");
            assert!(!required, "{test} needs {self:?}: {} is not set", self.variable());
            eprintln!("skipped: {test} needs {self:?}; `.ci/servers` starts it, or set {}", self.variable());
        }
        found
    }
}
