//! Links to the next page: those in a header (RFC 8288), and where a relative one leads (RFC 3986, 5.2).

/// The target of the first link with the relation `next` in these `Link` headers.
#[must_use]
pub fn next_link<'a>(headers: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    headers.flat_map(links).find(|(_, parameters)| is_next(parameters)).map(|(target, _)| target)
}

/// Targets with their parameters. A target may hold commas, and so may a quoted parameter.
fn links(header: &str) -> Vec<(&str, &str)> {
    let (mut links, mut rest) = (Vec::new(), header);
    while let Some((target, tail)) = rest.split_once('<').and_then(|(_, tail)| tail.split_once('>')) {
        let mut quoted = false;
        let end = tail.find(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, behind) = tail.split_at_checked(end.unwrap_or(tail.len())).unwrap_or((tail, ""));
        links.push((target.trim(), parameters));
        rest = behind;
    }
    links
}

/// `rel` holds relations with space between them, in any case (RFC 8288, 3.3).
fn is_next(parameters: &str) -> bool {
    let mut quoted = false;
    let between = |c: char| {
        quoted ^= c == '"';
        c == ';' && !quoted
    };
    parameters.split(between).filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let relations = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel") && relations.split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

/// Where `link` leads from the page at `base`.
#[must_use]
pub fn resolve(base: &str, link: &str) -> String {
    let link = &written(link);
    let link = link.split('#').next().unwrap_or_default();
    let base = base.split('#').next().unwrap_or_default();
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    if let Some((own, elsewhere)) = link.split_once("://").filter(|(own, _)| is_http(own)) {
        let own = own.to_ascii_lowercase();
        // An API behind a proxy that does not know of it: its own address, less safe than it was asked by.
        let is_here = authority(elsewhere) == authority(rest);
        return format!("{}://{elsewhere}", if is_here && scheme == "https" { scheme } else { &own });
    }
    if let Some(elsewhere) = link.strip_prefix("//") {
        return format!("{scheme}://{elsewhere}");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let path = path.split('?').next().unwrap_or_default();
    if link.is_empty() || link.starts_with('?') {
        return format!("{scheme}://{authority}{path}{link}");
    }
    let (link, query) = link.split_once('?').map_or((link, String::new()), |(link, query)| (link, format!("?{query}")));
    let whole = if link.starts_with('/') {
        link.to_owned()
    } else {
        format!("{}/{link}", path.rsplit_once('/').map_or("", |(folder, _)| folder))
    };
    format!("{scheme}://{authority}{}{query}", without_dots(&whole))
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Host and port.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Without what some write as it is, and no request can hold.
fn written(link: &str) -> String {
    let encoded = |c: char| match c {
        ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => format!("%{:02X}", u32::from(c)),
        other => other.to_string(),
    };
    link.trim().chars().map(encoded).collect()
}

/// RFC 3986, 5.2.4.
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    let ends_open = path.ends_with("/.") || path.ends_with("/..");
    format!("/{}{}", parts.join("/"), if ends_open && !parts.is_empty() { "/" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_among_others() {
        for (headers, expected) in [
            (vec![r#"<https://h/o?page=2>; rel="next", <https://h/o?page=9>; rel="last""#], Some("https://h/o?page=2")),
            (vec![r#"<https://h/o?a=1,2>; rel="prev"; title="x, y""#, "</o?page=3>;rel=next"], Some("/o?page=3")),
            (vec![r#"<a>; rel="prev first NEXT""#], Some("a")),
            (vec![r#"<a>; title="x; rel=next", <b>; title="x; y"; rel=next"#], Some("b")),
            (vec![r#"<https://h/o>; rel="last"; title="next""#, "nonsense", ""], None),
        ] {
            assert_eq!(next_link(headers.into_iter()), expected);
        }
    }

    #[test]
    fn relative_links_lead_from_their_page() {
        let base = "https://api.example.com:8443/v1/orders/list?page=1";
        for (link, expected) in [
            ("https://other.example.com/x", "https://other.example.com/x"),
            ("HTTPS://other.example.com/x?q=\"a|b\"", "https://other.example.com/x?q=%22a%7Cb%22"),
            ("http://api.example.com:8443/v1?page=2", "https://api.example.com:8443/v1?page=2"),
            ("http://other.example.com/x", "http://other.example.com/x"),
            ("//other.example.com/x", "https://other.example.com/x"),
            ("/v2/orders?page=2#top", "https://api.example.com:8443/v2/orders?page=2"),
            ("?page=2", "https://api.example.com:8443/v1/orders/list?page=2"),
            ("?page=2&q=a b ", "https://api.example.com:8443/v1/orders/list?page=2&q=a%20b"),
            ("next?page=2", "https://api.example.com:8443/v1/orders/next?page=2"),
            ("../items/./a?x=../y", "https://api.example.com:8443/v1/items/a?x=../y"),
        ] {
            assert_eq!(resolve(base, link), expected, "{link}");
        }
        assert_eq!(resolve("http://h", "a"), "http://h/a");
    }
}
