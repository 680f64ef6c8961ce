//! Which records of a refused batch have a time that their topic does not take. A broker refuses the batch whole and names them (KIP-937),
//! librdkafka fails each record of it alike.

/// How far from now a record's time may be, in milliseconds: `message.timestamp.before.max.ms`, `message.timestamp.after.max.ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) before: i64,
    pub(super) after: i64,
}

impl Times {
    /// By how much a time is outside, in milliseconds; nothing or less is within.
    fn excess(self, timestamp: i64, now: i64) -> i64 {
        let late = timestamp.saturating_sub(now).saturating_sub(self.after);
        late.max(now.saturating_sub(timestamp).saturating_sub(self.before))
    }
}

/// The indices at fault of records `(index, timestamp)` of one topic, never none: clocks differ, and a topic does not tell everyone what it
/// takes (`times` is `None`). Then it is the one that is furthest out; what is refused without it comes again.
pub(super) fn at_fault(records: &[(usize, i64)], times: Option<Times>, now: i64) -> Vec<usize> {
    let excess = |timestamp| times.unwrap_or(Times { before: 0, after: 0 }).excess(timestamp, now);
    let outside = records.iter().filter(|(_, timestamp)| times.is_some() && excess(*timestamp) > 0);
    let mut indices: Vec<_> = outside.map(|(index, _)| *index).collect();
    if indices.is_empty() {
        indices.extend(records.iter().max_by_key(|(_, timestamp)| excess(*timestamp)).map(|(index, _)| *index));
    }
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;

    #[test]
    fn records_outside_of_what_the_topic_takes_are_at_fault_and_no_others() {
        let records = [(0, NOW), (1, NOW + 2 * HOUR), (2, NOW - 3 * HOUR), (3, NOW + HOUR), (4, i64::MAX), (5, NOW - 100 * HOUR)];
        assert_eq!(at_fault(&records, Some(Times { before: i64::MAX, after: HOUR }), NOW), [1, 4]);
        assert_eq!(at_fault(&records, Some(Times { before: 10 * HOUR, after: i64::MAX }), NOW), [5]);
    }

    #[test]
    fn where_clocks_differ_or_limits_are_not_told_it_is_the_one_furthest_out() {
        let records = [(7, NOW - HOUR), (8, NOW + HOUR - 5), (9, NOW)];
        assert_eq!(at_fault(&records, Some(Times { before: i64::MAX, after: HOUR }), NOW), [8]);
        assert_eq!(at_fault(&records, None, NOW), [7]);
    }
}
