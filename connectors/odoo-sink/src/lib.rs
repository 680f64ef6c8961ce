//! Sink `odoo`: records into a model. This file writes the groups of a call one after the other and finds the record that is at
//! fault; what goes into a request is made in `groups.rs` and `cells.rs`, what an answer means stands in `client.rs`.
//!
//! `load`, Odoo's import, creates or changes a record and keeps its external id in one transaction: a call whose answer was lost
//! is made again and finds what it created.

use wharf_sdk::{Batch, Context, Error, Outcomes, Result, Sink, export_sink, log};

mod blame;
mod cells;
mod client;
mod config;
mod external;
mod groups;

use blame::{Blame, Tries};
use cells::Fields;
use client::{Client, Complaint, Said};
use config::{Config, Tombstones};
use groups::{Action, Group, Row, groups};

/// A running sink.
#[derive(Debug)]
pub struct OdooSink {
    config: Config,
    client: Client,
    /// `None` before they were asked for.
    fields: Option<Fields>,
    tries: Tries,
}

export_sink!(OdooSink, manifest = include_str!("../connector.toml"));

impl Sink for OdooSink {
    fn open(context: &Context) -> Result<Self> {
        let config: Config = context.config()?;
        let server = config.check().map_err(|e| Error::fatal(e.to_string()))?;
        Ok(Self { client: Client::new(server, &config), config, fields: None, tries: Tries::default() })
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        self.client.begin();
        let fields = match self.fields.take() {
            Some(fields) => fields,
            None => self.ask()?,
        };
        let mut outcomes = Outcomes::accepted();
        let groups = groups(records, &fields, &self.config, &mut outcomes);
        self.fields = Some(fields);
        let mut left: Vec<u32> = groups.iter().flat_map(|group| &group.rows).map(|row| row.index).collect();
        let all = left.len();
        for Group { action, rows } in &groups {
            let Err(error) = self.deliver(action, rows, &mut left, &mut outcomes) else { continue };
            let Error::Retry { message, after } = error else { return Err(error) };
            // Where nothing is decided, the whole call comes again.
            if left.len() == all && outcomes.is_empty() {
                return Err(Error::Retry { message, after });
            }
            log::warn!(records = left.len(), model = self.config.model; "{message}");
            for index in left {
                match after {
                    Some(after) => outcomes.retry_after(index, after),
                    None => outcomes.retry(index),
                }
            }
            break;
        }
        Ok(outcomes)
    }
}

impl OdooSink {
    fn ask(&mut self) -> Result<Fields> {
        let fields = Fields::new(&self.client.fields()?, &self.config).map_err(|e| Error::fatal(e.to_string()))?;
        if self.config.tombstones == Tombstones::Archive && !fields.has("active") {
            return Err(Error::fatal(format!(
                "`{}` has no field `active`, so nothing can be archived: set `config.tombstones` to delete, reject or skip",
                self.config.model
            )));
        }
        self.check_rights()?;
        Ok(fields)
    }

    fn check_rights(&mut self) -> Result<()> {
        self.config.operations().iter().try_for_each(|operation| self.client.must_have(operation))
    }

    /// Writes rows in their order; takes those that are settled out of `left`. Odoo takes all rows of a request or none, and names the
    /// first that it refuses: the request is cut there. Where it names none, it is halved.
    fn deliver(&mut self, action: &Action, rows: &[Row], left: &mut Vec<u32>, outcomes: &mut Outcomes) -> Result<()> {
        match (self.attempt(action, rows)?, rows) {
            (_, []) => {}
            (Said::Taken, rows) => self.settle(rows, left),
            // Once more, as another transaction may have been in the way.
            (_, [row]) => self.alone(action, row, left, outcomes)?,
            (Said::Refused(Some(first), _), rows) => {
                let (head, tail) = rows.split_at_checked(first).unwrap_or((&[], rows));
                if !head.is_empty() {
                    self.deliver(action, head, left, outcomes)?;
                }
                if let Some((row, rest)) = tail.split_first() {
                    self.alone(action, row, left, outcomes)?;
                    if !rest.is_empty() {
                        self.deliver(action, rest, left, outcomes)?;
                    }
                }
            }
            (Said::Refused(..) | Said::Failed(_) | Said::Denied(_) | Said::Gone, rows) => {
                let (head, tail) = rows.split_at_checked(rows.len() / 2).unwrap_or((&[], rows));
                self.deliver(action, head, left, outcomes)?;
                self.deliver(action, tail, left, outcomes)?;
            }
        }
        Ok(())
    }

    /// Writes a row that was refused before; where it is refused again, it is rejected, at once or after several calls.
    fn alone(&mut self, action: &Action, row: &Row, left: &mut Vec<u32>, outcomes: &mut Outcomes) -> Result<()> {
        let rows = std::slice::from_ref(row);
        let (text, field) = match self.attempt(action, rows)? {
            Said::Taken => {
                self.settle(rows, left);
                return Ok(());
            }
            Said::Gone if *action == Action::Remove => {
                // It may be another record that it names.
                let ids = self.client.find(rows)?;
                if ids.is_empty() || !self.client.are_left(&ids)? {
                    self.settle(rows, left);
                    return Ok(());
                }
                let text = "Odoo misses a record while it removes this one, which is there";
                (self.tries.again(&row.name, text.to_owned())?, None)
            }
            Said::Gone => {
                let text = "Odoo misses a record while it writes this one: it was deleted at the same time, or its external id is left over";
                (self.tries.again(&row.name, text.to_owned())?, None)
            }
            Said::Failed(text) => (self.tries.again(&row.name, text)?, None),
            Said::Denied(text) => {
                // Where all are refused, no record is at fault.
                self.check_rights()?;
                (text, None)
            }
            Said::Refused(_, complaint) => self.judge(row, complaint)?,
        };
        let rejected = outcomes.reject(row.index, "odoo.refused", text);
        if let Some(field) = field {
            rejected.field(wharf_sdk::json::pointer(&field));
        }
        self.settle(rows, left);
        Ok(())
    }

    /// Whether a row is rejected for what Odoo has against it: text and field, or `retry`.
    fn judge(&mut self, row: &Row, Complaint { text, field, blame }: Complaint) -> Result<(String, Option<String>)> {
        let text = match blame {
            Blame::Passing => self.tries.pass(&row.name, text)?,
            Blame::Doubtful => self.tries.again(&row.name, text)?,
            Blame::Record => text,
        };
        Ok((text, field))
    }

    /// Rows that are written or rejected.
    fn settle(&mut self, rows: &[Row], left: &mut Vec<u32>) {
        left.retain(|index| rows.iter().all(|row| row.index != *index));
        self.tries.forget(rows);
    }

    fn attempt(&mut self, action: &Action, rows: &[Row]) -> Result<Said> {
        let said = match action {
            Action::Load(columns) => self.client.load(columns, rows)?,
            Action::Remove => {
                let ids = self.client.find(rows)?;
                if ids.is_empty() {
                    return Ok(Said::Taken);
                }
                self.client.remove(rows, &ids, self.config.tombstones == Tombstones::Archive)?
            }
        };
        if said == Said::Taken {
            self.tries.wrote();
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests;
