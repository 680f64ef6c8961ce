//! Source `odoo`: the records of a model. This file joins the read (`cycle.rs`) and the sweep (`sweep.rs`) to the calls of a
//! source; what an answer means is decided in `client.rs`, what a value is in `value.rs`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::json;
use wharf_sdk::{Context, Error, Limits, NewRecord, Polled, Position, Records, Result, Source, export_source, log};

mod client;
mod config;
mod cycle;
mod ids;
mod place;
mod schema;
mod seen;
mod sweep;
mod value;

use client::Client;
use config::{Config, Deletions};
use cycle::{Cycle, Stage};
use ids::Ids;
use place::{LARGEST, Place};
use schema::Schema;
use sweep::Sweep;
use value::{BadAnswer, Row, key};

/// A position that moved without a record is stored this often.
const QUIET: Duration = Duration::from_secs(600);

/// A running source. A model is one slice, its ids another: with several tasks the first reads both.
#[derive(Debug)]
pub struct Odoo {
    config: Config,
    client: Client,
    /// See [`Place::of`].
    of: String,
    /// `None` before the fields were asked for.
    schema: Option<Schema>,
    cycle: Cycle,
    sweep: Option<Sweep>,
    swept_at: Option<Instant>,
    /// What was read and is not handed out. Rows of a page, in order, or read beside it.
    rows: VecDeque<Row>,
    beside: bool,
    stored_at: Instant,
    idle_task: bool,
}

export_source!(Odoo, manifest = include_str!("../connector.toml"));

impl Source for Odoo {
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let config: Config = context.config()?;
        let server = config.check().map_err(|e| Error::fatal(e.to_string()))?;
        let of = fingerprint(&config);
        let stored =
            |slice: &str| positions.iter().find(|p| p.slice == slice).map(|p| &p.place).filter(|place| !place.is_empty());
        let unreadable = |e: String| Error::fatal(format!("the stored position of `{}` cannot be read: {e}", config.model));
        let place = stored(&config.model).map(|place| Place::read(place).map_err(|e| unreadable(e.to_string()))).transpose()?;
        let fits = place.as_ref().filter(|place| place.of == of);
        if place.is_some() && fits.is_none() {
            log::warn!(model = config.model; "the stored position is of another database, domain or of archived records otherwise: reading begins anew");
        }
        let (overlap, page_size) = (config.overlap(), config.page_size);
        let cycle = match fits {
            Some(place) => Cycle::restored(overlap, page_size, place).ok_or_else(|| unreadable("`seen` is cut".to_owned()))?,
            None => Cycle::new(overlap, page_size),
        };
        let known = stored(&ids_slice(&config.model))
            .map(|bytes| Ids::unpack(bytes).ok_or_else(|| unreadable("the ids are cut".to_owned())));
        let sweep = match config.deletions {
            Deletions::Ignore => None,
            Deletions::Sweep => Some(Sweep::new(known.transpose()?, fits.is_some())),
        };
        Ok(Self {
            client: Client::new(server, &config),
            of,
            schema: None,
            cycle,
            sweep,
            swept_at: None,
            rows: VecDeque::new(),
            beside: false,
            stored_at: Instant::now(),
            idle_task: context.task > 0,
            config,
        })
    }

    /// At most one request, and as many records as the limits allow.
    fn poll(&mut self, limits: Limits) -> Result<Polled> {
        if self.idle_task {
            return Ok(Polled { finished: true, ..Polled::nothing(self.config.interval) });
        }
        let Some(schema) = self.schema.take() else {
            let answer = self.client.fields()?;
            self.schema = Some(Schema::read(&answer.body, &self.config).map_err(|e| Error::fatal(e.to_string()))?);
            return Ok(Polled::nothing(Duration::ZERO));
        };
        let asked = if self.is_drained() { self.ask(&schema) } else { Ok(()) };
        self.schema = Some(schema);
        asked?;
        let records = self.hand_out(limits);
        let idle = if self.is_drained() { self.go_on() } else { Duration::ZERO };
        let positions = self.moved(!records.is_empty())?;
        Ok(Polled { records, positions, idle, finished: false })
    }
}

impl Odoo {
    fn is_drained(&self) -> bool {
        self.rows.is_empty() && !self.sweep.as_ref().is_some_and(Sweep::has_gone)
    }

