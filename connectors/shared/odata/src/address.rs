//! Addresses: the service's root, its queries, and links that an answer carries. Owns the rule that a link leads to no
//! other host than the service's. Sends nothing.

/// The root of a service: `https://host[:port]/path`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    root: String,
    /// Scheme, host and port, to compare links with.
    origin: String,
}

/// A root URL that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadAddress {
    #[error("`{0}` is no URL of a service: expected https://host/path")]
    NoUrl(String),
    #[error("the URL of the service has a query or a fragment; give its root alone")]
    Query,
    #[error("the URL of the service holds a user name: credentials go into `[source.auth]` or `[sink.auth]`")]
    Credentials,
}

/// A link of an answer that is not followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a link of the answer leads to {found}, but the service is at {service}: links to other hosts are not followed")]
pub struct ForeignLink {
    pub found: String,
    pub service: String,
}

/// Whether a text can be the name of an entity set: without path and query.
#[must_use]
pub fn is_set_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.' || c == '-')
}

impl Address {
    /// # Errors
    /// [`BadAddress`] for what is no absolute http or https URL, and for one with credentials, query or fragment.
    pub fn service(url: &str) -> Result<Self, BadAddress> {
        let no_url = || BadAddress::NoUrl(url.split(['?', '#']).next().unwrap_or_default().to_owned());
        let (origin, path) = split(url).ok_or_else(no_url)?;
        if url.contains(['?', '#']) {
            return Err(BadAddress::Query);
        }
        if origin.contains('@') {
            return Err(BadAddress::Credentials);
        }
        Ok(Self { root: format!("{origin}{}", path.trim_end_matches('/')), origin: normal(origin) })
    }

    /// The root without a slash at its end.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The URL of a resource under the root.
    #[must_use]
    pub fn resource(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    /// Whether a URL, as a stored position has it, is of this service's host.
    #[must_use]
    pub fn owns(&self, url: &str) -> bool {
        split(url).is_some_and(|(origin, _)| normal(origin) == self.origin)
    }

    /// A link of an answer as an absolute URL. A relative one is taken from the answer's context URL where it has one,
    /// otherwise from the URL of the request (OData JSON Format 4.01, 4.5; RFC 3986, 5.2).
    ///
    /// # Errors
    /// [`ForeignLink`] where it leads to another scheme, host or port than the service's.
    pub fn follow(&self, link: &str, request: &str, context: Option<&str>) -> Result<String, ForeignLink> {
        let base = context.map_or_else(|| request.to_owned(), |context| resolve(request, context));
        let url = resolve(&base, link);
        match split(&url) {
            Some((origin, _)) if normal(origin) == self.origin => Ok(sendable(&url)),
            Some((origin, _)) => Err(ForeignLink { found: normal(origin), service: self.origin.clone() }),
            None => Err(ForeignLink { found: "no host at all".to_owned(), service: self.origin.clone() }),
        }
    }
}

/// Services leave spaces and quotes in the links that they hand out; a request cannot have them.
fn sendable(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            escape(&mut out, byte);
        }
    }
    out
}

/// Scheme with authority, and the rest.
fn split(url: &str) -> Option<(&str, &str)> {
    let lower = url.get(..8).unwrap_or(url).to_ascii_lowercase();
    let start = if lower.starts_with("https://") { 8 } else { lower.starts_with("http://").then_some(7)? };
    let rest = url.get(start..)?;
    let end = start + rest.find(['/', '?', '#']).unwrap_or(rest.len());
    (end > start).then(|| url.split_at_checked(end))?
}

/// Lower case, and without the port that the scheme implies.
fn normal(origin: &str) -> String {
    let origin = origin.to_ascii_lowercase();
    let port = if origin.starts_with("https") { ":443" } else { ":80" };
    origin.strip_suffix(port).unwrap_or(&origin).to_owned()
}

/// A reference resolved against an absolute base: RFC 3986, 5.2, as far as http URLs need it.
fn resolve(base: &str, reference: &str) -> String {
    let reference = reference.split('#').next().unwrap_or_default();
    let Some((origin, rest)) = split(base) else { return reference.to_owned() };
    let scheme_end = reference.find(':').filter(|at| !reference.get(..*at).unwrap_or_default().contains(['/', '?', '(', '\'']));
    if scheme_end.is_some_and(|at| reference.get(..at).is_some_and(is_scheme)) {
        return reference.to_owned();
    }
    if let Some(authority) = reference.strip_prefix("//") {
        let scheme = origin.split("//").next().unwrap_or_default();
        return format!("{scheme}//{authority}");
    }
    let base_path = rest.split(['?', '#']).next().unwrap_or_default();
    if reference.is_empty() || reference.starts_with('?') {
        return format!("{origin}{base_path}{reference}");
    }
    let (path, query) = reference.find('?').and_then(|at| reference.split_at_checked(at)).unwrap_or((reference, ""));
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        let folder = base_path.rfind('/').and_then(|at| base_path.get(..=at)).unwrap_or("/");
        format!("{folder}{path}")
    };
    format!("{origin}{}{query}", without_dots(&path))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// RFC 3986, 5.2.4.
