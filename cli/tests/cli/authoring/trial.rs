//! `wharf try` on components that misbehave, and on what cannot be tried.

use std::fs;

use super::{Home, json_lines};
use crate::{shown, stderr, stdout};

/// A home with a guest of the tests as `guest.wasm`, and an input.
fn home(guest: &str, input: &str) -> Home {
    let home = Home::new();
    let bytes = wharf_guest_bundle::component(guest).unwrap_or_else(|| panic!("no guest `{guest}`: was WHARF_BUNDLE=skip set?"));
    fs::write(home.path("guest.wasm"), bytes).unwrap();
    fs::write(home.path("input.jsonl"), input).unwrap();
    home
}

#[test]
fn a_trap_is_shown_with_the_last_output_and_how_to_narrow_it_down() {
    let home = home("trap-on-poison", "{\"value\": 1}\n{\"value\": \"poison\"}\n{\"value\": 2}\n");
    let tried = home.wharf("", &["try", "guest.wasm", "--input", "input.jsonl"]);
    assert_eq!(tried.status.code(), Some(1), "{}", shown(&tried));
    for part in ["failed    write of 3 records (died): the guest trapped", "its last output", "poison", "--calls 3"] {
        assert!(stdout(&tried).contains(part), "no {part}: {}", shown(&tried));
    }
    // The same, a record a call: those before it are delivered, and the instance ends with it.
    let tried = home.wharf("", &["try", "guest.wasm", "--input", "input.jsonl", "--calls", "3", "--json"]);
    let lines = json_lines(&stdout(&tried));
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!((outcomes, tried.status.code()), (vec!["accepted", "failed"], Some(1)));
    assert_eq!(lines[1]["error"], "died");
}

#[test]
fn a_guest_that_never_comes_back_ends_at_the_limit_of_a_deployment() {
    let home = home("spin", "{\"value\": 1}\n{\"value\": 2}\n");
    let tried = home.wharf("", &["try", "guest.wasm", "--input", "input.jsonl"]);
    assert_eq!(tried.status.code(), Some(1), "{}", shown(&tried));
    for part in [
        "failed    write of 2 records (died): the guest used up the CPU time of one call",
        "limits.call-cpu",
        "after 10.",
        "--calls 2",
    ] {
        assert!(stdout(&tried).contains(part), "no {part}: {}", shown(&tried));
    }
}

#[test]
fn a_transform_that_asks_for_something_is_refused_as_it_is_granted_nothing() {
    let home = home("wishful", "1\n");
    let tried = home.wharf("", &["try", "guest.wasm", "--input", "input.jsonl", "--values"]);
    assert_eq!(tried.status.code(), Some(2), "{}", shown(&tried));
    let said = "component `guest.wasm` asks for `http`, `sql`, and a transform is granted nothing";
    assert!(stderr(&tried).contains(said) && stderr(&tried).contains("take `wants` out"), "{}", shown(&tried));
    let toml = "[[source]]\nname = \"a\"\ncomponent = \"csv\"\ntopic = \"t\"\nconfig = { path = \"in\" }\nallow.files = [\"in\"]\n\n\
                [[source.transform]]\ncomponent = \"./guest.wasm\"\n";
    fs::create_dir(home.path("in")).unwrap();
    fs::write(home.path("wharf.toml"), toml).unwrap();
    for verb in ["check", "run"] {
        let refused = home.wharf("", &[verb, "wharf.toml"]);
        assert_eq!(refused.status.code(), Some(2), "{verb}: {}", shown(&refused));
        for part in ["a transform is granted nothing", "--> wharf.toml:9:13"] {
            assert!(stderr(&refused).contains(part), "{verb} does not say {part}: {}", shown(&refused));
        }
    }
}

