//! A sink that gets the URL in each value; a status that is not 2xx rejects the record.

use wharf_sdk::http::Request;
use wharf_sdk::{Batch, Context, Error, Outcomes, Result, Sink, export_sink};

struct Fetch;

impl Sink for Fetch {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        let mut outcomes = Outcomes::accepted();
        for record in records {
            let url = String::from_utf8_lossy(record.value.unwrap_or_default());
            let key = record.key.unwrap_or_default();
            let request = if key.is_empty() { Request::get(url) } else { Request::post(url).body(key) };
            let (code, message) = match request.send()?.success().and_then(|answer| answer.bytes_up_to(1 << 20)) {
                Ok(body) => ("fetch.body", String::from_utf8_lossy(&body).into_owned()),
                Err(Error::Reject(message)) => ("fetch.status", message),
                Err(error) => return Err(error),
            };
            outcomes.reject(record.index, code, message);
        }
        Ok(outcomes)
    }
}

export_sink!(Fetch, manifest = "name = \"fetch\"\nkind = \"sink\"\nsummary = \"Gets URLs.\"\nwants = [\"http\"]\n");
