//! Files of csv that a source follows: appended to line by line, several so that the source has several positions.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::numbered::Numbered;

const FILES: u8 = 3;

/// Open files of one folder. A key is always in the same file.
#[derive(Debug)]
pub struct Files(Vec<File>);

impl Files {
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let open = |index: u8| -> Result<File> {
            let path = folder.join(format!("{index}.csv"));
            let mut file =
                OpenOptions::new().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
            file.write_all(b"n,k,flag,pad\n")?;
            Ok(file)
        };
        Ok(Self((0..FILES).map(open).collect::<Result<_>>()?))
    }

    /// Appends records, those of a file by one write: a line is never seen in part.
    pub fn append(&mut self, records: &[Numbered]) -> Result<()> {
        for (index, file) in (0..FILES).zip(&mut self.0) {
            let lines: String = records.iter().filter(|r| r.key % FILES == index).map(Numbered::line).collect();
            file.write_all(lines.as_bytes())?;
        }
        Ok(())
    }
}
