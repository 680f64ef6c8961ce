//! The URLs of both versions, and what a wrong name gets told.

use super::*;

const V4: &str = include_str!("../../../shared/odata/tests/sales-v4.xml");
const V2: &str = include_str!("../../../shared/odata/tests/sales-v2.xml");

fn plan(json: &str, xml: Option<&str>) -> Result<Plan, BadPlan> {
    let mut object: Map<String, Value> = serde_json::from_str(json).unwrap();
    object.insert("service".to_owned(), "https://erp.example.com/s/".into());
    let config: Config = serde_json::from_value(Value::Object(object)).unwrap();
    let service = config.check().unwrap();
    Plan::new(&config, service, xml.map(|xml| Model::parse(xml).unwrap()))
}

fn cursor(plan: &Plan, raw: &str) -> Cursor {
    Cursor::read(&Value::from(raw), plan.cursor.as_ref().unwrap()).unwrap()
}

fn decoded(url: &str) -> String {
    url.replace("%20", " ").replace("%2B", "+")
}

#[test]
fn a_v4_read_asks_for_what_changed_since_the_cursor_less_the_overlap() {
    let json = r#"{"entity": "Orders", "cursor": "modifiedAt", "select": ["total"], "expand": ["items"], "filter": "paid eq true or number gt 1"}"#;
    let plan = plan(json, Some(V4)).unwrap();
    let url = plan.url(From::Start, false).unwrap();
    assert_eq!(
        decoded(&url),
        "https://erp.example.com/s/Orders?$filter=paid eq true or number gt 1&$orderby=modifiedAt asc,ID asc&$select=ID,modifiedAt,total&$expand=items"
    );
    let at = cursor(&plan, "2024-05-01T12:00:00.1234567+02:00");
    let url = decoded(&plan.url(From::Cursor(&at), false).unwrap());
    assert!(url.contains("?$filter=(modifiedAt ge 2024-05-01T09:59:00.123456Z) and (paid eq true or number gt 1)&"), "{url}");
}

#[test]
fn a_v2_read_writes_typed_literals_and_cuts_pages_itself() {
    let plan = plan(r#"{"entity": "OrderSet", "cursor": "ChangedAt", "page-size": 50}"#, Some(V2)).unwrap();
    assert_eq!((plan.version, plan.paging), (Version::V2, Paging::Client));
    let at = cursor(&plan, "/Date(1714557600000)/");
    let url = decoded(&plan.url(From::Cursor(&at), true).unwrap());
    assert_eq!(
        url,
        "https://erp.example.com/s/OrderSet?$filter=ChangedAt ge datetime'2024-05-01T09:59:00'&$orderby=ChangedAt asc,OrderID asc&$top=50"
    );
}

#[test]
fn the_next_page_begins_after_the_last_entity_in_the_order_of_cursor_and_key() {
    let plan =
        plan(r#"{"entity": "Customers", "key": ["Country", "Number"], "cursor": "Number", "overlap": "0s"}"#, Some(V4)).unwrap();
    let key = serde_json::from_str(r#"{"Country": "O'N", "Number": 7}"#).unwrap();
    let at = Cursor::read(&Value::from(7), plan.cursor.as_ref().unwrap()).unwrap();
    let url = decoded(&plan.url(From::Entity(Some(&at), &key), true).unwrap());
    assert!(
        url.contains("$filter=Number gt 7 or (Number eq 7 and (Country gt 'O''N' or (Country eq 'O''N' and Number gt 7)))&"),
        "{url}"
    );
    let url = decoded(&plan.url(From::Entity(None, &key), true).unwrap());
    assert!(url.contains("$filter=Number ne null or (Number eq null and (Country gt 'O''N' or "), "{url}");
}

#[test]
fn a_v4_cursor_keeps_all_its_digits_where_it_is_compared_exactly() {
    let plan = plan(r#"{"entity": "Orders", "cursor": "modifiedAt"}"#, Some(V4)).unwrap();
    let at = cursor(&plan, "2024-05-01T12:00:00.1234567+02:00");
    let key = serde_json::from_str(r#"{"ID": "0b1c"}"#).unwrap();
    let url = decoded(&plan.url(From::Entity(Some(&at), &key), true).unwrap());
    assert!(url.contains("modifiedAt gt 2024-05-01T12:00:00.1234567+02:00 or "), "{url}");
}

#[test]
fn a_wrong_name_is_answered_with_the_nearest_one() {
    let error = |json: &str| plan(json, Some(V4)).unwrap_err().to_string();
    let text = error(r#"{"entity": "orders"}"#);
    assert_eq!(text, "the service has no entity set `orders` (did you mean `Orders`?); it has: Orders, Customers");
    let text = error(r#"{"entity": "Orders", "cursor": "modifedAt"}"#);
    assert!(text.contains("`config.cursor` names `modifedAt`") && text.contains("did you mean `modifiedAt`?"), "{text}");
    assert!(error(r#"{"entity": "Orders", "key": ["id"]}"#).contains("did you mean `ID`?"));
    assert!(error(r#"{"entity": "Orders", "cursor": "paid"}"#).contains("nothing can be ordered by it"));
    assert!(error(r#"{"entity": "Orders", "cursor": "shipTo"}"#).contains("nothing can be ordered by it"));
}

#[test]
fn without_metadata_the_key_has_to_be_named() {
    assert_eq!(plan(r#"{"entity": "Orders"}"#, None).unwrap_err(), BadPlan::NoKey("Orders".to_owned()));
    let plan = plan(r#"{"entity": "Orders", "key": ["ID"], "cursor": "at", "version": "v2"}"#, None).unwrap();
    let at = cursor(&plan, "/Date(1714557600000+0000)/");
    let url = decoded(&plan.url(From::Cursor(&at), false).unwrap());
    assert!(url.contains("at ge datetimeoffset'2024-05-01T09:59:00Z'&"), "{url}");
}

#[test]
fn delta_links_are_asked_for_only_where_they_replace_a_full_read() {
    assert!(plan(r#"{"entity": "Orders"}"#, Some(V4)).unwrap().delta);
    assert!(!plan(r#"{"entity": "Orders", "delta": "never"}"#, Some(V4)).unwrap().delta);
    assert!(!plan(r#"{"entity": "Orders", "cursor": "modifiedAt"}"#, Some(V4)).unwrap().delta);
    assert!(!plan(r#"{"entity": "Orders", "expand": ["items"]}"#, Some(V4)).unwrap().delta);
}
