//! Exact decimal numbers as text. Owns reading and plain writing; does no arithmetic and never uses binary floating point.

/// A number in its one normal form: equal numbers are equal as values of this type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Significant digits, without zeros at either end; empty is zero.
    digits: String,
    /// Power of ten of the last digit.
    exponent: i64,
}

/// Longest run of zeros that writing a number plainly may add.
const MAX_PADDING: i64 = 400;

impl Decimal {
    /// Reads `-12.50`, `+3`, `.5`, `1e-7`; `None` for anything else, blanks included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_end_matches('0');
        let dropped = i64::try_from(all.len() - significant.len()).ok()?;
        let exponent = i64::from(exponent) - i64::try_from(fraction.len()).ok()? + dropped;
        let digits = significant.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        Some(Self { negative, digits, exponent })
    }

    /// Without exponent: `1200`, `-0.05`. `None` when that would need more than 400 zeros.
    #[must_use]
    pub fn plain(&self) -> Option<String> {
        if self.digits.is_empty() {
            return Some("0".to_owned());
        }
        let sign = if self.negative { "-" } else { "" };
        if self.exponent.abs() > MAX_PADDING {
            return None;
        }
        if let Ok(zeros) = usize::try_from(self.exponent) {
            return Some(format!("{sign}{}{}", self.digits, "0".repeat(zeros)));
        }
        let fraction = usize::try_from(self.exponent.unsigned_abs()).ok()?;
        let padded = format!("{:0>width$}", self.digits, width = fraction + 1);
        let (whole, fraction) = padded.split_at_checked(padded.len() - fraction)?;
        Some(format!("{sign}{whole}.{fraction}"))
    }

    /// The value when it is a whole number of 64 bits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        if self.exponent < 0 || self.exponent > 19 {
            return None;
        }
        self.plain()?.parse().ok()
    }
}
