//! `auth."HOST".oauth`: what it is read as, and what is said of one that cannot work; and whose credentials they are.

use super::*;

const ACCOUNT: &str = r#"[[source]]
name = "a"
component = "csv"
topic = "t"
allow.http = ["api.example.com"]
[source.auth."api.example.com".oauth]
token-url = "https://login.example.com/tenant/oauth2/v2.0/token"
client-id = "${env:SET}"
client-secret = "${env:SET}"
scope = "https://api.example.com/.default"
client-auth = "post"
parameters = { audience = "orders" }
"#;

#[test]
fn an_account_is_read_and_its_secret_is_not_shown() {
    let (config, findings) = check(ACCOUNT).unwrap();
    assert!(findings.list.is_empty(), "{findings}");
    let auth = &config.sources[0].connector.auth["api.example.com"];
    let Auth::OAuth(account) = auth else { panic!("{auth:?}") };
    assert_eq!(account.token_url.to_string(), "https://login.example.com/tenant/oauth2/v2.0/token");
    assert_eq!((account.client_id.expose(), account.client_secret.expose()), ("hush", "hush"));
    assert_eq!((account.scope.as_deref(), account.client_auth), (Some("https://api.example.com/.default"), ClientAuth::Post));
    assert_eq!(account.parameters, [("audience".to_owned(), "orders".to_owned())]);
    assert!(!format!("{config:?}").contains("hush"));
    let (config, _) = check(&ACCOUNT.replace("client-auth = \"post\"\n", "")).unwrap();
    let auth = &config.sources[0].connector.auth["api.example.com"];
    assert!(matches!(auth, Auth::OAuth(OAuth { client_auth: ClientAuth::Basic, .. })), "{auth:?}");
}

#[test]
fn what_cannot_work_is_told_at_its_place() {
    let url = "https://login.example.com/tenant/oauth2/v2.0/token";
    for (from, to, told) in [
        (url, "login.example.com/token", "not the address of a token endpoint"),
        (url, "ftp://login.example.com/token", "neither http nor https"),
        (url, "https://me:pw@login.example.com/token", "carries credentials"),
        (url, "https://login.example.com/token#x", "has no fragment"),
        (url, "https://${env:SET}/token", "a secret (`${env:SET}`) cannot stand here"),
        ("token-url = \"https://login.example.com/tenant/oauth2/v2.0/token\"\n", "", "`token-url` is missing"),
        ("client-id = \"${env:SET}\"\n", "", "`client-id` is missing"),
        ("client-secret = \"${env:SET}\"\n", "", "`client-secret` is missing"),
        ("client-secret = \"${env:SET}\"", "client-secret = \"${env:NOT}\"", "`NOT` is not set"),
        ("\"post\"", "\"digest\"", "expected `basic` or `post`"),
        ("audience =", "grant_type =", "it is always client_credentials"),
        ("audience =", "client_secret =", "write `client-secret`"),
        ("scope =", "scopes =", "did you mean `scope`?"),
    ] {
        let text = ACCOUNT.replacen(from, to, 1);
        assert_ne!(text, ACCOUNT, "{from}");
        let said = errors(&text);
        assert!(said.contains(told) && said.ends_with("1 error"), "{to}: {said}");
    }
}

#[test]
fn a_secret_that_would_go_over_the_network_in_the_clear_is_warned_of() {
    let plain = |host: &str| check(&ACCOUNT.replace("https://login.example.com", host)).unwrap().1.to_string();
    assert!(plain("http://login.example.com").contains("in the clear"));
    for local in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"] {
        assert_eq!(plain(local), "retail.toml: 0 errors", "{local}");
    }
}

const SOURCE: &str = r#"[vars]
host = "api.example.com"
[[source]]
name = "a"
component = "csv"
topic = "t"
allow.http = ["api.example.com"]
"#;

#[test]
fn credentials_without_a_host_are_told_how_to_be_written_and_not_shown() {
    let said = errors(&format!("{SOURCE}auth = {{ bearer = \"open-4711\" }}\n"));
    let expected = r#"error: credentials without a host
 --> retail.toml:8:19
  |
8 | auth = { bearer = …
  |                   ^ expected a table for a host
  |
  = help: credentials are those of a host, which is quoted: auth."erp.example.com" = { bearer = "${env:TOKEN}" }

retail.toml: 1 error"#;
    assert_eq!(said, expected);
    let said = errors(&format!("{SOURCE}auth = {{ basic = {{ user = \"u\", password = \"${{env:SET}}\" }} }}\n"));
    assert!(said.contains("credentials are those of a host"), "{said}");
}

#[test]
fn the_host_of_credentials_may_be_a_variable_and_no_secret() {
    let (config, _) = check(&format!("{SOURCE}auth.\"${{var:host}}\" = {{ bearer = \"${{env:SET}}\" }}\n")).unwrap();
    assert!(config.sources[0].connector.auth.contains_key("api.example.com"));
    let said = errors(&format!("{SOURCE}auth.\"${{env:SET}}\" = {{ bearer = \"x\" }}\n"));
    assert!(said.contains("a secret (`${env:SET}`) cannot stand here"), "{said}");
    let twice = "auth.\"${var:host}\" = { bearer = \"x\" }\nauth.\"API.example.com\" = { bearer = \"y\" }\n";
    let said = errors(&format!("{SOURCE}{twice}"));
    assert!(said.contains("credentials for `api.example.com` are there twice"), "{said}");
}
