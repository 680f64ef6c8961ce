//! Sink `audience`: members of a marketing list and their consent. This file decides who is sent and in which order things are
//! written; what is known of consent is in `consent.rs`, how a record is read in `entry.rs`, a service in a file of its own.
//!
//! Order of one call, which is what the guarantee rests on:
//! 1. read what is known of the members; who is withheld is not sent;
//! 2. write down withdrawals, and that subscriptions may be on their way;
//! 3. send;
//! 4. read again: a withdrawal that came meanwhile is sent now;
//! 5. write down that no subscription is on its way any more.
//!
//! A withdrawal that 1 does not see and 4 does not see was written after 4, so its own sink sends it after 3.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use wharf_sdk::{Batch, Context, Error, Outcomes, Rejection, Result, Sink, export_sink, log};

mod config;
mod consent;
mod entry;
mod mailchimp;
mod odoo;
mod target;

use config::{Config, Named};
use consent::{Change, Known, Ledger, Mark};
use entry::{Entry, Wish};
use mailchimp::Mailchimp;
use odoo::Odoo;
use target::{Clock, LONGEST_CALL, Status, Target, Verdict};

/// For so long a call begins requests, and after `END` it settles nothing. The host gives partitions to another owner 30 s after the
/// group has asked for them, whatever a call still does. What that owner settles for the same record is settled for good: a
/// subscription that this one sends after it, or its own settling, could stand against a withdrawal that came between.
const PATIENCE: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(28);
/// To undo does no harm, however late: for so long requests for that are begun. With the last one a call has to end within the host's
/// `call-deadline`.
const UNDOING: Duration = Duration::from_secs(90);

/// A running sink.
#[derive(Debug)]
pub struct Audience {
    config: Config,
    ledger: Ledger,
    target: Box<dyn Target>,
    /// Most members of a wave: fewer where one did not end in its time.
    most: usize,
    clock: Clock,
}

export_sink!(Audience, manifest = include_str!("../connector.toml"));

impl Sink for Audience {
    fn open(context: &Context) -> Result<Self> {
        let config: Config = context.config()?;
        config.check().map_err(Error::fatal)?;
        let target: Box<dyn Target> = match config.service {
            Named::Mailchimp => Box::new(Mailchimp::new(&config)),
            Named::Odoo => Box::new(Odoo::new(&config)?),
        };
        let most = target.most();
        let clock = Clock { began: Instant::now(), patience: PATIENCE, end: END };
        Ok(Self { ledger: Ledger::new(&config, &context.name), config, target, most, clock })
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        self.clock.began = Instant::now();
        self.target.begin(self.clock);
        // Of a connection that refuses the table no record is at fault.
        self.ledger.ensure().map_err(|error| match error {
            Error::Reject(message) => Error::Fatal(message),
            other => other,
        })?;
        let mut outcomes = Outcomes::accepted();
        let mut entries = Vec::with_capacity(records.len());
        for record in records {
            match entry::entry(&self.config, &record) {
                Ok(entry) => entries.push(entry),
                Err(rejection) => outcomes.push(record.index, rejection),
            }
        }
        let mut waves = waves(entries, self.most);
        let mut waiting: HashSet<String> = HashSet::new();
        let mut done = 0;
        while let Some(wave) = waves.pop_front() {
            // What follows a record that is to come again comes after it.
            let (held, wave): (Vec<_>, Vec<_>) = wave.into_iter().partition(|entry| waiting.contains(&entry.member));
            held.iter().for_each(|entry| outcomes.retry(entry.index));
            let delivered = self.wave(&wave);
            self.fit(wave.len(), self.clock.began.elapsed(), delivered.is_ok());
            match delivered {
                Ok(left) => {
                    done += wave.len();
                    for (entry, refused) in left {
                        if let Some(why) = refused {
                            outcomes.push(entry.index, why);
                        } else {
                            outcomes.retry(entry.index);
                            waiting.insert(entry.member.clone());
                        }
                    }
                }
                Err(Error::Retry { message, after }) if done > 0 || !outcomes.is_empty() => {
                    let rest: Vec<_> = wave.iter().chain(waves.iter().flatten()).map(|entry| entry.index).collect();
                    log::warn!(records = rest.len(), host = self.config.host(); "{message}");
                    for index in rest {
                        match after {
                            Some(after) => outcomes.retry_after(index, after),
                            None => outcomes.retry(index),
                        }
                    }
                    return Ok(outcomes);
                }
                Err(Error::Reject(message)) => return Err(Error::Fatal(message)),
                Err(other) => return Err(other),
            }
        }
        Ok(outcomes)
    }
}

