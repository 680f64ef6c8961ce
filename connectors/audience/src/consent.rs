//! What is known of each member's consent, in a table of a named connection. Owns the table and the rule of who may be subscribed;
//! knows no service.
//!
//! A row is `(audience, member, mark, happened, writer)`, all of it the key. Rows are added, and removed only where another row says
//! more, or by the one record that wrote them, so that sinks which write at the same time cannot undo each other: no compare-and-set
//! is needed. The marks:
//!
//! - `withdrawn`: a withdrawal of this time is known. Written before the service is told.
//! - `erased`: beside it where the member was to be forgotten, so that a subscription which overtook that is undone by forgetting.
//! - `subscribing`: a subscription of this time may be on its way, sent for the record that `writer` names. Written before the service
//!   is told, removed for the same record when it is clear that no withdrawal came meanwhile, or when the subscription was undone. Two
//!   records of one time have two rows: what one of them has settled says nothing of the other. `writer` is empty in other marks.
//! - `subscribed`: the service has taken a subscription of this time, and no later withdrawal was known then.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use wharf_sdk::sql::{Bitmap, Column, ColumnDef, Connection, Kind, Rows, Table, Value};
use wharf_sdk::{Error, Result};

use crate::config::Config;
use crate::entry::{Entry, hex};

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    Withdrawn,
    /// Beside `Withdrawn` of the same time: the member was to be forgotten.
    Erased,
    Subscribing,
    Subscribed,
}

/// The earliest and the latest time of a mark, microseconds since 1970.
type Span = (i64, i64);

/// What is known of one member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    withdrawn: Option<Span>,
    erased: Option<Span>,
    subscribing: Option<Span>,
    subscribed: Option<Span>,
}

/// A row to write, or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub member: String,
    pub mark: Mark,
    pub happened: i64,
    /// [`Ledger::writer`] for [`Mark::Subscribing`], otherwise empty.
    pub writer: String,
    pub remove: bool,
}

/// The table of one list.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    table: Table,
    audience: String,
    /// Name of the sink.
    sink: String,
    is_there: bool,
}

impl Mark {
    const ALL: [Self; 4] = [Self::Withdrawn, Self::Erased, Self::Subscribing, Self::Subscribed];

    const fn name(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::Erased => "erased",
            Self::Subscribing => "subscribing",
            Self::Subscribed => "subscribed",
        }
    }
}

impl Known {
    /// Whether a subscription of this time is against a withdrawal: of two at the same time the withdrawal wins.
    #[must_use]
    pub fn forbids(&self, at: i64) -> bool {
        self.withdrawn.is_some_and(|(_, latest)| latest >= at)
    }

    /// When the member left last; the time itself where it did not.
    #[must_use]
    pub fn left_at(&self, at: i64) -> i64 {
        self.withdrawn.map_or(at, |(_, latest)| latest)
    }

    /// Whether the member of a subscription of this time was to be forgotten then or later.
    #[must_use]
    pub fn is_erased(&self, at: i64) -> bool {
        self.erased.is_some_and(|(_, latest)| latest >= at)
    }

    /// Whether a subscription from before the withdrawal may have reached the service after it: a call was cut short. Not where a
    /// later subscription is known: then the member is on the list by right.
    #[must_use]
    pub fn may_be_subscribed_against_it(&self) -> bool {
        let (Some((_, withdrawn)), Some((pending, _))) = (self.withdrawn, self.subscribing) else { return false };
        pending <= withdrawn && self.subscribed.is_none_or(|(_, subscribed)| subscribed <= withdrawn)
    }

    /// Whether a subscription from after the last withdrawal may be on its way: to forget the member for good would be against it.
    #[must_use]
    pub fn may_be_coming_back(&self) -> bool {
        self.subscribing.is_some_and(|(_, latest)| self.withdrawn.is_some_and(|(_, withdrawn)| latest > withdrawn))
    }

    /// Rows that say less than others.
    pub fn outdated<'a>(&'a self, member: &'a str) -> impl Iterator<Item = Change> + 'a {
        let spans = [(Mark::Withdrawn, self.withdrawn), (Mark::Erased, self.erased), (Mark::Subscribed, self.subscribed)];
        spans.into_iter().filter_map(move |(mark, span)| {
            let (earliest, latest) = span?;
            let outdated = || Change { member: member.to_owned(), mark, happened: earliest, writer: String::new(), remove: true };
            (earliest < latest).then(outdated)
        })
    }
}

impl Ledger {
    #[must_use]
    pub fn new(config: &Config, sink: &str) -> Self {
        let key = ["audience", "member", "mark", "happened", "writer"].map(ToOwned::to_owned).to_vec();
        Self {
            connection: Connection::new(config.connection.clone()),
            table: Table { name: config.table.clone(), key },
            audience: config.audience(),
            sink: sink.to_owned(),
            is_there: false,
        }
    }

    /// Names the record for which a row is written: the same in each try, another for every other record and sink.
    #[must_use]
    pub fn writer(&self, entry: &Entry) -> String {
        let digest = Sha256::digest(format!("{} {}", self.sink, entry.origin));
        hex(digest.first_chunk::<16>().map_or(&[][..], <[u8; 16]>::as_slice))
    }

