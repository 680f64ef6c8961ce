//! One batch of a sink on its way: what came in, what goes out, and which inputs are done once a piece of it is delivered.
//! Pure bookkeeping; the calls stand in `pipeline/pieces.rs`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::batch::Batch;
use crate::dead_letter::Stage;
use crate::outcome::Rejection;
use crate::pipeline::Tally;
use crate::pipeline::renumber::{Numbers, Renumbered};
use crate::pipeline::settled::Settled;
use crate::topic_log::TopicPartition;
use crate::transform::{Applied, Reject};

/// A batch after its transforms.
#[derive(Debug)]
pub struct Delivery {
    /// As it was read.
    pub input: Batch,
    /// What the sink gets; `None`: what was read, as it is.
    output: Option<Batch>,
    /// Input index of each output record.
    origin: Vec<u32>,
    /// What the transforms rejected, by input index, ascending.
    rejects: Vec<Reject>,
}

/// The records of one call of the sink.
#[derive(Debug)]
pub enum Chosen<'a> {
    /// All outputs of the delivery.
    All(&'a mut Batch),
    Some(Box<Batch>),
}

impl Chosen<'_> {
    /// To be lent to the call.
    pub fn batch(&mut self) -> &mut Batch {
        match self {
            Self::All(batch) => batch,
            Self::Some(batch) => batch,
        }
    }
}

/// A run of inputs with all their output records: a piece never cuts an input's records apart, so that what is confirmed
/// with it is whole (an offset can't stand for half of a split).
#[derive(Debug, Clone)]
pub struct Piece {
    outputs: Range<usize>,
    inputs: Range<usize>,
    /// How often a guest died on exactly this piece.
    pub deaths: u32,
    /// What earlier tries have settled of it.
    pub settled: Settled,
}

/// A record that has to go to the dead-letter topic.
#[derive(Debug)]
pub struct Burial {
    pub input: usize,
    pub stage: Stage,
    pub rejection: Rejection,
}

impl Piece {
    /// Number of inputs.
    #[must_use]
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// The input behind it.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.inputs.end
    }

    /// The same piece in a selection of its delivery; `None`: nothing of it was selected.
    #[must_use]
    pub fn renumbered(&self, to: &Renumbered) -> Option<Self> {
        let (inputs, outputs) = (to.inputs.range(&self.inputs), to.outputs.range(&self.outputs));
        (!inputs.is_empty()).then(|| Self { outputs, inputs, deaths: self.deaths, settled: self.settled.renumbered(to) })
    }
}

impl Delivery {
    #[must_use]
    pub fn new(input: Batch, applied: Applied) -> Self {
        Self { input, output: Some(applied.records), origin: applied.origin, rejects: applied.rejects }
    }

    /// A batch that no transform looks at.
    #[must_use]
    pub fn unchanged(input: Batch) -> Self {
        let count = u32::try_from(input.len()).unwrap_or(u32::MAX);
        Self { input, output: None, origin: (0..count).collect(), rejects: Vec::new() }
    }

    /// What the sink gets.
    #[must_use]
    pub fn output(&self) -> &Batch {
        self.output.as_ref().unwrap_or(&self.input)
    }

    /// The whole batch as one piece.
    #[must_use]
    pub fn whole(&self) -> Piece {
        Piece { outputs: 0..self.output().len(), inputs: 0..self.input.len(), deaths: 0, settled: Settled::default() }
    }

    /// All records for the sink, to be lent to a call.
    pub fn all(&mut self) -> &mut Batch {
        self.output.as_mut().unwrap_or(&mut self.input)
    }

