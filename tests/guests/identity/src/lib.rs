//! A transform that changes nothing.

use wharf_sdk::{Batch, Context, Delta, Result, Transform, export_transform};

struct Identity;

impl Transform for Identity {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, records: &Batch, out: &mut Delta) -> Result<()> {
        records.records().for_each(|record| out.keep(&record));
        Ok(())
    }
}

export_transform!(Identity, manifest = "name = \"identity\"\nkind = \"transform\"\nsummary = \"Changes nothing.\"\n");
