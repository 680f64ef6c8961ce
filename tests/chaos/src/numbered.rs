//! The records that are sent: numbered, each with a key, some of them made to be refused. Owns what each number was; sends
//! nothing.

use fastrand::Rng;

use crate::path::Role;

/// Keys of one sender, so that order can be told per key.
const KEYS: u8 = 12;
/// An oversize record has about this many bytes, above `max-record-bytes` of the deployments here.
pub const OVERSIZE: usize = 90_000;
pub const MAX_RECORD_BYTES: &str = "60kB";

/// What is special about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Good,
    /// With a header whose name is not UTF-8, where it goes into a topic; it is to arrive as any other.
    OddHeader,
    /// It cannot be read: a dead letter.
    Malformed,
    /// The target refuses it: a dead letter.
    Refused,
    /// Malformed and larger than a dead letter keeps whole (sink), or larger than the log is to take (source).
    Oversize,
}

impl Kind {
    /// It is to arrive; else it is to become a dead letter.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::OddHeader)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Numbered {
    pub n: u64,
    pub key: u8,
    pub kind: Kind,
}

impl Numbered {
    pub fn key(&self) -> String {
        format!("k{}", self.key)
    }

    /// A line of csv: columns n, k, flag, pad.
    pub fn line(&self) -> String {
        let Self { n, key, kind } = self;
        match kind {
            Kind::Malformed => format!("x{n},k{key},1,\n"),
            Kind::Refused => format!("{n},k{key},-1,\n"),
            Kind::Oversize => format!("{n},k{key},1,{}\n", "o".repeat(OVERSIZE)),
            Kind::Good | Kind::OddHeader => format!("{n},k{key},1,\n"),
        }
    }

    /// A value in a topic.
    pub fn value(&self) -> String {
        let Self { n, key, kind } = self;
        match kind {
            Kind::Malformed => format!("broken {n} k{key}"),
            Kind::Refused => format!(r#"{{"n":{n},"k":"k{key}","flag":-1}}"#),
            Kind::Oversize => format!("broken {n} k{key} {}", "o".repeat(OVERSIZE)),
            Kind::Good | Kind::OddHeader => format!(r#"{{"n":{n},"k":"k{key}","flag":1}}"#),
        }
    }
}

/// The number in whatever became of a record: the first digits of it.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().skip_while(|byte| !byte.is_ascii_digit()).take_while(|byte| byte.is_ascii_digit());
    let text: Vec<u8> = digits.copied().collect();
    std::str::from_utf8(&text).ok()?.parse().ok()
}

/// Makes records, and remembers what each was.
#[derive(Debug)]
pub struct Emitter {
    rng: Rng,
    /// By number.
    pub sent: Vec<Numbered>,
    /// Of 400 records, how many the target is to refuse.
    refused: u32,
}

impl Emitter {
    pub fn new(seed: u64, refused: u32) -> Self {
        Self { rng: Rng::with_seed(seed ^ 0x656d_6974), sent: Vec::new(), refused }
    }

    /// Some more records of a sender; each sender has keys of its own.
    pub fn next(&mut self, role: Role) -> Vec<Numbered> {
        let keys = if role == Role::Neighbour { KEYS..2 * KEYS } else { 0..KEYS };
        let count = self.rng.usize(4..25);
        let first = self.sent.len() as u64;
        for n in first..first + count as u64 {
            let kind = match self.rng.u32(0..400) {
                0 => Kind::Oversize,
                1..=10 => Kind::Malformed,
                one if (11..11 + self.refused).contains(&one) => Kind::Refused,
                21..=40 => Kind::OddHeader,
                _ => Kind::Good,
            };
            self.sent.push(Numbered { n, key: self.rng.u8(keys.clone()), kind });
        }
        self.sent.iter().skip(self.sent.len() - count).copied().collect()
    }

    /// The last records were not sent after all.
    pub fn take_back(&mut self, records: &[Numbered]) {
        self.sent.truncate(self.sent.len() - records.len());
    }
}
