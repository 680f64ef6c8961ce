//! Whether librdkafka takes a property: its name, and its value as it is written. Asks librdkafka itself; opens no connection.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// Names that the Java clients have, and what is meant by them here.
const JAVA: [(&str, &str); 4] = [
    ("fetch.max.wait.ms", "`fetch.wait.max.ms`"),
    ("max.poll.records", "`batch.records` of the sink"),
    ("buffer.memory", "`queue.buffering.max.kbytes`"),
    ("max.request.size", "`message.max.bytes`"),
];

/// What is wrong with a property. No text repeats its value, which may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is no such property; what to do.
    Name(String),
    /// Why the value is none.
    Value(String),
}

/// # Errors
/// [`Wrong`] where a client with this property could not be made, or would take another value than was written.
pub fn check(name: &str, value: &str) -> Result<(), Wrong> {
    // Plug-ins would be loaded, and bring properties of their own.
    if name == "plugin.library.paths" || name.starts_with("confluent.") {
        return Ok(());
    }
    let native = match ClientConfig::new().set(name, value).create_native_config() {
        Ok(native) => native,
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => return Err(Wrong::Name(instead(name))),
        Err(KafkaError::ClientConfig(_, reason, ..)) => return Err(Wrong::Value(told(value, &reason))),
        Err(error) => return Err(Wrong::Value(error.to_string())),
    };
    // What stands behind a number's digits is passed over in silence: `4MiB` is 4.
    let taken = native.get(name).ok().and_then(|taken| taken.parse::<f64>().ok());
    let begins_as_a_number = value.trim_start().trim_start_matches(['-', '+']).starts_with(|first: char| first.is_ascii_digit());
    match taken {
        Some(taken) if begins_as_a_number && !value.trim().parse().is_ok_and(|written: f64| is_same(written, taken)) => {
            Err(Wrong::Value(format!("it would be taken as {taken}: write a plain number, its unit is in the property's name")))
        }
        _ => Ok(()),
    }
}

/// librdkafka answers six digits of a fraction.
fn is_same(written: f64, taken: f64) -> bool {
    (written - taken).abs() <= written.abs() * 1e-5
}

fn instead(name: &str) -> String {
    let known = JAVA.iter().find(|(java, _)| *java == name);
    known.map_or_else(
        || "names are those of librdkafka's CONFIGURATION.md, which are not all those of the Java clients".to_owned(),
        |(_, meant)| format!("that is a property of the Java clients: here it is {meant}"),
    )
}

/// Reasons repeat values, whole or in part: only a number's is told.
fn told(value: &str, reason: &str) -> String {
    let is_number = value.trim().parse::<f64>().is_ok() && reason.contains("range");
    if is_number { reason.trim().to_owned() } else { "librdkafka does not take it: see its CONFIGURATION.md".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_librdkafka_takes_as_it_is_written_is_good() {
        let good = [
            ("bootstrap.servers", "10.0.0.1:9092,10.0.0.2:9092"),
            ("queued.max.messages.kbytes", "4096"),
            ("fetch.wait.max.ms", " 100"),
            ("acks", "all"),
            ("acks", "-1"),
            ("socket.keepalive.enable", "true"),
            ("compression.type", "zstd"),
            ("message.timeout.ms", "1000"),
            ("sasl.password", "4MiB"),
            ("client.id", "7up"),
            ("linger.ms", "5.0"),
            ("linger.ms", "0.5"),
            ("linger.ms", "123456.7"),
            ("fetch.wait.max.ms", "100\n"),
            ("plugin.library.paths", "/nowhere.so"),
            ("confluent.monitoring.interceptor.topic", "t"),
        ];
        for (name, value) in good {
            assert_eq!(check(name, value), Ok(()), "{name} = {value}");
        }
    }

    #[test]
    fn a_number_with_something_behind_it_is_not_taken_for_its_digits() {
        for (name, value, taken) in [
            ("queued.max.messages.kbytes", "4MiB", "4"),
            ("queued.max.messages.kbytes", "\t4MiB", "4"),
            ("fetch.wait.max.ms", "100ms", "100"),
            ("fetch.wait.max.ms", "1.5", "1"),
        ] {
            let Err(Wrong::Value(why)) = check(name, value) else { panic!("{name} = {value}") };
            assert!(why.starts_with(&format!("it would be taken as {taken}:")), "{why}");
        }
    }

    #[test]
    fn a_name_of_the_java_clients_gets_the_one_that_is_meant() {
        let Err(Wrong::Name(help)) = check("fetch.max.wait.ms", "100") else { panic!("it is none") };
        assert!(help.ends_with("here it is `fetch.wait.max.ms`"), "{help}");
        let Err(Wrong::Name(help)) = check("fetch.wait.maxms", "100") else { panic!("it is none") };
        assert!(help.contains("CONFIGURATION.md"), "{help}");
        for (java, _) in JAVA {
            assert!(matches!(check(java, "1"), Err(Wrong::Name(_))), "{java} is a name here too");
        }
    }

    #[test]
    fn a_value_that_is_refused_is_not_repeated() {
        let long = format!("hush{}", "!".repeat(1_000));
        for name in ["security.protocol", "socket.keepalive.enable", "fetch.wait.max.ms", "debug", "sasl.mechanisms"] {
            for value in ["hush", "\nhush", " hush hush", "broker,hush", &long] {
                let Err(Wrong::Value(why)) = check(name, value) else { continue };
                assert!(!why.contains("hush") && !why.contains('\n') && !why.is_empty(), "{why}");
            }
            assert!(check(name, "hush").is_err() || name == "sasl.mechanisms", "{name}");
        }
        let Err(Wrong::Value(why)) = check("session.timeout.ms", "0") else { panic!("it is too short") };
        assert!(why.contains("range"), "{why}");
    }
}
