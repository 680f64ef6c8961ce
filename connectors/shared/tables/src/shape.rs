//! What JSON says a value is, told by its first byte: sinks look at each value of each record.

/// What JSON says a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Null,
    Bool,
    Integer,
    Fraction,
    Text,
    Object,
    Array,
}

impl Shape {
    /// `json` is one valid JSON value without space around it.
    #[inline]
    #[must_use]
    pub fn of(json: &str) -> Self {
        match json.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Bool,
            Some(b'"') => Self::Text,
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            _ if json.contains(['.', 'e', 'E']) => Self::Fraction,
            _ => Self::Integer,
        }
    }

    /// As an error names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Integer => "an integer",
            Self::Fraction => "a number with a fraction",
            Self::Text => "a text",
            Self::Object => "an object",
            Self::Array => "an array",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_by_how_it_is_written() {
        for (json, shape) in [
            ("null", Shape::Null),
            ("true", Shape::Bool),
            ("false", Shape::Bool),
            ("-12", Shape::Integer),
            ("1.0", Shape::Fraction),
            ("1e3", Shape::Fraction),
            ("-2E-3", Shape::Fraction),
            ("\"1\"", Shape::Text),
            ("{}", Shape::Object),
            ("[1.5]", Shape::Array),
        ] {
            assert_eq!(Shape::of(json), shape, "{json}");
        }
    }
}
