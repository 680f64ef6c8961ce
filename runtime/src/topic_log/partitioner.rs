//! Which partition a record goes to: `murmur2_random`, the function of Kafka's Java client (and of librdkafka under that
//! name), so that a producer that Wharf replaces moves no key. No I/O.
//! Source of the rule: `org.apache.kafka.common.utils.Utils.murmur2` and `BuiltInPartitioner.partitionForKey`.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// Kafka's murmur2: 32 bits, little-endian words, seed `0x9747b28c`. The Java client prints the same bits as a signed number.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    // Java's length is an `int`; a key never comes near its bounds.
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let (words, tail) = data.as_chunks::<4>();
    let mut h = SEED ^ length;
    for word in words {
        let k = u32::from_le_bytes(*word).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ (k ^ (k >> R)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        h ^= tail.iter().rev().fold(0u32, |sum, &byte| (sum << 8) | u32::from(byte));
        h = h.wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

/// Partition of a key that is not null (an empty key is a key): `(murmur2(key) & 0x7fffffff) % partitions`.
/// Answers 0 when `partitions` is not positive.
#[must_use]
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    let Ok(partitions) = u32::try_from(partitions) else { return 0 };
    let hash = murmur2(key) & 0x7fff_ffff;
    hash.checked_rem(partitions).and_then(|p| i32::try_from(p).ok()).unwrap_or(0)
}

/// Spreads records without a key: a run goes to one partition (neighbours stay together), the next run to the next.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    taken: u32,
}

impl Spread {
    /// Records in a run.
    const RUN: u32 = 16;

    /// The partition of the next record without a key.
    pub fn next(&mut self, partitions: i32) -> i32 {
        let run = self.taken / Self::RUN;
        self.taken = self.taken.wrapping_add(1);
        let Ok(partitions) = u32::try_from(partitions) else { return 0 };
        run.checked_rem(partitions).and_then(|p| i32::try_from(p).ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `org.apache.kafka.common.utils.UtilsTest.testMurmur2`.
    const JAVA: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];

    #[test]
    fn murmur2_answers_what_the_java_client_answers() {
        for (key, expected) in JAVA {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }

    #[test]
    fn the_sign_bit_is_masked_not_negated() {
        // -973932308 & 0x7fffffff = 1173551340
        assert_eq!(partition_of_key(b"21", 1000), 340);
        assert_eq!(partition_of_key(b"abc", 10), 7);
    }

    #[test]
    fn an_empty_key_is_a_key() {
        let first = partition_of_key(b"", 50);
        assert_eq!(i64::from(first), i64::from(murmur2(b"") & 0x7fff_ffff) % 50);
    }

    #[test]
    fn records_without_a_key_reach_every_partition_evenly() {
        let mut spread = Spread::default();
        let mut counts = [0; 3];
        (0..480).for_each(|_| counts[usize::try_from(spread.next(3)).unwrap()] += 1);
        assert_eq!(counts, [160; 3]);
    }

    #[test]
    fn no_partitions_is_not_a_division_by_zero() {
        assert_eq!((partition_of_key(b"k", 0), partition_of_key(b"k", -1), Spread::default().next(0)), (0, 0, 0));
    }
}
