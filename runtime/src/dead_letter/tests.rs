use super::*;

fn letters() -> DeadLetters {
    DeadLetters {
        topic: "dlq.retail.sink".to_owned(),
        deployment: "retail".to_owned(),
        connector: "sink".to_owned(),
        task: 2,
        component: "sql".to_owned(),
        keep_value: true,
        max_record_bytes: 1_000_000,
        topic_ids: [("erp.orders".to_owned(), "id-1".to_owned())].into(),
    }
}

const RECORD: Record<'static> = Record {
    topic: "erp.orders",
    partition: 3,
    offset: 42,
    timestamp: 1_700_000_000_000,
    key: Some(b"k"),
    value: Some(b"\xff\x00v"),
    headers: Vec::new(),
    attempt: 1,
};

/// The letter of a record: its batch, to be read.
fn letter(letters: &DeadLetters, record: &Record<'_>, rejection: &Rejection) -> Batch {
    let mut batch = Batch::default();
    letters.push(&mut batch, record, Stage::TaskPut, rejection);
    batch
}

fn header(batch: &Batch, name: &str) -> Option<String> {
    let record = batch.records().next().unwrap();
    let found = record.headers.iter().find(|(n, _)| *n == name.as_bytes())?;
    Some(String::from_utf8(found.1.unwrap().to_vec()).unwrap())
}

#[test]
fn a_record_is_kept_byte_for_byte_with_its_own_headers_first() {
    let record = Record { headers: vec![(b"\xfe", None), (b"trace", Some(b"1")), (b"trace", Some(b"2"))], ..RECORD };
    let batch = letter(&letters(), &record, &Rejection::new("sql.type", "no number"));
    let kept = batch.records().next().unwrap();
    assert_eq!((kept.topic, kept.partition, kept.offset), ("dlq.retail.sink", -1, -1));
    assert_eq!((kept.key, kept.value, kept.timestamp), (record.key, record.value, record.timestamp));
    assert_eq!(kept.headers[..3], record.headers);
}

