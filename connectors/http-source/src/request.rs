//! A request from its templates. Sends nothing.

use std::borrow::Cow;
use std::time::Duration;

use wharf_http_rules::template::{Form, Template, Unfilled};
use wharf_sdk::http::{Request, encode};

use crate::config::{Config, Format, Method, Pagination};
use crate::place::Step;
use crate::plan::template;

/// The templates of all requests.
#[derive(Debug)]
pub struct Requests {
    method: &'static str,
    url: Template,
    query: Vec<(String, Template)>,
    headers: Vec<(String, Template)>,
    body: Option<Template>,
    timeout: Duration,
    size: Option<u64>,
    first_page: u64,
}

impl Requests {
    /// # Errors
    /// One sentence that names the key at fault.
    pub fn new(config: &Config) -> Result<Self, String> {
        let known = names(config);
        let given = config.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content_type = given.map_or("application/json", |(_, value)| value);
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            headers.push((name.clone(), template(&format!("headers.{name}"), value, Form::Header, &known)?));
        }
        if given.is_none() && config.body.is_some() {
            headers.push(("content-type".to_owned(), template("headers", content_type, Form::Header, &known)?));
        }
        if !config.headers.keys().any(|name| name.eq_ignore_ascii_case("accept")) {
            let accept = match config.format {
                Format::Json => "application/json",
                Format::JsonLines => "application/x-ndjson, */*;q=0.1",
            };
            headers.push(("accept".to_owned(), template("headers", accept, Form::Header, &known)?));
        }
        let mut query = Vec::new();
        for (name, value) in &config.query {
            query.push((name.clone(), template(&format!("query.{name}"), value, Form::Query, &known)?));
        }
        let body = config.body.as_ref().map(|body| template("body", body, Form::of_body(content_type), &known)).transpose()?;
        if body.is_some() && config.method == Method::Get {
            return Err("`config.body` goes with method = \"POST\"".to_owned());
        }
        Ok(Self {
            method: config.method.name(),
            url: template("url", &config.url, Form::Url, &known)?,
            query,
            headers,
            body,
            timeout: config.timeout,
            size: config.page_size,
            first_page: config.first_page,
        })
    }

    /// Whether a template has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let named = self.query.iter().chain(&self.headers).map(|(_, template)| template);
        named.chain(&self.body).chain([&self.url]).any(|template| template.has(name))
    }

    /// The names that need a value in each request.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        self.body.iter().chain([&self.url]).flat_map(Template::needed)
    }

    /// The request for a page, after this cursor (a JSON text).
    ///
    /// # Errors
    /// [`Unfilled`] where a name has no value for it.
    pub fn page(&self, step: &Step, since: Option<&str>) -> Result<Request, Unfilled> {
        let number = |number: u64| Some(Cow::Owned(number.to_string()));
        let value = |name: &str| match (name, step) {
            ("since", _) => since.map(Cow::Borrowed),
            ("size", _) => self.size.and_then(number),
            ("cursor", Step::Cursor(cursor)) => Some(Cow::Borrowed(cursor.as_str())),
            ("page", Step::Page(page)) => number(*page),
            ("page", _) => number(self.first_page),
            ("offset", Step::Offset(offset)) => number(*offset),
            ("offset", _) => number(0),
            _ => None,
        };
        let mut request = match step {
            Step::Url(url) => Request::new(self.method, url.clone()),
            _ => Request::new(self.method, self.url(value)?),
        };
        request = request.timeout(self.timeout);
        for (name, template) in &self.headers {
            match template.render(value) {
                Ok(text) => request = request.header(name.clone(), text),
                Err(Unfilled::Missing(_)) => {}
                Err(other) => return Err(other),
            }
        }
        match &self.body {
            Some(body) => Ok(request.body(body.render(value)?)),
            None => Ok(request),
        }
    }

    /// A parameter whose name has no value yet is left out.
    fn url<'v>(&self, value: impl Fn(&str) -> Option<Cow<'v, str>> + Copy) -> Result<String, Unfilled> {
        let mut url = self.url.render(value)?;
        for (name, template) in &self.query {
            match template.render(value) {
                Ok(text) => {
                    let mark = if url.contains('?') { '&' } else { '?' };
                    url = format!("{url}{mark}{}={text}", encode(name));
                }
                Err(Unfilled::Missing(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(url)
    }
}

/// The names that templates may have with this pagination.
fn names(config: &Config) -> Vec<&'static str> {
    let of_pages = match config.pagination {
        Pagination::Cursor => Some("cursor"),
        Pagination::Page => Some("page"),
        Pagination::Offset => Some("offset"),
        Pagination::None | Pagination::Link => None,
    };
    let since = config.cursor.is_some().then_some("since");
    let size = config.page_size.is_some().then_some("size");
    [since, of_pages, size].into_iter().flatten().collect()
}
