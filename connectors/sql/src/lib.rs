//! The `sql` sink.

use wharf_sdk::{Batch, Context, Error, Outcomes, Result, Sink, export_sink};

struct Sql;

impl Sink for Sql {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, _: &Batch) -> Result<Outcomes> {
        Err(Error::fatal("not yet"))
    }
}

export_sink!(Sql, manifest = include_str!("../connector.toml"));
