//! Formats: what a file's bytes become.

use super::*;

#[test]
fn retail_configuration_reads_counts_with_key_and_exact_types() {
    let mut bench =
        Bench::new(r#""pattern":"*.csv","key":["sku","warehouse","counted_on"],"types":{"quantity":"int"},"interval":"2s""#);
    bench.write("stock.csv", "sku,warehouse,counted_on,quantity\r\nA-1,HH,2024-03-10,12\r\n\"B \"\"2\"\"\",HH,2024-03-10,\r\n");
    bench.write("readme.txt", "not for us");
    let (got, idle) = bench.try_poll().unwrap();
    assert_eq!(idle, Duration::from_secs(2));
    let first = Got {
        file: "stock.csv".to_owned(),
        line: 2,
        key: r#"{"sku":"A-1","warehouse":"HH","counted_on":"2024-03-10"}"#.to_owned(),
        value: r#"{"sku":"A-1","warehouse":"HH","counted_on":"2024-03-10","quantity":12}"#.to_owned(),
        code: None,
    };
    assert_eq!(got[0], first);
    assert_eq!(got[1].value, r#"{"sku":"B \"2\"","warehouse":"HH","counted_on":"2024-03-10","quantity":null}"#);
    assert_eq!((got.len(), got[1].line), (2, 3));
}

#[test]
fn quoted_field_spans_lines_and_line_numbers_go_on() {
    let mut bench = Bench::new("");
    bench.write("a.csv", "a,b\n1,\"x\ny,\"\"z\n\"\n2,5\" wide\n");
    let got = bench.look();
    assert_eq!(got[0].value, r#"{"a":"1","b":"x\ny,\"z\n"}"#);
    assert_eq!((got[1].line, got[1].value.as_str()), (5, r#"{"a":"2","b":"5\" wide"}"#));
}

#[test]
fn tsv_delimiter_quote_and_names_follow_the_configuration() {
    let mut bench = Bench::new("");
    bench.write("a.tsv", "a\tb\n1,5\t'2'\n");
    assert_eq!(bench.values(), [r#"{"a":"1,5","b":"'2'"}"#]);
    let mut bench = Bench::new(r#""header":false,"columns":["a","b"],"delimiter":";","quote":"'""#);
    bench.write("a.csv", "1;'2;\"3'\n");
    assert_eq!(bench.values(), [r#"{"a":"1","b":"2;\"3"}"#]);
    let mut bench = Bench::new(r#""quote":"""#);
    bench.write("a.csv", "a,b\n\"1,2\n");
    assert_eq!(bench.values(), [r#"{"a":"\"1","b":"2"}"#]);
}

#[test]
fn json_lines_keep_their_bytes() {
    let mut bench = Bench::new(r#""key":["id"]"#);
    bench.write("a.jsonl", "\u{feff}{\"id\": 1.10 }\r\n\n  \n[1]\n{\"id\":2\n{\"no\":1}\n{\"id\":\"x\"}\n");
    let got = bench.look();
    let seen: Vec<_> = got.iter().map(|g| (g.line, g.key.as_str(), g.value.as_str(), g.code.as_deref())).collect();
    assert_eq!(
        seen,
        [
            (1, r#"{"id":1.10}"#, r#"{"id": 1.10 }"#, None),
            (4, "", "[1]", Some("json.not-object")),
            (5, "", "{\"id\":2", Some("json.invalid")),
            (6, "", r#"{"no":1}"#, Some("key.missing")),
            (7, r#"{"id":"x"}"#, r#"{"id":"x"}"#, None),
        ]
    );
}

#[test]
fn gzip_with_several_members_is_read_and_gone_on_with_after_a_restart() {
    let mut bench = Bench::new("");
    let mut bytes = gzip("a\n1\n");
    bench.write("a.csv.gz", &bytes);
    assert_eq!(bench.values(), [r#"{"a":"1"}"#]);
    bytes.extend(gzip("2\n3\n"));
    bench.write("a.csv.gz", &bytes);
    bench.restart();
    assert_eq!(bench.values(), [r#"{"a":"2"}"#, r#"{"a":"3"}"#]);
    // A member that is still being written.
    let third = gzip("4\n5\n");
    bytes.extend(&third[..third.len() - 3]);
    bench.write("a.csv.gz", &bytes);
    let early = bench.values();
    bytes.extend(&third[third.len() - 3..]);
    bench.write("a.csv.gz", &bytes);
    let late = bench.values();
    assert_eq!([early, late].concat(), [r#"{"a":"4"}"#, r#"{"a":"5"}"#]);
}

#[test]
fn line_that_a_cut_gzip_stream_ends_in_is_never_read_as_the_last_one() {
    let mut bench = Bench::new("");
    let rows: Vec<String> = (0..1_000_u32).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9))).collect();
    let bytes = gzip(&format!("a\n{}\n", rows.join("\n")));
    bench.write("a.csv.gz", &bytes[..bytes.len() / 2]);
    let mut values = bench.values();
    assert!(values.len() < 1_000);
    values.extend(bench.values());
    bench.restart();
    values.extend(bench.values());
    bench.write("a.csv.gz", &bytes);
    values.extend(bench.values());
    assert_eq!(values, rows.iter().map(|row| format!("{{\"a\":\"{row}\"}}")).collect::<Vec<_>>());
}

#[test]
fn byte_order_mark_is_skipped_and_utf_16_is_named() {
    let mut bench = Bench::new(r#""key":["a"]"#);
    bench.write("a.csv", "\u{feff}a\n1\n");
    assert_eq!(bench.values(), [r#"{"a":"1"}"#]);
    bench.append("a.csv", "2\n");
    bench.restart();
    assert_eq!(bench.values(), [r#"{"a":"2"}"#]);
    bench.write("b.csv", b"\xff\xfea\0\n\0");
    let error = bench.try_poll().err().or_else(|| bench.try_poll().err()).unwrap();
    assert!(matches!(&error, Error::Fatal(m) if m.contains("b.csv") && m.contains("UTF-16")), "{error}");
}

#[test]
fn poll_stops_at_its_limits_and_the_next_one_goes_on() {
    let mut bench = Bench::new("");
    let rows: Vec<String> = (0..25).map(|n| n.to_string()).collect();
    bench.write("a.csv", format!("a\n{}\n", rows[..20].join("\n")));
    bench.write("b.csv", format!("a\n{}\n", rows[20..].join("\n")));
    bench.limits.records = 7;
    let mut values = Vec::new();
    let mut polls = 0;
    loop {
        let (got, idle) = bench.try_poll().unwrap();
        assert!(got.len() <= 7);
        values.extend(got.into_iter().map(|g| g.value));
        polls += 1;
        bench.restart();
        if !idle.is_zero() {
            break;
        }
    }
    assert_eq!(values, rows.iter().map(|n| format!("{{\"a\":\"{n}\"}}")).collect::<Vec<_>>());
    assert_eq!(polls, 4);
}

#[test]
fn large_file_is_read_whole_through_a_small_window() {
    let mut bench = Bench::new("");
    let row = |n: usize| format!("{n},{}", "x".repeat(n % 300));
    let rows: Vec<String> = (0..20_000).map(row).collect();
    bench.write("a.csv", format!("n,x\n{}\n", rows.join("\n")));
    let mut lines = Vec::new();
    for polls in 0.. {
        let (got, idle) = bench.try_poll().unwrap();
        lines.extend(got.iter().map(|g| g.line));
        if polls % 3 == 0 {
            bench.restart();
        }
        if !idle.is_zero() {
            break;
        }
    }
    assert_eq!(lines, (2..20_002).collect::<Vec<u64>>());
}
