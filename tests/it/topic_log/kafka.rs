//! What only Kafka can get wrong.
