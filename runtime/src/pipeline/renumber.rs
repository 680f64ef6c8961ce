//! New indices of what stays when some of a delivery is taken out. No I/O.

use std::ops::Range;

/// Of a delivery's inputs and outputs.
#[derive(Debug)]
pub struct Renumbered {
    pub inputs: Numbers,
    pub outputs: Numbers,
}

/// For each old index, and the end: how many before it stay.
#[derive(Debug)]
pub struct Numbers(Vec<usize>);

impl Numbers {
    /// `stays` says for each old index whether it is kept.
    #[must_use]
    pub fn new(stays: &[bool]) -> Self {
        let mut before = Vec::with_capacity(stays.len() + 1);
        let mut count = 0;
        before.push(count);
        for &stays in stays {
            count += usize::from(stays);
            before.push(count);
        }
        Self(before)
    }

    /// The new index; `None`: it does not stay.
    #[must_use]
    pub fn of(&self, old: usize) -> Option<usize> {
        let (new, after) = (*self.0.get(old)?, *self.0.get(old + 1)?);
        (after > new).then_some(new)
    }

    /// What stays of a range.
    #[must_use]
    pub fn range(&self, old: &Range<usize>) -> Range<usize> {
        let new = |old: usize| self.0.get(old).or(self.0.last()).copied().unwrap_or(0);
        new(old.start)..new(old.end)
    }
}
