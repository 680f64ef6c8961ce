//! A sink that takes memory until it gets none.

use wharf_sdk::{Batch, Context, Outcomes, Result, Sink, export_sink};

struct Hog(Vec<Vec<u8>>);

impl Sink for Hog {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self(Vec::new()))
    }

    fn write(&mut self, _: &Batch) -> Result<Outcomes> {
        loop {
            self.0.push(vec![1; 1 << 20]);
        }
    }
}

export_sink!(Hog, manifest = "name = \"hog\"\nkind = \"sink\"\nsummary = \"Takes memory.\"\n");
