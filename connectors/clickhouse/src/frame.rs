//! One frame of ClickHouse's own compression around a body, uncompressed: the server reads it whole or refuses it. Plain rows that
//! are cut short between two of them would pass for all there are (18.16 inserts them). Knows nothing of what is in it.

/// The setting by which a frame needs no checksum, in place of which are zeros. It is sent with `decompress=1`.
pub const SETTING: &str = "http_native_compression_disable_checksumming_on_decompress";
/// Bytes before the content: a checksum, then [`LENGTHS`].
pub const HEAD: usize = CHECKSUM + LENGTHS;
const CHECKSUM: usize = 16;
/// The method, the length with these nine bytes, and the length of the content (32 bits, lowest byte first).
const LENGTHS: usize = 9;
/// Content that is as it was.
const NONE: u8 = 0x02;

/// A frame to append the content to.
#[must_use]
pub fn open() -> Vec<u8> {
    vec![0; HEAD]
}

/// Writes the head, now that the content is there. The server takes no frame above 1 GiB.
pub fn close(frame: &mut [u8]) {
    let size = |without: usize| u32::try_from(frame.len().saturating_sub(without)).unwrap_or(u32::MAX).to_le_bytes();
    let lengths = [&[NONE][..], &size(CHECKSUM), &size(HEAD)].concat();
    if let Some(head) = frame.get_mut(CHECKSUM..HEAD) {
        head.copy_from_slice(&lengths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_says_how_long_the_content_is() {
        let mut frame = open();
        frame.extend(*b"abc");
        close(&mut frame);
        assert_eq!(frame, [&[0; 16][..], &[2], &[12, 0, 0, 0], &[3, 0, 0, 0], b"abc"].concat());
    }
}
