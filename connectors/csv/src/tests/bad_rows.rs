//! Rows that cannot be read: what is rejected, with which value, and what goes on.

use super::*;

fn rejects(got: &[Got]) -> Vec<(u64, &str, &str)> {
    got.iter().filter_map(|g| Some((g.line, g.code.as_deref()?, g.value.as_str()))).collect()
}

#[test]
fn bad_row_is_rejected_with_its_raw_line_and_the_others_go_on() {
    let mut bench = Bench::new(r#""key":["a"],"types":{"n":"int"},"null":"-""#);
    bench.write("a.csv", b"a,n\n1,1\n2\n3,1,\"x\"\r\n\xff,1\n5,\"one\"\n-,1\n7,1\n");
    let got = bench.look();
    assert_eq!(
        rejects(&got),
        [
            (3, "csv.width", "2"),
            (4, "csv.width", "3,1,\"x\""),
            (5, "csv.utf8", "\u{fffd},1"),
            (6, "csv.type", "5,\"one\""),
            (7, "key.missing", "-,1"),
        ]
    );
    let good: Vec<&str> = got.iter().filter(|g| g.code.is_none()).map(|g| g.key.as_str()).collect();
    assert_eq!(good, [r#"{"a":"1"}"#, r#"{"a":"7"}"#]);
}

#[test]
fn stray_quote_costs_its_own_line_only() {
    let mut bench = Bench::new("");
    bench.write("a.csv", "a,b\n\"x\"y,1\n2,\"open\n3,\"z\",\n4,\"ok\"\n");
    let got = bench.look();
    assert_eq!(rejects(&got), [(2, "csv.quote", "\"x\"y,1"), (3, "csv.quote", "2,\"open"), (4, "csv.width", "3,\"z\",")]);
    assert_eq!(got.last().unwrap().value, r#"{"a":"4","b":"ok"}"#);
}

#[test]
fn quote_that_is_never_closed_costs_its_own_line_when_the_file_has_come_to_rest() {
    let mut bench = Bench::new("");
    bench.write("a.csv", "a,b\n1,\"open\n2,x\n3,y\n");
    assert_eq!(bench.values(), Vec::<String>::new());
    bench.restart();
    let got = bench.look();
    assert_eq!(rejects(&got), [(2, "csv.quote", "1,\"open")]);
    assert_eq!(got[1..].iter().map(|g| g.line).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(bench.values(), Vec::<String>::new());
}

#[test]
fn line_that_is_too_long_is_skipped_to_its_end() {
    for (name, head, next) in [("a.csv", "a\n1\n", "2\n"), ("a.jsonl", "{}\n", "{}\n")] {
        let mut bench = Bench::new("");
        let long = "x".repeat(rows::LONGEST + 300_000);
        bench.write(name, format!("{head}{long}\n{next}"));
        let got = bench.look();
        assert_eq!(got.len(), 3, "{name}");
        assert_eq!((got[1].code.as_deref(), got[1].value.len()), (Some("csv.line-too-long"), 64 << 10));
        assert_eq!((got[2].code.as_deref(), got[2].line), (None, got[1].line + 1));
    }
}

#[test]
fn line_that_is_too_long_and_not_complete_is_waited_for() {
    let mut bench = Bench::new("");
    bench.write("a.csv", format!("a\n1\n{}", "x".repeat(rows::LONGEST + 300_000)));
    assert_eq!(bench.look().len(), 1);
    bench.append("a.csv", "y\n2\n");
    bench.restart();
    let got = bench.look();
    assert_eq!(rejects(&got).iter().map(|r| r.1).collect::<Vec<_>>(), ["csv.line-too-long"]);
    assert_eq!((got[1].line, got[1].value.as_str()), (4, r#"{"a":"2"}"#));
}

#[test]
fn unclosed_quote_before_more_than_the_longest_record_costs_its_own_line() {
    let mut bench = Bench::new("");
    let rows = "2,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(250_000);
    bench.write("a.csv", format!("a,b\n1,\"open\n{rows}"));
    bench.limits = Limits { records: 10, ..bench.limits };
    let (got, _) = bench.try_poll().unwrap();
    assert_eq!(rejects(&got), [(2, "csv.quote", "1,\"open")]);
    assert_eq!(got.len(), 10);
}

#[test]
fn header_without_a_key_column_is_fatal_and_names_column_and_file_after_the_records_before_it() {
    let mut bench = Bench::new(r#""key":["sku"]"#);
    bench.write("a.csv", "sku\n1\n");
    bench.write("b.csv", "SKU\n2\n");
    assert_eq!(bench.try_poll().unwrap().0.len(), 1);
    let error = bench.try_poll().unwrap_err();
    assert!(matches!(&error, Error::Fatal(m) if m.contains("b.csv` has no column `sku`")), "{error}");
    // With the file put right, reading goes on, and nothing comes twice.
    bench.write("b.csv", "sku\n2\n");
    bench.restart();
    assert_eq!(bench.values(), [r#"{"sku":"2"}"#]);
}

#[test]
fn folder_that_is_missing_is_tried_again_and_named() {
    let mut bench = Bench::of("nowhere/wms", "");
    let error = bench.try_poll().unwrap_err();
    assert!(matches!(&error, Error::Retry { message, .. } if message.contains("nowhere/wms")), "{error}");
    fs::create_dir_all(bench.path("nowhere/wms")).unwrap();
    bench.write("nowhere/wms/a.csv", "a\n1\n");
    assert_eq!(bench.values().len(), 1);
}

#[test]
fn damaged_gzip_is_tried_again_and_named_after_the_records_before_it() {
    let mut bench = Bench::new("");
    bench.write("a.csv", "a\n1\n");
    let mut bytes = gzip("a\n2\n");
    bytes[12] ^= 0xff;
    bench.write("b.csv.gz", &bytes);
    assert_eq!(bench.try_poll().unwrap().0.len(), 1);
    let error = bench.try_poll().unwrap_err();
    assert!(matches!(&error, Error::Retry { message, .. } if message.contains("b.csv.gz")), "{error}");
    bench.write("b.csv.gz", gzip("a\n2\n"));
    assert_eq!(bench.values(), [r#"{"a":"2"}"#]);
}
