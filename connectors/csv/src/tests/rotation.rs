//! Files that are renamed, truncated, replaced or taken away.

use super::*;

fn bench() -> Bench {
    let bench = Bench::new(r#""pattern":"*.csv""#);
    bench.write("app.csv", "a\n1\n");
    bench
}

#[test]
fn rotated_file_goes_on_under_its_new_name_and_the_new_one_begins_at_its_beginning() {
    for restart in [false, true] {
        let mut bench = bench();
        assert_eq!(bench.values(), [r#"{"a":"1"}"#]);
        bench.append("app.csv", "2\n");
        bench.rename("app.csv", "app.csv.1");
        bench.write("app.csv", "a\n3\n");
        if restart {
            bench.restart();
        }
        let got = bench.look();
        let seen: Vec<_> = got.iter().map(|g| (g.file.as_str(), g.line, g.value.as_str())).collect();
        assert_eq!(seen, [("app.csv", 2, r#"{"a":"3"}"#), ("app.csv.1", 3, r#"{"a":"2"}"#)]);
        assert_eq!(bench.slices(), ["app.csv", "app.csv.1"]);
    }
}

#[test]
fn second_rotation_shifts_all_names_and_repeats_nothing() {
    let mut bench = bench();
    bench.look();
    for n in 2..5 {
        bench.append("app.csv", "x\n");
        for k in (1..n - 1).rev() {
            bench.rename(&format!("app.csv.{k}"), &format!("app.csv.{}", k + 1));
        }
        bench.rename("app.csv", "app.csv.1");
        bench.write("app.csv", format!("a\n{n}\n"));
        bench.restart();
        let mut values = bench.values();
        values.sort();
        assert_eq!(values, [format!("{{\"a\":\"{n}\"}}"), r#"{"a":"x"}"#.to_owned()]);
    }
    assert_eq!(bench.slices(), ["app.csv", "app.csv.1", "app.csv.2", "app.csv.3"]);
}

#[test]
fn rotation_that_compresses_goes_on_in_the_compressed_file() {
    let mut bench = bench();
    bench.look();
    fs::remove_file(bench.path("app.csv")).unwrap();
    bench.write("app.csv.1.gz", gzip("a\n1\n2\n"));
    bench.write("app.csv", "a\n3\n");
    assert_eq!(bench.values(), [r#"{"a":"3"}"#, r#"{"a":"2"}"#]);
}

#[test]
fn rotation_by_copy_and_truncation_goes_on_in_the_copy() {
    let mut bench = bench();
    bench.look();
    bench.append("app.csv", "2\n");
    fs::copy(bench.path("app.csv"), bench.path("app.csv.1")).unwrap();
    bench.write("app.csv", "");
    assert_eq!(bench.values(), [r#"{"a":"2"}"#]);
    bench.append("app.csv", "a\n3\n");
    assert_eq!(bench.values(), [r#"{"a":"3"}"#]);
}

#[test]
fn renamed_file_whose_name_still_fits_is_not_read_again() {
    let mut bench = bench();
    bench.look();
    bench.rename("app.csv", "old.csv");
    assert_eq!(bench.values(), Vec::<String>::new());
    assert_eq!(bench.slices(), ["old.csv"]);
    bench.append("old.csv", "2\n");
    assert_eq!(bench.look()[0].line, 3);
}

#[test]
fn truncated_file_begins_anew() {
    let mut bench = bench();
    bench.append("app.csv", "2\n");
    bench.look();
    bench.write("app.csv", "a\n9\n");
    let got = bench.look();
    assert_eq!(got.iter().map(|g| (g.line, g.value.as_str())).collect::<Vec<_>>(), [(2, r#"{"a":"9"}"#)]);
}

#[test]
fn replaced_file_is_noticed_by_the_bytes_before_the_place_also_when_it_is_longer() {
    let head = format!("a\n{}", "same\n".repeat(1_000));
    for name in ["app.csv", "app.csv.gz"] {
        let pack = |content: String| if name.ends_with("gz") { gzip(&content) } else { content.into_bytes() };
        let mut bench = Bench::new("");
        bench.limits.records = 10_000;
        bench.write(name, pack(format!("{head}one\n")));
        assert_eq!(bench.look().len(), 1_001);
        bench.write(name, pack(format!("{head}two\nthree\n")));
        bench.restart();
        assert_eq!(bench.look().len(), 1_002, "{name}");
        assert_eq!(bench.look().len(), 0);
    }
}

#[test]
fn replaced_file_is_noticed_by_its_first_bytes() {
    let mut bench = Bench::new("");
    let rows = "same\n".repeat(1_000);
    bench.write("app.csv", format!("a\n1\n{rows}"));
    bench.limits.records = 10_000;
    assert_eq!(bench.look().len(), 1_001);
    bench.write("app.csv", format!("a\n2\n{rows}"));
    assert_eq!(bench.look().len(), 1_001);
}

#[test]
fn file_that_comes_back_under_another_name_goes_on() {
    let mut bench = bench();
    bench.look();
    let elsewhere = TempDir::new().unwrap();
    let aside = elsewhere.path().join("aside");
    fs::rename(bench.path("app.csv"), &aside).unwrap();
    bench.look();
    assert!(bench.place("app.csv").gone.is_some());
    fs::rename(&aside, bench.path("old.csv")).unwrap();
    assert_eq!(bench.values(), Vec::<String>::new());
    assert_eq!((bench.slices(), bench.place("old.csv").gone), (vec!["old.csv"], None));
}

#[test]
fn replaced_file_of_the_same_size_within_a_tick_of_the_clock_is_noticed() {
    let mut bench = bench();
    bench.look();
    let modified = fs::metadata(bench.path("app.csv")).unwrap().modified().unwrap();
    bench.write("app.csv", "a\n2\n");
    fs::File::options().write(true).open(bench.path("app.csv")).unwrap().set_modified(modified).unwrap();
    assert_eq!(bench.values(), [r#"{"a":"2"}"#]);
}

#[test]
fn file_that_is_gone_keeps_its_position_for_seven_days() {
    let mut bench = bench();
    bench.look();
    let content = fs::read(bench.path("app.csv")).unwrap();
    fs::remove_file(bench.path("app.csv")).unwrap();
    assert_eq!(bench.values(), Vec::<String>::new());
    let gone = bench.place("app.csv").gone.unwrap();
    bench.write("app.csv", [&content, b"2\n".as_slice()].concat());
    assert_eq!(bench.values(), [r#"{"a":"2"}"#]);
    assert_eq!(bench.place("app.csv").gone, None);
    fs::remove_file(bench.path("app.csv")).unwrap();
    bench.look();
    let source = bench.source.as_mut().unwrap();
    source.files.look(&source.config, gone + 6 * 24 * 3_600_000).unwrap();
    assert_eq!(source.files.positions().unwrap(), []);
    source.files.look(&source.config, gone + 8 * 24 * 3_600_000).unwrap();
    assert_eq!(source.files.positions().unwrap(), [Position::forget("app.csv")]);
}

#[test]
fn file_that_was_written_after_another_was_missed_is_not_taken_for_it() {
    let mut bench = bench();
    bench.look();
    fs::remove_file(bench.path("app.csv")).unwrap();
    bench.look();
    // As if it had been missed long ago: the copy below is newer.
    let mut place = bench.place("app.csv");
    place.gone = Some(1_000_000);
    bench.positions = vec![Position::json("app.csv", &place).unwrap()];
    bench.restart();
    bench.write("tomorrow.csv", "a\n1\n2\n");
    assert_eq!(bench.values(), [r#"{"a":"1"}"#, r#"{"a":"2"}"#]);
}

#[test]
fn single_file_is_followed_when_it_is_rotated() {
    let mut bench = Bench::of("app.csv", "");
    bench.write("app.csv", "a\n1\n");
    bench.look();
    bench.append("app.csv", "2\n");
    bench.rename("app.csv", "app.csv.1");
    assert_eq!(bench.values(), [r#"{"a":"2"}"#]);
    bench.restart();
    bench.append("app.csv.1", "3\n");
    bench.write("app.csv", "a\n4\n");
    assert_eq!(bench.values(), [r#"{"a":"4"}"#, r#"{"a":"3"}"#]);
}
