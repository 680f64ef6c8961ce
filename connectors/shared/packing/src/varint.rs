//! Numbers as LEB128 (DWARF 5 §7.6): seven bits a byte, the lowest first. Signed ones are zigzagged before, so that those near to
//! zero stay short on both sides.

/// Appends a number.
pub fn push(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Cuts a number off the front; `None` where none is whole.
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Appends a number that may be negative.
pub fn push_signed(bytes: &mut Vec<u8>, number: i64) {
    push(bytes, (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
}

/// Cuts what [`push_signed`] wrote off the front; `None` where none is whole.
pub fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let number = take(bytes)?;
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_there_and_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            push(&mut bytes, number);
            let mut rest = bytes.as_slice();
            assert_eq!((take(&mut rest), rest), (Some(number), [].as_slice()));
            assert_eq!(take(&mut &bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(take(&mut [0xff; 11].as_slice()), None);
    }

    #[test]
    fn negative_numbers_go_there_and_back_and_small_ones_are_short() {
        for (number, length) in [(0, 1), (-1, 1), (1, 1), (63, 1), (-64, 1), (64, 2), (i64::MAX, 10), (i64::MIN, 10)] {
            let mut bytes = Vec::new();
            push_signed(&mut bytes, number);
            let mut rest = bytes.as_slice();
            assert_eq!((bytes.len(), take_signed(&mut rest)), (length, Some(number)));
        }
    }
}