    /// The next request: ids of a sweep, records that it found to be missed, or the next page of the read.
    fn ask(&mut self, schema: &Schema) -> Result<()> {
        let broken = |e: BadAnswer| Error::retry(format!("`{}` of {}: {e}", self.config.model, self.config.url));
        self.beside = false;
        if let Some(sweep) = &mut self.sweep {
            if sweep.has_missed() {
                let missed = sweep.missed(self.config.page_size);
                let answer = self.client.records(schema, vec![json!(["id", "in", missed])], "id")?;
                self.rows = value::rows(&answer.body, schema, self.config.many2one).map_err(broken)?.into();
                sweep.missed_are_read(missed.len());
                self.beside = true;
                return Ok(());
            }
            if sweep.is_unsure() {
                let left = value::count(&self.client.count(sweep.query())?.body).map_err(broken)?;
                if !sweep.left(left) {
                    return Err(Error::fatal(format!(
                        "Odoo counts {left} more records of `{}` and shows none of their ids, so what is gone cannot be told: set `config.deletions = \"ignore\"`",
                        self.config.model
                    )));
                }
                return Ok(());
            }
            if sweep.is_under_way() {
                let answer = self.client.ids(sweep.query(), sweep::PAGE)?;
                sweep.page(&value::ids(&answer.body).map_err(broken)?);
                return Ok(());
            }
        }
        let (conditions, order) = self.cycle.query();
        let answer = self.client.records(schema, conditions, order)?;
        let rows = value::rows(&answer.body, schema, self.config.many2one).map_err(broken)?;
        self.rows = self.cycle.page(rows, answer.asked).into();
        Ok(())
    }

    fn hand_out(&mut self, limits: Limits) -> Records {
        let mut records = Records::new();
        while !limits.reached(&records) {
            if let Some(id) = self.sweep.as_mut().and_then(Sweep::next_gone) {
                self.cycle.forget(id);
                records.push(NewRecord::new().key(&key(id)));
                continue;
            }
            let Some(row) = self.rows.pop_front() else { break };
            let news = if self.beside { self.cycle.note(&row) } else { self.cycle.take(&row) };
            if let Some(sweep) = &mut self.sweep {
                sweep.note(row.id);
            }
            if news {
                let key = key(row.id);
                let record = NewRecord::new().key(&key).value(&row.value);
                records.push(row.second.map_or(record, |second| record.timestamp(second.saturating_mul(1000))));
            }
        }
        records
    }

    /// All that was read is handed out: the wait before the next request.
    fn go_on(&mut self) -> Duration {
        if self.cycle.stage() == Stage::End {
            self.cycle.end();
            let due = self.swept_at.is_none_or(|at| at.elapsed() >= self.config.sweep_interval);
            if let Some(sweep) = self.sweep.as_mut().filter(|_| due) {
                sweep.begin();
                self.swept_at = Some(Instant::now());
            }
        }
        let sweeping = self.sweep.as_ref().is_some_and(|sweep| sweep.is_under_way() || sweep.has_missed());
        if self.cycle.is_under_way() || sweeping { Duration::ZERO } else { self.config.interval }
    }

    /// The positions, where they are worth storing.
    fn moved(&mut self, now: bool) -> Result<Vec<Position>> {
        if !now && self.stored_at.elapsed() < QUIET {
            return Ok(Vec::new());
        }
        self.stored_at = Instant::now();
        let model = &self.config.model;
        let place = self.cycle.place(&self.of).write().ok_or_else(|| {
            Error::fatal(format!(
                "{} records of `{model}` changed within `config.overlap`, more than a position holds: lower it",
                self.cycle.remembered()
            ))
        })?;
        let mut positions = vec![Position::new(model.clone(), place)];
        if let Some(ids) = self.sweep.as_ref().and_then(Sweep::place) {
            if ids.len() > LARGEST {
                return Err(Error::fatal(format!(
                    "the ids of `{model}` have more gaps than a position holds: narrow `config.domain`, or set `config.deletions = \"ignore\"`"
                )));
            }
            positions.push(Position::new(ids_slice(model), ids));
        }
        Ok(positions)
    }
}

/// The slice of the ids that were handed over.
fn ids_slice(model: &str) -> String {
    format!("{model}#ids")
}

/// What a position is of: with another database, domain or other archived records it is not gone on from.
fn fingerprint(config: &Config) -> String {
    let of = json!([config.database, config.domain, config.archived]);
    seen::hash(of.to_string().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
