//! A batch on loan to a call, which runs in a task of its own: given without a copy, and back in its place however the call ends.

use std::sync::Arc;

use super::v0_1::types;
use crate::batch::Batch;

/// Puts the batch back when it is dropped.
pub(super) struct Lent<'a> {
    place: &'a mut Batch,
    records: Arc<types::Batch>,
}

impl<'a> Lent<'a> {
    pub(super) fn new(place: &'a mut Batch) -> Self {
        let records = Arc::new(std::mem::take(place).into());
        Self { place, records }
    }

    /// For the call.
    pub(super) fn share(&self) -> Arc<types::Batch> {
        Arc::clone(&self.records)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // A call that was aborted may still hold it for a moment.
        let records = Arc::try_unwrap(std::mem::replace(&mut self.records, Arc::new(Batch::default().into())));
        *self.place = records.unwrap_or_else(|held| (*held).clone()).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_comes_back_also_while_an_aborted_call_holds_it() {
        let mut batch = Batch { data: vec![1], key_lens: vec![-1], value_lens: vec![1], ..Batch::default() };
        let before = batch.clone();
        drop(Lent::new(&mut batch));
        assert_eq!(batch, before);
        let lent = Lent::new(&mut batch);
        let held = lent.share();
        drop(lent);
        assert_eq!((batch, Batch::from((*held).clone())), (before.clone(), before));
    }
}
