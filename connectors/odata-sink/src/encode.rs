//! A record's values as the JSON that a service takes: by the type that `$metadata` gives, in the writing of its version. What does not
//! fit is refused here, before anything is sent. Rounds nothing and cuts nothing.
//!
//! Sources: OData JSON Format 4.01, 7.1 (`IEEE754Compatible`: Int64 and Decimal as text) and CSDL XML 4.01, 3.3; OData V2 "JSON
//! Format", 4 (Int64 and Decimal as text, `/Date(ticks)/`).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Number, Value};
use wharf_sdk::Rejection;
use wharf_sdk::json::pointer;
use wharf_shared_odata::Version;
use wharf_shared_odata::edm::{Facets, Member, Model, Simple, Type, nearest, suggestion};
use wharf_shared_odata::time;
use wharf_shared_odata::value::plain;

/// How values are written for one service.
#[derive(Debug, Clone, Copy)]
pub struct Encoding<'a> {
    pub model: &'a Model,
    pub version: Version,
    /// V4 without `IEEE754Compatible`: Int64 and Decimal are JSON numbers.
    pub plain_numbers: bool,
}

impl Encoding<'_> {
    /// The value of a property. `at` is the JSON pointer to it in the record.
    ///
    /// # Errors
    /// [`Rejection`] `odata.type`, `odata.range`, `odata.length`, `odata.null`, `odata.field` or `odata.navigation`, naming the field.
    pub fn value(&self, member: &Member, value: &Value, at: &str) -> Result<Value, Rejection> {
        if member.navigation {
            let message = format!("`{}` leads to other entities, which a write of this one does not take", member.name);
            return Err(Rejection::new("odata.navigation", message).at(at));
        }
        if value.is_null() {
            return match member.facets.nullable {
                true => Ok(Value::Null),
                false => Err(Rejection::new("odata.null", format!("`{}` cannot be null", member.name)).at(at)),
            };
        }
        self.typed(&member.of, &member.facets, value, at)
    }

    fn typed(&self, of: &Type, facets: &Facets, value: &Value, at: &str) -> Result<Value, Rejection> {
        match (of, value) {
            (Type::Simple(simple), _) => self.simple(*simple, facets, value, at),
            (Type::List(of), Value::Array(items)) => {
                let item = |(number, item): (usize, &Value)| match item {
                    Value::Null => Ok(Value::Null),
                    item => self.typed(of, facets, item, &format!("{at}/{number}")),
                };
                items.iter().enumerate().map(item).collect()
            }
            (Type::List(_), _) => Err(wrong(at, "a list", value)),
            (Type::Named(name), _) => match (self.model.defined(name), self.model.structured(name), value) {
                (Some(simple), ..) => self.simple(simple, facets, value, at),
                (None, Some(_), Value::Object(fields)) => self.object(name, fields, at).map(Value::Object),
                (None, Some(_), _) => Err(wrong(at, "an object", value)),
                // An enumeration.
                (None, None, _) => self.simple(Simple::Other, facets, value, at),
            },
        }
    }

    /// A complex value.
    fn object(&self, of: &str, fields: &Map<String, Value>, at: &str) -> Result<Map<String, Value>, Rejection> {
        let mut out = Map::with_capacity(fields.len());
        for (name, value) in fields {
            let place = format!("{at}{}", pointer(name));
            let value = match self.model.member(of, name) {
                Some(member) => self.value(member, value, &place)?,
                None if self.model.is_open(of) => value.clone(),
                None => return Err(unknown(name, of, self.model, &place)),
            };
            out.insert(name.clone(), value);
        }
        Ok(out)
    }

    fn simple(&self, simple: Simple, facets: &Facets, value: &Value, at: &str) -> Result<Value, Rejection> {
        let text = value.as_str();
        match simple {
            Simple::Boolean if value.is_boolean() => Ok(value.clone()),
            Simple::Boolean => Err(wrong(at, "true or false", value)),
            Simple::Integer => integer(facets, value, at),
            Simple::Int64 => {
                let digits = digits(value).filter(|digits| digits.parse::<i64>().is_ok());
                let digits = digits.ok_or_else(|| wrong(at, "a whole number of 64 bits", value))?;
                self.exact(&digits, value, at)
            }
            Simple::Decimal => {
                let digits = digits(value).map(|digits| plain(&digits)).filter(|digits| is_decimal(digits));
                let digits = digits.ok_or_else(|| wrong(at, "a decimal number", value))?;
                fits(facets, &digits, at)?;
                self.exact(&digits, value, at)
            }
            Simple::Double | Simple::Single => match text {
                None if value.is_number() => Ok(value.clone()),
                Some("INF" | "-INF" | "NaN") => Ok(value.clone()),
                _ => Err(wrong(at, "a number", value)),
            },
            Simple::Text => {
                let text = text.ok_or_else(|| wrong(at, "text", value))?;
                within(facets, text.chars().count(), "characters", at)?;
                Ok(value.clone())
            }
            Simple::Guid if text.is_some_and(is_guid) => Ok(value.clone()),
            Simple::Guid => Err(wrong(at, "a GUID", value)),
            Simple::Binary => {
                let bytes = text.and_then(|text| STANDARD.decode(text).ok()).ok_or_else(|| wrong(at, "base64", value))?;
                within(facets, bytes.len(), "bytes", at)?;
                let v4 = self.version == Version::V4;
                Ok(Value::String(if v4 { URL_SAFE.encode(&bytes) } else { STANDARD.encode(&bytes) }))
            }
            Simple::Date if text.is_some_and(time::is_date) => Ok(value.clone()),
            Simple::Date => Err(wrong(at, "a date as 2024-05-01", value)),
            Simple::Moment | Simple::LocalMoment => self.moment(simple, value, at),
            Simple::Stream => Err(Rejection::new("odata.type", "media cannot be written as a property").at(at)),
            Simple::Other => Ok(value.clone()),
        }
    }

    /// A number whose digits must not pass through a floating one on the service's side.
    fn exact(&self, digits: &str, value: &Value, at: &str) -> Result<Value, Rejection> {
        if self.version == Version::V4 && self.plain_numbers {
            let number = serde_json::from_str::<Number>(digits).map_err(|_| wrong(at, "a number", value))?;
            return Ok(Value::Number(number));
        }
        Ok(Value::String(digits.to_owned()))
    }

    fn moment(&self, simple: Simple, value: &Value, at: &str) -> Result<Value, Rejection> {
        let wrong = || wrong(at, "a time as 2024-05-01T10:00:00Z", value);
        let text = value.as_str().ok_or_else(wrong)?;
        let micros = time::parse(text).ok_or_else(wrong)?;
        let finer = |what: &str| Err(Rejection::new("odata.range", format!("the time has digits below {what}")).at(at));
        // `time::parse` cuts off what is below a microsecond.
        let fine = text
            .split_once('.')
            .is_some_and(|(_, tail)| tail.chars().take_while(char::is_ascii_digit).skip(6).any(|digit| digit != '0'));
        let written = match (self.version, simple) {
            (Version::V4, _) if fine => return finer("a microsecond"),
            (Version::V4, _) => time::iso(micros).map(|iso| format!("{iso}Z")),
            (Version::V2, _) if fine || micros % 1000 != 0 => return finer("a millisecond, which V2 cannot write"),
            (Version::V2, Simple::Moment) => Some(format!("/Date({}+0000)/", micros / 1000)),
            (Version::V2, _) => Some(format!("/Date({})/", micros / 1000)),
        };
        written.map(Value::String).ok_or_else(wrong)
    }
}

