//! What is seen of a worker that comes after one that was killed.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::site::Site;

const PATIENCE: Duration = Duration::from_secs(90);

/// Polls the sink's row of `wharf status` until it is as wanted; each is looked at.
fn when(site: &Site, mut wanted: impl FnMut(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = site.wharf(&["status", "wharf.toml", "--json"]);
        if let Ok(snapshot) = serde_json::from_slice::<Value>(&output.stdout) {
            let row = snapshot["tasks"].as_array().unwrap().iter().find(|row| row["connector"] == "store").unwrap().clone();
            if wanted(&row) {
                return row;
            }
        }
        assert!(Instant::now() < deadline, "{}", crate::shown(&output));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_sink_that_waits_for_a_killed_member_is_starting_says_so_and_has_no_lag() {
    let Some(site) = Site::kafka("killed-member") else { return };
    site.configure(
        "\n[[sink]]\nname = \"store\"\ncomponent = \"sql\"\ntopics = [\"{t}\"]\nallow.sql = [\"warehouse\"]\n\
         config = { connection = \"warehouse\", table = \"stock\" }\n",
    );
    let toml = std::fs::read_to_string(site.path("wharf.toml")).unwrap();
    std::fs::write(site.path("wharf.toml"), toml.replace("session.timeout.ms = 6000", "session.timeout.ms = 15000")).unwrap();
    site.feed("a.csv", &["A,1", "B,2"]);
    let worker = site.start("wharf.toml");
    when(&site, |row| row["delivered"] == 2 && row["lag"] == 0);
    drop(worker);
    let _worker = site.start("wharf.toml");
    let row = when(&site, |row| {
        assert!(row["state"] == "STARTING" && row["lag"].is_null(), "{row}");
        row["reason"].is_string()
    });
    let why = row["reason"].as_str().unwrap();
    let told = ["waiting for partitions from group `wharf.", "which counts as members ", "session.timeout.ms"];
    assert!(told.iter().all(|part| why.contains(part)), "{why}");
    // The marker of a transaction is no record, which is seen once the end was read.
    let row = when(&site, |row| row["state"] == "RUNNING" && row["lag"] == 0);
    assert_eq!((&row["delivered"], &row["reason"]), (&Value::from(0), &Value::Null));
}
