//! Numbers in their order, digit by digit: no two that differ become one by a float's 53 bits.

use std::cmp::Ordering;

/// The order of two JSON numbers. Such with an exponent are compared as floats.
#[must_use]
pub fn order(left: &str, right: &str) -> Ordering {
    if let (Some(left), Some(right)) = (Decimal::read(left), Decimal::read(right)) {
        return left.order(&right);
    }
    let float = |digits: &str| digits.parse::<f64>().unwrap_or(f64::NEG_INFINITY);
    float(left).partial_cmp(&float(right)).unwrap_or(Ordering::Equal)
}

/// Its digits before and behind the point, without zeros that say nothing.
struct Decimal<'a> {
    is_negative: bool,
    whole: &'a str,
    part: &'a str,
}

impl<'a> Decimal<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        let is_zero = whole.is_empty() && part.is_empty();
        Some(Self { is_negative: text.starts_with('-') && !is_zero, whole, part })
    }

    fn order(&self, other: &Self) -> Ordering {
        let size = (self.whole.len(), self.whole, self.part).cmp(&(other.whole.len(), other.whole, other.part));
        match (self.is_negative, other.is_negative) {
            (false, false) => size,
            (true, true) => size.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_all_of_their_digits() {
        for (left, right, expected) in [
            ("1714557600.1234567891", "1714557600.1234567892", Ordering::Less),
            ("9007199254740993.0", "9007199254740992", Ordering::Greater),
            ("1.50", "1.5", Ordering::Equal),
            ("007", "7.0", Ordering::Equal),
            ("1.10", "1.9", Ordering::Less),
            ("-1.5", "-1.25", Ordering::Less),
            ("-0.0", "0", Ordering::Equal),
            ("-2", "1", Ordering::Less),
            ("10", "9.99", Ordering::Greater),
            ("1e3", "999", Ordering::Greater),
        ] {
            assert_eq!(order(left, right), expected, "{left} {right}");
            assert_eq!(order(right, left), expected.reverse(), "{right} {left}");
        }
    }
}
