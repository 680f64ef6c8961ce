//! `auth."HOST".json-body`: what it is read as, and what is said of one that cannot work.

use super::*;

const AUTH: &str = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
allow.http = ["h"]
auth.h.json-body = { PLACES }
"#;

const PLACES: &str = r#"path = "/jsonrpc", pointer = "/params/a~1b~0/2", value = "${env:SET}", only = { "/params/service" = ["object", "common"] }"#;

/// The title and the label of each finding.
fn said(places: &str) -> Vec<String> {
    let text = errors(&AUTH.replace("PLACES", places));
    let lines =
        text.lines().filter_map(|line| line.strip_prefix("error: ").or_else(|| line.split_once("^ ").map(|(_, label)| label)));
    lines.map(str::to_owned).collect()
}

#[test]
fn places_and_texts_are_read_and_the_secret_is_not_shown() {
    let (config, findings) = check(&AUTH.replace("PLACES", PLACES)).unwrap();
    assert!(findings.list.is_empty(), "{findings}");
    let auth = &config.sources[0].connector.auth["h"];
    let Auth::JsonBody(body) = auth else { panic!("{auth:?}") };
    assert_eq!((body.path.as_str(), body.value.expose()), ("/jsonrpc", "hush"));
    assert_eq!(body.pointer.tokens().collect::<Vec<_>>(), ["params", "a/b~", "2"]);
    assert_eq!(body.pointer.to_string(), "/params/a~1b~0/2");
    let only: Vec<_> = body.only.iter().map(|(place, texts)| (place.to_string(), texts.join(" "))).collect();
    assert_eq!(only, [("/params/service".to_owned(), "object common".to_owned())]);
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn what_cannot_work_is_told_at_its_place() {
    let pointer = "expected /name or /name/0/…, with ~1 for a slash in a name and ~0 for ~ (RFC 6901)";
    let path = "expected /name: it is compared as it is, without a query";
    let within = "the secret stands at this place, or within it";
    let only = r#"{ "/params/service" = ["object", "common"] }"#;
    for (from, to, expected) in [
        (r#""/jsonrpc""#, r#""jsonrpc""#, vec!["`jsonrpc` is not a path", path]),
        (r#""/jsonrpc""#, r#""/jsonrpc?x=1""#, vec!["`/jsonrpc?x=1` is not a path", path]),
        (r#""/jsonrpc""#, r#""/json rpc""#, vec!["`/json rpc` is not a path", path]),
        (r#""/params/a~1b~0/2""#, r#""params.args.2""#, vec!["`params.args.2` is not a pointer", pointer]),
        (r#""/params/a~1b~0/2""#, r#""""#, vec!["`` is not a pointer", pointer]),
        (r#""/params/a~1b~0/2""#, r#""/a~2""#, vec!["`/a~2` is not a pointer", pointer]),
        (r#""/params/a~1b~0/2""#, r#""/a~""#, vec!["`/a~` is not a pointer", pointer]),
        (r#""/params/service" ="#, r#""service" ="#, vec!["`service` is not a pointer", pointer]),
        (r#""/params/service" ="#, r#""/params" ="#, vec![within, "expected the place of another value"]),
        (r#""/params/service" ="#, r#""/params/a~1b~0/2" ="#, vec![within, "expected the place of another value"]),
        (r#"["object", "common"]"#, "[]", vec!["no text is allowed here, so no request would be", "expected a list of texts"]),
        (
            only,
            "{}",
            vec![
                "`only` is empty: the secret would stand in any request to this path",
                "expected what else the body has to say, as { \"/params/service\" = [\"object\"] }",
            ],
        ),
        (&format!(", only = {only}"), "", vec!["`only` is missing", "`only` is required here"]),
        (r#"path = "/jsonrpc", "#, "", vec!["`path` is missing", "`path` is required here"]),
        (r#""object", "#, r#""${env:SET}", "#, vec!["a secret (`${env:SET}`) cannot stand here"]),
    ] {
        let places = PLACES.replacen(from, to, 1);
        assert_ne!(places, PLACES);
        let said = said(&places);
        assert_eq!(
            said.iter().filter(|line| !line.is_empty()).collect::<Vec<_>>(),
            expected.iter().collect::<Vec<_>>(),
            "{places}"
        );
    }
}
