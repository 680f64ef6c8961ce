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

/// What is rejected, and the rows that arrive, each by the names of its columns.
fn written(records: &[&str]) -> (Vec<(u32, String, Option<String>)>, Vec<Vec<String>>) {
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
