//! A transform that keeps open orders.

use wharf_sdk::{Batch, Context, Delta, Result, Transform, export_transform};

mod open;

struct Filter;

impl Transform for Filter {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, records: &Batch, out: &mut Delta) -> Result<()> {
        records.records().filter(|record| record.value.is_some_and(open::is_open)).for_each(|record| out.keep(&record));
        Ok(())
    }
}

export_transform!(Filter, manifest = "name = \"filter\"\nkind = \"transform\"\nsummary = \"Keeps open orders.\"\n");
