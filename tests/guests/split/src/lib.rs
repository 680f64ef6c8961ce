//! A transform that makes a record of each word of a value, filters empty values and rejects what is no text.

use wharf_sdk::{Batch, Change, Context, Delta, Rejection, Result, Transform, export_transform};

struct Split;

impl Transform for Split {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, records: &Batch, out: &mut Delta) -> Result<()> {
        for record in records {
            match std::str::from_utf8(record.value.unwrap_or_default()) {
                Ok(text) => text.split_whitespace().for_each(|word| out.push(&record, Change::new().value(word))),
                Err(_) => out.reject(&record, Rejection::new("split.text", "the value is no text")),
            }
        }
        Ok(())
    }
}

export_transform!(Split, manifest = "name = \"split\"\nkind = \"transform\"\nsummary = \"Splits values.\"\n");
