//! A value's fields as they stand in the record: nothing is built of them and no digit is lost.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use wharf_sdk::Rejection;
use wharf_sdk::json::scan;

/// One valid JSON value without space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(pub &'a str);

/// Reads the fields of a JSON object into `into`, whose room is used again from record to record.
///
/// # Errors
/// [`Rejection`] `value.json` for what is no JSON, `value.object` for what is no object.
pub fn read<'a>(json: &'a [u8], into: &mut Vec<(Cow<'a, str>, Json<'a>)>) -> Result<(), Rejection> {
    into.clear();
    if scan::fields(json, |field| into.push((Cow::Borrowed(field.name), Json(field.json)))).is_some() {
        return Ok(());
    }
    into.clear();
    let mut reader = serde_json::Deserializer::from_slice(json);
    match Fields(into).deserialize(&mut reader).and_then(|()| reader.end()) {
        Ok(()) => Ok(()),
        Err(e) if e.is_data() => {
            Err(Rejection::new("value.object", "the value is JSON, but no object: a row is made of an object's fields"))
        }
        Err(e) => Err(Rejection::new("value.json", format!("the value is no JSON: {e}"))),
    }
}

/// The characters of a JSON string. `None`: no string, or half of a surrogate pair.
#[must_use]
pub fn text(json: Json<'_>) -> Option<Cow<'_, str>> {
    if json.0.contains('\\') {
        return serde_json::from_str(json.0).ok().map(Cow::Owned);
    }
    json.0.strip_prefix('"')?.strip_suffix('"').map(Cow::Borrowed)
}

/// The elements of a JSON array; `None`: it is none.
#[must_use]
pub fn elements(json: Json<'_>) -> Option<Vec<Json<'_>>> {
    let elements: Vec<&RawValue> = serde_json::from_str(json.0).ok()?;
    Some(elements.into_iter().map(|element| Json(element.get())).collect())
}

struct Fields<'v, 'a>(&'v mut Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> DeserializeSeed<'a> for Fields<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Fields<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let value: &RawValue = map.next_value()?;
            self.0.push((Cow::Owned(name), Json(value.get())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Result<Vec<(String, String)>, String> {
        let mut into = Vec::new();
        read(json.as_bytes(), &mut into).map_err(|rejection| rejection.code)?;
        Ok(into.into_iter().map(|(name, json)| (name.into_owned(), json.0.to_owned())).collect())
    }

    #[test]
    fn fields_keep_their_digits_their_order_and_their_repetitions() {
        let expected = [("b", "18446744073709551615"), ("a\n", "1.10"), ("b", "[1, 2]")];
        let expected: Vec<_> = expected.map(|(name, json)| (name.to_owned(), json.to_owned())).to_vec();
        assert_eq!(fields(r#"{"b":18446744073709551615,"a\n": 1.10,"b":[1, 2]}"#), Ok(expected));
    }

    #[test]
    fn what_is_no_object_says_what_it_is() {
        for (json, code) in
            [("[]", "value.object"), ("1", "value.object"), ("{", "value.json"), ("", "value.json"), ("{} x", "value.json")]
        {
            assert_eq!(fields(json), Err(code.to_owned()), "{json}");
        }
    }
}
