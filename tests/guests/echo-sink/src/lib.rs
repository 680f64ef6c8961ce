//! A sink that accepts everything.

use wharf_sdk::{Batch, Context, Outcomes, Result, Sink, export_sink};

struct Echo;

impl Sink for Echo {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, _: &Batch) -> Result<Outcomes> {
        Ok(Outcomes::accepted())
    }
}

export_sink!(Echo, manifest = "name = \"echo-sink\"\nkind = \"sink\"\nsummary = \"Accepts everything.\"\n");
