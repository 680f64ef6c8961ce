//! A sink that sleeps by the clock for a day: it uses no CPU time, and only a deadline ends it.

use std::time::Duration;

use wharf_sdk::{Batch, Context, Outcomes, Result, Sink, export_sink};

struct Sleep;

impl Sink for Sleep {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, _: &Batch) -> Result<Outcomes> {
        std::thread::sleep(Duration::from_secs(86_400));
        Ok(Outcomes::accepted())
    }
}

export_sink!(Sleep, manifest = "name = \"sleep\"\nkind = \"sink\"\nsummary = \"Sleeps.\"\n");
