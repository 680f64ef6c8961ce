//! Answers as mock-sap 0.22 and other services write them, whole and cut off.

use super::*;

const V2: &str = include_str!("../../../tests/batch-v2.txt");
const BOUNDARY_V2: &str = "multipart/mixed; boundary=batchresponse_d0fcabb0-9b58-47dd-9320-2dba9612cdc5";

/// The recorded answer with the line ends of the wire.
fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn statuses(answers: &Answers) -> Vec<Option<u16>> {
    answers.of.iter().map(|answer| answer.as_ref().map(|answer| answer.status)).collect()
}

fn operation(method: &'static str, path: &str, body: Option<&str>) -> Operation {
    let headers = vec![("If-Match", "*".to_owned())];
    Operation { method, path: path.to_owned(), headers, body: body.map(|body| body.as_bytes().to_vec()) }
}

#[test]
fn each_write_is_a_changeset_and_a_read_stands_outside() {
    let operations = [operation("MERGE", "O('ü')", Some(r#"{"a":"ü"}"#)), operation("GET", "O('2')", None)];
    let request = write(Request::post("https://h/s/$batch"), &operations);
    let expected = "--batch_wharf\nContent-Type: multipart/mixed; boundary=changeset_wharf_1\n\n--changeset_wharf_1\n\
        Content-Type: application/http\nContent-Transfer-Encoding: binary\nContent-ID: 1\n\nMERGE O('ü') HTTP/1.1\nIf-Match: *\n\
        Content-Length: 10\n\n{\"a\":\"ü\"}\n--changeset_wharf_1--\n\n--batch_wharf\nContent-Type: application/http\n\
        Content-Transfer-Encoding: binary\nContent-ID: 2\n\nGET O('2') HTTP/1.1\nIf-Match: *\n\n\n--batch_wharf--\n";
    assert_eq!(String::from_utf8(request.body).unwrap(), expected.replace('\n', "\r\n"));
    assert_eq!(request.headers[0], ("content-type".to_owned(), "multipart/mixed; boundary=batch_wharf".to_owned()));
}

#[test]
fn answers_are_read_in_and_outside_of_changesets() {
    let answers = read(BOUNDARY_V2, &wire(V2), 3).unwrap();
    assert_eq!((statuses(&answers), answers.whole), (vec![Some(404), Some(201), Some(200)], true));
    let body = |place: usize| String::from_utf8(answers.of[place].clone().unwrap().body).unwrap();
    assert!(body(0).contains("No entity with key Product='X1' found"), "{}", body(0));
    assert!(body(2).starts_with('{') && body(2).ends_with('}'), "{}", body(2));
}

#[test]
fn of_an_answer_that_is_cut_off_only_what_came_whole_counts() {
    let wire = wire(V2);
    let mut seen = Vec::new();
    for length in 0..wire.len() {
        let answers = read(BOUNDARY_V2, &wire[..length], 3).unwrap();
        let count = answers.of.iter().flatten().count();
        // Nothing but the line end may be missing of the last delimiter.
        assert_eq!(answers.whole, length >= wire.len() - 2, "{length}");
        assert_eq!(statuses(&answers)[..count], [Some(404), Some(201), Some(200)][..count]);
        for (place, answer) in answers.of.iter().enumerate().take(count) {
            assert_eq!(answer, &read(BOUNDARY_V2, &wire, 3).unwrap().of[place], "{length}");
        }
        seen.push(count);
    }
    assert!(seen.is_sorted());
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&3)));
}

#[test]
fn a_content_id_that_is_not_that_of_the_place_tells_nothing() {
    let part = |id: u32, status: u16| {
        format!("--b\nContent-Type: application/http\n\nHTTP/1.1 {status} X\nContent-ID: {id}\nRetry-After: 7\n\n\n")
    };
    let text = |first: u32, second: u32| format!("a preamble\n{}{}--b--", part(first, 429), part(second, 204));
    let read = |text: String| read("Multipart/Mixed; charset=x; Boundary=\"b\"", text.as_bytes(), 3);
    assert_eq!(read(text(2, 1)), Err(BadBatch::Id { id: 2, place: 1 }));
    assert_eq!(read(text(1, 1)), Err(BadBatch::Id { id: 1, place: 2 }));
    let answers = read(text(1, 2)).unwrap();
    assert_eq!((statuses(&answers), answers.whole), (vec![Some(429), Some(204), None], true));
    assert_eq!(answers.of[0].clone().unwrap().retry_after, Some(Duration::from_secs(7)));
}

#[test]
fn text_within_a_body_that_looks_like_a_delimiter_is_none() {
    let text = "--b\nContent-Type: application/http\n\nHTTP/1.1 400 X\n\n{\"m\": \"--b--\"}\n--bc\n--b--\n";
    let answers = read("multipart/mixed; boundary=b", text.as_bytes(), 1).unwrap();
    assert_eq!(answers.of[0].clone().unwrap().body, b"{\"m\": \"--b--\"}\n--bc");
}

#[test]
fn an_answer_that_is_no_batch_is_told_by_its_content_type() {
    assert_eq!(read("text/html; charset=utf-8", b"<html>", 1), Err(BadBatch::Content("text/html".to_owned())));
}
