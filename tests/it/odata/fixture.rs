//! A small OData V4 service: `$metadata`, `$filter` by the cursor, `$orderby`, pages by a relative next link, basic
//! authentication, and faults on demand.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const METADATA: &str = r#"<?xml version="1.0"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="sales" xmlns="http://docs.oasis-open.org/odata/ns/edm"><EntityType Name="Order"><Key><PropertyRef Name="ID"/></Key>
<Property Name="ID" Type="Edm.String" Nullable="false"/><Property Name="modifiedAt" Type="Edm.DateTimeOffset"/>
<Property Name="total" Type="Edm.Decimal" Scale="variable"/><Property Name="number" Type="Edm.Int64"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Orders" EntityType="sales.Order"/></EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"#;
/// Entities a page.
const PAGE: usize = 3;

/// What goes wrong with a request for a page, in place of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Status and `Retry-After`.
    Status(u16, u32),
    /// The right answer, so late.
    Slow(Duration),
    /// The connection breaks in the middle of the body.
    CutOff,
    NotJson,
    ForeignLink,
}

#[derive(Default)]
struct Inner {
    /// Cursor, id, and the JSON that is served.
    orders: Vec<(String, String, String)>,
    faults: VecDeque<Option<Fault>>,
    requests: Vec<String>,
}

#[derive(Clone, Default)]
pub struct Service(Arc<Mutex<Inner>>);

impl Service {
    /// Starts it; answers its `host:port`.
    pub async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// Inserts or replaces an order, changed at this second after ten o'clock.
    pub fn put(&self, id: &str, second: u32, total: &str) {
        let at = format!("2024-05-01T10:{:02}:{:02}Z", second / 60, second % 60);
        let json = format!(
            r#"{{"@odata.etag": "W/1", "ID": "{id}", "modifiedAt": "{at}", "total": {total}, "number": 9007199254740993}}"#
        );
        let mut inner = self.0.lock().unwrap();
        inner.orders.retain(|(_, other, _)| other != id);
        inner.orders.push((at, id.to_owned(), json));
        inner.orders.sort();
    }

    /// An entity as raw JSON, for what is not well formed.
    pub fn put_raw(&self, second: u32, json: &str) {
        let at = format!("2024-05-01T10:{:02}:{:02}Z", second / 60, second % 60);
        let mut inner = self.0.lock().unwrap();
        inner.orders.push((at, String::new(), json.to_owned()));
        inner.orders.sort();
    }

    /// Faults of the next requests for a page; `None` answers as usual.
    pub fn fail(&self, faults: &[Option<Fault>]) {
        self.0.lock().unwrap().faults.extend(faults);
    }

    /// What the set holds, as records have it.
    pub fn expected(&self) -> Vec<String> {
        let inner = self.0.lock().unwrap();
        let of = |(at, id, json): &(String, String, String)| {
            let total = json.split("\"total\": ").nth(1)?.split(',').next()?;
            let at = at.replace('Z', ".000000Z");
            Some(format!(r#"{{"ID":"{id}","modifiedAt":"{at}","total":"{total}","number":9007199254740993}}"#))
        };
        inner.orders.iter().filter_map(of).collect()
    }

    /// Path and query of each request for a page.
    pub fn requests(&self) -> Vec<String> {
        self.0.lock().unwrap().requests.clone()
    }

    fn page(&self, query: &str) -> String {
        let inner = self.0.lock().unwrap();
        let option = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let since = option("$filter").and_then(|filter| filter.strip_prefix("modifiedAt ge ")).unwrap_or("");
        assert_eq!(option("$orderby"), Some("modifiedAt asc,ID asc"), "{query}");
        let skip: usize = option("$skiptoken").map_or(0, |token| token.parse().unwrap());
        let rows: Vec<&str> =
            inner.orders.iter().filter(|(at, ..)| at.as_str() >= since).map(|(_, _, json)| json.as_str()).collect();
        let page: Vec<&str> = rows.iter().skip(skip).take(PAGE).copied().collect();
        let kept: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("$skiptoken")).collect();
        let next = format!(", \"@odata.nextLink\": \"Orders?{}&$skiptoken={}\"", kept.join("&"), skip + PAGE);
        let next = if rows.len() > skip + PAGE { next } else { String::new() };
        format!(r#"{{"@odata.context": "$metadata#Orders", "value": [{}]{next}}}"#, page.join(", "))
    }
}

async fn answer(State(service): State<Service>, uri: Uri, headers: HeaderMap) -> Response {
    let right = format!("Basic {}", STANDARD.encode("sap:secret"));
    if headers.get(header::AUTHORIZATION).is_none_or(|given| given.as_bytes() != right.as_bytes()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if uri.path().ends_with("/$metadata") {
        return METADATA.into_response();
    }
    if !uri.path().ends_with("/Orders") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let query = uri.query().unwrap_or_default().replace("%20", " ");
    let fault = {
        let mut inner = service.0.lock().unwrap();
        inner.requests.push(format!("{}?{query}", uri.path()));
        inner.faults.pop_front().flatten()
    };
    let page = service.page(&query);
    match fault {
        None => page.into_response(),
        Some(Fault::Slow(by)) => {
            tokio::time::sleep(by).await;
            page.into_response()
        }
        Some(Fault::Status(status, wait)) => {
            (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, wait.to_string())]).into_response()
        }
        Some(Fault::NotJson) => "<html>Please sign in</html>".into_response(),
        Some(Fault::ForeignLink) => r#"{"value": [], "@odata.nextLink": "http://127.0.0.1:9/odata/Orders"}"#.into_response(),
        Some(Fault::CutOff) => {
            let half = Bytes::copy_from_slice(&page.as_bytes()[..page.len() / 2]);
            let broken = futures_util::stream::iter([Ok(half), Err(std::io::Error::other("the line is cut"))]);
            Body::from_stream(broken).into_response()
        }
    }
}
