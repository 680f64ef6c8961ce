//! One entity of an answer as the JSON that a record holds: typed by `$metadata`, without control information. Owns the
//! mapping of Edm types; decides nothing about keys and cursors.
//!
//! Sources: OData JSON Format 4.01, 7 (values) and 4.6 (control information, `@` in a name); OData V2 "JSON Format", 4
//! (primitive types as strings) and 6 (`__metadata`, `__deferred`, `results`).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Number, Value};

use crate::Version;
use crate::edm::{Model, Simple, Type};
use crate::time;

/// A decimal's digits are written out up to this exponent; a larger one keeps its notation.
const LARGEST_EXPONENT: i32 = 400;

/// How entities of one service are read.
#[derive(Debug, Clone, Copy)]
pub struct Mapping<'a> {
    /// `None`: the service has no `$metadata`, values stay as they are.
    pub model: Option<&'a Model>,
    pub version: Version,
}

impl Mapping<'_> {
    /// The properties of an entity or of a complex value. Members that are not declared are kept (open types).
    #[must_use]
    pub fn object(&self, raw: Map<String, Value>, of: Option<&str>) -> Map<String, Value> {
        let actual = self.named_type(&raw).or_else(|| of.map(ToOwned::to_owned));
        let mut out = Map::with_capacity(raw.len());
        for (name, value) in raw {
            if name.contains('@') || self.is_control(&name) || is_reference(&value) {
                continue;
            }
            let member = self.model.zip(actual.as_deref()).and_then(|(model, of)| model.member(of, &name));
            let value = match member.map(|member| &member.of) {
                Some(Type::Simple(Simple::Stream)) => continue,
                Some(of) => self.typed(value, of),
                None => self.untyped(value),
            };
            out.insert(name, value);
        }
        out
    }

    /// The type that the entity itself names, where the model knows it: a derived one.
    fn named_type(&self, raw: &Map<String, Value>) -> Option<String> {
        let named = match self.version {
            Version::V4 => raw.get("@odata.type").or_else(|| raw.get("@type"))?.as_str()?.trim_start_matches('#'),
            Version::V2 => raw.get("__metadata")?.get("type")?.as_str()?,
        };
        self.model?.structured(named).map(|_| named.to_owned())
    }

    fn is_control(&self, name: &str) -> bool {
        self.version == Version::V2 && matches!(name, "__metadata" | "__count" | "__next")
    }

    fn typed(&self, value: Value, of: &Type) -> Value {
        match (of, value) {
            (_, Value::Null) => Value::Null,
            (Type::Simple(simple), value) => primitive(*simple, value),
            (Type::List(inner), value) => match self.list(value) {
                Ok(items) => items.into_iter().map(|item| self.typed(item, inner)).collect(),
                Err(value) => self.untyped(value),
            },
            // V2's associations do not say "list"; the value does.
            (Type::Named(name), value) => match self.list(value) {
                Ok(items) => items.into_iter().map(|item| self.typed(item, of)).collect(),
                Err(Value::Object(raw)) => Value::Object(self.object(raw, Some(name))),
                Err(value) => match self.model.and_then(|model| model.defined(name)) {
                    Some(simple) => primitive(simple, value),
                    None => value,
                },
            },
        }
    }

    /// The items of an array, or of V2's `{"results": […]}`; anything else comes back.
    fn list(&self, value: Value) -> Result<Vec<Value>, Value> {
        match value {
            Value::Array(items) => Ok(items),
            Value::Object(mut raw) if self.version == Version::V2 => match raw.remove("results") {
                Some(Value::Array(items)) => Ok(items),
                Some(other) => {
                    raw.insert("results".to_owned(), other);
                    Err(Value::Object(raw))
                }
                None => Err(Value::Object(raw)),
            },
            other => Err(other),
        }
    }

    fn untyped(&self, value: Value) -> Value {
        match self.list(value) {
            Ok(items) => items.into_iter().map(|item| self.untyped(item)).collect(),
            Err(Value::Object(raw)) => Value::Object(self.object(raw, None)),
            Err(value) => value,
        }
    }
}

/// A link in place of a value: a navigation that was not expanded, or media.
fn is_reference(value: &Value) -> bool {
    value.as_object().is_some_and(|o| o.len() == 1 && (o.contains_key("__deferred") || o.contains_key("__mediaresource")))
}

/// A primitive value in the form that Wharf's records have. What does not fit its type stays as it is.
#[must_use]
pub fn primitive(simple: Simple, value: Value) -> Value {
    match (simple, value) {
        (Simple::Integer | Simple::Int64 | Simple::Double | Simple::Single, Value::String(text)) => number(text),
        (Simple::Decimal, Value::Number(n)) => Value::String(plain(&n.to_string())),
        (Simple::Decimal, Value::String(text)) => Value::String(plain(&text)),
        (Simple::Moment | Simple::LocalMoment, Value::String(text)) => {
            Value::String(time::parse(&text).and_then(time::rfc3339).unwrap_or(text))
        }
        (Simple::Binary, Value::String(text)) => Value::String(base64_of(&text).unwrap_or(text)),
        (_, value) => value,
    }
}

/// A number's digits, untouched; `INF` and `NaN` have no JSON number and stay text.
fn number(text: String) -> Value {
    match serde_json::from_str::<Number>(&text) {
        Ok(number) => Value::Number(number),
        Err(_) => Value::String(text),
    }
}

