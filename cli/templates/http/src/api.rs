//! The API outside: how a page is asked for, and what its answer means. Credentials are the host's.

use serde_json::Value;
use wharf_sdk::http::Request;
use wharf_sdk::{Error, Result};

use crate::Config;

/// The items behind an id, or the first ones.
///
/// # Errors
/// `retry` where no answer came, for 408, 425, 429 (after `Retry-After`) and 5xx, and for an answer that
/// broke off. `fatal` for what somebody has to change; the text says what.
pub fn page(config: &Config, after: Option<u64>, size: usize) -> Result<Vec<Value>> {
    let mut request = Request::get(&config.url).query("limit", &size.to_string());
    if let Some(after) = after {
        request = request.query("after", &after.to_string());
    }
    request.timeout = Some(config.timeout);
    let response = request.send()?;
    let look_at = match response.status {
        401 | 403 => "the credentials are refused, look at `auth`",
        404 | 410 => "there is no such list, look at `url`",
        _ => "the API does not take the request",
    };
    match response.success() {
        Ok(response) => response.json(),
        Err(Error::Reject(why)) => Err(Error::fatal(format!("{look_at}: {why}"))),
        Err(Error::Fatal(why)) => Err(Error::fatal(format!("{look_at}: {why}"))),
        Err(later) => Err(later),
    }
}