/// A field that the type does not have.
#[must_use]
pub fn unknown(name: &str, of: &str, model: &Model, at: &str) -> Rejection {
    let near = suggestion(nearest(name, model.properties(of)));
    Rejection::new("odata.field", format!("`{of}` has no property `{name}`{near}")).at(at)
}

/// Shows the kind of a value and not the value, which may be personal.
fn wrong(at: &str, expected: &str, value: &Value) -> Rejection {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Rejection::new("odata.type", format!("expected {expected}, found {found}")).at(at)
}

fn integer(facets: &Facets, value: &Value, at: &str) -> Result<Value, Rejection> {
    let number = value.as_number().and_then(|number| number.to_string().parse::<i64>().ok());
    let number = number.ok_or_else(|| wrong(at, "a whole number", value))?;
    match facets.range {
        Some((least, most)) if !(least..=most).contains(&number) => {
            Err(Rejection::new("odata.range", format!("the number is outside of {least} to {most}")).at(at))
        }
        _ => Ok(value.clone()),
    }
}

/// The digits of a number, or of a text that stands for one.
fn digits(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// `-12.50`, as [`plain`] leaves it.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a decimal has no more digits than its type takes: a service would round it. Zeros at the ends do not count.
fn fits(facets: &Facets, digits: &str, at: &str) -> Result<(), Rejection> {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if let Some(scale) = facets.scale.filter(|scale| fraction.len() > *scale) {
        return Err(Rejection::new("odata.range", format!("more than {scale} digits after the point")).at(at));
    }
    let Some(precision) = facets.precision else { return Ok(()) };
    let most = precision.saturating_sub(facets.scale.unwrap_or(fraction.len()));
    if whole.len() > most {
        return Err(Rejection::new("odata.range", format!("more than {most} digits before the point")).at(at));
    }
    Ok(())
}

fn within(facets: &Facets, length: usize, unit: &str, at: &str) -> Result<(), Rejection> {
    match facets.max_length {
        Some(most) if length > most => {
            Err(Rejection::new("odata.length", format!("{length} {unit}, where the service takes {most}")).at(at))
        }
        _ => Ok(()),
    }
}

/// `0b1c2d3e-…` in 8, 4, 4, 4 and 12 hexadecimal digits.
fn is_guid(text: &str) -> bool {
    let mut parts = text.split('-');
    let all = [8, 4, 4, 4, 12].iter().all(|length| {
        parts.next().is_some_and(|part| part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    all && parts.next().is_none()
}
