//! A value of the cursor property: as the service wrote it, and as far as it can be compared. Owns the order of cursors.

use std::cmp::Ordering;

use serde_json::Value;

use crate::edm::Simple;
use crate::key::Field;
use crate::literal::guess;
use crate::time;

/// A cursor that is not null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// As it came, with all its digits.
    pub raw: Value,
    /// Microseconds since 1970, where the property is a time.
    pub time: Option<i64>,
}

/// A value that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCursor;

impl Cursor {
    /// # Errors
    /// [`NoCursor`] for null, for objects and lists, and for text in place of a time.
    pub fn read(raw: &Value, field: &Field) -> Result<Self, NoCursor> {
        if !raw.is_string() && !raw.is_number() {
            return Err(NoCursor);
        }
        let simple = field.simple.unwrap_or_else(|| guess(raw));
        let time = match raw.as_str().filter(|_| simple.is_time()) {
            Some(text) => Some(time::parse(text).ok_or(NoCursor)?),
            None if simple.is_time() => return Err(NoCursor),
            None => None,
        };
        // V2 writes large numbers as text.
        let numeric = matches!(simple, Simple::Integer | Simple::Int64 | Simple::Decimal | Simple::Double | Simple::Single);
        if numeric && digits(raw).parse::<f64>().is_err() {
            return Err(NoCursor);
        }
        Ok(Self { raw: raw.clone(), time })
    }

    /// The order of two cursors of one property; `None` for text, whose order is the service's own.
    #[must_use]
    pub fn order(&self, other: &Self, field: &Field) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.time, other.time) {
            return Some(a.cmp(&b));
        }
        let text = self.raw.is_string() && matches!(field.simple, None | Some(Simple::Text | Simple::Guid));
        if text {
            return None;
        }
        let (a, b) = (digits(&self.raw), digits(&other.raw));
        match (a.parse::<i128>(), b.parse::<i128>()) {
            (Ok(a), Ok(b)) => Some(a.cmp(&b)),
            // Close decimals may compare as equal: that is no wrong order.
            _ => a.parse::<f64>().ok()?.partial_cmp(&b.parse::<f64>().ok()?),
        }
    }
}

fn digits(raw: &Value) -> String {
    raw.as_str().map_or_else(|| raw.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: impl Into<Value>, simple: Option<Simple>) -> Result<Cursor, NoCursor> {
        Cursor::read(&raw.into(), &Field { name: "c".to_owned(), simple })
    }

    #[test]
    fn cursors_compare_by_what_they_mean() {
        let order = |a: Value, b: Value, simple| {
            let field = Field { name: "c".to_owned(), simple };
            Cursor::read(&a, &field).unwrap().order(&Cursor::read(&b, &field).unwrap(), &field)
        };
        let time = Some(Simple::Moment);
        assert_eq!(order("2024-05-01T12:00:00+02:00".into(), "2024-05-01T10:00:00Z".into(), time), Some(Ordering::Equal));
        assert_eq!(order("9".into(), "10".into(), Some(Simple::Int64)), Some(Ordering::Less));
        assert_eq!(order("9007199254740993".into(), "9007199254740992".into(), Some(Simple::Int64)), Some(Ordering::Greater));
        assert_eq!(order(1.5.into(), "2.5".into(), Some(Simple::Decimal)), Some(Ordering::Less));
        assert_eq!(order("a".into(), "B".into(), Some(Simple::Text)), None);
        assert_eq!(order("a".into(), "B".into(), None), None);
        assert_eq!(order(1.into(), 2.into(), None), Some(Ordering::Less));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        assert_eq!(read(Value::Null, None), Err(NoCursor));
        assert_eq!(read("soon", Some(Simple::Moment)), Err(NoCursor));
        assert_eq!(read(7, Some(Simple::Moment)), Err(NoCursor));
        assert_eq!(read("x", Some(Simple::Int64)), Err(NoCursor));
        assert!(read("x", Some(Simple::Text)).is_ok());
    }
}