fn without_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    out.pop();
                }
                if last {
                    out.push("");
                }
            }
            other => out.push(other),
        }
    }
    format!("/{}", out.join("/"))
}

/// A query of system query options. Names stay as they are (`$filter`), values are percent-encoded.
#[derive(Debug, Default)]
pub struct Query(String);

impl Query {
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let mark = if self.0.is_empty() { '?' } else { '&' };
        self.0.push(mark);
        self.0.push_str(name);
        self.0.push('=');
        encode(&mut self.0, value);
        self
    }

    /// Adds the option where there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) if !value.is_empty() => self.with(name, value),
            _ => self,
        }
    }

    #[must_use]
    pub fn at(&self, url: &str) -> String {
        format!("{url}{}", self.0)
    }
}

/// RFC 3986: unreserved characters and those sub-delimiters that a query may hold and OData uses stay.
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,()':*/@$=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            escape(out, byte);
        }
    }
}

fn escape(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "https://erp.example.com/odata/v4/sales";

    fn service() -> Address {
        Address::service(ROOT).unwrap()
    }

    #[test]
    fn a_root_is_an_http_url_without_query_and_credentials() {
        assert_eq!(
            Address::service("https://erp.example.com:443/odata/").unwrap().resource("O"),
            "https://erp.example.com:443/odata/O"
        );
        assert_eq!(Address::service("HTTP://h").unwrap().resource("O"), "HTTP://h/O");
        assert_eq!(Address::service("erp.example.com/odata"), Err(BadAddress::NoUrl("erp.example.com/odata".to_owned())));
        assert_eq!(Address::service("https:///odata"), Err(BadAddress::NoUrl("https:///odata".to_owned())));
        assert_eq!(Address::service("https://h/o?sap-client=100"), Err(BadAddress::Query));
        assert_eq!(Address::service("https://me:pw@h/o"), Err(BadAddress::Credentials));
    }

    #[test]
    fn links_are_resolved_as_rfc_3986_has_it() {
        let request = "https://erp.example.com/odata/v4/sales/Orders?$top=2";
        for (link, expected) in [
            (
                "https://erp.example.com/odata/v4/sales/Orders?$skiptoken=2",
                "https://erp.example.com/odata/v4/sales/Orders?$skiptoken=2",
            ),
            ("HTTPS://ERP.example.com:443/x", "HTTPS://ERP.example.com:443/x"),
            ("//erp.example.com/x", "https://erp.example.com/x"),
            ("/odata/v4/sales/Orders?$skiptoken=2", "https://erp.example.com/odata/v4/sales/Orders?$skiptoken=2"),
            ("Orders?$skiptoken='a/../b:c'", "https://erp.example.com/odata/v4/sales/Orders?$skiptoken='a/../b:c'"),
            ("../other/./Orders", "https://erp.example.com/odata/v4/other/Orders"),
            (
                "Orders?$filter=a eq 'ü'&!deltatoken='1'",
                "https://erp.example.com/odata/v4/sales/Orders?$filter=a%20eq%20'%C3%BC'&!deltatoken='1'",
            ),
            ("?$skiptoken=9", "https://erp.example.com/odata/v4/sales/Orders?$skiptoken=9"),
            ("Orders('a:b')/Items", "https://erp.example.com/odata/v4/sales/Orders('a:b')/Items"),
        ] {
            assert_eq!(service().follow(link, request, None).unwrap(), expected, "{link}");
        }
    }

    #[test]
    fn a_relative_link_is_taken_from_the_context_url() {
        let request = "https://erp.example.com/odata/v4/sales/Customers('1')/Orders";
        let context = Some("../$metadata#Orders");
        let url = service().follow("Orders?$skiptoken=2", request, context).unwrap();
        assert_eq!(url, "https://erp.example.com/odata/v4/sales/Orders?$skiptoken=2");
    }

    #[test]
    fn a_link_to_another_host_is_not_followed() {
        let request = "https://erp.example.com/odata/v4/sales/Orders";
        for (link, found) in [
            ("https://evil.example.net/Orders", "https://evil.example.net"),
            ("//evil.example.net/Orders", "https://evil.example.net"),
            ("http://erp.example.com/Orders", "http://erp.example.com"),
            ("https://erp.example.com:8443/Orders", "https://erp.example.com:8443"),
            ("https://erp.example.com@evil.example.net/", "https://erp.example.com@evil.example.net"),
            ("file:///etc/passwd", "no host at all"),
        ] {
            let error = service().follow(link, request, None).unwrap_err();
            assert_eq!((error.found.as_str(), error.service.as_str()), (found, "https://erp.example.com"), "{link}");
        }
        assert!(service().follow("Orders", request, Some("https://evil.example.net/$metadata")).is_err());
    }

    #[test]
    fn values_of_a_query_are_encoded() {
        let query = Query::default().with("$filter", "a ge 'ü&b' and c eq 1+2").with_some("$select", None).with("$top", "5");
        assert_eq!(query.at("https://h/O"), "https://h/O?$filter=a%20ge%20'%C3%BC%26b'%20and%20c%20eq%201%2B2&$top=5");
    }
}
