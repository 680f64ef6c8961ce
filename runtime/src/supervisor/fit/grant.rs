//! Values of `config` that name something to be reached: what they name must be granted. A component's schema marks them by the
//! keyword `grant` (`http`: a URL, `sql`: a connection, `files`: a path) on a property of `config`.

use http::Uri;
use serde_json::Value;

use crate::capability::allow::{Endpoint, HostGrants};
use crate::config::{Allow, suggest};

/// A property whose value is not granted.
pub(super) struct Ungranted {
    /// Name of the property.
    pub(super) property: String,
    pub(super) message: String,
    pub(super) help: String,
}

/// All marked properties that have a value and no grant. A capability without any grant is told elsewhere.
pub(super) fn ungranted(schema: &Value, config: &Value, allow: &Allow) -> Vec<Ungranted> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let marked = properties.iter().filter_map(|(name, property)| Some((name, property.get("grant")?.as_str()?)));
    let check = |(name, grant): (&String, &str)| {
        let value = config.get(name)?.as_str()?;
        let (message, help) = match grant {
            "http" => host(value, allow),
            "sql" => connection(value, allow),
            "files" => folder(value, allow),
            _ => None,
        }?;
        Some(Ungranted { property: name.clone(), message, help })
    };
    marked.filter_map(check).collect()
}

fn host(url: &str, allow: &Allow) -> Option<(String, String)> {
    let endpoint = match up_to_host(url).parse::<Uri>() {
        Ok(uri) => Endpoint::of(&uri).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(reason) => {
            return Some((
                format!("`{url}` is not a URL that can be reached: {reason}"),
                "write http:// or https://, then the host".to_owned(),
            ));
        }
    };
    let grants = HostGrants::new(&allow.http);
    if allow.http.is_empty() || grants.reach(&endpoint).is_some() {
        return None;
    }
    let written = if endpoint.https { endpoint.authority() } else { endpoint.to_string() };
    let message = format!("`{endpoint}` is not allowed; `allow.http` has {}", grants.describe());
    Some((message, format!("add \"{written}\" to allow.http")))
}

/// What follows the host grants nothing, and may be a template: no URL before it is filled in.
fn up_to_host(url: &str) -> &str {
    let from = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(from..).unwrap_or_default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    url.get(..from + end).unwrap_or(url)
}

fn connection(name: &str, allow: &Allow) -> Option<(String, String)> {
    if allow.sql.is_empty() || allow.sql.iter().any(|allowed| allowed == name) {
        return None;
    }
    let help = suggest(name, "name in allow.sql", allow.sql.iter().map(String::as_str));
    Some((format!("connection `{name}` is not in `allow.sql`"), help))
}

fn folder(path: &str, allow: &Allow) -> Option<(String, String)> {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let inside = |folder: &str| {
        folder == "." && !path.starts_with('/')
            || path == folder
            || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    };
    let outside = path.split('/').any(|part| part == "..");
    if allow.files.is_empty() || !outside && allow.files.iter().any(|folder| inside(&folder.guest)) {
        return None;
    }
    let names: Vec<_> = allow.files.iter().map(|folder| format!("`{}`", folder.guest)).collect();
    let message = format!("`{path}` lies in no folder of `allow.files`; the connector sees {}", names.join(", "));
    Some((message, "write it as `allow.files` does: the folder's name, and what is below it".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::config::{AllowedFolder, AllowedHost};

    fn found(grant: &str, value: &str) -> Vec<String> {
        let folder = |guest: &str| AllowedFolder { host: PathBuf::from("/h"), guest: guest.to_owned() };
        let host = |https, host: &str, port| AllowedHost { https, host: host.to_owned(), port, private: false };
        let allow = Allow {
            http: vec![host(true, "erp.example.com", 443), host(false, "localhost", 8080)],
            sql: vec!["warehouse".to_owned()],
            files: vec![folder("in"), folder("/srv/feed")],
        };
        let schema = json!({"properties": {"it": {"type": "string", "grant": grant}, "other": {}}});
        ungranted(&schema, &json!({"it": value, "other": "x"}), &allow)
            .into_iter()
            .map(|u| format!("{}; {}", u.message, u.help))
            .collect()
    }

    #[test]
    fn a_value_that_is_granted_is_no_finding() {
        let granted = [
            ("http", "https://erp.example.com/odata/v4"),
            ("http", "https://ERP.example.com:443/"),
            ("http", "http://localhost:8080/x?y"),
            ("http", "https://erp.example.com/items/{{ key.id }}?at={{ timestamp }}"),
            ("sql", "warehouse"),
            ("files", "in"),
            ("files", "./in/"),
            ("files", "in/stock.csv"),
            ("files", "/srv/feed/a"),
            ("unknown", "anything"),
        ];
        for (grant, value) in granted {
            assert_eq!(found(grant, value), Vec::<String>::new(), "{grant} {value}");
        }
    }

    #[test]
    fn a_value_that_names_what_is_not_granted_says_what_to_add() {
        let refused = [
            ("http", "https://crm.example.com/x", "`https://crm.example.com` is not allowed"),
            ("http", "http://erp.example.com/", "add \"http://erp.example.com\" to allow.http"),
            ("http", "https://localhost:8080/", "add \"localhost:8080\" to allow.http"),
            ("http", "erp.example.com/x", "is not a URL"),
            ("sql", "warehose", "warehouse"),
            ("files", "inbox/stock.csv", "the connector sees `in`, `/srv/feed`"),
            ("files", "in/../etc", "lies in no folder"),
            ("files", "/etc", "lies in no folder"),
        ];
        for (grant, value, text) in refused {
            let found = found(grant, value);
            assert!(found.len() == 1 && found[0].contains(text), "{grant} {value}: {found:?}");
        }
    }

    #[test]
    fn a_capability_without_any_grant_is_told_once_and_not_here() {
        let schema =
            json!({"properties": {"service": {"grant": "http"}, "path": {"grant": "files"}, "connection": {"grant": "sql"}}});
        let config = json!({"service": "https://a.example.com", "path": "in", "connection": "w"});
        assert!(ungranted(&schema, &config, &Allow::default()).is_empty());
    }
}
