//! The fields of a binary COPY: fixed vectors, as PostgreSQL 15 prints them for `select encode(numeric_send(…), 'hex')` and
//! `select encode(timestamptz_send(…), 'hex')`.

use wharf_bench::limit::postgres::copy::{micros, numeric, timestamptz};
use wharf_bench::limit::postgres::order::Order;

/// The bytes after the length, where that is right.
fn field(encode: impl Fn(&mut Vec<u8>)) -> Option<String> {
    let mut out = vec![7, 7, 7];
    encode(&mut out);
    let (length, bytes) = out.get(3..)?.split_first_chunk::<4>()?;
    let right = usize::try_from(i32::from_be_bytes(*length)) == Ok(bytes.len());
    right.then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[test]
fn numerics_as_postgresql_sends_them() {
    let vectors = [
        ("0", "0000000000000000"),
        ("-0", "0000000000000000"),
        ("0.00", "0000000000000002"),
        ("0.05", "0001ffff0000000201f4"),
        ("-0.05", "0001ffff4000000201f4"),
        ("1234567.89", "0003000100000002007b11d722c4"),
        ("-1234567.89", "0003000140000002007b11d722c4"),
        ("129.95", "00020000000000020081251c"),
        ("10000", "00010001000000000001"),
        ("100000000", "00010002000000000001"),
        ("1000000000000", "00010003000000000001"),
        ("0.00000001", "0001fffe000000080001"),
        ("12345", "000200010000000000010929"),
        ("1.10", "0002000000000002000103e8"),
        ("00012.5", "0002000000000001000c1388"),
        ("10000.0001", "0003000100000004000100000001"),
        ("99999999999999999999.5", "0006000400000001270f270f270f270f270f1388"),
    ];
    for (decimal, expected) in vectors {
        assert_eq!(field(|out| numeric(out, decimal).unwrap()).as_deref(), Some(expected), "{decimal}");
    }
}

#[test]
fn what_is_no_decimal_is_refused() {
    for text in ["", "-", ".", "1.", ".5", "+1", "1e3", "1,5", "--1", "1.2.3", " 1", "1 ", "NaN", "１"] {
        assert!(numeric(&mut Vec::new(), text).is_err(), "{text}");
    }
}

#[test]
fn timestamps_as_postgresql_sends_them() {
    let vectors = [
        ("2026-11-01T10:00:00.000000Z", "00030232dc6ec800"),
        ("1999-12-31T23:59:59.999999Z", "ffffffffffffffff"),
        ("2000-01-01T00:00:00Z", "0000000000000000"),
        ("1970-01-01T00:00:00.5Z", "fffca2fec4cfc120"),
        ("2024-02-29T12:34:56.789+05:30", "0002b57ea5468008"),
        ("1899-12-31T00:00:00-08:00", "fff4c9e112d14000"),
        ("2000-03-01T00:00:00Z", "000004b6fe7a8000"),
        ("0001-01-01T00:00:00Z", "ff1fe2ffc59c6000"),
        ("9999-12-31T23:59:59.999999Z", "0380e70b913b7fff"),
        ("2016-12-31T23:59:60Z", "0001e7fbe286c000"),
    ];
    for (text, expected) in vectors {
        assert_eq!(field(|out| timestamptz(out, text).unwrap()).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_is_no_timestamp_is_refused() {
    let texts = [
        "",
        "2026-11-01",
        "2026-11-01T10:00:00",
        "2026-13-01T10:00:00Z",
        "2026-02-29T10:00:00Z",
        "2026-11-31T10:00:00Z",
        "2026-11-00T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-01T24:00:00Z",
        "2026-11-01T10:60:00Z",
        "2026-11-01T10:00:61Z",
        "2026-11-01T10:00:00.Z",
        "2026-11-01T10:00:00.1234567Z",
        "2026-11-01T10:00:00+0100",
        "2026-11-01T10:00:00+16:00",
        "2026-11-01T10:00:00Zz",
        "2026-1a-01T10:00:00Z",
        "２026-11-01T10:00:00Z",
    ];
    for text in texts {
        assert!(micros(text).is_err(), "{text}");
    }
}

#[test]
fn a_row_has_its_ten_fields_in_order() {
    let value = r#"{"id":5,"customer":"C","email":"a\"b","status":null,"quantity":-3,"total":"0.05",
        "created":"2000-01-01T00:00:00Z","version":2,"note":"n","unknown":[1,{"a":2}]}"#;
    let mut out = Vec::new();
    serde_json::from_str::<Order<'_>>(value).unwrap().encode(&mut out).unwrap();
    let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = [
        "000a",
        "000000080000000000000005",
        "0000000143",
        "00000003612262",
        "ffffffff",
        "ffffffff",
        "00000004fffffffd",
        "0000000a0001ffff0000000201f4",
        "000000080000000000000000",
        "000000080000000000000002",
        "000000016e",
    ];
    assert_eq!(hex, expected.concat());
}

#[test]
fn a_column_of_another_type_is_refused() {
    let wrong = [
        r#"{"customer":"C"}"#,
        r#"{"id":"5"}"#,
        r#"{"id":5.5}"#,
        r#"{"id":9223372036854775808}"#,
        r#"{"id":1,"quantity":2147483648}"#,
        r#"{"id":1,"quantity":"3"}"#,
        r#"{"id":1,"customer":3}"#,
        r#"{"id":1,"total":129.95}"#,
        r#"{"id":1,"total":"abc"}"#,
        r#"{"id":1,"created":"yesterday"}"#,
        r#"{"id":1,"id":2}"#,
        r#"{"id":1}x"#,
        "[1]",
        "",
    ];
    for value in wrong {
        let encoded = serde_json::from_str::<Order<'_>>(value).is_ok_and(|order| order.encode(&mut Vec::new()).is_ok());
        assert!(!encoded, "{value}");
    }
}
