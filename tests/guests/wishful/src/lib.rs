//! A transform that asks for what none is granted.

use wharf_sdk::{Batch, Context, Delta, Result, Transform, export_transform};

struct Wishful;

impl Transform for Wishful {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, records: &Batch, out: &mut Delta) -> Result<()> {
        records.records().for_each(|record| out.keep(&record));
        Ok(())
    }
}

export_transform!(
    Wishful,
    manifest = "name = \"wishful\"\nkind = \"transform\"\nsummary = \"Asks in vain.\"\nwants = [\"http\", \"sql\"]\n"
);