/// Decimal digits without an exponent.
#[must_use]
pub fn plain(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once(['e', 'E']) else { return text.to_owned() };
    let Ok(exponent) = exponent.parse::<i32>() else { return text.to_owned() };
    if exponent.abs() > LARGEST_EXPONENT {
        return text.to_owned();
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    // Where the point comes to stand, counted from the first digit.
    let point = i32::try_from(whole.len()).unwrap_or(0) + exponent;
    let length = i32::try_from(all.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let shifted = if point <= 0 {
        format!("0.{}{all}", zeros(-point))
    } else if point >= length {
        format!("{all}{}", zeros(point - length))
    } else {
        let (head, tail) = all.split_at_checked(usize::try_from(point).unwrap_or(0)).unwrap_or((&all, ""));
        format!("{head}.{tail}")
    };
    format!("{sign}{shifted}")
}

/// V4 writes base64url, with or without padding (RFC 4648, 5); records have the standard alphabet with padding.
fn base64_of(text: &str) -> Option<String> {
    const LENIENT: GeneralPurpose =
        GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
    let bytes = LENIENT.decode(text.replace('-', "+").replace('_', "/")).ok()?;
    Some(base64::engine::general_purpose::STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str, version: Version, of: &str) -> String {
        let xml = match version {
            Version::V4 => include_str!("../tests/sales-v4.xml"),
            Version::V2 => include_str!("../tests/sales-v2.xml"),
        };
        let model = Model::parse(xml).unwrap();
        let mapping = Mapping { model: Some(&model), version };
        Value::Object(mapping.object(serde_json::from_str(json).unwrap(), Some(of))).to_string()
    }

    #[test]
    fn values_of_v4_become_what_records_hold() {
        let json = r##"{"@odata.etag": "W/\"1\"", "@odata.type": "#sales.Order", "ID": "0b1c", "number": "9007199254740993",
            "total": 1234567890123456789.10, "discount": "1.5E-3", "weight": "INF", "paid": true, "day": "2024-05-01",
            "hour": "10:00:00", "token": "_-8", "status": "open", "modifiedAt": "2024-05-01T12:00:00.1234567+02:00",
            "shipTo": {"@odata.type": "#sales.Address", "city": "Köln", "since": "2020-01-01T00:00:00Z"},
            "tags@odata.count": 1, "tags": ["a"], "prices": [1.0, null, "2.50"], "scan": "x", "scan@odata.mediaReadLink": "x",
            "items@odata.navigationLink": "Orders(1)/items", "items": [{"position": 1, "amount": 2.5, "@odata.id": "x"}],
            "customer": null, "extra": {"deep@odata.type": "#Int64", "deep": 1}}"##;
        let expected = r#"{"ID":"0b1c","number":9007199254740993,"total":"1234567890123456789.10","discount":"0.0015","weight":"INF","paid":true,"day":"2024-05-01","hour":"10:00:00","token":"/+8=","status":"open","modifiedAt":"2024-05-01T10:00:00.123456Z","shipTo":{"city":"Köln","since":"2020-01-01T00:00:00.000000Z"},"tags":["a"],"prices":["1.0",null,"2.50"],"items":[{"position":1,"amount":"2.5"}],"customer":null,"extra":{"deep":1}}"#;
        assert_eq!(map(json, Version::V4, "sales.Managed"), expected);
    }

    #[test]
    fn values_of_v2_become_what_records_hold() {
        let json = r#"{"__metadata": {"uri": "x", "type": "SALES.OrderType"}, "OrderID": "0001", "Count": "9007199254740993",
            "Total": "24786.720", "Weight": "1.5E+003", "Lines": 3, "Paid": false, "Day": "/Date(1714521600000)/",
            "ChangedAt": "/Date(1714557600123)/", "SentAt": "/Date(1714564800000+0120)/", "Hour": "PT10H", "Uuid": "0b1c",
            "Scan": "/+8=", "ShipTo": {"__metadata": {"type": "SALES.Address"}, "City": "Köln", "Since": null},
            "to_Item": {"results": [{"__metadata": {"type": "SALES.ItemType"}, "OrderID": "0001", "Position": "10", "Amount": "1.50",
            "to_Order": {"__deferred": {"uri": "x"}}}]}, "to_Partner": {"__deferred": {"uri": "x"}}}"#;
        let expected = r#"{"OrderID":"0001","Count":9007199254740993,"Total":"24786.720","Weight":1.5e+003,"Lines":3,"Paid":false,"Day":"2024-05-01T00:00:00.000000Z","ChangedAt":"2024-05-01T10:00:00.123000Z","SentAt":"2024-05-01T10:00:00.000000Z","Hour":"PT10H","Uuid":"0b1c","Scan":"/+8=","ShipTo":{"City":"Köln","Since":null},"to_Item":[{"OrderID":"0001","Position":10,"Amount":"1.50"}]}"#;
        assert_eq!(map(json, Version::V2, "SALES.OrderType"), expected);
    }

    #[test]
    fn without_metadata_values_stay_and_control_information_goes() {
        let mapping = Mapping { model: None, version: Version::V4 };
        let json =
            r#"{"@odata.etag": "1", "ID": 1, "at": "2024-05-01T12:00:00+02:00", "items": [{"@odata.id": "x", "n": 1.50}]}"#;
        let mapped = mapping.object(serde_json::from_str(json).unwrap(), None);
        assert_eq!(Value::Object(mapped).to_string(), r#"{"ID":1,"at":"2024-05-01T12:00:00+02:00","items":[{"n":1.50}]}"#);
    }

    #[test]
    fn decimals_lose_their_exponent_and_no_digit() {
        for (text, expected) in [
            ("1.50", "1.50"),
            ("-1.5e2", "-150"),
            ("1.25E1", "12.5"),
            ("12E-1", "1.2"),
            ("-1E-2", "-0.01"),
            ("1e999", "1e999"),
            ("INF", "INF"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
