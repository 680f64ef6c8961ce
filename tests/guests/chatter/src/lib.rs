//! A sink that logs and prints far more than anyone reads, and then traps.
#![expect(clippy::print_stdout, clippy::panic, reason = "what this guest is for")]

use wharf_sdk::{Batch, Context, Outcomes, Result, Sink, export_sink, log};

struct Chatter;

impl Sink for Chatter {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, _: &Batch) -> Result<Outcomes> {
        let long = "x".repeat(1 << 20);
        log::info!(field = long; "{long}");
        for line in 0..10_000 {
            println!("line {line}");
        }
        println!("{long}");
        panic!("said enough")
    }
}

export_sink!(Chatter, manifest = "name = \"chatter\"\nkind = \"sink\"\nsummary = \"Logs too much.\"\n");
