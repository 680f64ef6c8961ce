//! A record whose fields stand as the last one's did takes a shorter way into the columns: what arrives is the same.

use super::*;

/// Fits, and what does not: at its last field, by a null key, a field that is there twice, a key that is missing, another order.
const POOL: [&str; 12] = [
    r#"{"ID":1,"a":"x","f":1.5}"#,
    r#"{"ID":2,"a":"yy","f":2}"#,
    r#"{"ID":3,"a":7,"f":1.0}"#,
    r#"{"ID":4,"a":"zzz","f":"no"}"#,
    r#"{"ID":null,"a":"x","f":1}"#,
    r#"{"a":"x","ID":5,"f":2.5}"#,
    r#"{"ID":6,"a":null,"f":null}"#,
    r#"{"ID":7,"a":"x","A":"y"}"#,
    r#"{"ID":8,"a":"x","a":"y"}"#,
    r#"{"ID":9}"#,
    r#"{"a":"x"}"#,
    r#"{"ID":10,"f":3,"a":"w"}"#,
];

/// What is rejected, by record, code and field.
type Rejected = Vec<(u32, String, Option<String>)>;

/// What is rejected, and the rows that arrive, each by the names of its columns.
fn written(records: &[&str]) -> (Rejected, Vec<Vec<String>>) {
    let (mut sink, told) = open(ORDERS);
    let there = vec![def("ID", Kind::Int64), def("a", Kind::Text), def("f", Kind::Float64)];
    told.borrow_mut().tables.push(("orders".to_owned(), there));
    let rejected = rejections(&sink.write(&testing::batch("t", values(records))).unwrap());
    let told = told.borrow();
    let rows = told.applied.iter().flat_map(|(_, rows)| {
        let columns: Vec<_> = shown(rows).iter().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
        (0..rows.count as usize).map(move |row| {
            let cell = |column: &Vec<String>| format!("{} {}", column[0], column[2].split('|').nth(row).unwrap());
            let mut cells: Vec<_> = columns.iter().map(cell).filter(|cell| !cell.ends_with(" -")).collect();
            cells.sort();
            cells
        })
    });
    (rejected, rows.collect())
}

