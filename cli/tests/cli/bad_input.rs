//! What cannot work is refused before a record moves, with a text for the person who reads it: exit code 2. What may come back
//! (a database, a log) is waited for.

use std::fs;
use std::time::{Duration, Instant};

use crate::{command, shown, stderr, stdout, wharf};

const GOOD: &str = r#"state-dir = "state"

[[source]]
name = "feed"
component = "csv"
topic = "stock"
config = { path = "feed", key = ["sku"] }
allow.files = ["feed"]

[connection.warehouse]
url = "sqlite://warehouse.sqlite"

[[sink]]
name = "stock-to-warehouse"
component = "sql"
topics = ["stock"]
config = { connection = "warehouse", table = "stock", key = ["sku"] }
allow.sql = ["warehouse"]
"#;

fn folder(toml: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("feed")).unwrap();
    fs::write(dir.path().join("feed/a.csv"), "sku,quantity\nA,1\nB,2\n").unwrap();
    fs::write(dir.path().join("wharf.toml"), toml).unwrap();
    dir
}

/// `check` and `run` refuse it with the same text, and nothing was started.
fn refused(toml: &str, expected: &[&str]) {
    let dir = folder(toml);
    for verb in ["check", "run"] {
        let output = wharf(dir.path(), &[verb, "wharf.toml"]);
        assert_eq!(output.status.code(), Some(2), "{verb}: {}", shown(&output));
        for text in expected {
            assert!(stderr(&output).contains(text), "{verb} does not say `{text}`\n{}", shown(&output));
        }
    }
    assert!(!dir.path().join("warehouse.sqlite").exists(), "nothing moves");
}

