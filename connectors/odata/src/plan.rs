//! How one entity set is read: configuration and `$metadata` brought together, and the URLs that follow from them. Owns the
//! system query options; keeps no state and sends nothing.

use serde_json::{Map, Value};

use crate::address::{Address, Query};
use crate::config::{Config, Delta, Paging, Version};
use crate::cursor::Cursor;
use crate::edm::{Model, NoSet, Simple, nearest, suggestion};
use crate::key::Field;
use crate::literal::{guess, literal, moment};
use crate::time;
use crate::value::Mapping;

/// A checked plan.
#[derive(Debug)]
pub struct Plan {
    pub service: Address,
    pub entity: String,
    pub version: Version,
    pub key: Vec<Field>,
    pub cursor: Option<Field>,
    /// Microseconds.
    pub overlap: i64,
    pub page_size: u32,
    pub paging: Paging,
    /// Whether to ask for delta links.
    pub delta: bool,
    model: Option<Model>,
    /// Qualified name of the entities' type.
    of: Option<String>,
    select: String,
    expand: String,
    filter: Option<String>,
}

/// Where a query begins.
#[derive(Debug, Clone, Copy)]
pub enum From<'a> {
    Start,
    /// At a cursor, less the overlap.
    Cursor(&'a Cursor),
    /// At a cursor itself.
    Exactly(&'a Cursor),
    /// After an entity in the order of cursor and key. The cursor is absent where it is null, or where there is none.
    Entity(Option<&'a Cursor>, &'a Map<String, Value>),
}

/// What the service's `$metadata` does not fit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPlan {
    #[error(transparent)]
    Entity(#[from] NoSet),
    #[error("`config.{option}` names `{name}`, which entities of `{entity}` do not have{}", suggestion(.nearest.as_deref()))]
    Property { option: &'static str, name: String, entity: String, nearest: Option<String> },
    #[error("`config.cursor` names `{0}`, which is no number, text or time: nothing can be ordered by it")]
    Cursor(String),
    #[error("the key of `{0}` is not known from `$metadata`: name its properties in `config.key`")]
    NoKey(String),
    #[error("a filter on what comes after the last entry cannot be written: `{0}` has a value that is no literal")]
    Literal(String),
}

impl Plan {
    /// # Errors
    /// [`BadPlan`], naming what the service does not have and the nearest name that it has.
    pub fn new(config: &Config, service: Address, model: Option<Model>) -> Result<Self, BadPlan> {
        let entity = config.entity.clone();
        let of = match &model {
            Some(model) => match model.type_of_set(&entity) {
                Some(of) => Some(of.to_owned()),
                None => return Err(NoSet::new(&entity, model.sets.iter().map(|(name, _)| name.as_str())).into()),
            },
            None => None,
        };
        let field = |option, name: &String| field(&entity, model.as_ref().zip(of.as_deref()), option, name);
        let mut key = config.key.iter().map(|name| field("key", name)).collect::<Result<Vec<_>, _>>()?;
        if let (true, Some((model, of))) = (key.is_empty(), model.as_ref().zip(of.as_deref())) {
            key = model.key(of).iter().map(|name| field("key", name)).collect::<Result<_, _>>()?;
        }
        if key.is_empty() {
            return Err(BadPlan::NoKey(entity));
        }
        let cursor = config.cursor.as_ref().map(|name| field("cursor", name)).transpose()?;
        let unfit = |field: &Field| model.is_some() && !matches!(field.simple, Some(s) if is_ordered(s));
        if let Some(field) = cursor.as_ref().filter(|field| unfit(field)) {
            return Err(BadPlan::Cursor(field.name.clone()));
        }
        let v4 = model.as_ref().is_none_or(|model| model.v4);
        let version = config.version.unwrap_or(if v4 { Version::V4 } else { Version::V2 });
        let default_paging = if version == Version::V4 { Paging::Server } else { Paging::Client };
        Ok(Self {
            service,
            version,
            overlap: i64::try_from(config.overlap.as_micros()).unwrap_or(i64::MAX),
            page_size: config.page_size,
            paging: config.paging.unwrap_or(default_paging),
            // Expanded entities come apart in a delta (OData JSON Format 4.01, 15): such a set is read in full.
            delta: config.delta == Delta::Auto && cursor.is_none() && config.expand.is_empty(),
            select: select(config, &key, cursor.as_ref()),
            expand: config.expand.join(","),
            filter: config.filter.clone(),
            entity,
            key,
            cursor,
            model,
            of,
        })
    }

    /// How entities are read, and the type they have.
    #[must_use]
    pub fn mapping(&self) -> (Mapping<'_>, Option<&str>) {
        (Mapping { model: self.model.as_ref(), version: self.version }, self.of.as_deref())
    }

    /// The URL of a read. `$filter` and `$orderby` as in OData 4.01 Part 2, 5.1.3 and 5.1.5, and V2 "URI Conventions", 4.
    /// `top`: whether this connector cuts the pages.
    ///
    /// # Errors
    /// [`BadPlan::Literal`].
    pub fn url(&self, from: From<'_>, top: bool) -> Result<String, BadPlan> {
        let filter = match (self.after(from)?, &self.filter) {
            (Some(own), Some(extra)) => Some(format!("({own}) and ({extra})")),
            (own, extra) => own.or_else(|| extra.clone()),
        };
        let mut order: Vec<String> = self.cursor.iter().map(|field| format!("{} asc", field.name)).collect();
        if top || self.cursor.is_some() {
            let fields = self.key.iter().filter(|field| self.cursor.as_ref().is_none_or(|cursor| cursor.name != field.name));
            order.extend(fields.map(|field| format!("{} asc", field.name)));
        }
        let size = self.page_size.to_string();
        let query = Query::default()
            .with_some("$filter", filter.as_deref())
            .with_some("$orderby", Some(&order.join(",")))
            .with_some("$select", Some(&self.select))
            .with_some("$expand", Some(&self.expand))
            .with_some("$top", top.then_some(&size));
        Ok(query.at(&self.service.resource(&self.entity)))
    }

    /// Where the overlap before a time cursor begins, in microseconds: dates have it by whole days. `None`: no time.
    #[must_use]
    pub fn window(&self, at: &Cursor) -> Option<i64> {
        let start = at.time?.saturating_sub(self.overlap);
        let simple = self.cursor.as_ref()?.simple.unwrap_or_else(|| guess(&at.raw));
        Some(if simple == Simple::Date { start.saturating_sub(start.rem_euclid(time::DAY)) } else { start })
    }

    fn after(&self, from: From<'_>) -> Result<Option<String>, BadPlan> {
        match (from, &self.cursor) {
            (From::Start, _) | (From::Cursor(_) | From::Exactly(_), None) => Ok(None),
            (From::Exactly(at), Some(field)) => Ok(Some(format!("{} ge {}", field.name, self.exactly(field, &at.raw)?))),
            (From::Cursor(at), Some(field)) => {
                let simple = field.simple.unwrap_or_else(|| guess(&at.raw));
                let start = match self.window(at) {
                    Some(start) => moment(self.version, simple, start),
                    None => literal(self.version, simple, &at.raw),
                };
                let start = start.ok_or_else(|| BadPlan::Literal(field.name.clone()))?;
                Ok(Some(format!("{} ge {start}", field.name)))
            }
            (From::Entity(_, key), None) => self.after_key(key).map(Some),
            (From::Entity(None, key), Some(field)) => {
                let name = &field.name;
                Ok(Some(format!("{name} ne null or ({name} eq null and ({}))", self.after_key(key)?)))
            }
            (From::Entity(Some(at), key), Some(field)) => {
                let (name, literal) = (&field.name, self.exactly(field, &at.raw)?);
                Ok(Some(format!("{name} gt {literal} or ({name} eq {literal} and ({}))", self.after_key(key)?)))
            }
        }
    }

    /// `a gt 1 or (a eq 1 and b gt 2)`
    fn after_key(&self, key: &Map<String, Value>) -> Result<String, BadPlan> {
        let mut alternatives = Vec::with_capacity(self.key.len());
        let mut equal = String::new();
        for field in &self.key {
            let literal = self.exactly(field, key.get(&field.name).unwrap_or(&Value::Null))?;
            let greater = format!("{} gt {literal}", field.name);
            alternatives.push(if equal.is_empty() { greater } else { format!("({equal}{greater})") });
            equal = format!("{equal}{} eq {literal} and ", field.name);
        }
        Ok(alternatives.join(" or "))
    }

    /// The literal of a value with all the digits that the service gave it.
    fn exactly(&self, field: &Field, value: &Value) -> Result<String, BadPlan> {
        let simple = field.simple.unwrap_or_else(|| guess(value));
        let digits = |text: &&str| simple == Simple::Moment && text.chars().all(|c| c.is_ascii_digit() || "TZ:.+-".contains(c));
        let as_it_came = value.as_str().filter(|_| self.version == Version::V4).filter(digits).map(ToOwned::to_owned);
        as_it_came.or_else(|| literal(self.version, simple, value)).ok_or_else(|| BadPlan::Literal(field.name.clone()))
    }
}

/// Types with an order that `ge` and `$orderby` know.
const fn is_ordered(simple: Simple) -> bool {
    !matches!(simple, Simple::Boolean | Simple::Binary | Simple::Stream | Simple::Other)
}

/// A property by its name, with its type where `$metadata` is at hand.
fn field(entity: &str, model: Option<(&Model, &str)>, option: &'static str, name: &str) -> Result<Field, BadPlan> {
    let Some((model, of)) = model else { return Ok(Field { name: name.to_owned(), simple: None }) };
    if model.member(of, name).is_none() {
        let nearest = nearest(name, model.properties(of)).map(ToOwned::to_owned);
        return Err(BadPlan::Property { option, name: name.to_owned(), entity: entity.to_owned(), nearest });
    }
    Ok(Field { name: name.to_owned(), simple: model.simple(of, name) })
}

/// `select` together with what the connector itself needs.
fn select(config: &Config, key: &[Field], cursor: Option<&Field>) -> String {
    if config.select.is_empty() {
        return String::new();
    }
    let mut names: Vec<&str> = key.iter().chain(cursor).map(|field| field.name.as_str()).collect();
    for name in &config.select {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.join(",")
}

#[cfg(test)]
mod tests;
