//! What errors of librdkafka mean for a caller. Pure: no call to Kafka.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::topic_log::LogError;

/// An error of a question or an order, by its code: what nobody can wait out is fatal.
pub(super) fn fault(what: &str, error: &KafkaError) -> LogError {
    match error.rdkafka_error_code() {
        Some(code) => code_fault(what, code),
        None => LogError::Retry(format!("{what}: {error}")),
    }
}

pub(super) fn code_fault(what: &str, code: Code) -> LogError {
    let text = format!("{what}: {code}");
    match code {
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => {
            LogError::Fatal(format!("{text}; give this user the right (ACL), then start again"))
        }
        Code::InvalidTopic
        | Code::PolicyViolation
        | Code::InvalidConfig
        | Code::InvalidPartitions
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::UnsupportedSASLMechanism
        | Code::InvalidGroupId
        | Code::InvalidTransactionTimeout => LogError::Fatal(text),
        _ => LogError::Retry(text),
    }
}

/// True where the topic is not there (it may also be young: librdkafka waits for half a minute before it says so).
pub(super) const fn is_unknown_topic(code: Code) -> bool {
    matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition)
}

pub(super) fn unknown_topic(topic: &str) -> LogError {
    LogError::Fatal(format!("there is no topic `{topic}`: set `create = true`, or create it on the cluster"))
}
