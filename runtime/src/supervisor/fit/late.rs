//! A time limit of the component that only the host's own would reach: the property `timeout` of `config`, where a component's
//! schema has one, against `limits.call-deadline`.

use std::time::Duration;

use serde::Deserialize as _;
use serde_json::Value;

use crate::config::unit::Span;

/// The `timeout` that holds, its default included, where it is not below the deadline of a call. Of no interest is one that is not a
/// duration: the component's own parser speaks of it.
pub(super) fn late(schema: &Value, config: &Value, deadline: Duration) -> Option<Duration> {
    let property = schema.pointer("/properties/timeout")?;
    let written = config.get("timeout").or_else(|| property.get("default"))?;
    let Ok(Span(timeout)) = Span::deserialize(written) else { return None };
    (timeout >= deadline).then_some(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_that_is_not_below_the_deadline_of_a_call_is_found_as_written_or_by_default() {
        let schema: Value = serde_json::json!({ "properties": { "timeout": { "type": "string", "default": "60s" } } });
        let found = |config: Value, deadline| late(&schema, &config, Duration::from_secs(deadline));
        assert_eq!(found(serde_json::json!({ "timeout": "3m" }), 120), Some(Duration::from_secs(180)));
        assert_eq!(found(serde_json::json!({ "timeout": "2m" }), 120), Some(Duration::from_secs(120)));
        assert_eq!(found(serde_json::json!({ "timeout": "119s" }), 120), None);
        assert_eq!(found(serde_json::json!({}), 60), Some(Duration::from_secs(60)));
        assert_eq!(found(serde_json::json!({}), 61), None);
        assert_eq!(found(serde_json::json!({ "timeout": "soon" }), 1), None);
        assert_eq!(late(&serde_json::json!({}), &serde_json::json!({ "timeout": "3m" }), Duration::ZERO), None);
    }
}
