//! Numbers from their JSON text, with all their digits or not at all.

/// More digits than any column has: what is longer is not looked at.
const LONGEST: usize = 128;

/// Appends an integer of so many bytes.
pub fn integer(text: &str, bytes: usize, signed: bool, row: &mut Vec<u8>) -> Option<()> {
    let number: i128 = text.parse().ok()?;
    let (least, most) = match u32::try_from(bytes * 8).ok()? {
        128 => (i128::MIN, i128::MAX),
        bits if signed => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        bits => (0, (1 << bits) - 1),
    };
    let fits = (least..=most).contains(&number);
    row.extend_from_slice(number.to_le_bytes().get(..bytes).filter(|_| fits)?);
    Some(())
}

/// A number as a float: an integer where it is the same number, a fraction as the nearest one.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "the way back tells whether anything was lost")]
pub fn float64(text: &str, is_integer: bool) -> Option<f64> {
    if is_integer {
        let number: i128 = text.parse().ok()?;
        let float = number as f64;
        // The highest one becomes one more, which the way back cuts.
        return (number != i128::MAX && float as i128 == number).then_some(float);
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// The same with half as many bits.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "the way back tells whether anything was lost")]
pub fn float32(text: &str, is_integer: bool) -> Option<f32> {
    if is_integer {
        let number: i128 = text.parse().ok()?;
        let float = number as f32;
        return (number != i128::MAX && float as i128 == number).then_some(float);
    }
    text.parse().ok().filter(|float: &f32| float.is_finite())
}

/// Bytes of a decimal of so many digits.
#[must_use]
pub const fn decimal_bytes(precision: u32) -> usize {
    match precision {
        ..=9 => 4,
        10..=18 => 8,
        _ => 16,
    }
}

/// Appends a decimal of so many digits, of which `scale` stand behind the point: an integer in units of the last one.
pub fn decimal(text: &str, precision: u32, scale: u32, row: &mut Vec<u8>) -> Option<()> {
    let number = units(text, scale)?;
    let fits = number.unsigned_abs() < 10_u128.checked_pow(precision)?;
    row.extend_from_slice(number.to_le_bytes().get(..decimal_bytes(precision)).filter(|_| fits)?);
    Some(())
}

/// A number (`-12.50`, `1e3`) in units of its digit number `scale` behind the point; `None` where it is finer.
fn units(text: &str, scale: u32) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, unsigned) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || text.len() > LONGEST {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    // Places that the point has to move to the right.
    let shift = i32::try_from(scale).ok()?.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let digits = if shift < 0 {
        let (kept, dropped) = digits.split_at_checked(digits.len().checked_sub(usize::try_from(-shift).ok()?)?)?;
        if !dropped.bytes().all(|b| b == b'0') {
            return None;
        }
        kept.to_owned()
    } else {
        let zeros = usize::try_from(shift).ok().filter(|zeros| *zeros < LONGEST)?;
        format!("{digits}{}", "0".repeat(zeros))
    };
    let number: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(text: &str, bytes: usize, signed: bool) -> Option<Vec<u8>> {
        let mut row = Vec::new();
        integer(text, bytes, signed, &mut row).map(|()| row)
    }

    #[test]
    fn integers_keep_all_their_bits_and_their_range() {
        assert_eq!(int("18446744073709551615", 8, false), Some(vec![0xff; 8]));
        assert_eq!(int("18446744073709551616", 8, false), None);
        assert_eq!(int("-9223372036854775808", 8, true), Some([vec![0; 7], vec![0x80]].concat()));
        assert_eq!(int("9223372036854775808", 8, true), None);
        assert_eq!((int("-128", 1, true), int("-129", 1, true), int("-1", 1, false)), (Some(vec![0x80]), None, None));
        assert_eq!(int("-0", 2, false), Some(vec![0, 0]));
        assert_eq!(int("-170141183460469231731687303715884105728", 16, true), Some(i128::MIN.to_le_bytes().to_vec()));
        assert_eq!(int("1.0", 4, true), None);
    }

    #[test]
    fn floats_lose_no_digit_of_an_integer() {
        assert_eq!(float64("9007199254740992", true), Some(9_007_199_254_740_992.0));
        assert_eq!((float64("9007199254740993", true), float32("16777217", true)), (None, None));
        let highest = i128::MAX.to_string();
        assert_eq!((float64(&highest, true), float32(&highest, true)), (None, None), "it would be one more");
        assert_eq!((float64("0.1", false), float32("0.1", false)), (Some(0.1), Some(0.1)));
        assert_eq!((float64("1e999", false), float32("1e39", false)), (None, None));
    }

    #[test]
    fn decimals_are_exact_or_none() {
        for (text, scale, expected) in [
            ("12.50", 2, Some(1250)),
            ("-12.5", 2, Some(-1250)),
            ("+7", 0, Some(7)),
            ("0.001", 2, None),
            ("0.010", 2, Some(1)),
            ("1e3", 2, Some(100_000)),
            ("1.25E-1", 3, Some(125)),
            ("1.25e-1", 2, None),
            ("-0.000", 2, Some(0)),
            ("0e99999", 2, Some(0)),
            ("1e99999", 2, None),
            ("1e-99999", 2, None),
            ("99999999999999999999999999999999999999", 0, Some(10_i128.pow(38) - 1)),
        ] {
            assert_eq!(units(text, scale), expected, "{text}");
        }
        for text in ["", "-", ".5", "5.", "1_0", "0x1", "1e", "NaN", " 1"] {
            assert_eq!(units(text, 2), None, "{text}");
        }
    }

    #[test]
    fn decimals_have_no_more_digits_than_their_column() {
        let bytes = |text, precision, scale| {
            let mut row = Vec::new();
            decimal(text, precision, scale, &mut row).map(|()| row)
        };
        assert_eq!(bytes("-9999999.99", 9, 2), Some((-999_999_999_i32).to_le_bytes().to_vec()));
        assert_eq!(bytes("10000000.00", 9, 2), None);
        assert_eq!(bytes("1", 18, 4), Some(10_000_i64.to_le_bytes().to_vec()));
        assert_eq!(bytes("1", 19, 0), Some(1_i128.to_le_bytes().to_vec()));
    }
}
