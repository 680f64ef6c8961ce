//! What a group's offset says beside its number. Kafka keeps it in the offset's metadata, the embedded log in a column.

/// How an offset is meant. Moving a group's offset from outside clears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    /// The place to go on from.
    #[default]
    Plain,
    /// The log ended before it when it was read last: the partition stays stopped, however far the log has grown since.
    PastTheEnd,
    /// A copy of what the target's database decides on: without that it means nothing.
    Followed,
}

impl Mark {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::PastTheEnd => "past-the-end",
            Self::Followed => "followed",
        }
    }

    pub(super) fn of(word: &str) -> Self {
        [Self::PastTheEnd, Self::Followed].into_iter().find(|mark| mark.word() == word).unwrap_or_default()
    }
}
