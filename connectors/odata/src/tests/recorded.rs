//! What mock-sap 0.22 answered, word for word: `connectors/shared/odata/tests/mock-sap`.

use super::*;

macro_rules! recorded {
    ($file:literal) => {
        include_str!(concat!("../../../shared/odata/tests/mock-sap/", $file))
    };
}

/// A service as it was recorded.
struct Service {
    config: &'static str,
    metadata: &'static str,
    page: &'static str,
    delta: &'static str,
    error: &'static str,
}

const V2: Service = Service {
    config: r#""service": "http://127.0.0.1:53055/sap/opu/odata/sap/API_SALES_ORDER_SRV", "entity": "A_SalesOrder""#,
    metadata: recorded!("metadata-v2.xml"),
    page: recorded!("page-v2.json"),
    delta: recorded!("delta-v2.json"),
    error: recorded!("error-v2.json"),
};

const V4: Service = Service {
    config: r#""service": "http://127.0.0.1:53055/sap/opu/odata4/sap/api_salesorder/srvd_a2x/sap/api_salesorder/0001", "entity": "SalesOrder""#,
    metadata: recorded!("metadata-v4.xml"),
    page: recorded!("page-v4.json"),
    delta: recorded!("delta-v4.json"),
    error: recorded!("error-v4.json"),
};

/// What a source makes of this one answer after `$metadata`.
fn read(service: &Service, more: &str, status: u16, answer: &'static str) -> Result<Polled> {
    let metadata = service.metadata;
    let mut answers = vec![Response::new(status, answer)];
    testing::http(move |request| {
        if request.url.ends_with("/$metadata") {
            return Ok(Response::new(200, metadata));
        }
        Ok(answers.pop().expect("one answer is enough"))
    });
    let mut source = Odata::open(&Context::new("erp", format!("{{{}{more}}}", service.config)), Vec::new()).unwrap();
    source.poll(LIMITS)?;
    source.poll(LIMITS)
}

fn texts(polled: Polled) -> Vec<(String, Option<serde_json::Value>)> {
    let batch = polled.records.into_batch();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let of = |record: wharf_sdk::Record<'_>| {
        (text(record.key.unwrap()), record.value.map(|value| serde_json::from_slice(value).unwrap()))
    };
    batch.records().map(of).collect()
}

#[test]
fn a_page_of_either_version_is_the_same_records() {
    for service in [V2, V4] {
        let page = texts(read(&service, r#", "cursor": "LastChangeDate""#, 200, service.page).unwrap());
        let keys: Vec<_> = page.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, [r#"{"SalesOrder":"0000004721"}"#, r#"{"SalesOrder":"0000004727"}"#]);
        let order = page[0].1.as_ref().unwrap();
        let at = |name: &str| order[name].clone();
        assert_eq!((at("TransactionCurrency"), at("PricingDate")), ("EUR".into(), serde_json::Value::Null));
        assert_eq!(at("LastChangeDate"), "2025-07-29T00:00:00.000000Z");
        assert!(at("TotalNetAmount").as_str().unwrap().starts_with("135226.95"), "a decimal is text: {order}");
        let names: Vec<_> = order.as_object().unwrap().keys().filter(|name| name.contains("to_") || name.contains('_')).collect();
        assert_eq!(names, [""; 0], "no navigation, and nothing of the protocol");
    }
}

#[test]
fn a_delta_of_either_version_tells_what_changed_and_what_is_gone() {
    for service in [V2, V4] {
        let polled = read(&service, "", 200, service.delta).unwrap();
        let link = String::from_utf8(polled.positions[0].place.clone()).unwrap();
        assert!(link.contains("deltatoken"), "the next read begins there: {link}");
        let delta = texts(polled);
        assert_eq!(delta[0].0, r#"{"SalesOrder":"0000004737"}"#);
        assert_eq!(delta[0].1.as_ref().unwrap()["PurchaseOrderByCustomer"], "REC changed");
        assert_eq!(delta[1..], [(r#"{"SalesOrder":"0000004738"}"#.to_owned(), None)]);
    }
}

#[test]
fn an_error_of_either_version_stops_the_source_with_what_the_service_says() {
    for service in [V2, V4] {
        let Err(Error::Fatal(text)) = read(&service, r#", "cursor": "LastChangeDate""#, 400, service.error) else {
            panic!("fatal")
        };
        assert!(text.contains("/IWBEP/CX_MGW_BUSI_EXCEPTION: Property 'Nope' not found in type 'A_SalesOrder'"), "{text}");
    }
}
