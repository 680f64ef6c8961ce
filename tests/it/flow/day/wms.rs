//! The warehouse system: hourly counts of each sku in each warehouse, as files of CSV. Some are corrected hours later, some of these once more, some
//! corrections overtake each other, and some rows come again, also when they are outdated. The highest `version` of a count stands.

use std::collections::BTreeMap;
use std::path::Path;

use super::chance::Chance;
use super::clock::{Clock, MINUTES};
use super::tables::{Cells, Rows, plain_time};

const SKUS: u32 = 20;
const WAREHOUSES: [&str; 3] = ["HH", "LEJ", "BER"];
const HEADER: &str = "sku,warehouse,counted_at,version,quantity,corrected_at";
/// Corrections come in files of ten minutes.
const GROUP: u32 = 10;

/// The day in numbers, as it was thought up: what is compared must have had this much in it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Counts of sku, warehouse and hour.
    pub counts: usize,
    /// Counts that were corrected, each hours after its own hour.
    pub corrected: usize,
    /// Of these, those that were corrected twice.
    pub twice: usize,
    /// Corrections that came after one of a higher version.
    pub overtaken: usize,
    /// Rows that came again as they were, most of them after their correction.
    pub repeated: usize,
}

impl Figures {
    /// Rows of all files.
    pub const fn rows(&self) -> usize {
        self.counts + self.corrected + self.twice + self.repeated
    }
}

pub struct Wms {
    /// Rows by the minute at which their file comes, and by whether they are corrections.
    files: BTreeMap<(u32, bool), Vec<String>>,
    /// Last quantity of each count.
    latest: Rows,
    pub figures: Figures,
}

impl Wms {
    /// Thinks up a day.
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, "wms");
        let mut wms = Self { files: BTreeMap::new(), latest: Rows::new(), figures: Figures::default() };
        for hour in 0..24 {
            for sku in 0..SKUS {
                for warehouse in WAREHOUSES {
                    wms.count(&mut chance, hour, sku, warehouse);
                }
            }
        }
        wms
    }

    fn count(&mut self, chance: &mut Chance, hour: u32, sku: u32, warehouse: &str) {
        let key = [format!("SKU-{sku:02}"), warehouse.to_owned(), time(hour * 60)];
        let mut rows = vec![(hour * 60 + 2, false, None)];
        if chance.percent(12) {
            // When it was found out, and when that came: hours later.
            let first = hour * 60 + chance.within(70, 420);
            let second = first + chance.within(30, 200);
            let twice = chance.percent(40);
            let overtakes = twice && chance.percent(50);
            let arrival = if overtakes { second + chance.within(GROUP, 120) } else { first };
            if arrival.max(second) < MINUTES - GROUP {
                rows.push((arrival, true, Some(first)));
                self.figures.corrected += 1;
                if twice {
                    rows.push((second, true, Some(second)));
                    self.figures.twice += 1;
                }
                self.figures.overtaken += usize::from(overtakes);
            }
        }
        let last = rows.iter().map(|(arrival, ..)| *arrival).max().unwrap();
        let mut again = None;
        for (version, (arrival, is_correction, corrected)) in (1..).zip(rows) {
            let quantity = chance.below(500);
            let corrected = corrected.map_or_else(String::new, time);
            let row = format!("{},{version},{quantity},{corrected}", key.join(","));
            let cells = cells(&row);
            self.latest.insert(cells[..3].to_vec(), cells);
            if version == 1 && chance.percent(6) {
                again = Some(row.clone());
            }
            self.file(arrival, is_correction).push(row);
        }
        let arrival = last + GROUP + chance.below(60);
        if let Some(row) = again.filter(|_| arrival < MINUTES - GROUP) {
            self.file(arrival, true).push(row);
            self.figures.repeated += 1;
        }
        self.figures.counts += 1;
    }

    fn file(&mut self, minute: u32, is_correction: bool) -> &mut Vec<String> {
        let minute = if is_correction { minute / GROUP * GROUP + GROUP - 1 } else { minute };
        self.files.entry((minute, is_correction)).or_default()
    }

    /// Plays the day: each file is there whole at its minute, or not at all.
    pub async fn play(&self, clock: Clock, folder: &Path) {
        for ((minute, is_correction), rows) in &self.files {
            clock.until(*minute).await;
            let kind = if *is_correction { "corrections" } else { "counts" };
            let name = format!("{:02}{:02}-{kind}.csv", minute / 60, minute % 60);
            let unseen = folder.join(format!(".{name}"));
            std::fs::write(&unseen, format!("{HEADER}\n{}\n", rows.join("\n"))).unwrap();
            std::fs::rename(unseen, folder.join(name)).unwrap();
        }
    }

    /// What the day was thought up to end with.
    pub const fn latest(&self) -> &Rows {
        &self.latest
    }
}

/// All versions of all counts, as they stand in the files.
pub fn read(folder: &Path) -> Rows {
    let mut rows = Rows::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert_eq!(text.lines().next(), Some(HEADER));
        for line in text.lines().skip(1) {
            let cells = cells(line);
            let before = rows.insert(cells[..4].to_vec(), cells.clone());
            assert!(before.is_none_or(|before| before == cells), "a version of a count is written once and then repeated");
        }
    }
    rows
}

/// The last version of each count, of all versions.
pub fn latest(all: &Rows) -> Rows {
    let mut latest: BTreeMap<Cells, (u32, Cells)> = BTreeMap::new();
    for cells in all.values() {
        let version: u32 = cells[3].parse().unwrap();
        let (known, stands) = latest.entry(cells[..3].to_vec()).or_default();
        if version > *known {
            (*known, *stands) = (version, cells.clone());
        }
    }
    latest.into_iter().map(|(key, (_, cells))| (key, cells)).collect()
}

/// How many of these are corrections that were made in a later hour than their count.
pub fn late(all: &Rows) -> usize {
    all.values().filter(|cells| cells[3] != "1" && cells[5][..13] > cells[2][..13]).count()
}

/// The cells of a line, as a table has them: only times are written otherwise.
fn cells(line: &str) -> Cells {
    line.split(',')
        .enumerate()
        .map(|(column, cell)| if column == 2 || column == 5 { plain_time(cell) } else { cell.to_owned() })
        .collect()
}

/// A minute of the day in RFC 3339.
fn time(minute: u32) -> String {
    format!("2024-05-01T{:02}:{:02}:00Z", minute / 60, minute % 60)
}
