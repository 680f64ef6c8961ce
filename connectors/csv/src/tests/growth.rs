//! Files that grow: what is read when, and last lines without an end of line.

use super::*;

#[test]
fn appended_rows_are_read_and_nothing_twice() {
    let mut bench = Bench::new("");
    bench.write("a.csv", "a\n1\n");
    assert_eq!(bench.values(), [r#"{"a":"1"}"#]);
    assert_eq!(bench.values(), Vec::<String>::new());
    bench.append("a.csv", "2\n3\n");
    let got = bench.look();
    assert_eq!(got.iter().map(|g| (g.line, g.value.as_str())).collect::<Vec<_>>(), [(3, r#"{"a":"2"}"#), (4, r#"{"a":"3"}"#)]);
    bench.restart();
    assert_eq!(bench.values(), Vec::<String>::new());
}

#[test]
fn look_that_finds_nothing_new_stores_no_position() {
    let mut bench = Bench::new("");
    bench.write("a.csv", "a\n1");
    for _ in 0..3 {
        bench.look();
    }
    let polled = bench.source.as_mut().unwrap().poll(bench.limits).unwrap();
    assert_eq!((polled.records.len(), polled.positions), (0, Vec::new()));
}

#[test]
fn new_files_are_read_in_order_of_names() {
    let mut bench = Bench::new("");
    for name in ["c", "a", "b"] {
        bench.write(&format!("{name}.csv"), format!("a\n{name}\n"));
    }
    bench.write(".hidden.csv", "a\nx\n");
    fs::create_dir(bench.path("folder.csv")).unwrap();
    assert_eq!(bench.values(), [r#"{"a":"a"}"#, r#"{"a":"b"}"#, r#"{"a":"c"}"#]);
    bench.write("aa.csv", "a\naa\n");
    assert_eq!(bench.values(), [r#"{"a":"aa"}"#]);
}

#[test]
fn incomplete_last_line_is_read_at_the_second_look_that_finds_it_unchanged() {
    for restart in [false, true] {
        let mut bench = Bench::new("");
        bench.write("a.csv", "a\n1\n23");
        assert_eq!(bench.values(), [r#"{"a":"1"}"#]);
        if restart {
            bench.restart();
        }
        let got = bench.look();
        assert_eq!(got.iter().map(|g| (g.line, g.value.as_str())).collect::<Vec<_>>(), [(3, r#"{"a":"23"}"#)]);
        assert_eq!(bench.values(), Vec::<String>::new());
    }
}

#[test]
fn incomplete_last_line_of_a_growing_file_is_not_read() {
    let mut bench = Bench::new("");
    bench.write("a.csv", "a\n1\n2");
    assert_eq!(bench.values(), [r#"{"a":"1"}"#]);
    bench.append("a.csv", "3");
    assert_eq!(bench.values(), Vec::<String>::new());
    bench.append("a.csv", "4\n5\n");
    assert_eq!(bench.values(), [r#"{"a":"234"}"#, r#"{"a":"5"}"#]);
}

#[test]
fn source_is_not_at_rest_before_an_incomplete_last_line_is_read() {
    for (file, first) in [("a\n1", 0), ("a\n0\n1", 1)] {
        let mut bench = Bench::new(r#""interval": "1ms""#);
        bench.write("a.csv", file);
        let (got, idle) = bench.try_poll().unwrap();
        assert_eq!((got.len(), idle), (first, Duration::ZERO));
        bench.limits.wait = Duration::from_secs(60);
        let (got, idle) = bench.try_poll().unwrap();
        assert_eq!((got[0].value.as_str(), idle), (r#"{"a":"1"}"#, Duration::from_millis(1)));
    }
}

#[test]
fn a_poll_waits_for_an_incomplete_last_line_no_longer_than_it_may() {
    let mut bench = Bench::new(r#""interval": "1h""#);
    bench.write("a.csv", "a\n1");
    for _ in 0..3 {
        assert_eq!(bench.try_poll().unwrap(), (Vec::new(), Duration::ZERO));
    }
    assert_eq!(bench.place("a.csv").rest, 1, "its position is stored meanwhile");
}

#[test]
fn last_line_that_was_read_without_its_end_is_not_read_again_when_only_the_end_comes() {
    for (end, restart) in [("\n", false), ("\r\n", false), ("\n", true)] {
        let mut bench = Bench::new("");
        bench.write("a.csv", "a\n1\n2");
        bench.look();
        assert_eq!(bench.values(), [r#"{"a":"2"}"#]);
        if restart {
            bench.restart();
        }
        bench.append("a.csv", &format!("{end}3\n"));
        let got = bench.look();
        assert_eq!(got.iter().map(|g| (g.line, g.value.as_str())).collect::<Vec<_>>(), [(4, r#"{"a":"3"}"#)]);
    }
}

#[test]
fn last_line_that_was_read_and_then_grew_is_read_again_whole() {
    for name in ["a.csv", "a.jsonl"] {
        let mut bench = Bench::new(r#""header":false,"columns":["a"]"#);
        bench.write(name, "{}\n{}");
        bench.look();
        assert_eq!(bench.look().len(), 1);
        bench.append(name, " ");
        assert_eq!(bench.values(), Vec::<String>::new());
        let got = bench.look();
        assert_eq!(got.iter().map(|g| g.line).collect::<Vec<_>>(), [2], "{name}");
        bench.append(name, " \n{}\n");
        assert_eq!(bench.look().iter().map(|g| g.line).collect::<Vec<_>>(), [2, 3], "{name}");
    }
}

#[test]
fn header_may_come_in_pieces() {
    let mut bench = Bench::new("");
    bench.write("a.csv", "");
    assert_eq!(bench.values(), Vec::<String>::new());
    bench.append("a.csv", "a,");
    assert_eq!(bench.values(), Vec::<String>::new());
    assert_eq!(bench.values(), Vec::<String>::new());
    bench.append("a.csv", "b\n1,2\n");
    assert_eq!(bench.values(), [r#"{"a":"1","b":"2"}"#]);
}

#[test]
fn end_of_line_that_comes_in_two_halves_is_one() {
    let mut bench = Bench::new("");
    bench.write("a.csv", "a\r\n1\r");
    assert_eq!(bench.values(), Vec::<String>::new());
    bench.append("a.csv", "\n2\r\n");
    let got = bench.look();
    assert_eq!(got.iter().map(|g| (g.line, g.value.as_str())).collect::<Vec<_>>(), [(2, r#"{"a":"1"}"#), (3, r#"{"a":"2"}"#)]);
}

#[test]
fn single_file_is_read_and_its_neighbours_are_not() {
    let mut bench = Bench::of("a.csv", "");
    assert_eq!(bench.values(), Vec::<String>::new());
    bench.write("b.csv", "a\n2\n");
    bench.write("a.csv", "a\n1\n");
    assert_eq!(bench.values(), [r#"{"a":"1"}"#]);
    bench.restart();
    assert_eq!(bench.values(), Vec::<String>::new());
    assert_eq!(bench.slices(), ["a.csv"]);
}
