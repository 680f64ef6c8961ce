//! One batch of a sink on its way: what came in, what goes out, and which inputs are done once a piece of it is delivered.
//! Pure bookkeeping; the calls stand in `pipeline/sink.rs`.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::batch::Batch;
use crate::dead_letter::Stage;
use crate::outcome::Rejection;
use crate::pipeline::Tally;
use crate::topic_log::TopicPartition;
use crate::transform::{Applied, Reject};

/// A batch after its transforms.
#[derive(Debug)]
pub struct Delivery {
    /// As it was read.
    pub input: Batch,
    /// What the sink gets.
    output: Batch,
    /// Input index of each output record.
    origin: Vec<u32>,
    /// What the transforms rejected, by input index, ascending.
    rejects: Vec<Reject>,
}

/// A run of inputs with all their output records: a piece never cuts an input's records apart, so that what is confirmed
/// with it is whole (an offset can't stand for half of a split).
#[derive(Debug, Clone)]
pub struct Piece {
    outputs: Range<usize>,
    inputs: Range<usize>,
    /// How often a guest died on exactly this piece.
    pub deaths: u32,
    /// Inputs whose dead letters are confirmed already: a repeated try does not write them again.
    pub buried: HashSet<usize>,
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
}

impl Delivery {
    #[must_use]
    pub fn new(input: Batch, applied: Applied) -> Self {
        Self { input, output: applied.records, origin: applied.origin, rejects: applied.rejects }
    }

    /// The whole batch as one piece.
    #[must_use]
    pub fn whole(&self) -> Piece {
        Piece { outputs: 0..self.output.len(), inputs: 0..self.input.len(), deaths: 0, buried: HashSet::new() }
    }

    /// The output records of a piece.
    #[must_use]
    pub fn records(&self, piece: &Piece) -> Batch {
        if piece.outputs == (0..self.output.len()) {
            self.output.clone()
        } else {
            self.output.select(|i| piece.outputs.contains(&i))
        }
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
        let half = |outputs, inputs| Piece { outputs, inputs, deaths: 0, buried: piece.buried.clone() };
        Some((
            half(piece.outputs.start..output, piece.inputs.start..input),
            half(output..piece.outputs.end, input..piece.inputs.end),
        ))
    }

    /// A piece with all that comes after it.
    #[must_use]
    pub fn rest(&self, piece: &Piece) -> Piece {
        let (outputs, inputs) = (piece.outputs.start..self.output.len(), piece.inputs.start..self.input.len());
        Piece { outputs, inputs, deaths: 0, buried: HashSet::new() }
    }

    /// Input index of a piece's output record.
    #[must_use]
    pub fn input_of(&self, piece: &Piece, output: usize) -> usize {
        self.origin.get(piece.outputs.start + output).map_or(piece.inputs.start, |&o| o as usize)
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
        let mut next = BTreeMap::new();
        let mut names: BTreeMap<&str, Arc<str>> = BTreeMap::new();
        for record in self.input.records().skip(piece.inputs.start).take(piece.inputs.len()) {
            let topic = Arc::clone(names.entry(record.topic).or_insert_with(|| Arc::from(record.topic)));
            next.insert(TopicPartition { topic, partition: record.partition }, record.offset + 1);
        }
        next
    }

    /// For each partition of a piece's inputs, the first offset of it.
    #[must_use]
    pub fn first_offsets(&self, piece: &Piece) -> BTreeMap<TopicPartition, i64> {
        let mut first = BTreeMap::new();
        for record in self.input.records().skip(piece.inputs.start).take(piece.inputs.len()) {
            let partition = TopicPartition { topic: Arc::from(record.topic), partition: record.partition };
            first.entry(partition).or_insert(record.offset);
        }
        first
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

#[cfg(test)]
mod tests;
