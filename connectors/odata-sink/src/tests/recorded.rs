//! What mock-sap 0.22 answered, word for word: `connectors/shared/odata/tests/mock-sap`.

use super::*;

macro_rules! recorded {
    ($file:literal) => {
        answer(include_str!(concat!("../../../shared/odata/tests/mock-sap/", $file)))
    };
}

/// A whole answer, with the line ends of the wire in its body.
fn answer(recorded: &str) -> Response {
    let (head, body) = recorded.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    headers.fold(Response::new(status, body.replace('\n', "\r\n")), |answer, (name, value)| answer.with_header(name, value))
}

/// A sink of orders of either version.
fn of(v4: bool, config: &str, answers: Vec<Response>) -> (Odata, Arrived) {
    if v4 { sink(V4, &format!(r#", "entity": "Orders"{config}"#), answers) } else { orders(config, answers) }
}

/// A key of V4's orders, but for its last digit.
const GUID: &str = "0a1b2c3d-0000-4000-8000-00000000000";

/// A record of each version, with an ETag.
fn record(v4: bool, n: u32) -> String {
    let (key, id) = if v4 { ("ID", format!("{GUID}{n}")) } else { ("OrderID", n.to_string()) };
    format!(r#"{{"{key}": "{id}", "@odata.etag": "W/\"outdated\""}}"#)
}

#[test]
fn each_part_of_a_batch_decides_on_its_record_alone() {
    let batches = [
        (false, "", recorded!("batch-v2.txt")),
        (true, "", recorded!("batch-v4.txt")),
        (true, r#", "batch-format": "json""#, recorded!("batch-v4-json.txt")),
    ];
    for (v4, format, batch) in batches {
        let config = format!(r#", "write": "update"{format}"#);
        // What is asked for where a part says 404: whether the set itself is there.
        let answers = vec![batch, Response::new(200, "{}")];
        let (mut sink, _) = of(v4, &config, answers);
        let records: Vec<_> = (1..=4).map(|n| record(v4, n)).collect();
        let outcomes = sink.write(&values(&records.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
        assert_eq!(told(&outcomes, 4), ["ok", "odata.missing", "odata.missing", "ok"], "v4 {v4} {format}");
        let why = rejection(&outcomes, 1).message;
        assert!(why.contains("No entity with key Product='REC-NONE' found"), "{why}");
        assert!(rejection(&outcomes, 2).message.contains("was changed by another user"));
    }
}

#[test]
fn a_token_that_is_required_is_fetched_and_the_write_repeated() {
    for (v4, refusal) in [(false, recorded!("csrf-v2.txt")), (true, recorded!("csrf-v4.txt"))] {
        let (mut sink, arrived) = of(v4, r#", "batch": 1"#, vec![refusal, Response::new(204, "")]);
        assert_eq!(told(&sink.write(&values(&[&record(v4, 1)])).unwrap(), 1), ["ok"], "v4 {v4}");
        let tokens: Vec<_> = arrived.borrow().iter().map(|request| header(request, "x-csrf-token").unwrap()).collect();
        assert_eq!(tokens, ["Fetch", "token-1", "Fetch", "token-2"]);
    }
}

#[test]
fn an_etag_that_no_longer_holds_is_a_conflict_with_what_the_service_says() {
    for (v4, refusal, there) in [
        (false, recorded!("conflict-v2.txt"), r#"{"d": {"OrderID": "1", "Lines": 9}}"#),
        (true, recorded!("conflict-v4.txt"), r#"{"ID": "0a1b2c3d-0000-4000-8000-000000000001", "total": 9}"#),
    ] {
        let config = r#", "batch": 1, "etag": "match""#;
        let answers = vec![refusal, Response::new(200, there)];
        let (mut sink, _) = of(v4, config, answers);
        let record = record(v4, 1).replacen('{', if v4 { r#"{"total": 1, "# } else { r#"{"Lines": 1, "# }, 1);
        let outcomes = sink.write(&values(&[&record])).unwrap();
        assert_eq!(told(&outcomes, 1), ["odata.conflict"], "v4 {v4}");
        let why = rejection(&outcomes, 0).message;
        assert!(why.contains("was changed by another user after it was read"), "{why}");
    }
}