#[test]
fn place_and_reason_stand_under_kafka_connects_names() {
    let rejection = Rejection { field: Some("/total".to_owned()), ..Rejection::new("sql.type", "no number") };
    let batch = letter(&letters(), &RECORD, &rejection);
    let expected = [
        ("__connect.errors.topic", "erp.orders"),
        ("__connect.errors.partition", "3"),
        ("__connect.errors.offset", "42"),
        ("wharf.topic-id", "id-1"),
        ("__connect.errors.connector.name", "sink"),
        ("__connect.errors.task.id", "2"),
        ("__connect.errors.stage", "TASK_PUT"),
        ("__connect.errors.class.name", "sql"),
        ("__connect.errors.exception.class.name", "sql.type"),
        ("__connect.errors.exception.message", "no number"),
        ("wharf.deployment", "retail"),
        ("wharf.code", "sql.type"),
        ("wharf.field", "/total"),
        ("wharf.attempt", "1"),
    ];
    for (name, value) in expected {
        assert_eq!(header(&batch, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn a_source_s_record_has_no_place_in_a_topic_yet() {
    let record = Record { partition: -1, offset: -1, ..RECORD };
    let batch = letter(&letters(), &record, &Rejection::new("csv.width", "narrow"));
    assert_eq!(header(&batch, "__connect.errors.partition"), None);
    assert_eq!(header(&batch, "__connect.errors.offset"), None);
}

#[test]
fn a_letter_that_dies_again_counts_its_attempts_and_keeps_one_reason() {
    let first = letter(&letters(), &RECORD, &Rejection::new("sql.type", "first"));
    let again = first.records().next().unwrap();
    let second = letter(&letters(), &again, &Rejection::new("sql.unique", "second"));
    assert_eq!(header(&second, "wharf.attempt").as_deref(), Some("2"));
    assert_eq!(header(&second, "wharf.code").as_deref(), Some("sql.unique"));
    let codes = second.records().next().unwrap().headers.iter().filter(|(name, _)| *name == b"wharf.code").count();
    assert_eq!(codes, 1);
}

#[test]
fn an_oversize_record_keeps_its_first_64_kib_with_size_and_hash_of_the_whole() {
    let value = vec![b'x'; 2_000_000];
    let record = Record { value: Some(&value), ..RECORD };
    let batch = letter(&letters(), &record, &Rejection::new("record.oversize", "large"));
    let kept = batch.records().next().unwrap();
    assert_eq!((kept.key, kept.value.unwrap().len()), (RECORD.key, 64 * 1024));
    assert_eq!(header(&batch, "wharf.truncated").as_deref(), Some("value"));
    assert_eq!(header(&batch, "wharf.size").as_deref(), Some("2000000"));
    // sha256sum of 2,000,000 times `x`.
    let hash = crate::transform::hex(&Sha256::digest(&value));
    assert_eq!(header(&batch, "wharf.sha256"), Some(hash));
}

#[test]
fn where_content_may_not_be_kept_only_place_and_reason_are() {
    let record = Record { headers: vec![(b"email", Some(b"a@b"))], ..RECORD };
    let batch = letter(&DeadLetters { keep_value: false, ..letters() }, &record, &Rejection::new("sql.type", "no number"));
    let kept = batch.records().next().unwrap();
    assert_eq!((kept.key, kept.value), (None, None));
    assert_eq!(header(&batch, "email"), None);
    assert_eq!(header(&batch, "wharf.omitted").as_deref(), Some("key,value,headers"));
    assert_eq!(header(&batch, "__connect.errors.offset").as_deref(), Some("42"));
}

#[test]
fn a_tombstone_stays_one() {
    let batch = letter(&letters(), &Record { value: None, ..RECORD }, &Rejection::new("key.missing", "no key"));
    assert_eq!(batch.records().next().unwrap().value, None);
}

/// Key, value, headers' names and values, and what goes with each.
fn measured(letter: &Record<'_>) -> usize {
    let headers: usize = letter.headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len) + OVERHEAD).sum();
    size(letter.key) + size(letter.value) + headers + OVERHEAD
}

#[test]
fn a_letter_is_never_larger_than_a_record_may_be_with_all_that_is_said_in_it() {
    let letters = letters();
    let rejection = Rejection { field: Some("name".to_owned()), ..Rejection::new("sql.type", "m".repeat(5000)) };
    for bytes in (996_000..=1_000_001).step_by(97) {
        let value = vec![b'x'; bytes];
        let record = Record { topic: "orders", value: Some(&value), ..RECORD };
        let mut into = Batch::default();
        letters.push(&mut into, &record, Stage::TaskPut, &rejection);
        let letter = into.records().next().unwrap();
        assert!(measured(&letter) <= letters.max_record_bytes, "{bytes}: {}", measured(&letter));
        let cut = letter.headers.iter().any(|(name, _)| *name == headers::TRUNCATED.as_bytes());
        assert_eq!(cut, letter.value != Some(&value), "{bytes}");
        let whole = measured(&Record { value: Some(&value), ..letter });
        assert_eq!(cut, whole > letters.max_record_bytes, "{bytes}: nothing is cut that fits");
    }
}

#[test]
fn what_the_log_refused_for_its_size_is_cut_whatever_it_measures() {
    let letters = letters();
    let value = vec![b'x'; 100_000];
    let record = Record { topic: "orders", value: Some(&value), ..RECORD };
    let mut into = Batch::default();
    letters.push(&mut into, &record, Stage::KafkaProduce, &Rejection::new(OVERSIZE, "too large"));
    letters.push(&mut into, &record, Stage::TaskPut, &Rejection::new("sql.type", "bad"));
    assert_eq!(into.records().map(|letter| size(letter.value)).collect::<Vec<_>>(), [KEPT, value.len()]);
}

#[test]
fn a_letter_that_the_log_refused_is_cut_once_with_all_that_it_says() {
    let letters = letters();
    let value = vec![b'x'; 100_000];
    let record = Record { topic: "orders", value: Some(&value), headers: vec![(b"theirs", Some(b"1"))], ..RECORD };
    let whole = letter(&letters, &record, &Rejection::new("csv.int", "no number"));
    let mut cut = Batch::default();
    assert!(letters.push_again(&mut cut, &whole.records().next().unwrap(), OVERSIZE));
    let now = cut.records().next().unwrap();
    assert_eq!((now.topic, now.key, size(now.value)), ("dlq.retail.sink", RECORD.key, KEPT));
    for (name, value) in whole.records().next().unwrap().headers {
        assert_eq!(now.headers.iter().filter(|header| **header == (name, value)).count(), 1, "{name:?}");
    }
    assert_eq!(header(&cut, "wharf.truncated").as_deref(), Some("value"));
    assert_eq!(header(&cut, "wharf.size").as_deref(), Some("100000"));
    assert_eq!(header(&cut, "wharf.sha256"), Some(crate::transform::hex(&Sha256::digest(&value))));
    let mut again = Batch::default();
    assert!(!letters.push_again(&mut again, &now, OVERSIZE), "there is nothing left to cut");
    assert_eq!(again.len(), 0);
}

#[test]
fn a_letter_whose_time_the_log_refused_has_that_of_now_and_keeps_the_records() {
    let letters = letters();
    let first = letter(&letters, &RECORD, &Rejection::new(REFUSED, "invalid timestamp"));
    let mut made = Batch::default();
    assert!(letters.push_again(&mut made, &first.records().next().unwrap(), REFUSED));
    let now = made.records().next().unwrap();
    assert!(now.timestamp > RECORD.timestamp, "{}", now.timestamp);
    assert_eq!(header(&made, "wharf.timestamp").as_deref(), Some("1700000000000"));
    assert_eq!((now.key, now.value), (RECORD.key, RECORD.value));
    let read = crate::redrive::Letter::of(&now).unwrap();
    assert_eq!(read.timestamp, RECORD.timestamp, "and it is redriven with it");
    assert!(!letters.push_again(&mut Batch::default(), &now, REFUSED), "there is nothing left to change");
}
