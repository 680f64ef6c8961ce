//! Durations: what an operator may write in the `config` of a connector is what Wharf's own settings take. The two are read by
//! crates that do not know each other.

use std::path::Path;
use std::time::Duration;

use wharf_runtime::config::Config;

/// The setting `drain-timeout`, which may be 0.
fn of_the_host(text: &str) -> Option<Duration> {
    let text = serde_json::to_string(text).unwrap();
    let file = format!("name = \"d\"\ndrain-timeout = {text}\n[[source]]\nname = \"a\"\ncomponent = \"csv\"\ntopic = \"t\"\n");
    match Config::parse(&file, Path::new("d.toml")) {
        Ok(config) => Some(config.drain_timeout),
        Err(errors) => {
            assert!(errors.to_string().contains("expected a duration"), "{errors}");
            None
        }
    }
}

#[test]
fn connectors_and_settings_take_the_same_texts() {
    let numbers = "|0|1|007|250|1.5|-1|+1|1_000|1h30|٥|213503982334|18446744073709551615|18446744073709551616";
    let units = "|ms|s|m|h|d|w|us|S|H|min|sec|s ";
    let mut taken = 0;
    for number in numbers.split('|') {
        for gap in ["", " ", "\t", "\u{a0}", "\n"] {
            for unit in units.split('|') {
                let text = format!("{number}{gap}{unit}");
                let of_a_connector = wharf_sdk::duration::parse(&text).ok();
                assert_eq!(of_a_connector, of_the_host(&text), "{text:?}");
                taken += usize::from(of_a_connector.is_some());
            }
        }
    }
    // With each gap: five numbers in each unit (the largest is just within 2^64 ms in days), and one in milliseconds alone.
    assert_eq!(taken, 5 * (5 * 5 + 1));
}
