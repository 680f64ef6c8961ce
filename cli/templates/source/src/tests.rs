//! The source without Wharf, on real folders.

use std::fs;
use std::path::PathBuf;

use super::*;

const LIMITS: Limits = Limits {
    records: 100,
    bytes: 1 << 20,
    wait: Duration::ZERO,
};

/// A new folder with these documents.
fn folder(test: &str, documents: &[(&str, &str)]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("@NAME@-{test}-{}", std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir(&folder).unwrap();
    for (name, text) in documents {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

fn open(folder: &std::path::Path, positions: Vec<Position>) -> Documents {
    let config = format!(
        r#"{{"folder": {}}}"#,
        json::json_string(folder.to_str().unwrap())
    );
    Documents::open(&Context::new("test", config), positions).unwrap()
}

/// Keys and values of a poll.
fn records(polled: Polled) -> Vec<(String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let batch = polled.records.into_batch();
    batch
        .records()
        .map(|record| (record.key.map(text).unwrap(), record.value.map(text)))
        .collect()
}

#[test]
fn a_restart_goes_on_from_the_stored_positions() {
    let folder = folder(
        "restart",
        &[("a.json", "1"), ("b.json", "2"), (".c.json", "3")],
    );
    let polled = open(&folder, Vec::new()).poll(LIMITS).unwrap();
    let positions = polled.positions.clone();
    let (a, b) = (
        r#"{"document":"a"}"#.to_owned(),
        r#"{"document":"b"}"#.to_owned(),
    );
    assert_eq!(
        records(polled),
        [
            (a.clone(), Some("1".to_owned())),
            (b.clone(), Some("2".to_owned()))
        ]
    );

    fs::write(folder.join("a.json"), "4").unwrap();
    fs::remove_file(folder.join("b.json")).unwrap();
    let polled = open(&folder, positions).poll(LIMITS).unwrap();
    assert_eq!(records(polled), [(a, Some("4".to_owned())), (b, None)]);
}

#[test]
fn what_is_no_json_goes_to_the_dead_letters_and_moves_its_position() {
    let folder = folder("unreadable", &[("a.json", "{"), ("b.json", "2")]);
    let polled = open(&folder, Vec::new()).poll(LIMITS).unwrap();
    let (index, why) = polled.records.unreadable().next().unwrap();
    assert_eq!((index, why.code.as_str()), (0, "document.json"));
    assert!(why.message.contains("a.json is no JSON"), "{why:?}");
    assert_eq!(polled.positions.len(), 2);
}

#[test]
fn a_poll_keeps_to_its_limits_and_the_next_one_goes_on() {
    let folder = folder(
        "limits",
        &[("a.json", "1"), ("b.json", "2"), ("c.json", "3")],
    );
    let mut source = open(&folder, Vec::new());
    let first = source
        .poll(Limits {
            records: 2,
            ..LIMITS
        })
        .unwrap();
    assert_eq!((first.records.len(), first.idle), (2, Duration::ZERO));
    let second = source
        .poll(Limits {
            records: 2,
            ..LIMITS
        })
        .unwrap();
    assert_eq!(
        (second.records.len(), second.idle),
        (1, Duration::from_secs(5))
    );
}

#[test]
fn a_folder_that_is_not_there_is_asked_for_again() {
    let mut source = open(std::path::Path::new("/no/such/folder"), Vec::new());
    assert!(matches!(
        source.poll(LIMITS),
        Err(wharf_sdk::Error::Retry { .. })
    ));
}
