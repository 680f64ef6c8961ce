//! Types of columns, read from the words of `DESCRIBE TABLE`. Converts no values.

/// What a column holds, as far as it matters for RowBinary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Of so many bytes.
    Int {
        bytes: usize,
        signed: bool,
    },
    Bool,
    Float32,
    Float64,
    /// Digits in all, and behind the point.
    Decimal {
        precision: u32,
        scale: u32,
    },
    Text,
    /// Of so many bytes, filled up with zeros.
    Fixed(usize),
    Date,
    Date32,
    DateTime,
    /// So many digits of a second's fraction.
    DateTime64(u32),
    /// Two bytes or one, and its names.
    Enum {
        wide: bool,
        names: Vec<(String, i16)>,
    },
    Uuid,
    Nullable(Box<Kind>),
    Array(Box<Kind>),
    /// Not written by this sink.
    Other,
}

/// Reads a type. What it does not know, or not how to write, is [`Kind::Other`].
#[must_use]
pub fn parse(text: &str) -> Kind {
    read(text).unwrap_or(Kind::Other)
}

fn read(text: &str) -> Option<Kind> {
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
        None => (text, None),
    };
    let int = |bytes, signed| Some(Kind::Int { bytes, signed });
    match (name, arguments) {
        ("UInt8", None) => int(1, false),
        ("UInt16", None) => int(2, false),
        ("UInt32", None) => int(4, false),
        ("UInt64", None) => int(8, false),
        ("Int8", None) => int(1, true),
        ("Int16", None) => int(2, true),
        ("Int32", None) => int(4, true),
        ("Int64", None) => int(8, true),
        ("Int128", None) => int(16, true),
        ("Bool", None) => Some(Kind::Bool),
        ("Float32", None) => Some(Kind::Float32),
        ("Float64", None) => Some(Kind::Float64),
        ("String", None) => Some(Kind::Text),
        ("Date", None) => Some(Kind::Date),
        ("Date32", None) => Some(Kind::Date32),
        ("UUID", None) => Some(Kind::Uuid),
        // The zone says how it is shown.
        ("DateTime", _) => Some(Kind::DateTime),
        ("DateTime64", Some(given)) => {
            let digits = given.split(',').next()?.trim().parse().ok()?;
            (digits <= 9).then_some(Kind::DateTime64(digits))
        }
        ("Decimal", Some(given)) => {
            let (precision, scale) = given.split_once(',')?;
            let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
            (precision <= 38 && scale <= precision).then_some(Kind::Decimal { precision, scale })
        }
        ("FixedString", Some(given)) => Some(Kind::Fixed(given.trim().parse().ok()?)),
        ("Enum8", Some(given)) => Some(Kind::Enum { wide: false, names: names(given)? }),
        ("Enum16", Some(given)) => Some(Kind::Enum { wide: true, names: names(given)? }),
        ("Nullable", Some(inner)) => wrap(inner, Kind::Nullable),
        ("Array", Some(inner)) => wrap(inner, Kind::Array),
        // How it is stored: it is written as what it holds.
        ("LowCardinality", Some(inner)) => read(inner),
        _ => None,
    }
}

fn wrap(inner: &str, kind: impl FnOnce(Box<Kind>) -> Kind) -> Option<Kind> {
    read(inner).map(|inner| kind(Box::new(inner)))
}

/// `'name' = 1, …`, where a name has the escapes of a text of ClickHouse.
fn names(list: &str) -> Option<Vec<(String, i16)>> {
    let mut names = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (name, after) = quoted(rest)?;
        let after = after.trim_start().strip_prefix('=')?.trim_start();
        let (number, more) = after.split_once(',').unwrap_or((after, ""));
        names.push((name, number.trim().parse().ok()?));
        rest = more.trim_start();
    }
    (!names.is_empty()).then_some(names)
}

/// A text in single quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut characters = text.strip_prefix('\'')?.char_indices();
    let mut name = String::new();
    while let Some((at, c)) = characters.next() {
        match c {
            '\'' => return Some((name, text.get(at + 2..)?)),
            '\\' => name.push(match characters.next()?.1 {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                other => other,
            }),
            other => name.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_from_their_words() {
        let nullable = |kind| Kind::Nullable(Box::new(kind));
        for (text, expected) in [
            ("UInt64", Kind::Int { bytes: 8, signed: false }),
            ("Decimal(18, 4)", Kind::Decimal { precision: 18, scale: 4 }),
            ("FixedString(3)", Kind::Fixed(3)),
            ("DateTime", Kind::DateTime),
            ("DateTime('Europe/Berlin')", Kind::DateTime),
            ("DateTime64(6, 'UTC')", Kind::DateTime64(6)),
            ("LowCardinality(Nullable(String))", nullable(Kind::Text)),
            ("Array(Array(Nullable(Date)))", Kind::Array(Box::new(Kind::Array(Box::new(nullable(Kind::Date)))))),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn names_of_an_enum_keep_what_their_escapes_stand_for() {
        let expected = vec![("a'b, c = 3".to_owned(), -1), ("\\".to_owned(), 2), (String::new(), 300)];
        assert_eq!(parse(r"Enum16('a\'b, c = 3' = -1, '\\' = 2, '' = 300)"), Kind::Enum { wide: true, names: expected });
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for text in [
            "",
            "Tuple(UInt8, String)",
            "AggregateFunction(sum, UInt64)",
            "Decimal(76, 4)",
            "Enum8('a' = )",
            "Nullable(Tuple(UInt8))",
            "Array(Map(String, String))",
            "FixedString(x)",
        ] {
            assert_eq!(parse(text), Kind::Other, "{text}");
        }
    }
}
