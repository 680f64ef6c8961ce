//! What the lists of what was read are packed with, which sources keep in their positions: hashes, numbers, and the text of both.
//! A position outlives the build that wrote it, so none of it may ever change. Knows of no connector.

pub mod varint;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The first bytes of SHA-256. With eight of them, two of a million things are taken for one another once in 37 million times.
#[must_use]
pub fn first_of_hash<const N: usize>(bytes: &[u8]) -> [u8; N] {
    Sha256::digest(bytes).first_chunk().copied().unwrap_or([0; N])
}

/// The first 64 bits of SHA-256.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(first_of_hash(bytes))
}

/// The first 64 bits of SHA-256 of several texts, each behind its length: `["ab", "c"]` is not `["a", "bc"]`.
#[must_use]
pub fn hash_of<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    digest.finalize().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Bytes as a position holds them: base64 (RFC 4648 §4) without padding.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// Number of characters that [`text`] makes at most of so many bytes.
#[must_use]
pub const fn text_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// What [`text`] wrote; `None` for anything else.
#[must_use]
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

/// Cuts so many bytes off the front; `None` where there are fewer.
pub fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_do_not_change_between_builds() {
        assert_eq!(hash(b"abc"), 0xba78_16bf_8f01_cfea);
        assert_eq!(first_of_hash(b"abc"), [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01]);
    }

    #[test]
    fn the_hash_of_several_texts_tells_where_each_ends() {
        assert_ne!(hash_of(["ab", "c"].into_iter()), hash_of(["a", "bc"].into_iter()));
        assert_eq!(hash_of(["abc"].into_iter()), hash(b"\0\0\0\0\0\0\0\x03abc"));
    }

    #[test]
    fn text_does_not_change_between_builds_and_goes_there_and_back() {
        assert_eq!(text(&[0xfb, 0xff, 0x01, 0x02]), "+/8BAg");
        assert_eq!(bytes("+/8BAg"), Some(vec![0xfb, 0xff, 0x01, 0x02]));
        assert_eq!((bytes("not base64!"), bytes("+/8BAg==")), (None, None));
        for length in 0..10 {
            let packed = text(&vec![7; length]);
            assert!(packed.len() <= text_len(length) && text_len(length) < packed.len() + 4);
        }
    }

    #[test]
    fn what_is_taken_is_whole_or_nothing() {
        let mut rest = [1, 2, 3].as_slice();
        assert_eq!(take::<2>(&mut rest), Some([1, 2]));
        assert_eq!((take::<2>(&mut rest), rest), (None, [3].as_slice()));
    }
}