/// Fits in one spelling of its name and in another, of a type that was given in one of them.
#[test]
fn a_column_has_one_type_however_fields_spell_its_name() {
    for (there, first, second) in
        [(true, "price", "Price"), (true, "PRICE", "price"), (false, "price", "Price"), (false, "Price", "PRICE")]
    {
        let config = r#"{"connection":"warehouse","table":"orders","key":["ID"],"columns":{"price":"decimal"}}"#;
        let (mut sink, told) = open(config);
        if there {
            let columns = vec![def("ID", Kind::Int64), def("Price", Kind::Text)];
            told.borrow_mut().tables.push(("orders".to_owned(), columns));
        }
        let (one, two) = (format!(r#"{{"ID":1,"{first}":1.5}}"#), format!(r#"{{"ID":2,"{second}":"2.50"}}"#));
        assert_eq!(rejections(&sink.write(&testing::batch("t", values(&[&one, &two]))).unwrap()), []);
        let name = if there { "Price" } else { first };
        let told = told.borrow();
        assert_eq!(
            shown(&told.applied[0].1),
            ["ID Kind::Int64 1|2".to_owned(), format!("{name} Kind::Decimal 1.5|2.50")],
            "{first} {second}"
        );
    }
}

#[test]
fn columns_whose_names_differ_in_case_alone_have_each_its_own_type() {
    let config = r#"{"connection":"warehouse","table":"orders","key":["ID"],"columns":{"a":"decimal"}}"#;
    let (mut sink, told) = open(config);
    let columns = vec![def("ID", Kind::Int64), def("A", Kind::Int64), def("a", Kind::Text)];
    told.borrow_mut().tables.push(("orders".to_owned(), columns));
    assert_eq!(rejections(&sink.write(&testing::batch("t", values(&[r#"{"ID":1,"A":7,"a":1.50}"#]))).unwrap()), []);
    assert_eq!(shown(&told.borrow().applied[0].1), ["ID Kind::Int64 1", "A Kind::Int64 7", "a Kind::Decimal 1.50"]);
}

/// As above, with rows before that bring the bits of nulls to the end of a byte and beyond, more kinds, and tombstones.
#[test]
fn what_is_taken_back_from_the_columns_leaves_the_rows_around_it_as_they_are() {
    const GOOD: &str = r#"{"ID":1,"t":"x","b":true,"d":"1.50","y":"aGk=","j":{"n":1},"f":1.5}"#;
    const POOL: [&str; 6] = [
        GOOD,
        r#"{"ID":2,"t":null,"b":false,"d":null,"y":null,"j":[],"f":"no"}"#,
        r#"{"ID":3,"t":"zz","b":null,"d":"7","y":"aGlo","j":null,"f":"no"}"#,
        r#"{"ID":4,"t":null,"b":null,"d":null,"y":null,"j":null,"f":null}"#,
        r#"{"ID":5,"t":"yyy"}"#,
        "",
    ];
    let there = [
        def("ID", Kind::Int64),
        def("t", Kind::Text),
        def("b", Kind::Boolean),
        def("d", Kind::Decimal),
        def("y", Kind::Bytes),
        def("j", Kind::Json),
        def("f", Kind::Float64),
    ];
    for before in [1, 6, 7, 8, 9, 15] {
        for n in 0..POOL.len().pow(3) {
            let chosen: Vec<&str> = (0..3).map(|place| POOL[n / POOL.len().pow(place) % POOL.len()]).collect();
            let (mut sink, told) = open(ORDERS);
            told.borrow_mut().tables.push(("orders".to_owned(), there.to_vec()));
            let records = std::iter::repeat_n(GOOD, before).chain(chosen.iter().copied());
            let records: Vec<_> =
                records.map(|r| if r.is_empty() { (Some(r#"{"ID":9}"#), None) } else { (None, Some(r)) }).collect();
            let rejected = rejections(&sink.write(&testing::batch("t", records)).unwrap());
            let expected: Vec<_> = (0_u32..)
                .zip(&chosen)
                .filter(|(_, r)| r.contains("no"))
                .map(|(at, _)| at + u32::try_from(before).unwrap())
                .collect();
            assert_eq!(rejected.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), expected, "{before} {chosen:?}");
            let row = |record: &&str| match *record {
                GOOD => Some(["1", "x", "true", "1.50", "[104, 105]", r#"{"n":1}"#, "1.5"]),
                r if r.contains("no") => None,
                "" => Some(["9", "-", "-", "-", "-", "-", "-"]),
                r if r.contains("yyy") => Some(["5", "yyy", "-", "-", "-", "-", "-"]),
                _ => Some(["4", "null", "null", "null", "null", "null", "null"]),
            };
            let rows: Vec<_> = std::iter::repeat_n(&GOOD, before).chain(&chosen).filter_map(row).collect();
            let columns: Vec<String> =
                (0..there.len()).map(|at| rows.iter().map(|row| row[at]).collect::<Vec<_>>().join("|")).collect();
            let found: Vec<String> =
                shown(&told.borrow().applied[0].1).iter().map(|line| line.splitn(3, ' ').nth(2).unwrap().to_owned()).collect();
            assert_eq!(found, columns, "{before} {chosen:?}");
        }
    }
}

#[test]
fn a_record_arrives_as_it_does_alone_whatever_came_before_it() {
    let alone: Vec<_> = POOL.iter().map(|record| written(&[record])).collect();
    for n in 0..POOL.len().pow(4) {
        let chosen: Vec<usize> = (0..4).map(|place| n / POOL.len().pow(place) % POOL.len()).collect();
        let (rejected, rows) = written(&chosen.iter().map(|record| POOL[*record]).collect::<Vec<_>>());
        let mut expected = (Vec::new(), Vec::new());
        for (index, record) in (0_u32..).zip(&chosen) {
            let (rejected, rows) = &alone[*record];
            expected.0.extend(rejected.iter().map(|(_, code, field)| (index, code.clone(), field.clone())));
            expected.1.extend(rows.clone());
        }
        assert_eq!((rejected, rows), expected, "{chosen:?}");
    }
}