/// Entries in their order, in waves in which no member comes twice, each of at most so many.
fn waves(entries: Vec<Entry>, most: usize) -> VecDeque<Vec<Entry>> {
    let mut of_member: HashMap<String, usize> = HashMap::new();
    let mut waves: Vec<Vec<Entry>> = Vec::new();
    for entry in entries {
        let wave = of_member.entry(entry.member.clone()).or_default();
        if waves.len() <= *wave {
            waves.push(Vec::new());
        }
        if let Some(wave) = waves.get_mut(*wave) {
            wave.push(entry);
        }
        *wave += 1;
    }
    let cut = |wave: Vec<Entry>| wave.chunks(most.max(1)).map(<[Entry]>::to_vec).collect::<Vec<_>>();
    waves.into_iter().flat_map(cut).collect()
}

/// What is done about one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Subscribe,
    Unsubscribe,
    Remove {
        erase: bool,
    },
    /// Nothing is sent.
    Withhold,
    /// Nothing new, but an earlier call may have subscribed against the withdrawal, or the erasure.
    Undo {
        erase: bool,
        /// Time of the withdrawal.
        at: i64,
    },
}

impl Audience {
    /// A wave of so many took so long. One that does not end in the time of a call would begin from its start in each try.
    fn fit(&mut self, count: usize, took: Duration, is_whole: bool) {
        let patience = self.clock.patience;
        if is_whole && took < patience / 2 {
            self.most = self.target.most().min(self.most.saturating_mul(2));
        } else if !is_whole && took >= patience.min(self.config.timeout) {
            self.most = (count.min(self.most) / 2).max(1);
        }
    }

