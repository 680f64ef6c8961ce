//! A source whose every poll traps.
#![expect(clippy::panic, reason = "what this guest is for")]

use wharf_sdk::{Context, Limits, Polled, Position, Result, Source, export_source};

struct Trap;

impl Source for Trap {
    fn open(_: &Context, _: Vec<Position>) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, _: Limits) -> Result<Polled> {
        panic!("cannot poll")
    }
}

export_source!(Trap, manifest = "name = \"trap-in-poll\"\nkind = \"source\"\nsummary = \"Traps.\"\n");
