//! What a seed decides: the same seed, the same day.

#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A stream of its own for each part of the day, so that one part's luck does not depend on another's pace.
    pub fn new(seed: u64, part: &str) -> Self {
        Self(part.bytes().fold(seed, |state, byte| state.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)))
    }

    /// The next number (SplitMix64).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..end`.
    pub fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end)).unwrap()
    }

    /// One of `from..end`.
    pub fn within(&mut self, from: u32, end: u32) -> u32 {
        from + self.below(end - from)
    }

    pub fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }
}
