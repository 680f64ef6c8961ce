//! What waits and what flows on, of any batch: nothing is in both or in neither.
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::{AfterBudget, Retry};
use crate::outcome::Rejection;
use crate::pipeline::Tally;
use crate::pipeline::deliver::tests::{Fate, adds_up, delivery, fates, leaves};

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: Arc::from("t"), partition }
}

/// A batch of which some pieces are delivered, and some outputs of the next one are settled.
#[derive(Debug)]
struct Scene {
    delivery: Delivery,
    pieces: VecDeque<Piece>,
    cuts: BTreeMap<TopicPartition, usize>,
}

/// `fate`: 0 waits, 1 is refused, the rest is accepted.
fn scene(fates: &[Fate], done: usize, answers: &[u8]) -> Scene {
    let delivery = delivery(fates);
    let mut pieces: VecDeque<_> = leaves(&delivery, delivery.whole()).into();
    // The whole, or what is left of it once it was halved.
    if done == 0 {
        pieces = [delivery.whole()].into();
    }
    pieces.drain(..done.saturating_sub(1).min(pieces.len() - 1));
    let places: Vec<_> = delivery.input.records().map(|record| at(record.partition)).collect();
    let mut cuts = BTreeMap::new();
    let front = pieces.front_mut().unwrap();
    for (output, answer) in delivery.open(front).into_iter().zip(answers.iter().cycle()) {
        let input = delivery.input_of(output).unwrap();
        match answer {
            0 => drop(cuts.entry(places[input].clone()).or_insert(input)),
            1 => front.settled.refuse(output, Rejection::new("refused", output.to_string())),
            _ => front.settled.accept([output]),
        }
    }
    let buried = delivery.burials(front).first().map(|burial| burial.input);
    front.settled.buried.extend(buried);
    Scene { delivery, pieces, cuts }
}

fn scenes() -> impl Strategy<Value = Scene> {
    let parts = (fates(), 0usize..6, proptest::collection::vec(0u8..4, 1..30));
    parts.prop_map(|(fates, done, answers)| scene(&fates, done, &answers))
}

/// Partition and offset of each input of pieces.
fn inputs<'a>(delivery: &Delivery, pieces: impl IntoIterator<Item = &'a Piece>) -> Vec<(i32, i64)> {
    let mut found = Vec::new();
    for piece in pieces {
        let (first, next) = (delivery.first_offsets(piece), delivery.next_offsets(piece));
        let within = |p: i32, offset: i64| next.get(&at(p)).is_some_and(|next| (first[&at(p)]..*next).contains(&offset));
        found.extend(delivery.input.records().filter(|r| within(r.partition, r.offset)).map(|r| (r.partition, r.offset)));
    }
    found.sort_unstable();
    found
}

/// What is still to be sent, by the text of its input, and what is to be buried: offset, code, and whether it is already.
type Work = (Vec<Vec<u8>>, Vec<(i64, String, bool)>);

fn work(delivery: &Delivery, piece: &Piece) -> Work {
    let open = delivery.open(piece);
    let records = delivery.output().select(|output| open.contains(&output));
    let offsets: Vec<_> = delivery.input.records().map(|record| record.offset).collect();
    let burials = delivery.burials(piece);
    let buried = |b: &crate::pipeline::deliver::Burial| {
        (offsets[b.input], b.rejection.code.clone(), piece.settled.buried.contains(&b.input))
    };
    (records.records().map(|r| r.value.unwrap().to_vec()).collect(), burials.iter().map(buried).collect())
}

/// All parts of a parting, with the pieces of each.
fn all(parts: &Parts) -> Vec<(&Delivery, Vec<&Piece>)> {
    let flowing = (&parts.flowing, parts.pieces.iter().collect());
    let waiting = parts.waiting.iter().map(|(_, delivery, piece)| (delivery, vec![piece]));
    std::iter::once(flowing).chain(waiting).collect()
}

