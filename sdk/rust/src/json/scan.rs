//! The fields of a JSON object in one pass over its bytes: what most records are, and fast. It takes only what it has checked whole
//! (RFC 8259) and answers `None` for everything else, an odd text as well as a broken one: serde then reads it, or says what is wrong.

use std::ops::Range;

/// Deepest nesting that is taken here.
const DEEPEST: u32 = 64;
/// Bytes that are looked at in one step.
const STEP: usize = 16;

/// A field as it stands in the text. No name has escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a str,
    /// The value, without space around it.
    pub json: &'a str,
    /// The value is a string with escapes.
    pub escaped: bool,
}

/// Puts the fields of the object `json` into `into`, in their order; of names that occur twice both.
///
/// `None`: not taken, which says nothing about the text. `into` may then hold some of the fields.
#[must_use]
pub fn fields<'a>(json: &'a [u8], into: impl FnMut(Field<'a>)) -> Option<()> {
    fields_of_text(simdutf8::basic::from_utf8(json).ok()?, into)
}

/// The same for what is known to be UTF-8.
#[must_use]
pub fn fields_of_text<'a>(text: &'a str, mut into: impl FnMut(Field<'a>)) -> Option<()> {
    walk(text.as_bytes(), |name, json, escaped| {
        into(Field { name: text.get(name)?, json: text.get(json)?, escaped });
        Some(())
    })
}

/// Whether `json` is an object that [`fields`] takes. `None` says nothing about the text.
#[must_use]
pub fn object(json: &[u8]) -> Option<()> {
    object_of_text(simdutf8::basic::from_utf8(json).ok()?)
}

/// The same for what is known to be UTF-8.
#[must_use]
pub fn object_of_text(text: &str) -> Option<()> {
    walk(text.as_bytes(), |_, _, _| Some(()))
}

/// Where name and value of each field stand, and whether the value is a string with escapes.
fn walk(json: &[u8], mut into: impl FnMut(Range<usize>, Range<usize>, bool) -> Option<()>) -> Option<()> {
    let mut at = open(json, space(json, 0), b'{')?;
    at = space(json, at);
    if json.get(at) == Some(&b'}') {
        return (space(json, at + 1) == json.len()).then_some(());
    }
    loop {
        let name = open(json, at, b'"')?;
        let end = plain(json, name);
        // A name with an escape is left to serde.
        at = space(json, open(json, end, b'"')?);
        let value = space(json, open(json, at, b':')?);
        let escaped;
        (at, escaped) = self::value(json, value)?;
        into(name..end, value..at, escaped)?;
        at = space(json, at);
        match json.get(at)? {
            b',' => at = space(json, at + 1),
            b'}' => return (space(json, at + 1) == json.len()).then_some(()),
            _ => return None,
        }
    }
}

/// The place behind `byte`, which has to stand at `at`.
fn open(json: &[u8], at: usize, byte: u8) -> Option<usize> {
    (json.get(at) == Some(&byte)).then_some(at + 1)
}

fn space(json: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = json.get(at) {
        at += 1;
    }
    at
}

/// The first byte from `at` on that does not stand for itself in a JSON string: a quote, a backslash or a control character.
fn plain(json: &[u8], mut at: usize) -> usize {
    let (steps, tail) = json.get(at..).unwrap_or_default().as_chunks::<STEP>();
    for step in steps {
        let found = special_of(step);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += STEP;
    }
    at + tail.iter().position(|byte| is_special(*byte)).unwrap_or(tail.len())
}

/// Whether each character of `text` stands for itself in a JSON string: between quotes it is one.
#[must_use]
pub fn is_plain(text: &[u8]) -> bool {
    plain(text, 0) == text.len()
}

const fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// One load, as the compiler sees it.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn vector(step: &[u8; STEP]) -> core::arch::wasm32::v128 {
    let half = |bytes: Option<&[u8; STEP / 2]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    core::arch::wasm32::u64x2(half(step.first_chunk()), half(step.last_chunk()))
}

/// Bit n: byte n is special.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn special_of(step: &[u8; STEP]) -> u32 {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, v128_or};
    let bytes = vector(step);
    let quote = u8x16_eq(bytes, u8x16_splat(b'"'));
    let backslash = u8x16_eq(bytes, u8x16_splat(b'\\'));
    u32::from(u8x16_bitmask(v128_or(v128_or(quote, backslash), u8x16_lt(bytes, u8x16_splat(0x20)))))
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn special_of(step: &[u8; STEP]) -> u32 {
    step.iter().enumerate().fold(0, |bits, (at, byte)| bits | u32::from(is_special(*byte)) << at)
}

