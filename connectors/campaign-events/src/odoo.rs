//! Odoo, mass mailing, by JSON-2 or JSON-RPC (method `search_read`). Each round reads of every table what was written
//! since the last one. Owns the round; where one table stands is in `odoo/table.rs`, what its rows mean in `odoo/row.rs`.
//!
//! Pages go by id within one read, as a row that is written again keeps its id: no row is passed over. `write_date` is when the
//! row's transaction began, so each read looks back by `config.overlap`.

use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;
use wharf_odoo_api::Server;
use wharf_sdk::{Error, Position, Result};

use crate::client::Client;
use crate::config::{Config, micros};
use crate::event::Found;
use crate::service::{Service, Step};

mod row;
mod table;

use row::Model;
use table::Table;

/// The database that is read.
#[derive(Debug)]
pub struct Odoo {
    config: Config,
    client: Client,
    server: Server,
    tables: Vec<Table>,
    /// Index of the table that is read now.
    at: usize,
    page: VecDeque<Found>,
    /// A page is being handed out.
    open: bool,
    round_over: bool,
    changed: BTreeSet<usize>,
}

impl Odoo {
    /// # Errors
    /// `fatal` for a position that another version wrote.
    pub fn open(config: Config, positions: &[Position]) -> Result<Self> {
        let table = |model: Model| match positions.iter().find(|position| position.slice == model.name()) {
            Some(position) => Table::stored(model, position),
            None => Ok(Table::new(model)),
        };
        let models = Model::ALL.into_iter().filter(|model| model.is_wanted(&config));
        let tables = models.map(table).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            client: Client::new(&config),
            server: config.server().map_err(Error::fatal)?,
            config,
            tables,
            at: 0,
            page: VecDeque::new(),
            open: false,
            round_over: false,
            changed: BTreeSet::new(),
        })
    }

    /// One page of the table that is read now.
    fn read(&mut self) -> Result<()> {
        let Some(table) = self.tables.get_mut(self.at) else { return Ok(()) };
        let model = table.model;
        let (mut rows, at) = search_read(&self.server, &mut self.client, model.name(), &table.query(&self.config))?;
        table.begin_page(&rows, self.config.page_size, at)?;
        if let Some(query) = row::contacts(model, &rows, &self.config) {
            let (contacts, _) = search_read(&self.server, &mut self.client, "mailing.contact", &query)?;
            row::add_addresses(&mut rows, &contacts);
        }
        self.page = row::found(rows, &self.config, table);
        self.open = true;
        self.end_page_if_empty();
        Ok(())
    }

    /// All of a page is handed over: the table's place is behind it.
    fn end_page_if_empty(&mut self) {
        if !self.open || !self.page.is_empty() {
            return;
        }
        self.open = false;
        let Some(table) = self.tables.get_mut(self.at) else { return };
        let ended = table.end_page(micros(self.config.overlap));
        if table.is_due() {
            self.changed.insert(self.at);
        }
        if ended {
            self.at += 1;
        }
        if self.at >= self.tables.len() {
            (self.at, self.round_over) = (0, true);
        }
    }
}

/// The rows of an answer, and when it came by the service's clock.
fn search_read(server: &Server, client: &mut Client, model: &str, query: &Value) -> Result<(Vec<Value>, i64)> {
    let what = format!("`{model}`");
    let Some(answer) = client.judge(server.respond(model, "search_read", query)?, &what)? else {
        return Err(Error::fatal(format!(
            "{} has no {what}: it takes the app Email Marketing, with tables named as in Odoo 19, and the database that \
             `config.database` names",
            server.root()
        )));
    };
    let rows = serde_json::from_slice(&answer.body).map_err(|e| client.unreadable(&what, &e))?;
    Ok((rows, answer.at))
}

impl Service for Odoo {
    fn step(&mut self) -> Result<Step> {
        if std::mem::take(&mut self.round_over) {
            return Ok(Step::RoundOver);
        }
        self.read()?;
        Ok(Step::Asked)
    }

    fn next(&mut self) -> Option<Found> {
        let found = self.page.pop_front()?;
        if let Some(table) = self.tables.get_mut(self.at) {
            table.handed_over(&found);
            self.changed.insert(self.at);
        }
        Some(found)
    }

    fn positions(&mut self) -> Result<Vec<Position>> {
        self.end_page_if_empty();
        let mut positions = Vec::with_capacity(self.changed.len());
        for index in std::mem::take(&mut self.changed) {
            if let Some(table) = self.tables.get_mut(index) {
                positions.push(table.position(micros(self.config.overlap))?);
            }
        }
        Ok(positions)
    }
}
