//! What a line stands for, and what none can.

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn read(text: &str) -> Vec<Batch> {
    records(Some(file(text).path()), false, None).unwrap()
}

fn refused(text: &str) -> String {
    format!("{:#}", records(Some(file(text).path()), false, None).unwrap_err())
}

#[test]
fn a_key_and_a_value_are_null_text_bytes_or_json_as_it_stands() {
    let batches = read(
        "{\"key\": \"A-1\", \"value\": {\"n\": 1.50}}\n\n{\"key\": 7, \"value\": null}\n{\"key\": null, \"value\": \"no JSON\"}\n\
         {\"value\": {\"base64\": \"/w==\"}}\n{\"value\": \"\\\"quoted\\\"\"}\n",
    );
    let seen: Vec<_> = batches[0].records().map(|r| (r.key, r.value)).collect();
    assert_eq!(
        seen,
        [
            (Some(&b"A-1"[..]), Some(&b"{\"n\": 1.50}"[..])),
            (Some(b"7"), None),
            (None, Some(b"no JSON")),
            (None, Some(b"\xff")),
            (None, Some(b"\"quoted\"")),
        ]
    );
}

#[test]
fn a_record_without_a_place_follows_the_one_before_it_in_its_partition() {
    let batches = read(
        "{\"value\": 1}\n{\"topic\": \"a\", \"partition\": 2, \"offset\": 41, \"value\": 2}\n\
         {\"topic\": \"a\", \"partition\": 2, \"value\": 3}\n{\"value\": 4}\n",
    );
    let places: Vec<_> = batches[0].records().map(|r| (r.topic.to_owned(), r.partition, r.offset)).collect();
    let place = |topic: &str, partition, offset| (topic.to_owned(), partition, offset);
    assert_eq!(places, [place("try", 0, 0), place("a", 2, 41), place("a", 2, 42), place("try", 0, 1)]);
}

#[test]
fn times_and_headers_are_as_topic_cat_prints_them() {
    let batches = read(
        "{\"timestamp\": \"1970-01-01T00:00:01.500Z\", \"value\": 1, \"headers\": [{\"name\": \"h\", \"value\": \"x\"}, {\"name\": \"n\", \"value\": null}]}\n\
         {\"timestamp\": 7, \"value\": 1}\n{\"timestamp\": \"-\", \"value\": 1}\n",
    );
    let records: Vec<_> = batches[0].records().collect();
    assert_eq!(records.iter().map(|r| r.timestamp).collect::<Vec<_>>(), [1500, 7, -1]);
    assert_eq!(records[0].headers, [(&b"h"[..], Some(&b"x"[..])), (b"n", None)]);
}

#[test]
fn a_line_that_is_no_record_is_named_by_its_number() {
    for (text, reasons) in [
        ("{\"value\": 1}\n{\"id\": 7}", [":2: ", "unknown field `id`", "--values"]),
        ("{\"key\": 1}", [":1: ", "missing field `value`", "--values"]),
        ("{\"value\": 1, \"timestamp\": \"soon\"}", [":1: ", "`timestamp` is \"soon\"", "milliseconds"]),
        ("{\"value\": {\"base64\": \"?\"}}", [":1: ", "no base64", ""]),
        ("{", [":1: ", "EOF", ""]),
        ("{\"value\": 1, \"offset\": -7}", [":1: ", "`offset` is -7", "leave it out"]),
    ] {
        let error = refused(text);
        assert!(reasons.iter().all(|reason| error.contains(reason)), "{error}");
    }
    assert!(format!("{:#}", records(None, false, None).unwrap_err()).contains("--input FILE"));
    let missing = records(Some(Path::new("/no/such/file")), false, None).unwrap_err();
    assert!(format!("{missing:#}").contains("/no/such/file"), "{missing:#}");
}

#[test]
fn records_are_spread_over_as_many_calls_as_asked_for() {
    let file = file(&"{\"value\": 1}\n".repeat(7));
    let sizes = |calls: Option<usize>| {
        let batches = records(Some(file.path()), false, calls.and_then(NonZeroUsize::new)).unwrap();
        batches.iter().map(Batch::len).collect::<Vec<_>>()
    };
    assert_eq!(sizes(None), [7]);
    assert_eq!(sizes(Some(3)), [3, 3, 1]);
    assert_eq!(sizes(Some(100)), [1; 7]);
}

#[test]
fn a_call_has_no_more_records_and_bytes_than_in_a_deployment() {
    let sizes = |text: &str| read(text).iter().map(Batch::len).collect::<Vec<_>>();
    assert_eq!(sizes(&"{\"value\": 1}\n".repeat(2001)), [1000, 1000, 1]);
    // Two of 400 kB fit in 1 MiB, three do not; one that is larger by itself goes alone.
    let line = |bytes: usize| format!("{{\"value\": \"{}\"}}\n", "x".repeat(bytes));
    assert_eq!(sizes(&(line(400_000).repeat(3) + &line(2_000_000) + &line(1))), [2, 1, 1, 1]);
}

#[test]
fn with_values_each_line_is_a_value_as_it_stands_text_or_not() {
    let file = file("");
    std::fs::write(file.path(), b"{\"id\": 1}\r\n\nno JSON\n\xff\xfe").unwrap();
    let batches = records(Some(file.path()), true, None).unwrap();
    let values: Vec<_> = batches[0].records().map(|r| r.value.unwrap().to_vec()).collect();
    assert_eq!(values, [b"{\"id\": 1}".to_vec(), b"no JSON".to_vec(), b"\xff\xfe".to_vec()]);
    let error = format!("{:#}", records(Some(file.path()), false, None).unwrap_err());
    assert!(error.contains(":1: unknown field `id`"), "{error}");
    std::fs::write(file.path(), b"{\"value\": 1}\n{\"value\": \"\xff\"}\n").unwrap();
    let error = format!("{:#}", records(Some(file.path()), false, None).unwrap_err());
    assert!([":2: byte 12 is no UTF-8", "base64", "--values"].iter().all(|part| error.contains(part)), "{error}");
}

#[test]
fn an_input_that_memory_should_not_hold_is_refused_with_a_way_to_make_it_smaller() {
    let file = file("");
    file.as_file().set_len(LARGEST as u64 + 1).unwrap();
    let error = format!("{:#}", records(Some(file.path()), true, None).unwrap_err());
    assert!(error.contains("larger than 64 MiB") && error.contains("head -n 1000"), "{error}");
}

#[test]
fn positions_are_read_and_anything_else_is_refused() {
    let good = file("{\"slice\": \"a\", \"place\": {\"n\":1}}\n{\"slice\": \"b\", \"place\": \"x\"}\n");
    let position = |slice: &str, place: &[u8]| Position { slice: slice.to_owned(), place: place.to_vec() };
    assert_eq!(positions(Some(good.path())).unwrap(), [position("a", b"{\"n\":1}"), position("b", b"x")]);
    assert!(positions(None).unwrap().is_empty());
    let error = format!("{:#}", positions(Some(file("{\"value\": 1}").path())).unwrap_err());
    assert!(error.contains("stored position"), "{error}");
}