    /// Delivers a wave. Answers what the service refused, and why; `None`: it is to come again.
    fn wave<'a>(&mut self, wave: &'a [Entry]) -> Result<Vec<(&'a Entry, Option<Rejection>)>> {
        // Also of those that leave, though they leave whatever is known: rows that say less than others are removed.
        let members: Vec<_> = wave.iter().map(|entry| entry.member.as_str()).collect();
        let known = self.ledger.read(&members)?;
        let deeds: Vec<_> = wave.iter().map(|entry| (entry, deed(entry, known.get(&entry.member)))).collect();
        let announced = |(entry, deed): &(&Entry, Deed)| match deed {
            Deed::Subscribe => vec![self.pending(entry, false)],
            Deed::Remove { erase: true } => [Mark::Withdrawn, Mark::Erased].map(|mark| known_of(entry, mark)).to_vec(),
            Deed::Unsubscribe | Deed::Remove { .. } => vec![known_of(entry, Mark::Withdrawn)],
            Deed::Withhold | Deed::Undo { .. } => Vec::new(),
        };
        self.ledger.write(&deeds.iter().flat_map(announced).collect::<Vec<_>>())?;
        let mut verdicts = self.send(&deeds)?;
        self.target.begin(Clock { patience: UNDOING, end: LONGEST_CALL, ..self.clock });
        let came_meanwhile = self.undo_overtaken(&deeds, &mut verdicts)?;
        self.target.begin(self.clock);
        self.settle(&deeds, &verdicts, &came_meanwhile, &known)?;
        let withheld = deeds.iter().filter(|(_, deed)| matches!(deed, Deed::Withhold | Deed::Undo { .. })).count();
        if withheld > 0 {
            log::info!(records = withheld, list = self.config.list; "subscriptions were withheld: a withdrawal of the same time or a later one is known");
        }
        let left = |entry: &'a Entry| match verdicts.remove(&entry.index)? {
            Verdict::Refused(why) => Some((entry, Some(why))),
            Verdict::Later => Some((entry, None)),
            Verdict::Done | Verdict::Withheld => None,
        };
        Ok(wave.iter().filter_map(left).collect())
    }

    /// Sends what is to be sent; verdicts by index of the record.
    fn send(&mut self, deeds: &[(&Entry, Deed)]) -> Result<HashMap<u32, Verdict>> {
        let status = |deed| match deed {
            Deed::Subscribe => Some(Status::Subscribed),
            Deed::Unsubscribe | Deed::Undo { erase: false, .. } => Some(Status::Unsubscribed),
            Deed::Remove { .. } | Deed::Undo { erase: true, .. } | Deed::Withhold => None,
        };
        let withdrawn = |(entry, deed): &(&Entry, Deed)| match deed {
            Deed::Undo { at, .. } => Some((entry.index, entry.as_of(*at))),
            _ => None,
        };
        let withdrawn: HashMap<u32, Entry> = deeds.iter().filter_map(withdrawn).collect();
        let members = deeds.iter().filter_map(|(entry, deed)| {
            let as_sent: &Entry = withdrawn.get(&entry.index).unwrap_or(entry);
            Some((as_sent, status(*deed)?))
        });
        let members: Vec<_> = members.collect();
        let mut verdicts = HashMap::new();
        if !members.is_empty() {
            let answered = self.target.put(&members)?;
            let of_deed = deeds.iter().filter(|(_, deed)| status(*deed).is_some());
            for ((entry, deed), verdict) in of_deed.zip(answered) {
                let undoing = matches!(deed, Deed::Undo { .. });
                verdicts.insert(entry.index, if undoing { not_undone(verdict) } else { verdict });
            }
        }
        for (entry, deed) in deeds {
            match deed {
                Deed::Remove { erase } => verdicts.insert(entry.index, self.target.remove(entry, *erase)?),
                Deed::Undo { erase: true, .. } => verdicts.insert(entry.index, not_undone(self.target.remove(entry, true)?)),
                _ => None,
            };
        }
        Ok(verdicts)
    }

    /// Withdrawals that became known while subscriptions were on their way are sent now: the other sink may have sent them before.
    /// Answers their records.
    fn undo_overtaken(&mut self, deeds: &[(&Entry, Deed)], verdicts: &mut HashMap<u32, Verdict>) -> Result<Vec<u32>> {
        let sent: Vec<_> = deeds.iter().filter(|(_, deed)| *deed == Deed::Subscribe).map(|(entry, _)| *entry).collect();
        let members: Vec<_> = sent.iter().map(|entry| entry.member.as_str()).collect();
        let known = self.ledger.read(&members)?;
        let is_forbidden = |entry: &&Entry| known.get(&entry.member).is_some_and(|known| known.forbids(entry.at));
        let overtaken: Vec<_> = sent.into_iter().filter(is_forbidden).collect();
        if overtaken.is_empty() {
            return Ok(Vec::new());
        }
        log::info!(records = overtaken.len(), list = self.config.list; "subscriptions are undone: a later withdrawal came while they were sent");
        let is_erased = |entry: &&Entry| known.get(&entry.member).is_some_and(|known| known.is_erased(entry.at));
        let (erased, left): (Vec<_>, Vec<_>) = overtaken.iter().copied().partition(is_erased);
        let left_at = |entry: &Entry| known.get(&entry.member).map_or(entry.at, |known| known.left_at(entry.at));
        let withdrawn: Vec<_> = left.iter().map(|entry| entry.as_of(left_at(entry))).collect();
        let unsubscribed: Vec<_> = withdrawn.iter().map(|entry| (entry, Status::Unsubscribed)).collect();
        for (entry, verdict) in left.iter().zip(self.target.put(&unsubscribed)?) {
            verdicts.insert(entry.index, not_undone(verdict));
        }
        for entry in erased {
            verdicts.insert(entry.index, not_undone(self.target.remove(entry, true)?));
        }
        Ok(overtaken.iter().map(|entry| entry.index).collect())
    }

    /// The mark that this record's subscription may be on its way.
    fn pending(&self, entry: &Entry, remove: bool) -> Change {
        let writer = self.ledger.writer(entry);
        Change { member: entry.member.clone(), mark: Mark::Subscribing, happened: entry.at, writer, remove }
    }

    /// Nothing is on its way any more.
    ///
    /// # Errors
    /// `retry` where the call's time is over.
    fn settle(
        &self,
        deeds: &[(&Entry, Deed)],
        verdicts: &HashMap<u32, Verdict>,
        overtaken: &[u32],
        known: &HashMap<String, Known>,
    ) -> Result<()> {
        let is_of_subscription = |(_, deed): &(&Entry, Deed)| matches!(deed, Deed::Subscribe | Deed::Undo { .. });
        if self.clock.is_over() && deeds.iter().any(is_of_subscription) {
            let host = self.config.host();
            return Err(Error::retry(format!(
                "{host} answers too slowly: the records may have another owner by now, and come again in smaller parts"
            )));
        }
        let mut changes = Vec::new();
        for (entry, deed) in deeds {
            let verdict = verdicts.get(&entry.index);
            let is_done = verdict == Some(&Verdict::Done);
            match deed {
                // What is not undone, or not certain, may still be on its way.
                Deed::Subscribe if overtaken.contains(&entry.index) && !is_done => {}
                Deed::Subscribe if verdict == Some(&Verdict::Later) => {}
                Deed::Subscribe => {
                    changes.push(self.pending(entry, true));
                    if is_done && !overtaken.contains(&entry.index) {
                        changes.push(known_of(entry, Mark::Subscribed));
                    }
                }
                Deed::Undo { .. } if is_done => changes.push(self.pending(entry, true)),
                Deed::Undo { .. } | Deed::Unsubscribe | Deed::Remove { .. } | Deed::Withhold => {}
            }
            if let Some(known) = known.get(&entry.member) {
                changes.extend(known.outdated(&entry.member));
            }
        }
        self.ledger.write(&changes)
    }
}

