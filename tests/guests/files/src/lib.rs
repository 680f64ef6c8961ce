//! A sink that reads and writes files as its values say (`read /in/a`, `write /in/b`) and rejects each record with what came
//! of it.

use wharf_sdk::{Batch, Context, Outcomes, Result, Sink, export_sink};

struct Files;

impl Sink for Files {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        let mut outcomes = Outcomes::accepted();
        for record in records {
            let order = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            let (verb, path) = order.split_once(' ').unwrap_or_default();
            let done = match verb {
                "read" => std::fs::read_to_string(path),
                "remove" => std::fs::remove_file(path).map(|()| "removed".to_owned()),
                _ => std::fs::write(path, "written").map(|()| "written".to_owned()),
            };
            match done {
                Ok(text) => outcomes.reject(record.index, "files.done", text),
                Err(error) => outcomes.reject(record.index, "files.refused", error.to_string()),
            };
        }
        Ok(outcomes)
    }
}

export_sink!(Files, manifest = "name = \"files\"\nkind = \"sink\"\nsummary = \"Reads and writes files.\"\nwants = [\"files\"]\n");
