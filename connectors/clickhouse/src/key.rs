//! Columns of the key: filled from the record's key where the value has none for them, as a tombstone never has.

use wharf_sdk::json::pointer;
use wharf_sdk::{Record, Rejection};
use wharf_tables::key::{self, Key};

use crate::config::Config;
use crate::object::{self, Json};
use crate::rows::Rows;
use crate::table::Table;

impl<'a> Rows<'a> {
    /// Fills the slots of the key's columns that have no field from the record's key. Other fields of that are passed over.
    ///
    /// # Errors
    /// [`Rejection`] `key.json` or `key.missing` of a record without a whole key.
    pub fn complete_key(&mut self, table: &Table, config: &Config, record: &Record<'a>) -> Result<(), Rejection> {
        if table.key.iter().any(|at| self.slot(*at).is_none()) {
            let read = self.read_key(table, config, record);
            // What is wrong with the key of a value is that it does not help: the value's own field is missing.
            if record.value.is_none() {
                read?;
            }
        }
        for (at, column) in table.key.iter().zip(&config.key) {
            let field = config.field(column);
            match self.slot(*at) {
                Some(Json("null")) => return Err(key::null(field)),
                Some(_) => {}
                None if record.value.is_none() => return Err(key::without(field)),
                None => return Err(key::nowhere(field)),
            }
        }
        Ok(())
    }

    fn read_key(&mut self, table: &Table, config: &Config, record: &Record<'a>) -> Result<(), Rejection> {
        let object = match key::read(record.key, &config.key)? {
            Key::Object(object) => object,
            Key::Scalar { json, .. } => {
                if let Some(at) = table.key.first() {
                    self.fill(*at, Json(json));
                }
                return Ok(());
            }
        };
        let mut fields = Vec::new();
        object::read(object, &mut fields).map_err(|_| key::no_object())?;
        for (at, column) in table.key.iter().zip(&config.key).filter(|(at, _)| self.slot(**at).is_none()).collect::<Vec<_>>() {
            let mut of_column = fields.iter().filter(|(field, _)| config.column(field) == column);
            if let Some((field, json)) = of_column.next() {
                if of_column.next().is_some() {
                    return Err(Rejection::new("key.json", format!("the record's key has two fields for column `{column}`"))
                        .at(pointer(field)));
                }
                self.fill(*at, *json);
            }
        }
        Ok(())
    }
}