#[test]
fn a_good_configuration_is_checked_without_moving_a_record() {
    let dir = folder(GOOD);
    let output = wharf(dir.path(), &["check", "wharf.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(stdout(&output).contains("1 sources and 1 sinks can run"), "{}", shown(&output));
    assert!(!dir.path().join("state").exists() && !dir.path().join("warehouse.sqlite").exists());
}

#[test]
fn a_timeout_that_the_deadline_of_a_call_would_cut_is_warned_of_with_its_place_and_both_figures() {
    let sink = |settings: &str| {
        format!(
            "{GOOD}\n[[sink]]\nname = \"events\"\ncomponent = \"http\"\ntopics = [\"stock\"]\nallow.http = [\"erp.example\"]\n\
             {settings}\n[sink.config]\nurl = \"https://erp.example/\"\ntimeout = \"3m\"\n"
        )
    };
    let dir = folder(&sink(""));
    let output = wharf(dir.path(), &["check", "wharf.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    for text in
        ["warning: `events`: `timeout` of 180s is not below `limits.call-deadline` of 120s", "wharf.toml:28:", "1 warning"]
    {
        assert!(stderr(&output).contains(text), "no `{text}`\n{}", shown(&output));
    }
    let dir = folder(&sink("limits.call-deadline = \"10m\""));
    let output = wharf(dir.path(), &["check", "wharf.toml"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{}", shown(&output));
}

#[test]
fn records_that_kafka_would_not_take_by_the_file_are_warned_of_with_both_figures() {
    // Bytes of a record, and what Kafka takes, in the file's three places.
    let warned = |record: &str, log: &str, source: &str, topic: &str| {
        let on_kafka = format!("name = \"shop\"\n{GOOD}").replace("topic = \"stock\"", &format!("topic = \"stock\"\n{record}"));
        let properties = format!("[source.kafka]\nlinger.ms = 5\n{source}\n\n[connection.warehouse]");
        let on_kafka = on_kafka.replace("[connection.warehouse]", &properties);
        let dir = folder(&format!(
            "{on_kafka}\n[kafka]\nbootstrap.servers = \"localhost:9\"\n{log}\n[topic.stock]\npartitions = 1\n{topic}\n"
        ));
        let output = wharf(dir.path(), &["check", "wharf.toml"]);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        stderr(&output)
    };
    let (large, larger) = ("max-record-bytes = \"2MB\"", "message.max.bytes = 3000000");
    for (told, warnings) in [
        ("the producer's `message.max.bytes`, by default, is 1000000", warned(large, "", "", "")),
        ("the producer's `message.max.bytes` is 1500000", warned(large, larger, "message.max.bytes = 1500000", "")),
        ("`max.message.bytes` of [topic.\"stock\"] is 40000", warned("", "", "", "config = { \"max.message.bytes\" = 40000 }")),
    ] {
        assert!(
            warnings.contains("warning: `feed`: `max-record-bytes` is ") && warnings.contains(told),
            "no `{told}`\n{warnings}"
        );
        assert!(warnings.contains("1 warning"), "{warnings}");
    }
    for silent in [warned(large, larger, "", ""), warned(large, "", larger, ""), warned("", "", "", "")] {
        assert_eq!(silent, "");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_name() {
    let toml = GOOD.replace("topics = [", "topcis = [");
    refused(&toml, &["unknown key `topcis`", "--> wharf.toml:16:1", "did you mean `topics`?"]);
}

#[test]
fn a_wrong_type_is_refused_with_its_place() {
    refused(&GOOD.replace("topic = \"stock\"", "topic = 7"), &["wrong type", "--> wharf.toml:6:9", "expected a string"]);
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    let toml = GOOD.replace("sqlite://warehouse.sqlite", "${env:WHARF_NOT_SET}");
    refused(&toml, &["environment variable `WHARF_NOT_SET` is not set", "export WHARF_NOT_SET=…"]);
}

#[test]
fn a_component_that_is_not_there_is_refused_with_the_nearest_name() {
    refused(&GOOD.replace("component = \"csv\"", "component = \"cvs\""), &["unknown component `cvs`", "did you mean `csv`?"]);
}

#[test]
fn a_component_of_the_wrong_world_is_refused() {
    refused(&GOOD.replace("component = \"csv\"", "component = \"sql\""), &["is a sink, but it stands under [[source]]"]);
}

#[test]
fn a_file_that_is_no_component_is_refused() {
    let toml = GOOD.replace("component = \"csv\"", "component = \"./feed/a.csv\"");
    let dir = folder(&toml);
    let output = wharf(dir.path(), &["check", "wharf.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(stderr(&output).contains("not a WebAssembly component"), "{}", shown(&output));
}

#[test]
fn a_key_that_the_component_does_not_know_is_refused_at_its_place() {
    let toml = GOOD.replace("key = [\"sku\"] }\nallow.files", "keys = [\"sku\"] }\nallow.files");
    refused(&toml, &["`feed`: unknown key `keys` in config", "--> wharf.toml:7", "did you mean `key`?"]);
}

#[test]
fn a_capability_that_is_not_allowed_is_named() {
    refused(&GOOD.replace("allow.sql = [\"warehouse\"]\n", ""), &["needs `sql`, and nothing is allowed", "add allow.sql"]);
}

/// A restart without a change must not pour further records away.
#[test]
fn a_source_of_bad_rows_stops_before_it_pours_them_away_and_restarts_where_it_stood() {
    let toml = GOOD.replace("key = [\"sku\"] }\nallow.files", "key = [\"sku\"], types = { quantity = \"int\" } }\nallow.files");
    let dir = folder(&toml);
    let rows: String = (0..2000).map(|i| format!("S{i},many\n")).collect();
    fs::write(dir.path().join("feed/b.csv"), format!("sku,quantity\n{rows}")).unwrap();
    for _ in 0..2 {
        let run = wharf(dir.path(), &["run", "wharf.toml", "--until-done"]);
        assert_ne!(run.status.code(), Some(0), "{}", shown(&run));
        assert!(stdout(&run).contains("stopped so as not to pour the topic away"), "{}", shown(&run));
        let list = wharf(dir.path(), &["topic", "ls", "wharf.toml"]);
        let letters = stdout(&list).lines().find(|l| l.starts_with("dlq.wharf.feed")).map(str::to_owned).unwrap();
        assert!(letters.split_whitespace().eq(["dlq.wharf.feed", "1", "0"]), "{letters}");
    }
    // The cause is mended: nothing was lost on the way.
    fs::write(dir.path().join("feed/b.csv"), format!("sku,quantity\n{}", rows.replace("many", "4"))).unwrap();
    let run = wharf(dir.path(), &["run", "wharf.toml", "--until-done"]);
    assert_eq!(run.status.code(), Some(0), "{}", shown(&run));
    let warehouse = rusqlite::Connection::open(dir.path().join("warehouse.sqlite")).unwrap();
    assert_eq!(warehouse.query_row("SELECT count(*) FROM stock", [], |row| row.get::<_, i64>(0)).unwrap(), 2002);
}

#[test]
fn a_value_that_the_component_does_not_take_is_refused_with_its_key() {
    let toml = format!(
        "{GOOD}\n[[sink]]\nname = \"out\"\ncomponent = \"http\"\ntopics = [\"stock\"]\n\
        config = {{ url = \"https://a.example/\", in-flight = 17 }}\nallow.http = [\"a.example\"]\n"
    );
    refused(&toml, &["`out`: `in-flight`: 17 is greater than the maximum of 16"]);
}

#[test]
fn a_sink_that_cannot_be_exactly_once_is_refused_where_it_is_asked_to_be() {
    let toml = format!(
        "{GOOD}\n[[sink]]\nname = \"out\"\ncomponent = \"http\"\ntopics = [\"stock\"]\n\
        exactly-once = true\nconfig = {{ url = \"https://a.example/\" }}\nallow.http = [\"a.example\"]\n"
    );
    refused(&toml, &["cannot be exactly once", "--> wharf.toml:24", "at least once"]);
}

#[test]
fn a_property_that_librdkafka_does_not_take_as_it_is_written_is_refused_at_its_place() {
    let with = |section: &str, property: &str| match section {
        "kafka" => {
            format!("name = \"n\"\n[kafka]\nbootstrap.servers = \"127.0.0.1:1\"\n{property}\n{}", GOOD.replace("state-dir", "#"))
        }
        _ => format!("name = \"n\"\n{GOOD}\n[sink.kafka]\n{property}\n[kafka]\nbootstrap.servers = \"127.0.0.1:1\"\n"),
    };
    let unit = "`queued.max.messages.kbytes` cannot have this value";
    for (section, line) in [("kafka", "--> wharf.toml:4:"), ("sink.kafka", "--> wharf.toml:22:")] {
        refused(&with(section, "queued.max.messages.kbytes = \"4MiB\""), &[unit, line, "taken as 4"]);
        let none = "librdkafka has no property `fetch.max.wait.ms`";
        refused(&with(section, "fetch.max.wait.ms = 100"), &[none, line, "here it is `fetch.wait.max.ms`"]);
        for secret in ["sasl.passphrase = \"hush\"", "sasl.jaas.config = 'password=\"hush\";'", "security.protocol = \" hush\""] {
            let dir = folder(&with(section, secret));
            let output = wharf(dir.path(), &["check", "wharf.toml"]);
            assert_eq!(output.status.code(), Some(2), "{secret}: {}", shown(&output));
            assert!(!stderr(&output).contains("hush"), "{}", shown(&output));
        }
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = wharf(dir.path(), &["run", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(stderr(&output).contains("nowhere.toml"), "{}", shown(&output));
}

#[test]
fn a_second_process_on_the_same_state_is_told_who_holds_it() {
    let dir = folder(GOOD);
    let mut first = command(dir.path(), &["run", "wharf.toml"]).spawn().unwrap();
    wait_until(|| dir.path().join("state/log.sqlite").exists());
    let second = wharf(dir.path(), &["run", "wharf.toml"]);
    end(&mut first);
    assert_eq!(second.status.code(), Some(2), "{}", shown(&second));
    assert!(stderr(&second).contains(&format!("process {}", first.id())), "{}", shown(&second));
}

/// The source flows on into its topic meanwhile, and `status` says what is waited for.
#[test]
fn a_database_that_is_down_is_waited_for_and_stops_nothing_else() {
    // The port was free a moment ago and nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let toml = GOOD.replace("sqlite://warehouse.sqlite", &format!("postgres://wharf:secret@127.0.0.1:{port}/warehouse"));
    let dir = folder(&toml);
    let mut worker = command(dir.path(), &["run", "wharf.toml"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut status = wharf(dir.path(), &["status", "wharf.toml"]);
    wait_until(|| {
        status = wharf(dir.path(), &["status", "wharf.toml"]);
        stdout(&status).contains("RETRYING")
    });
    let topics = wharf(dir.path(), &["topic", "ls", "wharf.toml"]);
    end(&mut worker);
    assert!(stdout(&status).contains(&format!("127.0.0.1:{port}")), "{}", shown(&status));
    assert!(!stdout(&status).contains("secret"), "{}", shown(&status));
    assert!(stdout(&topics).lines().any(|l| l.split_whitespace().eq(["stock", "1", "2"])), "{}", shown(&topics));
}

#[test]
fn a_kafka_that_is_down_is_waited_for_and_drains_on_sigterm() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let toml = format!("name = \"n\"\n{GOOD}\n[kafka]\nbootstrap.servers = \"127.0.0.1:{port}\"\n");
    let dir = folder(&toml);
    let mut worker = command(dir.path(), &["run", "wharf.toml"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut status = wharf(dir.path(), &["status", "wharf.toml"]);
    wait_until(|| {
        status = wharf(dir.path(), &["status", "wharf.toml"]);
        stdout(&status).contains("not ready")
    });
    assert_eq!(end(&mut worker), Some(0), "asked to stop while it waits, it ends cleanly");
    let refused = wharf(dir.path(), &["check", "--connect", "wharf.toml"]);
    assert_eq!(refused.status.code(), Some(1), "{}", shown(&refused));
    assert!(stderr(&refused).contains("topic log"), "{}", shown(&refused));
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited for a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// SIGTERM, then the exit code.
fn end(child: &mut std::process::Child) -> Option<i32> {
    let killed = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    child.wait().unwrap().code()
}