/// Whether no line ends in `text`: it has neither line feed nor carriage return.
#[must_use]
pub fn is_one_line(text: &[u8]) -> bool {
    let (steps, tail) = text.as_chunks::<STEP>();
    !has_end(steps) && !tail.iter().any(|byte| is_end(*byte))
}

const fn is_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// All of it is looked at, as hardly any text has a second line; four at a time, as each turn of a loop in a guest looks at the clock.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn has_end(steps: &[[u8; STEP]]) -> bool {
    use core::arch::wasm32::{u8x16_eq, u8x16_splat, v128, v128_any_true, v128_or};
    let (feed, back) = (u8x16_splat(b'\n'), u8x16_splat(b'\r'));
    let also = |found: v128, step: &[u8; STEP]| {
        let bytes = vector(step);
        v128_or(found, v128_or(u8x16_eq(bytes, feed), u8x16_eq(bytes, back)))
    };
    let (fours, rest) = steps.as_chunks::<4>();
    let found = fours.iter().fold(u8x16_splat(0), |found, [a, b, c, d]| also(also(also(also(found, a), b), c), d));
    v128_any_true(rest.iter().fold(found, also))
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn has_end(steps: &[[u8; STEP]]) -> bool {
    steps.as_flattened().iter().any(|byte| is_end(*byte))
}

/// The place behind a string whose first character is at `at`, and whether it has escapes.
fn string(json: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        at = plain(json, at);
        match json.get(at)? {
            b'"' => return Some((at + 1, escaped)),
            b'\\' => {
                escaped = true;
                at += match json.get(at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                    b'u' if json.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

/// The place behind a value that begins at `at`, and whether it is a string with escapes.
fn value(json: &[u8], at: usize) -> Option<(usize, bool)> {
    match json.get(at)? {
        b'"' => string(json, at + 1),
        b'{' | b'[' => Some((nested(json, at)?, false)),
        _ => Some((scalar(json, at)?, false)),
    }
}

fn scalar(json: &[u8], at: usize) -> Option<usize> {
    match json.get(at)? {
        b'-' | b'0'..=b'9' => number(json, at),
        b't' => literal(json, at, b"true"),
        b'f' => literal(json, at, b"false"),
        b'n' => literal(json, at, b"null"),
        _ => None,
    }
}

fn literal(json: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    json.get(at..)?.starts_with(word).then_some(at + word.len())
}

fn digits(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// At least one digit.
fn some_digits(json: &[u8], at: usize) -> Option<usize> {
    Some(digits(json, at)).filter(|end| *end > at)
}

fn number(json: &[u8], mut at: usize) -> Option<usize> {
    if json.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if json.get(at) == Some(&b'0') { at + 1 } else { some_digits(json, at)? };
    if json.get(at) == Some(&b'.') {
        at = some_digits(json, at + 1)?;
    }
    if let Some(b'e' | b'E') = json.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = json.get(at) {
            at += 1;
        }
        at = some_digits(json, at)?;
    }
    Some(at)
}

/// The place behind an object or an array that begins at `at`. Bit n of `objects`: the container at depth n is an object.
fn nested(json: &[u8], mut at: usize) -> Option<usize> {
    let (mut depth, mut objects) = (0_u32, 0_u64);
    loop {
        // A value is due.
        match json.get(at)? {
            open @ (b'{' | b'[') => {
                if depth == DEEPEST {
                    return None;
                }
                let is_object = *open == b'{';
                objects = objects & !(1 << depth) | u64::from(is_object) << depth;
                depth += 1;
                at = space(json, at + 1);
                if json.get(at) != Some(if is_object { &b'}' } else { &b']' }) {
                    at = if is_object { name(json, at)? } else { at };
                    continue;
                }
            }
            b'"' => (at, _) = string(json, at + 1)?,
            _ => at = scalar(json, at)?,
        }
        // A value is complete, or the container at `at` is empty.
        loop {
            at = space(json, at);
            let is_object = objects >> (depth - 1) & 1 == 1;
            match json.get(at)? {
                b',' => {
                    at = space(json, at + 1);
                    at = if is_object { name(json, at)? } else { at };
                    break;
                }
                b'}' if is_object => at += 1,
                b']' if !is_object => at += 1,
                _ => return None,
            }
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
}

/// The place of the value behind a name and its colon.
fn name(json: &[u8], at: usize) -> Option<usize> {
    let (end, _) = string(json, open(json, at, b'"')?)?;
    let at = space(json, end);
    Some(space(json, open(json, at, b':')?))
}

#[cfg(test)]
mod tests;
