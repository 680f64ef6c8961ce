//! A transform that masks the field `email` and rejects what is no JSON.

use wharf_sdk::{Batch, Change, Context, Delta, Rejection, Result, Transform, export_transform};

mod email;

#[derive(Default)]
struct Mask {
    written: Vec<u8>,
}

impl Transform for Mask {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self::default())
    }

    fn apply(&mut self, records: &Batch, out: &mut Delta) -> Result<()> {
        for record in records {
            self.written.clear();
            match email::mask(record.value.unwrap_or_default(), &mut self.written) {
                Ok(()) => out.push(&record, Change::new().value(&self.written)),
                Err(e) => out.reject(&record, Rejection::new("mask.json", e.to_string())),
            }
        }
        Ok(())
    }
}

export_transform!(Mask, manifest = "name = \"mask\"\nkind = \"transform\"\nsummary = \"Masks the field `email`.\"\n");