#[test]
fn a_call_that_fails_as_a_whole_is_counted_as_no_record() {
    let home = home("mask", "{\"value\": {\"id\": 1}}\n");
    let args = ["--connection", "a=postgres://127.0.0.1:1/x", "--config", "connection = \"a\"\ntable = \"t\"\nkey = [\"id\"]"];
    let tried = home.wharf("", &[&["try", "sql", "--input", "input.jsonl"][..], &args].concat());
    assert_eq!(tried.status.code(), Some(1), "{}", shown(&tried));
    let said = stdout(&tried);
    assert!(
        said.starts_with("failed    write of 1 record (retry): connection `a`") && said.ends_with("\na call failed\n"),
        "{said}"
    );
}

#[test]
fn what_was_read_with_values_comes_out_as_it_stands() {
    let home = home("mask", "{\"email\": \"a@b\"}\nno JSON\n");
    let tried = home.wharf("", &["try", "guest.wasm", "--input", "input.jsonl", "--values"]);
    assert_eq!(tried.status.code(), Some(1), "{}", shown(&tried));
    let said = stdout(&tried);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], r#"try/0/0  output    null  {"email":"masked"}"#);
    assert!(lines[1].starts_with("try/0/1  reject    mask.json: "), "{said}");
    assert_eq!(lines[2], "output 1, reject 1");
}

#[test]
fn a_bundled_source_is_tried_by_its_name_and_acknowledges_nothing() {
    let home = home("mask", "");
    fs::create_dir(home.path("in")).unwrap();
    fs::write(home.path("in/a.csv"), "sku,n\nA,1\nB\n").unwrap();
    let args = ["try", "csv", "--allow-files", "in", "--config", "{\"path\": \"in\", \"key\": [\"sku\"]}"];
    let tried = home.wharf("", &args);
    assert_eq!(tried.status.code(), Some(1), "{}", shown(&tried));
    let said = stdout(&tried);
    assert!(said.contains("record    {\"sku\":\"A\"}  {\"sku\":\"A\",\"n\":\"1\"}\n    wharf.file: a.csv\n"), "{said}");
    assert!(said.contains("reject    csv.width: ") && said.contains("position  a.csv  {"), "{said}");
    assert!(said.contains("idle      nothing more for 5s") && said.ends_with("record 1, reject 1\n"), "{said}");
}

#[test]
fn what_cannot_be_tried_is_refused_with_the_flag_to_give() {
    let home = home("mask", "{\"id\": 1}\n");
    let input = ["--input", "input.jsonl"];
    for (args, reason) in [
        (vec!["nowhere.wasm"], "no file of that name"),
        (vec!["input.jsonl"], "not a WebAssembly component"),
        (vec!["guest.wasm"], "--input FILE"),
        (vec!["guest.wasm", "--input", "input.jsonl"], "input.jsonl:1: unknown field `id`"),
        (vec!["guest.wasm", "--input", "input.jsonl", "--values", "--allow-http", "a.example.com"], "it reaches nothing"),
        (vec!["webhook"], "has no listener"),
        (vec!["csv", "--config", "path = \"in\""], "add --allow-files FOLDER"),
        (vec!["csv", "--config", "paths = \"in\"", "--allow-files", "."], "config.paths: unknown key `paths`"),
        (vec!["csv", "--config", "path = \"/etc\"", "--allow-files", "."], "lies in no folder of `--allow-files`"),
        (vec!["csv", "--allow-files", "nowhere"], "`nowhere` is not a folder"),
        (vec!["csv", "--allow-files", "."], "config: \"path\" is a required property"),
        (vec!["csv", "--allow-files", "."], "; give it by --config"),
        (vec!["csv", "--values", "--input", "input.jsonl"], "stored positions, not records"),
        (vec!["sql", input[0], input[1], "--values", "--connection", "main"], "expected NAME=URL"),
        (vec!["http", input[0], input[1], "--values", "--allow-http", "a/b"], "`a/b` is not a host"),
    ] {
        let refused = home.wharf("", &[&["try"][..], &args].concat());
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {}", shown(&refused));
        assert!(stderr(&refused).contains(reason), "{args:?} does not say `{reason}`: {}", shown(&refused));
    }
}
