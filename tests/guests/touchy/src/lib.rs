//! A transform that does to a record what its value says: `poison` traps, `drop` filters, `refuse` rejects, `twice` splits; all
//! others stay. Its configuration says how `open` fails.
#![expect(clippy::panic, reason = "what this guest is for")]

use serde::Deserialize;
use wharf_sdk::{Batch, Change, Context, Delta, Error, Rejection, Result, Transform, export_transform};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    open: Option<String>,
}

struct Touchy;

impl Transform for Touchy {
    fn open(context: &Context) -> Result<Self> {
        let Config { open } = context.config()?;
        match open.as_deref() {
            None => Ok(Self),
            Some("trap") => panic!("trap in open"),
            Some("retry") => Err(Error::retry("not yet")),
            Some(other) => Err(Error::fatal(format!("cannot open: {other}"))),
        }
    }

    fn apply(&mut self, records: &Batch, out: &mut Delta) -> Result<()> {
        for record in records {
            match record.value {
                Some(b"poison") => panic!("poison"),
                Some(b"drop") => {}
                Some(b"refuse") => out.reject(&record, Rejection::new("touchy.refused", "touchy refuses this")),
                Some(b"twice") => ["once", "again"].iter().for_each(|value| out.push(&record, Change::new().value(value))),
                _ => out.keep(&record),
            }
        }
        Ok(())
    }
}

export_transform!(Touchy, manifest = "name = \"touchy\"\nkind = \"transform\"\nsummary = \"Does what values say.\"\n");
