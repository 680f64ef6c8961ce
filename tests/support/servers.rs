//! Where the real servers are. A test asks for one; without it a run of tests says in one line what it skips, and in CI
//! (`WHARF_TEST_SERVERS=required`) a missing server is a failure.
//!
//! The environment names them: `.ci/servers.sh` starts them and prints it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

/// Servers that were said to be missing: many tests want each.
static TOLD: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// A server that tests can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// `WHARF_TEST_KAFKA`: bootstrap servers.
    Kafka,
    /// `WHARF_TEST_POSTGRES`: a URL of a superuser.
    Postgres,
    /// `WHARF_TEST_MOCK_SAP`: base URL.
    MockSap,
    /// `WHARF_TEST_CLICKHOUSE`: base URL of its HTTP interface.
    ClickHouse,
    /// `WHARF_TEST_ODOO`: base URL; database and API key are in `WHARF_TEST_ODOO_DB` and `WHARF_TEST_ODOO_KEY`.
    Odoo,
    /// `WHARF_TEST_MAILCHIMP`: base URL of its published specification, as Prism answers it.
    Mailchimp,
}

impl Server {
    /// The environment variable that names it.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Kafka => "WHARF_TEST_KAFKA",
            Self::Postgres => "WHARF_TEST_POSTGRES",
            Self::MockSap => "WHARF_TEST_MOCK_SAP",
            Self::ClickHouse => "WHARF_TEST_CLICKHOUSE",
            Self::Odoo => "WHARF_TEST_ODOO",
            Self::Mailchimp => "WHARF_TEST_MAILCHIMP",
        }
    }

    /// Its address; `None` where it is missing, and once a process a line says what is skipped and how to enable it.
    ///
    /// # Panics
    /// When servers are required and this one is missing, or where stderr cannot be written.
    #[must_use]
    pub fn address(self, test: &str) -> Option<String> {
        let found = std::env::var(self.variable()).ok().filter(|address| !address.is_empty());
        if found.is_none() {
            let required = std::env::var("WHARF_TEST_SERVERS").is_ok_and(|v| v == "required");
            assert!(!required, "{test} needs {self:?}: {} is not set", self.variable());
            self.tell();
        }
        found
    }

    /// Straight to stderr: what the print macros say in a test that passes is never seen.
    #[expect(clippy::expect_used, reason = "a skip that nobody hears of is worse than a failed test")]
    fn tell(self) {
        if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(self.variable()) {
            let name = self.variable();
            let how = "`eval \"$(.ci/servers.sh /tmp/wharf-servers)\"` starts it";
            writeln!(std::io::stderr(), "skipped: all tests that need {self:?}, as {name} is not set; {how}").expect("stderr");
        }
    }
}
