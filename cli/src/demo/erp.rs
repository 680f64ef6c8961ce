//! The ERP of the example: an OData V4 service on loopback with two entity sets, server-side paging, `$filter` on the
//! change time and basic authentication. As much of the protocol as a reader of it meets, no more.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Entities a page.
const PAGE: usize = 250;
/// Root of the service.
const ROOT: &str = "/odata/v4/sales/";
/// Size of the note that is too long for its topic.
const LONG_NOTE: usize = 70_000;

const METADATA: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="sales" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Customer"><Key><PropertyRef Name="ID"/></Key>
<Property Name="ID" Type="Edm.String" Nullable="false"/><Property Name="name" Type="Edm.String"/><Property Name="email" Type="Edm.String"/>
<Property Name="phone" Type="Edm.String"/><Property Name="country" Type="Edm.String"/><Property Name="consent" Type="Edm.Boolean"/>
<Property Name="modifiedAt" Type="Edm.DateTimeOffset"/></EntityType>
<ComplexType Name="Item"><Property Name="sku" Type="Edm.String"/><Property Name="quantity" Type="Edm.Int32"/><Property Name="price" Type="Edm.String"/></ComplexType>
<EntityType Name="Order"><Key><PropertyRef Name="ID"/></Key>
<Property Name="ID" Type="Edm.String" Nullable="false"/><Property Name="customerId" Type="Edm.String"/><Property Name="status" Type="Edm.String"/>
<Property Name="currency" Type="Edm.String"/><Property Name="total" Type="Edm.String"/><Property Name="items" Type="Collection(sales.Item)"/>
<Property Name="createdAt" Type="Edm.String"/><Property Name="modifiedAt" Type="Edm.DateTimeOffset"/><Property Name="note" Type="Edm.String"/></EntityType>
<EntityContainer Name="Container"><EntitySet Name="Customers" EntityType="sales.Customer"/><EntitySet Name="Orders" EntityType="sales.Order"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"#;

/// The running service.
#[derive(Debug)]
pub struct Erp {
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

#[derive(Debug)]
struct Service {
    authorization: String,
    /// By entity set, ordered by `modifiedAt`.
    sets: Vec<(&'static str, Vec<Value>)>,
}

/// Serves the entities under `dir`.
pub async fn start(dir: &Path, address: &str) -> Result<Erp> {
    let password = std::fs::read_to_string(super::inside(dir, "secrets/erp-password")).context("reading the ERP's password")?;
    let authorization = format!("Basic {}", STANDARD.encode(format!("wharf:{}", password.trim())));
    let sets = vec![("Customers", load(dir, "Customers")?), ("Orders", load(dir, "Orders")?)];
    let service = Arc::new(Service { authorization, sets });
    let listener = TcpListener::bind(address).await.with_context(|| format!("the ERP cannot listen on {address}"))?;
    let app = Router::new().fallback(move |request: Request<Body>| {
        let service = Arc::clone(&service);
        async move { service.answer(request.uri(), request.headers()) }
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move { drop(stopped.await) });
    Ok(Erp { stop, task: tokio::spawn(serving.into_future()) })
}

impl Erp {
    pub async fn stop(self) {
        drop(self.stop);
        // Connections that the deployment's pool keeps open would hold a graceful shutdown up.
        self.task.abort();
        if let Err(error) = self.task.await
            && !error.is_cancelled()
        {
            tracing::warn!(%error, "the ERP fixture ended badly");
        }
    }
}

fn load(dir: &Path, set: &str) -> Result<Vec<Value>> {
    let path = super::inside(dir, &format!("erp/{set}.json"));
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut entities: Vec<Value> = serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    for entity in &mut entities {
        if entity.get("note").is_some_and(|note| note == "@70000")
            && let Some(object) = entity.as_object_mut()
        {
            object.insert("note".to_owned(), "x".repeat(LONG_NOTE).into());
        }
    }
    entities.sort_by(|a, b| modified(a).cmp(modified(b)));
    Ok(entities)
}

fn modified(entity: &Value) -> &str {
    entity.get("modifiedAt").and_then(Value::as_str).unwrap_or_default()
}

impl Service {
    fn answer(&self, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
        if headers.get(header::AUTHORIZATION).is_none_or(|given| given.as_bytes() != self.authorization.as_bytes()) {
            return answer(StatusCode::UNAUTHORIZED, "text/plain", "who are you?".to_owned());
        }
        let name = uri.path().strip_prefix(ROOT).unwrap_or_default();
        if name == "$metadata" {
            return answer(StatusCode::OK, "application/xml", METADATA.to_owned());
        }
        match self.sets.iter().find(|(set, _)| *set == name) {
            Some((set, entities)) => {
                answer(StatusCode::OK, "application/json", page(set, entities, uri.query().unwrap_or_default()))
            }
            None => answer(StatusCode::NOT_FOUND, "text/plain", format!("there is no entity set `{name}`")),
        }
    }
}

/// One page; `$skiptoken` counts within what `$filter` lets through.
fn page(set: &str, entities: &[Value], query: &str) -> String {
    let option = |name: &str| {
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| decode(key) == name).map(|(_, value)| value)
    };
    let filter = option("$filter").map(decode).unwrap_or_default();
    let since = filter.split_once("modifiedAt ge ").map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
    let since = since.trim_end_matches(')');
    let matching: Vec<&Value> = entities.iter().filter(|entity| !earlier(modified(entity), since)).collect();
    let skip = option("$skiptoken").and_then(|token| token.parse::<usize>().ok()).unwrap_or(0);
    let values: Vec<&Value> = matching.iter().skip(skip).take(PAGE).copied().collect();
    let mut body = json!({ "@odata.context": format!("$metadata#{set}"), "value": values });
    if skip + PAGE < matching.len()
        && let Some(object) = body.as_object_mut()
    {
        let rest: Vec<&str> =
            query.split('&').filter(|pair| !pair.is_empty() && !decode(pair).starts_with("$skiptoken")).collect();
        let link = format!("{set}?{}{}$skiptoken={}", rest.join("&"), if rest.is_empty() { "" } else { "&" }, skip + PAGE);
        object.insert("@odata.nextLink".to_owned(), link.into());
    }
    body.to_string()
}

/// Compares times; an unreadable bound lets everything through.
fn earlier(time: &str, bound: &str) -> bool {
    match (time.parse::<jiff::Timestamp>(), bound.parse::<jiff::Timestamp>()) {
        (Ok(time), Ok(bound)) => time < bound,
        _ => false,
    }
}

/// Percent-decoding (RFC 3986) of a query.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match byte {
            b'%' => {
                let (high, low) = (hex(rest.next()), hex(rest.next()));
                let value = high.zip(low).and_then(|(h, l)| u8::try_from(h * 16 + l).ok());
                bytes.extend(value);
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
