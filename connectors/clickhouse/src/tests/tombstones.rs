//! Tombstones as rows, and the columns of the key.

use wharf_sdk::Error;

use super::*;

/// `orders` with a column for tombstones behind the others; `noted` has a default of its own.
fn marked() -> String {
    let column = r#"{"name": "_deleted", "type": "UInt8", "default_type": ""}"#;
    let (before, after) = ORDERS.split_at(ORDERS.find("\t],\n\n\t\"rows\"").unwrap());
    format!("{before}, {column}{}", after.replacen('7', "8", 1))
}

const MARKED: &str = r#", "key": ["id"], "deleted": "_deleted""#;

fn marking() -> Shared {
    let fake = server();
    fake.borrow_mut().described.1 = marked();
    fake
}

fn keyed(records: &[(Option<&str>, Option<&str>)]) -> Batch {
    testing::batch("t", records.iter().copied())
}

/// Numbers, offsets and marks of the rows that were sent, insert by insert.
fn sent_marked(fake: &Shared) -> Vec<Vec<(u32, i64, u8)>> {
    let length = row(0, 0).len() + 1;
    let of = |row: &[u8]| {
        let (id, offset) = (row[..4].try_into().unwrap(), row[11..19].try_into().unwrap());
        (u32::from_le_bytes(id), i64::from_le_bytes(offset), row[length - 1])
    };
    fake.borrow().inserts.iter().map(|insert| insert.body.chunks(length).map(of).collect()).collect()
}

#[test]
fn a_tombstone_is_a_row_of_its_key_its_place_and_the_mark_with_the_rest_at_its_default() {
    let fake = marking();
    let records = [(Some("7"), Some(r#"{"id": 7}"#)), (Some(r#"{"id": 7, "name": "of the key"}"#), None), (Some("8"), None)];
    assert!(sink(MARKED).write(&keyed(&records)).unwrap().is_empty());
    let (inserts, plain) = (fake.borrow().inserts.clone(), row(0, 0));
    let expected = [(row(7, 0), 0), (row(7, 1), 1), (row(8, 2), 1)].map(|(row, mark)| [row, vec![mark]].concat());
    assert_eq!((inserts.len(), inserts[0].body.len()), (1, 3 * (plain.len() + 1)));
    assert_eq!(inserts[0].body, expected.concat());
    assert!(inserts[0].statement.contains("`_deleted`") && !inserts[0].statement.contains("noted"), "{}", inserts[0].statement);
}

#[test]
fn a_key_that_cannot_be_read_is_a_dead_letter_of_that_tombstone_alone() {
    let fake = marking();
    let records = [
        (None, None),
        (Some("a-7"), None),
        (Some("[7]"), None),
        (Some("{\"id\": 7"), None),
        (Some(r#"{"name": "x"}"#), None),
        (Some("null"), None),
        (Some(r#"{"id": null}"#), None),
        (Some("-1"), None),
        (Some(r#"{"id": 1, "id": 2}"#), None),
        (Some("9"), None),
    ];
    let outcomes = sink(MARKED).write(&keyed(&records)).unwrap();
    let expected = [
        "key.missing",
        "key.json",
        "key.json",
        "key.json",
        "key.missing",
        "key.missing",
        "key.missing",
        "clickhouse.type",
        "key.json",
        "",
    ];
    assert_eq!(codes(&outcomes, 10), expected);
    assert_eq!(sent_marked(&fake), [vec![(9, 9, 1)]]);
}

#[test]
fn a_key_of_several_columns_is_an_object_of_all_of_them() {
    let fake = marking();
    let mut sink = sink(r#", "key": ["id", "name"], "deleted": "_deleted", "columns": {"ID": "id"}"#);
    let records = [(Some("7"), None), (Some(r#"{"ID": 7}"#), None), (Some(r#"{"ID": 7, "name": "x"}"#), None)];
    assert_eq!(codes(&sink.write(&keyed(&records)).unwrap(), 3), ["key.json", "key.missing", ""]);
    let body = fake.borrow().inserts[0].body.clone();
    assert_eq!(body[..7], [&7_u32.to_le_bytes()[..], &[0, 1, b'x']].concat());
}

#[test]
fn a_value_without_its_key_s_fields_takes_them_from_the_record_s_key() {
    let fake = marking();
    let records = [
        (Some("7"), Some(r#"{"name": null}"#)),
        (Some("8"), Some(r#"{"id": 9}"#)),
        (Some("no json"), Some("{}")),
        (None, Some(r#"{"id": null}"#)),
        (Some("no json"), Some(r#"{"id": 10}"#)),
    ];
    let outcomes = sink(MARKED).write(&keyed(&records)).unwrap();
    assert_eq!(codes(&outcomes, 5), ["", "", "key.missing", "key.missing", ""]);
    assert_eq!(sent_marked(&fake), [vec![(7, 0, 0), (9, 1, 0), (10, 4, 0)]]);
}

#[test]
fn a_record_cannot_say_itself_that_it_is_deleted() {
    marking();
    let outcomes = sink(MARKED).write(&batch(&[r#"{"id": 1, "_deleted": 1}"#])).unwrap();
    assert_eq!(codes(&outcomes, 1), ["clickhouse.column"]);
}

#[test]
fn a_tombstone_that_the_table_holds_is_not_written_twice() {
    let fake = marking();
    fake.borrow_mut().held = vec![(0, -1, 1)];
    assert!(sink(MARKED).write(&keyed(&[(Some("7"), None), (Some("8"), None)])).unwrap().is_empty());
    assert_eq!(sent_marked(&fake), [vec![(8, 1, 1)]]);
}

#[test]
fn a_table_that_cannot_hold_the_mark_or_the_key_stops_the_sink_with_what_to_do() {
    let fake = server();
    let why = |more: &str| match sink(more).write(&orders(&[1])) {
        Err(Error::Fatal(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(why(MARKED).contains("ALTER TABLE `default`.`orders` ADD COLUMN `_deleted` UInt8"));
    assert!(why(r#", "key": ["id"], "deleted": "name""#).contains("ordinary column of type UInt8"));
    assert!(why(r#", "key": ["no"]"#).contains("has no column `no`, which `key` names"));
    fake.borrow_mut().described.1 = ORDERS.replacen("UInt32", "Tuple(UInt8)", 1);
    assert!(why(r#", "key": ["id"]"#).contains("takes no values"));
}
