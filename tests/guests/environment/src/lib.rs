//! A sink that tells the environment, the arguments and the working folder it sees, as the reason of a rejection.

use wharf_sdk::{Batch, Context, Outcomes, Result, Sink, export_sink};

struct Environment;

impl Sink for Environment {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, _: &Batch) -> Result<Outcomes> {
        let mut outcomes = Outcomes::accepted();
        let variables: Vec<_> = std::env::vars_os().collect();
        let arguments: Vec<_> = std::env::args_os().collect();
        let folder = std::fs::read_dir("/").map(Iterator::count);
        outcomes.reject(0, "environment", format!("{variables:?} {arguments:?} {}", folder.is_ok()));
        Ok(outcomes)
    }
}

export_sink!(Environment, manifest = "name = \"environment\"\nkind = \"sink\"\nsummary = \"Tells what it sees.\"\n");