fn deed(entry: &Entry, known: Option<&Known>) -> Deed {
    match (entry.wish, known) {
        (Wish::Withdraw, _) => Deed::Unsubscribe,
        (Wish::Archive, _) => Deed::Remove { erase: false },
        (Wish::Erase, _) => Deed::Remove { erase: true },
        (Wish::Subscribe, Some(known)) if known.forbids(entry.at) => {
            if known.may_be_subscribed_against_it() {
                Deed::Undo { erase: known.is_erased(entry.at) && !known.may_be_coming_back(), at: known.left_at(entry.at) }
            } else {
                Deed::Withhold
            }
        }
        (Wish::Subscribe, _) => Deed::Subscribe,
    }
}

fn known_of(entry: &Entry, mark: Mark) -> Change {
    Change { member: entry.member.clone(), mark, happened: entry.at, writer: String::new(), remove: false }
}

/// The worst that can happen: somebody has to look.
fn not_undone(verdict: Verdict) -> Verdict {
    let Verdict::Refused(why) = verdict else { return verdict };
    let text = "the member may be subscribed against a later withdrawal, and it could not be undone: unsubscribe it by hand";
    Verdict::Refused(Rejection::new("audience.not-undone", format!("{text}. {}", why.message)))
}

#[cfg(test)]
mod tests;
