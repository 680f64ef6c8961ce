//! What earlier tries have settled of a piece, so that a later one sends the rest alone. Pure bookkeeping; indices are those of
//! the piece's delivery (`pipeline/deliver.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::outcome::Rejection;
use crate::pipeline::renumber::Renumbered;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Outputs that are not sent again: accepted (`None`), or refused.
    fates: BTreeMap<usize, Option<Rejection>>,
    /// Inputs whose dead letters are confirmed already: a repeated try does not write them again.
    pub buried: BTreeSet<usize>,
    /// Some of what was accepted lies in the guest until its next flush.
    pub buffered: bool,
    /// It has waited for a retry, and is of one partition: a call that fails as a whole makes that one wait again, no other.
    pub waited: bool,
}

impl Settled {
    /// The sink has yet to answer for this output.
    #[must_use]
    pub fn is_open(&self, output: usize) -> bool {
        !self.fates.contains_key(&output)
    }

    pub fn accept(&mut self, outputs: impl IntoIterator<Item = usize>) {
        self.fates.extend(outputs.into_iter().map(|output| (output, None)));
    }

    pub fn refuse(&mut self, output: usize, rejection: Rejection) {
        self.fates.insert(output, Some(rejection));
    }

    pub fn refuse_all(&mut self, outputs: &[usize], rejection: &Rejection) {
        outputs.iter().for_each(|output| self.refuse(*output, rejection.clone()));
    }

    /// Outputs that have to go to the dead letters, in order.
    pub fn refused(&self) -> impl Iterator<Item = (usize, &Rejection)> {
        self.fates.iter().filter_map(|(output, fate)| Some((*output, fate.as_ref()?)))
    }

    /// The guest's instance has died: what lay in it alone is open again.
    pub fn instance_lost(&mut self) {
        if std::mem::take(&mut self.buffered) {
            self.fates.retain(|_, fate| fate.is_some());
        }
    }

    /// What of it belongs to a part of the piece.
    #[must_use]
    pub fn within(&self, outputs: &Range<usize>, inputs: &Range<usize>) -> Self {
        Self {
            fates: self.fates.range(outputs.clone()).map(|(output, fate)| (*output, fate.clone())).collect(),
            buried: self.buried.range(inputs.clone()).copied().collect(),
            ..*self
        }
    }

    /// The same in the numbers of a selection of the delivery; what was not selected is left out.
    #[must_use]
    pub fn renumbered(&self, to: &Renumbered) -> Self {
        let fate = |(output, fate): (&usize, &Option<Rejection>)| Some((to.outputs.of(*output)?, fate.clone()));
        Self {
            fates: self.fates.iter().filter_map(fate).collect(),
            buried: self.buried.iter().filter_map(|input| to.inputs.of(*input)).collect(),
            ..*self
        }
    }

    /// Adds what is settled of another piece of the same delivery.
    pub fn join(&mut self, other: Self) {
        self.fates.extend(other.fates);
        self.buried.extend(other.buried);
        self.buffered |= other.buffered;
        self.waited |= other.waited;
    }
}
