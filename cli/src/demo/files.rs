//! The example's files, as the repository has them under `examples/retail`, written out where they are missing. What is there
//! already is left alone: it may have been edited.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Addresses in the configuration as it is delivered.
const ERP: &str = "127.0.0.1:18210";
const LISTEN: &str = "127.0.0.1:18211";

const CONFIG: &str = include_str!("../../../examples/retail/retail.toml");
const DATA: [(&str, &[u8]); 7] = [
    ("erp/Customers.json", include_bytes!("../../../examples/retail/erp/Customers.json")),
    ("erp/Orders.json", include_bytes!("../../../examples/retail/erp/Orders.json")),
    ("marketing/events.jsonl", include_bytes!("../../../examples/retail/marketing/events.jsonl")),
    ("wms/count-2026-03-01.csv", include_bytes!("../../../examples/retail/wms/count-2026-03-01.csv")),
    ("wms/count-2026-03-02.csv", include_bytes!("../../../examples/retail/wms/count-2026-03-02.csv")),
    ("wms/count-2026-03-03.csv", include_bytes!("../../../examples/retail/wms/count-2026-03-03.csv")),
    ("wms/count-2026-03-04-corrections.csv", include_bytes!("../../../examples/retail/wms/count-2026-03-04-corrections.csv")),
];
const SECRETS: [&str; 3] = ["erp-password", "mask-salt", "webhook-secret"];

/// Where the example's parts stand.
#[derive(Debug)]
pub struct Places {
    pub config: PathBuf,
    /// Address of the ERP.
    pub erp: String,
    /// Address on which the deployment takes webhooks.
    pub listen: String,
}

/// Writes what is missing. Addresses that are taken are replaced when the configuration is first written.
pub fn prepare(dir: &Path, kafka: Option<&str>) -> Result<Places> {
    for (name, content) in DATA {
        write_new(&dir.join(name), content, 0o644)?;
    }
    for name in SECRETS {
        write_new(&dir.join("secrets").join(name), random().as_bytes(), 0o600)?;
    }
    let path = dir.join("retail.toml");
    if !path.exists() {
        let text = CONFIG.replace(ERP, &free(ERP)?).replace(LISTEN, &free(LISTEN)?);
        write_new(&path, text.as_bytes(), 0o644)?;
    }
    let mut text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    if let Some(servers) = kafka
        && !text.contains("\n[kafka]")
    {
        text = on_kafka(&text, servers)?;
        fs::write(&path, &text).with_context(|| format!("writing {}", path.display()))?;
    }
    let (erp, listen) = (address(&text, "http://", "/odata")?, address(&text, "address = \"", "\"")?);
    for taken in [&erp, &listen] {
        if TcpListener::bind(taken).is_err() {
            bail!("{taken} is taken: end what listens there, or write another port in {}", path.display());
        }
    }
    Ok(Places { config: path, erp, listen })
}

/// The three lines that move a deployment to Kafka.
fn on_kafka(text: &str, servers: &str) -> Result<String> {
    let (head, rest) = text.split_once("\n\n[listen]").context("the configuration has no [listen] any more")?;
    Ok(format!("{head}\ncreate = true\n\n[kafka]\nbootstrap.servers = \"{servers}\"\n\n[listen]{rest}"))
}

fn address(text: &str, before: &str, after: &str) -> Result<String> {
    let found = text.split_once(before).and_then(|(_, rest)| rest.split_once(after));
    let (address, _) =
        found.with_context(|| format!("the configuration has no address between `{before}` and `{after}` any more"))?;
    Ok(address.to_owned())
}

/// The address, or another port on the same host when it is taken.
fn free(address: &str) -> Result<String> {
    if TcpListener::bind(address).is_ok() {
        return Ok(address.to_owned());
    }
    let other = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(other.local_addr()?.to_string())
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let failed = || format!("writing {}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).with_context(failed)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).with_context(failed)?;
    file.write_all(content).with_context(failed)
}

/// A secret of this example alone, so that nobody copies one from here.
fn random() -> String {
    (0..4).map(|i| format!("{:016x}", RandomState::new().hash_one(i))).collect()
}
