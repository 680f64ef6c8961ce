//! A sink that traps on the value `poison` and accepts all others.
#![expect(clippy::panic, reason = "what this guest is for")]

use wharf_sdk::{Batch, Context, Outcomes, Result, Sink, export_sink};

struct Trap;

impl Sink for Trap {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        if let Some(record) = records.records().find(|record| record.value == Some(b"poison")) {
            panic!("poison at {}", record.idempotency_key());
        }
        Ok(Outcomes::accepted())
    }
}

export_sink!(Trap, manifest = "name = \"trap-on-poison\"\nkind = \"sink\"\nsummary = \"Traps on poison.\"\n");
