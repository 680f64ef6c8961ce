//! The schedule of a run: which legs it has, and what happens in each, all from the seed. Pure.

use fastrand::Rng;

use crate::fault::Fault;
use crate::options::{Options, PathName};
use crate::process::At;

/// Kills of one leg at most: its records are compared at its end, and it is what a resumed run repeats.
const LEG: u32 = 25;
/// A fault beside the kills comes after this many of them.
const KILLS_A_FAULT: usize = 3;

/// A part of a run on one path, with topics and tables of its own. `--kills KILLS --seed SEED --path PATH` is exactly this leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegPlan {
    pub path: PathName,
    pub kills: u32,
    pub seed: u64,
    /// Only this kind of fault, after each kill.
    pub fault: Option<Fault>,
}

/// One step of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// A worker that kills itself at a point.
    Kill(At),
    Fault(Fault),
}

/// The legs of a run over these paths, by turns.
pub fn legs(options: &Options, paths: &[PathName]) -> Vec<LegPlan> {
    let count = u32::try_from(paths.len()).unwrap_or(1).max(1);
    let mut left: Vec<(PathName, u32)> = paths
        .iter()
        .zip(0..)
        .map(|(path, index)| (*path, options.kills / count + u32::from(index < options.kills % count)))
        .collect();
    let mut legs = Vec::new();
    let mut seed = options.seed;
    while left.iter().any(|(_, kills)| *kills > 0) {
        for (path, kills) in left.iter_mut().filter(|(_, kills)| *kills > 0) {
            let now = (*kills).min(LEG);
            *kills -= now;
            legs.push(LegPlan { path: *path, kills: now, seed, fault: options.fault });
        }
        seed += 1;
    }
    legs
}

/// What happens in a leg. Each phase is met about as often as any other.
pub fn rounds(leg: LegPlan, phases: &[&'static str], faults: &[Fault]) -> Vec<Round> {
    let mut rng = Rng::with_seed(leg.seed ^ (leg.path as u64) << 32);
    let faults: Vec<Fault> = faults.iter().copied().filter(|fault| leg.fault.is_none_or(|one| one == *fault)).collect();
    let kills_a_fault = if leg.fault.is_some() { 1 } else { KILLS_A_FAULT };
    let (mut deck, mut faults_deck) = (Vec::new(), Vec::new());
    let mut rounds = Vec::new();
    for kill in 1..=leg.kills as usize {
        if deck.is_empty() {
            deck = phases.to_vec();
            rng.shuffle(&mut deck);
        }
        let Some(phase) = deck.pop() else { break };
        rounds.push(Round::Kill(at(&mut rng, phase)));
        if kill % kills_a_fault == 0 {
            if faults_deck.is_empty() {
                faults_deck.clone_from(&faults);
                rng.shuffle(&mut faults_deck);
            }
            rounds.extend(faults_deck.pop().map(Round::Fault));
        }
    }
    rounds
}

/// An early pass of a phase, so that a life is short.
pub fn at(rng: &mut Rng, phase: &'static str) -> At {
    At { phase, nth: rng.u64(1..=4) }
}
