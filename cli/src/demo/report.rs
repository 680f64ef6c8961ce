//! What the demo tells at its end, read back from where it arrived: topics and dead letters from the log, tables and answers
//! from the warehouse.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags};
use wharf_runtime::config::{Config, LogConfig};
use wharf_runtime::topic_log::{Start, TopicInfo, TopicLog, open};

use super::senders::Posts;
use crate::output::say;

/// Longest wait for records; on Kafka the end of a topic is not told by its offsets alone (transaction markers count too).
const WAIT: Duration = Duration::from_secs(1);
/// Tables of the warehouse.
const TABLES: [&str; 4] = ["customers", "orders", "inventory", "marketing_events"];

/// A question to the warehouse, with the names of its columns.
struct Question {
    asked: &'static str,
    columns: [&'static str; 3],
    sql: &'static str,
}

const QUESTIONS: [Question; 3] = [
    Question {
        asked: "Which countries bring the most revenue?",
        columns: ["country", "orders", "revenue EUR"],
        sql: "SELECT c.country, count(*), printf('%.2f', sum(CAST(o.total AS REAL))) FROM orders o JOIN customers c ON c.ID = o.customerId
              WHERE o.status <> 'cancelled' GROUP BY 1 ORDER BY sum(CAST(o.total AS REAL)) DESC LIMIT 5",
    },
    Question {
        asked: "Which articles run short first, by the last corrected count?",
        columns: ["article", "in open orders", "in stock"],
        sql: "WITH wanted AS (SELECT i.value ->> 'sku' AS sku, sum(i.value ->> 'quantity') AS quantity
                              FROM orders o, json_each(o.items) i WHERE o.status = 'open' GROUP BY 1),
                   stock AS (SELECT sku, sum(quantity) AS quantity FROM inventory n
                             WHERE counted_on = (SELECT max(counted_on) FROM inventory m WHERE m.sku = n.sku AND m.warehouse = n.warehouse) GROUP BY 1)
              SELECT w.sku, w.quantity, coalesce(s.quantity, 0) FROM wanted w LEFT JOIN stock s USING (sku)
              ORDER BY coalesce(s.quantity, 0) - w.quantity, 1 LIMIT 5",
    },
    Question {
        asked: "Which campaign still reaches people (clicks of those who have not unsubscribed)?",
        columns: ["campaign", "readers", "clicks"],
        sql: "SELECT campaign, count(DISTINCT customerId), sum(type = 'click') FROM marketing_events e
              WHERE NOT EXISTS (SELECT 1 FROM marketing_events u WHERE u.type = 'unsubscribe' AND u.customerId = e.customerId AND u.campaign = e.campaign)
              GROUP BY 1 ORDER BY 3 DESC",
    },
];

/// Topics with their records, dead letters by reason, tables with their rows, and how the posts were answered.
pub async fn arrived(config: &Config, dir: &Path, posts: &Posts) -> Result<()> {
    let log = open::open_read_only(config)?;
    let topics = log.topics().await?;
    let ours = |name: &str| match config.log {
        LogConfig::Embedded { .. } => true,
        // A cluster may hold topics of others.
        LogConfig::Kafka { .. } => {
            name.starts_with("dlq.retail.") || ["erp.", "wms.", "marketing."].iter().any(|domain| name.starts_with(domain))
        }
    };
    say!("");
    say!("What arrived where");
    for topic in topics.iter().filter(|t| ours(&t.name)) {
        let records: i64 = topic.partitions.iter().map(|p| p.high - p.low).sum();
        if !topic.name.starts_with("dlq.") {
            say!("  topic {:<24} {records:>6} records in {} partitions", topic.name, topic.partitions.len());
        }
    }
    let warehouse = warehouse(dir)?;
    for table in TABLES.into_iter().filter(|table| warehouse.table_exists(None, *table).unwrap_or(false)) {
        let rows: i64 = warehouse.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).context(table)?;
        say!("  table {table:<24} {rows:>6} rows");
    }
    say!("");
    say!("What could not be delivered, by reason");
    for topic in topics.iter().filter(|t| t.name.starts_with("dlq.retail.")) {
        for ((stage, code), count) in reasons(log.as_ref(), topic).await? {
            say!("  {:<36} {count:>4}  {code} ({stage})", topic.name);
        }
    }
    for (status, what) in &posts.refused {
        say!("  {:<36}    1  answered {status}: {what}", "a sender was told");
    }
    Ok(())
}

/// Dead letters of a topic by stage and code.
async fn reasons(log: &dyn TopicLog, topic: &TopicInfo) -> Result<BTreeMap<(String, String), usize>> {
    let mut reasons = BTreeMap::new();
    let mut left: i64 = topic.partitions.iter().map(|p| p.high - p.low).sum();
    let mut reader = log.read(&topic.name, Start::Earliest).await?;
    while left > 0 {
        let batch = reader.next(WAIT).await?;
        if batch.is_empty() {
            break;
        }
        left -= i64::try_from(batch.len()).unwrap_or(i64::MAX);
        for record in batch.records() {
            let header = |name: &str| {
                let value = record.headers.iter().find(|(n, _)| *n == name.as_bytes()).and_then(|(_, value)| *value);
                String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
            };
            *reasons.entry((header("__connect.errors.stage"), header("wharf.code"))).or_default() += 1;
        }
    }
    Ok(reasons)
}

fn warehouse(dir: &Path) -> Result<Connection> {
    let path = super::inside(dir, "warehouse.sqlite");
    if !path.exists() {
        bail!("nothing arrived in the warehouse: {} is not there", path.display());
    }
    Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).with_context(|| format!("opening {}", path.display()))
}

/// Three answers from the warehouse, with the SQL's own figures.
pub fn answers(dir: &Path) -> Result<()> {
    let warehouse = warehouse(dir)?;
    for question in &QUESTIONS {
        say!("");
        say!("{}", question.asked);
        let [a, b, c] = question.columns;
        say!("  {a:<16} {b:>16} {c:>14}");
        let mut statement = warehouse.prepare(question.sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text = |index: usize| -> rusqlite::Result<String> {
                Ok(match row.get_ref(index)? {
                    rusqlite::types::ValueRef::Integer(value) => value.to_string(),
                    rusqlite::types::ValueRef::Real(value) => value.to_string(),
                    rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    _ => String::new(),
                })
            };
            say!("  {:<16} {:>16} {:>14}", text(0)?, text(1)?, text(2)?);
        }
    }
    Ok(())
}

/// What a reader may want to try now.
pub fn next_steps(dir: &Path, config: &Path) {
    let (dir, config) = (dir.display(), config.display());
    say!("");
    say!("What to do next");
    say!("  wharf topic cat {config} dlq.retail.wms-inventory --headers    why a row was refused, and the row");
    say!("  append a row to {dir}/wms/count-2026-03-04-corrections.csv and run the demo again: only that row moves");
    say!("  add [kafka] as the comment at the top of {config} says: the same file runs on Kafka");
    say!("  wharf inspect csv    what a connector takes");
    say!("");
}
