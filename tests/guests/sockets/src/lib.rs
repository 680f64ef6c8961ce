//! A sink that connects to the address in each value by itself: it imports sockets, which no guest gets.

use wharf_sdk::{Batch, Context, Error, Outcomes, Result, Sink, export_sink};

struct Sockets;

impl Sink for Sockets {
    fn open(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    fn write(&mut self, records: &Batch) -> Result<Outcomes> {
        for record in records {
            let address = String::from_utf8_lossy(record.value.unwrap_or_default());
            std::net::TcpStream::connect(address.as_ref()).map_err(|e| Error::retry(e.to_string()))?;
        }
        Ok(Outcomes::accepted())
    }
}

export_sink!(Sockets, manifest = "name = \"sockets\"\nkind = \"sink\"\nsummary = \"Opens sockets.\"\n");
