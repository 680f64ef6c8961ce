//! Whether PostgreSQL tells keys apart just as their bytes do, and orders versions as the integers that were sent. Where it may not (`uuid`
//! in upper case, `numeric` 1.0 and 1, `char(4)`, `citext`), two rows with different bytes can be one row, so that their order counts. Does
//! no I/O.

use super::schema::Existing;
use crate::capability::sql::Kind;
use crate::capability::sql::cells::{Cell, Field, View};

/// `columns`: those of the view's fields.
pub(super) fn tells_apart(view: &View<'_>, columns: &[&Existing]) -> bool {
    let keys = view.key.iter().all(|&place| match (view.fields.get(place), columns.get(place)) {
        (Some(field), Some(column)) => keys_are_as_sent(field, column, view.count),
        _ => false,
    });
    keys && view.version.is_none_or(|place| match (view.fields.get(place), columns.get(place)) {
        (Some(field), Some(column)) => {
            matches!(field.kind, Kind::Int64 | Kind::Date | Kind::TimestampUs) && keys_are_as_sent(field, column, view.count)
        }
        _ => false,
    })
}

fn keys_are_as_sent(field: &Field<'_>, column: &Existing, count: usize) -> bool {
    let all = |is: &dyn Fn(&[u8]) -> bool| {
        (0..count).all(|row| match field.cell(row) {
            Cell::Bytes(value) => is(value),
            _ => true,
        })
    };
    // -1: the type has no modifier, so that nothing is rounded or cut.
    let whole = column.modifier < 0;
    match (field.kind, column.base.as_str()) {
        (Kind::Int64, "int2" | "int4" | "int8" | "oid")
        | (Kind::Boolean, "bool")
        | (Kind::Bytes, "bytea")
        | (Kind::Float64, "float8")
        | (Kind::Date, "date") => true,
        (Kind::Int64, "numeric") | (Kind::TimestampUs, "timestamptz" | "timestamp") => whole,
        (Kind::Int64 | Kind::Text, "text") => column.deterministic,
        // Blanks at the end go where the length asks for it.
        (Kind::Text, "varchar") => column.deterministic && (whole || all(&|text| !text.ends_with(b" "))),
        (Kind::Text, "bpchar") => column.deterministic && all(&|text| !text.ends_with(b" ")),
        (Kind::Text, "uuid") => all(&is_plain_uuid),
        (Kind::Decimal, "numeric") => whole && all(&is_plain_number),
        (Kind::Text, _) => column.is_enum,
        _ => false,
    }
}

/// As PostgreSQL itself writes it: lower case, hyphens after 8, 12, 16 and 20 digits.
fn is_plain_uuid(text: &[u8]) -> bool {
    let place = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    text.len() == 36 && text.iter().enumerate().all(place)
}

/// No sign but a minus, no exponent, no zero that could be left out.
fn is_plain_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let at = digits.iter().position(|byte| *byte == b'.');
    let (before, after) = at.map_or((digits, None), |at| (digits.get(..at).unwrap_or_default(), digits.get(at + 1..)));
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number(before)
        && (before == b"0" || !before.starts_with(b"0"))
        && after.is_none_or(|after| is_number(after) && !after.ends_with(b"0"))
        && text != b"-0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_could_be_written_otherwise_are_told() {
        for plain in ["0", "1", "10", "-1", "0.5", "-0.5", "100.25"] {
            assert!(is_plain_number(plain.as_bytes()), "{plain}");
        }
        for other in ["", "-", "1.0", "1.", ".5", "01", "00", "-0", "0.0", "-0.0", "1e3", "1E3", "+1", "1.50", "NaN", " 1", "1 "]
        {
            assert!(!is_plain_number(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn uuids_that_could_be_written_otherwise_are_told() {
        let plain = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        assert!(is_plain_uuid(plain.as_bytes()));
        for other in [plain.to_uppercase(), plain.replace('-', ""), format!("{{{plain}}}"), plain.replacen('-', "a", 1)] {
            assert!(!is_plain_uuid(other.as_bytes()), "{other}");
        }
    }
}
