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

/// A run of output records together with the inputs that are done when it is delivered.
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

    /// The first and second half of a piece, in order; an input whose records are spread over both is done with the second.
    /// `None`: it holds one record only.
    #[must_use]
    pub fn halves(&self, piece: &Piece) -> Option<(Piece, Piece)> {
        if piece.outputs.len() < 2 {
            return None;
        }
        let middle = usize::midpoint(piece.outputs.start, piece.outputs.end);
        let input = self.origin.get(middle).map_or(piece.inputs.end, |&o| o as usize);
        let half = |outputs, inputs| Piece { outputs, inputs, deaths: 0, buried: piece.buried.clone() };
        Some((
            half(piece.outputs.start..middle, piece.inputs.start..input),
            half(middle..piece.outputs.end, input..piece.inputs.end),
        ))
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

    /// Counters of a piece; `dead` counts the output records that were refused by the sink.
    #[must_use]
    pub fn tally(&self, piece: &Piece, dead: usize) -> Tally {
        let origin = self.origin.get(piece.outputs.clone()).unwrap_or_default();
        let mut distinct = origin.to_vec();
        distinct.dedup();
        // An input that began in an earlier piece is counted there.
        let begun = distinct.iter().filter(|&&o| piece.inputs.contains(&(o as usize))).count();
        let rejected = self.rejected(piece).count();
        Tally {
            read: piece.inputs.len() as u64,
            split: origin.len().saturating_sub(begun) as u64,
            delivered: origin.len().saturating_sub(dead) as u64,
            filtered: piece.inputs.len().saturating_sub(begun + rejected) as u64,
            dead_lettered: (rejected + dead) as u64,
        }
    }
}