proptest! {
    #[test]
    fn every_input_is_either_held_or_flows_on(scene in scenes()) {
        let Scene { delivery, pieces, cuts } = scene;
        let parts = part(&delivery, &pieces, &cuts);
        let mut found: Vec<_> = all(&parts).into_iter().flat_map(|(delivery, pieces)| inputs(delivery, pieces)).collect();
        found.sort_unstable();
        prop_assert_eq!(found, inputs(&delivery, &pieces));
    }

    #[test]
    fn of_a_held_partition_nothing_from_the_first_open_record_on_flows(scene in scenes()) {
        let Scene { delivery, pieces, cuts } = scene;
        let offsets: Vec<_> = delivery.input.records().map(|r| r.offset).collect();
        let parts = part(&delivery, &pieces, &cuts);
        prop_assert_eq!(parts.waiting.iter().map(|(p, ..)| p).collect::<Vec<_>>(), cuts.keys().collect::<Vec<_>>());
        let flowing = inputs(&parts.flowing, &parts.pieces);
        for (partition, held, piece) in &parts.waiting {
            let first = offsets[cuts[partition]];
            prop_assert!(flowing.iter().all(|(p, offset)| *p != partition.partition || *offset < first));
            prop_assert_eq!(held.first_offsets(piece), BTreeMap::from([(partition.clone(), first)]));
            prop_assert_eq!(held.next_offsets(piece)[partition], delivery.next_offsets(&delivery.whole())[partition]);
        }
    }

    #[test]
    fn what_is_settled_stays_settled_and_what_is_open_stays_open(scene in scenes()) {
        let Scene { delivery, pieces, cuts } = scene;
        let parts = part(&delivery, &pieces, &cuts);
        let sum = |works: Vec<Work>| {
            let (open, buried): (Vec<_>, Vec<_>) = works.into_iter().unzip();
            let (mut open, mut buried) = (open.concat(), buried.concat());
            open.sort_unstable();
            buried.sort_unstable();
            (open, buried)
        };
        let of_parts = all(&parts).into_iter().flat_map(|(d, pieces)| pieces.into_iter().map(|p| work(d, p)).collect::<Vec<_>>());
        prop_assert_eq!(sum(of_parts.collect()), sum(pieces.iter().map(|p| work(&delivery, p)).collect()));
    }

    #[test]
    fn counters_of_the_parts_add_up_to_those_of_the_whole(scene in scenes()) {
        let Scene { delivery, pieces, cuts } = scene;
        let parts = part(&delivery, &pieces, &cuts);
        let (mut sum, mut whole) = (Tally::default(), Tally::default());
        for (delivery, pieces) in all(&parts) {
            for piece in pieces {
                let tally = delivery.tally(piece, piece.settled.refused().count());
                prop_assert!(adds_up(&tally), "{:?}", tally);
                sum += tally;
            }
        }
        pieces.iter().for_each(|piece| whole += delivery.tally(piece, piece.settled.refused().count()));
        prop_assert_eq!(sum, whole);
    }
}

fn waiting(due: Instant, buffered: bool) -> Waiting {
    let delivery = delivery(&[(1, 0), (1, 0)]);
    let mut piece = delivery.whole();
    piece.settled.accept([1]);
    piece.settled.buffered = buffered;
    let retry =
        Retry { initial: Duration::from_millis(1), max: Duration::from_secs(1), budget: None, then: AfterBudget::DeadLetter };
    Waiting { delivery, piece, backoff: Backoff::new(&retry, 1), due, message: "the target is full".to_owned() }
}

fn open(held: &mut Held) -> Vec<usize> {
    let waiting = held.take(&at(0)).unwrap();
    waiting.delivery.open(&waiting.piece)
}

#[test]
fn the_longest_due_comes_first_and_the_wait_ends_with_the_next() {
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    let mut held = Held::default();
    assert_eq!((held.wait(now, second), held.reason()), (second, None));
    held.insert(at(0), waiting(now + second / 2, false));
    held.insert(at(1), waiting(now + second / 4, false));
    held.insert(at(2), waiting(now + second * 9, false));
    assert_eq!((held.wait(now, second), held.due(now)), (second / 4, vec![]));
    assert_eq!(held.due(now + second), [at(1), at(0)]);
    assert_eq!(held.records(), 6);
    assert_eq!(held.reason().unwrap(), "only t/0, t/1, t/2 waiting for a retry: the target is full");
    held.forget([&at(0), &at(1)]);
    assert_eq!((held.due(now + second), held.records()), (vec![], 2));
}

#[test]
fn what_lay_in_a_dead_instance_is_sent_again_and_what_was_flushed_is_not() {
    let mut held = Held::default();
    held.insert(at(0), waiting(Instant::now(), true));
    held.instance_lost();
    assert_eq!(open(&mut held), [0, 1]);
    held.insert(at(0), waiting(Instant::now(), true));
    held.flushed();
    held.instance_lost();
    assert_eq!(open(&mut held), [0]);
    held.insert(at(0), waiting(Instant::now(), false));
    held.instance_lost();
    assert_eq!(open(&mut held), [0]);
}
