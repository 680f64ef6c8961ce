//! Three sinks of one list whose calls run into each other and are cut short anywhere, by seeded schedules: nobody may end up
//! subscribed against a later withdrawal.

use std::sync::{Arc, Condvar, Mutex};

use super::*;

const SCHEDULES: u64 = 3000;
const SINKS: usize = 3;

/// Small numbers from a seed: splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// What both sinks share.
struct Common {
    dice: Dice,
    /// Whose call is next.
    turn: usize,
    running: [bool; SINKS],
    ledger: Ledgered,
    /// What the service holds of the one member.
    subscribed: bool,
    cuts_left: u32,
}

#[derive(Clone)]
struct Stage(Arc<(Mutex<Common>, Condvar)>);

impl Stage {
    /// Does one thing when it is this sink's turn. `Err`: the call was cut, before it or after it.
    fn act<R>(&self, me: usize, act: impl FnOnce(&mut Common) -> R) -> Result<R> {
        let (mutex, turned) = &*self.0;
        let mut common = turned.wait_while(mutex.lock().unwrap(), |common| common.turn != me).unwrap();
        let cut = if common.cuts_left > 0 { common.dice.roll(12) } else { 12 };
        let done = if cut == 0 { None } else { Some(act(&mut common)) };
        if cut < 2 {
            common.cuts_left -= 1;
        }
        // Mostly on and on, so that another stands still for long in the middle of its call.
        let next = if common.dice.roll(5) > 0 { me } else { usize::try_from(common.dice.roll(SINKS as u64)).unwrap() };
        common.turn = if common.running[next] { next } else { me };
        turned.notify_all();
        done.filter(|_| cut >= 2).ok_or_else(|| Error::retry("cut short"))
    }

    fn end(&self, me: usize) {
        let (mutex, turned) = &*self.0;
        let mut common = turned.wait_while(mutex.lock().unwrap(), |common| common.turn != me).unwrap();
        common.running[me] = false;
        common.turn = (0..SINKS).find(|other| common.running[*other]).unwrap_or(me);
        turned.notify_all();
    }
}

struct StagedDatabase(Stage, usize);

impl testing::Database for StagedDatabase {
    fn ensure(&mut self, _: &str, _: &Table, _: &[ColumnDef]) -> Result<()> {
        Ok(())
    }

    fn columns(&mut self, _: &str, _: &str) -> Result<Vec<ColumnDef>> {
        Ok(Vec::new())
    }

    fn apply(&mut self, _: &str, _: &Table, rows: Rows) -> Result<Vec<Rejected>> {
        self.0.act(self.1, |common| apply(&rows, &mut common.ledger))?;
        Ok(Vec::new())
    }

    fn query(&mut self, _: &str, _: &str, parameters: Vec<Column>, _: u32) -> Result<Vec<Column>> {
        self.0.act(self.1, |common| query(&parameters, &common.ledger))
    }
}

/// Delivers records until all are accepted; a cut is a crash: the next try is by a fresh instance.
fn deliver(stage: &Stage, me: usize, decisions: &[(&'static str, i64)]) {
    testing::database(StagedDatabase(stage.clone(), me));
    let service = stage.clone();
    testing::http(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let wanted = body["status"] == "subscribed";
        service.act(me, |common| common.subscribed = wanted)?;
        Ok(taken(request))
    });
    for (offset, (status, second)) in decisions.iter().enumerate() {
        let value = customer("ada", status, *second);
        let record = testing::batch(&format!("crm-{offset}"), [(None, Some(value.as_str()))]);
        loop {
            let mut sink = Audience::open(&Context::new(format!("newsletter-{me}"), config(&json!({})))).unwrap();
            match sink.write(&record) {
                Ok(outcomes) if outcomes.is_empty() => break,
                Ok(other) => panic!("{other:?}"),
                Err(Error::Retry { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
    stage.end(me);
}

/// What the sinks made of their decisions under this schedule.
fn play(seed: u64) -> (Vec<Vec<(&'static str, i64)>>, bool) {
    let mut dice = Dice(seed);
    let mut decide = || (["yes", "no"][usize::try_from(dice.roll(2)).unwrap()], i64::try_from(dice.roll(3)).unwrap());
    let decisions: Vec<Vec<_>> = (0..SINKS).map(|_| (0..2).map(|_| decide()).collect()).collect();
    let common = Common { dice, turn: 0, running: [true; SINKS], ledger: Ledgered::new(), subscribed: false, cuts_left: 4 };
    let stage = Stage(Arc::new((Mutex::new(common), Condvar::new())));
    std::thread::scope(|scope| {
        for (me, decisions) in decisions.iter().enumerate() {
            let stage = &stage;
            scope.spawn(move || deliver(stage, me, decisions));
        }
    });
    let subscribed = stage.0.0.lock().unwrap().subscribed;
    (decisions, subscribed)
}

#[test]
fn nobody_ends_up_subscribed_against_a_withdrawal_however_calls_run_into_each_other_and_are_cut() {
    let (mut subscribed, mut free) = (0, 0);
    for seed in 0..SCHEDULES {
        let (decisions, is_subscribed) = play(seed);
        let latest = |status: &str| decisions.iter().flatten().filter(|(s, _)| *s == status).map(|(_, at)| *at).max();
        let may_be = latest("yes").is_some_and(|yes| latest("no").is_none_or(|no| yes > no));
        assert!(!is_subscribed || may_be, "seed {seed}: subscribed after {decisions:?}");
        assert!(is_subscribed || latest("no").is_some(), "seed {seed}: nobody withdrew: {decisions:?}");
        free += u64::from(may_be);
        subscribed += u64::from(is_subscribed);
    }
    // The rule is not held by subscribing nobody. A withdrawal always goes through: one that comes late undoes a later subscription.
    assert!(subscribed * 5 > free * 2, "{subscribed} of {free}");
}
