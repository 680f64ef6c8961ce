//! `drop`: removes fields. A field that isn't there is no fault. A member that stood twice in the text can't stay behind: of names
//! that steps reach only the last is kept when a value is parsed.

use super::record::{Refused, Working};
use crate::config::FieldPath;

#[derive(Debug)]
pub struct Drop {
    fields: Vec<FieldPath>,
}

impl Drop {
    pub const fn new(fields: Vec<FieldPath>) -> Self {
        Self { fields }
    }

    pub fn apply(&self, record: &mut Working<'_>) -> Result<(), Refused> {
        let Some(root) = record.fields_mut()? else { return Ok(()) };
        for field in &self.fields {
            field.remove(root);
        }
        Ok(())
    }
}
