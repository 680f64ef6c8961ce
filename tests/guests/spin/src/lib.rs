//! A sink that never gives control back.

use wharf_sdk::{Batch, Context, Outcomes, Result, Sink, export_sink};

struct Spin;

impl Sink for Spin {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        let mut turns = records.len();
        loop {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
    }
}

export_sink!(Spin, manifest = "name = \"spin\"\nkind = \"sink\"\nsummary = \"Spins.\"\n");
