//! Source `campaign-events`: what recipients did with mailings, as records. This file joins a service to the calls of a source;
//! how a service is read stands in `mailchimp.rs` and `odoo.rs`, what its answers mean in `client.rs`.

use std::time::Duration;

use wharf_sdk::{Context, Error, Limits, NewRecord, Polled, Position, Records, Result, Source, export_source};

mod client;
mod config;
mod event;
mod mailchimp;
mod odoo;
mod seen;
mod service;

use config::{Config, Named};
use event::Found;
use mailchimp::Mailchimp;
use odoo::Odoo;
use service::{Service, Step};

/// A running source. With several tasks the first reads: one cursor has one reader.
#[derive(Debug)]
pub struct CampaignEvents {
    service: Box<dyn Service>,
    interval: Duration,
    idle_task: bool,
}

export_source!(CampaignEvents, manifest = include_str!("../connector.toml"));

impl Source for CampaignEvents {
    fn open(context: &Context, positions: Vec<Position>) -> Result<Self> {
        let config: Config = context.config()?;
        config.check().map_err(Error::fatal)?;
        let interval = config.interval;
        let service: Box<dyn Service> = match config.service {
            Named::Mailchimp => Box::new(Mailchimp::open(config, &positions)?),
            Named::Odoo => Box::new(Odoo::open(config, &positions)?),
        };
        Ok(Self { service, interval, idle_task: context.task > 0 })
    }

    fn poll(&mut self, limits: Limits) -> Result<Polled> {
        if self.idle_task {
            return Ok(Polled { finished: true, ..Polled::nothing(self.interval) });
        }
        let mut records = Records::new();
        self.take(limits, &mut records);
        let mut idle = Duration::ZERO;
        if records.is_empty() {
            if self.service.step()? == Step::RoundOver {
                idle = self.interval;
            }
            self.take(limits, &mut records);
        }
        Ok(Polled { records, positions: self.service.positions()?, idle, finished: false })
    }
}

impl CampaignEvents {
    fn take(&mut self, limits: Limits, records: &mut Records) {
        while !limits.reached(records)
            && let Some(found) = self.service.next()
        {
            match found {
                Found::Event(event) => {
                    let (key, value) = (event.key(), event.value());
                    records.push(NewRecord::new().key(&key).value(&value).timestamp(event.at.div_euclid(1000)));
                }
                Found::Unreadable(raw, why) => records.push_unreadable(NewRecord::new().value(&raw), why),
            }
        }
    }
}

#[cfg(test)]
mod tests;