    /// Whether the transforms have rejected nothing.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.rejects.is_empty()
    }

    /// The outputs of a piece that the sink has yet to answer for, in order.
    #[must_use]
    pub fn open(&self, piece: &Piece) -> Vec<usize> {
        piece.outputs.clone().filter(|output| piece.settled.is_open(*output)).collect()
    }

    /// The output records at these indices, which are in order.
    #[must_use]
    pub fn records(&mut self, outputs: &[usize]) -> Chosen<'_> {
        if outputs.len() == self.output().len() {
            Chosen::All(self.all())
        } else {
            Chosen::Some(Box::new(self.output().select(|i| outputs.binary_search(&i).is_ok())))
        }
    }

    /// These inputs with what became of them, and the indices that they have there.
    #[must_use]
    pub fn select(&self, stays: &[bool]) -> (Self, Renumbered) {
        let chosen = |input: u32| stays.get(input as usize).copied().unwrap_or(false);
        let outputs: Vec<bool> = self.origin.iter().map(|input| chosen(*input)).collect();
        let to = Renumbered { inputs: Numbers::new(stays), outputs: Numbers::new(&outputs) };
        // Never larger than the old one.
        let number = |input: u32| u32::try_from(to.inputs.of(input as usize)?).ok();
        let selected = Self {
            input: self.input.select(|i| stays.get(i).copied().unwrap_or(false)),
            output: self.output.as_ref().map(|output| output.select(|i| outputs.get(i).copied().unwrap_or(false))),
            origin: self.origin.iter().filter_map(|input| number(*input)).collect(),
            rejects: self.rejects.iter().filter_map(|r| Some(Reject { index: number(r.index)?, ..r.clone() })).collect(),
        };
        (selected, to)
    }

    /// The first and second half of a piece, in order. `None`: it holds the records of one input only.
    #[must_use]
    pub fn halves(&self, piece: &Piece) -> Option<(Piece, Piece)> {
        let origin = self.origin.get(piece.outputs.clone())?;
        let middle = *origin.get(origin.len() / 2)?;
        let begins = origin.partition_point(|&o| o < middle);
        let cut = if begins > 0 { begins } else { origin.partition_point(|&o| o <= middle) };
        let input = *origin.get(cut)? as usize;
        let output = piece.outputs.start + cut;
        let half = |outputs, inputs| {
            let settled = piece.settled.within(&outputs, &inputs);
            Piece { outputs, inputs, deaths: 0, settled }
        };
        Some((
            half(piece.outputs.start..output, piece.inputs.start..input),
            half(output..piece.outputs.end, input..piece.inputs.end),
        ))
    }

    /// A piece with all that comes after it.
    #[must_use]
    pub fn rest(&self, piece: &Piece) -> Piece {
        let (outputs, inputs) = (piece.outputs.start..self.output().len(), piece.inputs.start..self.input.len());
        Piece { outputs, inputs, deaths: 0, settled: Settled::default() }
    }

    /// Input index of an output record; `None` where there is no such output.
    #[must_use]
    pub fn input_of(&self, output: usize) -> Option<usize> {
        self.origin.get(output).map(|&input| input as usize)
    }

    /// What has to be buried of a piece: what the transforms rejected, and what its tries were refused.
    #[must_use]
    pub fn burials(&self, piece: &Piece) -> Vec<Burial> {
        let refused = piece.settled.refused().map(|(output, rejection)| self.burial(piece, output, rejection));
        self.rejected(piece).chain(refused).collect()
    }

    #[must_use]
    pub fn burial(&self, piece: &Piece, output: usize, rejection: &Rejection) -> Burial {
        let input = self.input_of(output).unwrap_or(piece.inputs.start);
        Burial { input, stage: Stage::TaskPut, rejection: rejection.clone() }
    }

    /// The one input of a piece is buried whole.
    #[must_use]
    pub fn burials_alone(&self, piece: &Piece, rejection: &Rejection) -> Vec<Burial> {
        let alone = self.burial(piece, piece.outputs.start, rejection);
        self.rejected(piece).chain([alone]).collect()
    }

    /// What the transforms rejected among the inputs of a piece.
    pub fn rejected(&self, piece: &Piece) -> impl Iterator<Item = Burial> {
        let inputs = piece.inputs.clone();
        self.rejects.iter().filter(move |r| inputs.contains(&(r.index as usize))).map(|r| Burial {
            input: r.index as usize,
            stage: r.stage,
            rejection: r.rejection.clone(),
        })
    }

    /// For each partition of a piece's inputs, the next offset to read once it is delivered.
    #[must_use]
    pub fn next_offsets(&self, piece: &Piece) -> BTreeMap<TopicPartition, i64> {
        // From the end: the first one seen of a partition is its last.
        let last = first_of_each(&self.input, piece.inputs.clone().rev());
        last.into_iter().map(|(partition, offset)| (partition, offset + 1)).collect()
    }

    /// For each partition of a piece's inputs, the first offset of it.
    #[must_use]
    pub fn first_offsets(&self, piece: &Piece) -> BTreeMap<TopicPartition, i64> {
        first_of_each(&self.input, piece.inputs.clone()).into_iter().collect()
    }

    /// Counters of a piece; `dead` counts the output records that were refused by the sink.
    #[must_use]
    pub fn tally(&self, piece: &Piece, dead: usize) -> Tally {
        let origin = self.origin.get(piece.outputs.clone()).unwrap_or_default();
        let rejects = self.rejected(piece).map(|b| u32::try_from(b.input).unwrap_or(u32::MAX));
        Tally::of(piece.inputs.len(), origin, rejects).refused(dead)
    }

    /// Counters of a piece whose one input is buried as a whole: as if it had not been split.
    #[must_use]
    pub fn tally_buried(&self, piece: &Piece) -> Tally {
        let origin = self.origin.get(piece.outputs.clone()).unwrap_or_default().get(..1).unwrap_or_default();
        let rejects = self.rejected(piece).map(|b| u32::try_from(b.input).unwrap_or(u32::MAX));
        Tally::of(piece.inputs.len(), origin, rejects).refused(origin.len())
    }
}

/// The first record of each partition, in the order of these indices. A few partitions, and many records of each.
fn first_of_each(records: &Batch, indices: impl Iterator<Item = usize>) -> Vec<(TopicPartition, i64)> {
    let mut found: Vec<(TopicPartition, i64)> = Vec::new();
    for (topic, partition, offset) in indices.filter_map(|index| records.place(index)) {
        if !found.iter().any(|(known, _)| known.partition == partition && *known.topic == *topic) {
            found.push((TopicPartition { topic: Arc::from(topic), partition }, offset));
        }
    }
    found
}

#[cfg(test)]
pub(super) mod tests;