    /// Makes the table, once.
    ///
    /// # Errors
    /// As the host says.
    pub fn ensure(&mut self) -> Result<()> {
        if self.is_there {
            return Ok(());
        }
        let text = |name: &str| ColumnDef { name: name.to_owned(), kind: Kind::Text, nullable: false };
        let happened = ColumnDef { name: "happened".to_owned(), kind: Kind::Int64, nullable: false };
        self.connection.ensure(&self.table, &[text("audience"), text("member"), text("mark"), happened, text("writer")])?;
        self.is_there = true;
        Ok(())
    }

    /// What is known of these members; of those that are missing, nothing is.
    ///
    /// # Errors
    /// As the host says.
    pub fn read(&self, members: &[&str]) -> Result<HashMap<String, Known>> {
        let mut known = HashMap::new();
        let Some(last) = members.last() else { return Ok(known) };
        // Few lengths, so that few statements are prepared.
        let count = members.len().next_power_of_two();
        let places: Vec<_> = (0..count).map(|n| format!("${}", n + 2)).collect();
        let statement = format!(
            "SELECT member, mark, MIN(happened) AS earliest, MAX(happened) AS latest FROM {} WHERE audience = $1 AND member IN ({}) GROUP BY member, mark",
            self.table.name,
            places.join(", ")
        );
        let members = members.iter().chain(std::iter::repeat(last)).take(count);
        let texts = std::iter::once(self.audience.as_str()).chain(members.copied());
        let parameters = texts.map(|text| column("p", Value::Text(text))).collect::<Result<_>>()?;
        let most = u32::try_from(count * Mark::ALL.len()).unwrap_or(u32::MAX);
        let answer = self.connection.query(&statement, parameters, most)?;
        let [members, marks, earliest, latest] = answer.as_slice() else { return Err(self.strange()) };
        for (((member, mark), earliest), latest) in members.iter().zip(marks.iter()).zip(earliest.iter()).zip(latest.iter()) {
            let (Some(Value::Text(member)), Some(Value::Text(mark))) = (member, mark) else { return Err(self.strange()) };
            let (Some(Value::Int(earliest)), Some(Value::Int(latest))) = (earliest, latest) else { return Err(self.strange()) };
            let known: &mut Known = known.entry(member.to_owned()).or_default();
            let span = Some((earliest, latest));
            match Mark::ALL.into_iter().find(|known| known.name() == mark) {
                Some(Mark::Withdrawn) => known.withdrawn = span,
                Some(Mark::Erased) => known.erased = span,
                Some(Mark::Subscribing) => known.subscribing = span,
                Some(Mark::Subscribed) => known.subscribed = span,
                None => return Err(self.strange()),
            }
        }
        Ok(known)
    }

    fn strange(&self) -> Error {
        Error::fatal(format!(
            "table `{}` of connection `{}` is not one of this sink: name another in `config.table`",
            self.table.name,
            self.connection.name()
        ))
    }

    /// Writes rows; when it returns they are durable.
    ///
    /// # Errors
    /// As the host says; `fatal` where the database refuses a row.
    pub fn write(&self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut deletes = Bitmap::new();
        let mut columns = ["audience", "member", "mark"].map(|name| Column::new(name, Kind::Text));
        let mut happened = Column::new("happened", Kind::Int64);
        let mut writer = Column::new("writer", Kind::Text);
        for (row, change) in changes.iter().enumerate() {
            if change.remove {
                deletes.set(row);
            }
            for (column, text) in columns.iter_mut().zip([&self.audience, &change.member, change.mark.name()]) {
                column.push(Value::Text(text))?;
            }
            happened.push(Value::Int(change.happened))?;
            writer.push(Value::Text(&change.writer))?;
        }
        let count = u32::try_from(changes.len()).unwrap_or(u32::MAX);
        let columns = columns.into_iter().chain([happened, writer]).collect();
        let refused = self.connection.apply(&self.table, Rows { count, deletes, columns })?;
        match refused.first() {
            None => Ok(()),
            Some(row) => Err(Error::fatal(format!(
                "connection `{}` refuses rows of `{}` ({}: {}): without them nothing is sent",
                self.connection.name(),
                self.table.name,
                row.code,
                row.reason
            ))),
        }
    }
}

fn column(name: &str, value: Value<'_>) -> Result<Column> {
    let mut column = Column::new(name, Kind::Text);
    column.push(value)?;
    Ok(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_at_the_same_time_the_withdrawal_wins() {
        let known = Known { withdrawn: Some((3, 5)), ..Known::default() };
        assert!(known.forbids(4) && known.forbids(5) && !known.forbids(6));
        assert!(!Known::default().forbids(i64::MIN));
    }

    #[test]
    fn a_call_that_was_cut_short_is_told_from_one_that_a_later_subscription_made_good() {
        let cut = Known { withdrawn: Some((5, 5)), subscribing: Some((3, 3)), ..Known::default() };
        assert!(cut.may_be_subscribed_against_it());
        assert!(Known { subscribed: Some((4, 4)), ..cut }.may_be_subscribed_against_it());
        assert!(!Known { subscribed: Some((7, 7)), ..cut }.may_be_subscribed_against_it());
        assert!(!Known { subscribing: Some((6, 6)), ..cut }.may_be_subscribed_against_it());
        assert!(!Known { subscribing: None, ..cut }.may_be_subscribed_against_it());
        assert!(!cut.may_be_coming_back() && Known { subscribing: Some((3, 6)), ..cut }.may_be_coming_back());
    }
}
