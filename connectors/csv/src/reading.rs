//! One file that is being read: from its place on, record by record, to its end. Owns the steps and how the place moves;
//! which file comes when is decided elsewhere.

use std::io;
use std::path::{Path, PathBuf};

use wharf_sdk::{Error, Limits, NewRecord, Records, Rejection, Result, log};

use crate::columns::{Columns, Written, not_utf8};
use crate::config::{Config, Format};
use crate::files::Work;
use crate::json;
use crate::place::Place;
use crate::rows::{LONGEST, Rows, Span, Step, lines, next_line, skip_empty, skip_line};
use crate::window::{Advance, Window};

const BOM: &[u8] = b"\xef\xbb\xbf";
/// So much of a line that is too long becomes the rejected record's value.
const EXCERPT: usize = 64 << 10;

pub struct Reading {
    pub name: String,
    pub place: Place,
    path: PathBuf,
    work: Work,
    window: Window,
    splitter: Splitter,
    /// The window is where the place is.
    arrived: bool,
    /// The window is in the middle of a line; the place is at its beginning.
    inside: bool,
    written: Written,
}

enum Splitter {
    Csv { rows: Box<Rows>, columns: Option<Columns> },
    Lines,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// The file has more.
    More,
    /// The end is reached, for now.
    Done,
}

impl Reading {
    /// # Errors
    /// What the system says.
    pub fn open(path: PathBuf, work: Work, mut place: Place, config: &Config) -> io::Result<Self> {
        place.seen = None;
        let window = Window::open(&path)?;
        let separated = |delimiter| Splitter::Csv {
            rows: Box::new(Rows::new(config.delimiter.unwrap_or(delimiter), config.quote)),
            columns: None,
        };
        let splitter = match config.format_of(&work.name) {
            Format::Csv => separated(b','),
            Format::Tsv => separated(b'\t'),
            Format::Jsonl => Splitter::Lines,
        };
        let (name, written) = (work.name.clone(), Written::default());
        Ok(Self { name, place, path, work, window, splitter, arrived: false, inside: false, written })
    }

    /// Reads on until the limits are reached or the file ends. The place then covers what was appended to `out`, also after
    /// an error.
    ///
    /// # Errors
    /// [`Error::Retry`] where the file cannot be read, [`Error::Fatal`] for a header that does not fit the configuration.
    pub fn read(&mut self, limits: &Limits, config: &Config, out: &mut Records) -> Result<Progress> {
        let progress = self.read_on(limits, config, out);
        if self.arrived && !self.inside {
            self.window.mark(&mut self.place);
        }
        if matches!(progress, Ok(Progress::Done)) {
            self.finish();
        }
        progress
    }

    /// Bytes without an end of line are left, which the next look takes where they are still the last ones then.
    pub fn leaves_a_line(&self) -> bool {
        self.work.last.is_none() && self.place.rest > 0 && self.place.taken != Some(self.place.rest)
    }

    fn read_on(&mut self, limits: &Limits, config: &Config, out: &mut Records) -> Result<Progress> {
        if !self.arrived && !self.arrive()? {
            return Ok(Progress::More);
        }
        if matches!(self.splitter, Splitter::Csv { columns: None, .. }) && !self.read_header(config)? {
            return Ok(Progress::Done);
        }
        while !limits.reached(out) {
            if !self.step(config, out).map_err(|e| cannot_read(&self.path, &e))? {
                return Ok(Progress::Done);
            }
        }
        Ok(Progress::More)
    }

    /// Goes to the place; false: not there yet. Begins anew where the file turns out to be another.
    fn arrive(&mut self) -> Result<bool> {
        let failed = |e: &io::Error| cannot_read(&self.path, e);
        let same = self.window.begins_like(&self.place)
            && match self.window.advance(self.place.offset).map_err(|e| failed(&e))? {
                Advance::NotYet => return Ok(false),
                Advance::Arrived => self.window.arrived_at(&self.place),
                Advance::TooShort => false,
            };
        if !same {
            log::warn!(file = self.name; "the file was truncated or replaced: it is read from its beginning");
            self.place = Place { followed: self.place.followed, ..Place::default() };
            self.window = Window::open(&self.path).map_err(|e| failed(&e))?;
        }
        self.arrived = true;
        if self.place.offset == 0 {
            skip_bom(&mut self.window, &self.path)?;
        }
        Ok(true)
    }

    /// False: the header is not complete yet.
    fn read_header(&mut self, config: &Config) -> Result<bool> {
        let Splitter::Csv { rows, columns } = &mut self.splitter else { return Ok(true) };
        let file = self.path.display().to_string();
        if let Some(names) = &config.names {
            *columns = Some(Columns::new(names.clone(), &config.rules, &file)?);
            return Ok(true);
        }
        let mut beginning;
        let window = if self.place.offset == 0 {
            &mut self.window
        } else {
            beginning = Window::open(&self.path).map_err(|e| cannot_read(&self.path, &e))?;
            skip_bom(&mut beginning, &self.path)?;
            &mut beginning
        };
        let mut line = 1;
        let step = skip_empty(window, &mut line).and_then(|()| rows.next(window, self.work.last));
        let span = match step.map_err(|e| cannot_read(&self.path, &e))? {
            Step::Record(span) => span,
            Step::End => return Ok(false),
            Step::Fault(_, why) => return Err(Error::fatal(format!("the header of `{file}` cannot be read: {why}"))),
            Step::TooLong => return Err(Error::fatal(format!("the header of `{file}` is longer than {LONGEST} bytes"))),
        };
        *columns = Some(Columns::new(names(rows, &file)?, &config.rules, &file)?);
        if self.place.offset > 0 {
            return Ok(true);
        }
        if span.open {
            self.place.taken = Some(span.raw as u64);
            return Ok(false);
        }
        line += lines(window.unread().get(..span.total).unwrap_or_default());
        window.consume(span.total);
        (self.place.line, self.place.taken) = (line, None);
        Ok(true)
    }

    /// One record; false at the end.
    fn step(&mut self, config: &Config, out: &mut Records) -> io::Result<bool> {
        skip_empty(&mut self.window, &mut self.place.line)?;
        let step = match &mut self.splitter {
            Splitter::Csv { rows, .. } => rows.next(&mut self.window, self.work.last)?,
            Splitter::Lines => next_line(&mut self.window, self.work.last)?,
        };
        let (span, fault) = match step {
            Step::Record(span) => (span, None),
            Step::Fault(span, why) => (span, Some(why)),
            Step::TooLong => return self.pass_too_long(out),
            Step::End => return Ok(false),
        };
        if self.place.taken.take() != Some(span.raw as u64) {
            self.push(span, fault, config, out);
        }
        if span.open {
            // Should the line grow, it is read again from its beginning.
            self.place.taken = Some(span.raw as u64);
            return Ok(false);
        }
        self.place.line += match self.splitter {
            Splitter::Csv { .. } => lines(self.window.unread().get(..span.total).unwrap_or_default()),
            Splitter::Lines => 1,
        };
        self.window.consume(span.total);
        Ok(true)
    }

    fn push(&mut self, span: Span, fault: Option<&str>, config: &Config, out: &mut Records) {
        let line = self.place.line;
        let raw = self.window.unread().get(..span.raw).unwrap_or_default();
        let mut digits = [0; DIGITS];
        let headers = [("wharf.file", Some(self.name.as_bytes())), ("wharf.line", Some(decimal(line, &mut digits)))];
        let record = NewRecord::new().headers(&headers);
        let written = &mut self.written;
        let read = match (&self.splitter, fault) {
            (_, Some(why)) => Err(Rejection::new("csv.quote", format!("line {line}: {why}"))),
            (Splitter::Csv { rows, columns: Some(columns) }, None) => columns.write(rows.fields(), line, written),
            (Splitter::Csv { columns: None, .. }, None) => Err(Rejection::new("csv.width", format!("line {line}: no header"))),
            (Splitter::Lines, None) if raw.trim_ascii().is_empty() => return,
            (Splitter::Lines, None) => object(raw, &config.rules.key, line, &mut written.key),
        };
        // The bytes of a line are its value.
        let value = if matches!(self.splitter, Splitter::Lines) { raw } else { &written.value };
        match read {
            Ok(()) if written.key.is_empty() => out.push(record.value(value)),
            Ok(()) => out.push(record.value(value).key(&written.key)),
            Err(why) => out.push_unreadable(record.value(raw), why),
        }
    }

    fn pass_too_long(&mut self, out: &mut Records) -> io::Result<bool> {
        self.window.mark(&mut self.place);
        self.inside = true;
        let unread = self.window.unread();
        let excerpt = unread.get(..EXCERPT).unwrap_or(unread).to_vec();
        let mut size = 0;
        let ended = skip_line(&mut self.window, &mut size)?;
        if !ended && self.work.last != Some(size) {
            return Ok(false);
        }
        if self.place.taken.take() != Some(size) {
            let number = self.place.line.to_string();
            let headers = [("wharf.file", Some(self.name.as_bytes())), ("wharf.line", Some(number.as_bytes()))];
            let message = format!("line {number}: {size} bytes, the longest that is read is {LONGEST}; its beginning is kept");
            let record = NewRecord::new().headers(&headers).value(&excerpt);
            out.push_unreadable(record, Rejection::new("csv.line-too-long", message));
        }
        if ended {
            self.inside = false;
            self.place.line += 1;
        } else {
            self.place.taken = Some(size);
        }
        Ok(ended)
    }

    fn finish(&mut self) {
        if self.window.is_cut() {
            log::warn!(file = self.name; "the gzip stream is not complete: what follows is read when it is");
        }
        // Nothing behind a cut is ever the last line.
        self.place.rest = if self.window.is_cut() { 0 } else { self.window.end_offset() - self.place.offset };
        self.place.seen = Some(self.work.seen);
        self.place.settled = self.work.settled;
    }
}

fn object(raw: &[u8], names: &[String], line: u64, key: &mut Vec<u8>) -> Result<(), Rejection> {
    json::check(simdutf8::basic::from_utf8(raw).map_err(|_| not_utf8(line))?, names, line, key)
}

/// Decimal digits of the largest number.
const DIGITS: usize = 20;

/// A number in decimal digits, in the memory given.
fn decimal(mut number: u64, digits: &mut [u8; DIGITS]) -> &[u8] {
    let mut from = DIGITS;
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        (number, from) = (number / 10, at);
        if number == 0 {
            break;
        }
    }
    digits.get(from..).unwrap_or_default()
}

fn names(rows: &Rows, file: &str) -> Result<Vec<String>> {
    let fields = rows.fields();
    let mut from = 0;
    let mut names = Vec::with_capacity(fields.ends.len());
    for &end in fields.ends {
        let name = fields.text.get(from..end).and_then(|name| std::str::from_utf8(name).ok());
        names.push(name.ok_or_else(|| Error::fatal(format!("the header of `{file}` is not UTF-8")))?.to_owned());
        from = end;
    }
    Ok(names)
}

fn skip_bom(window: &mut Window, path: &Path) -> Result<()> {
    match window.unread() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            let path = path.display();
            return Err(Error::fatal(format!("`{path}` is UTF-16: save it as UTF-8, the only encoding that is read")));
        }
        unread if unread.starts_with(BOM) => window.consume(BOM.len()),
        _ => {}
    }
    Ok(())
}

pub fn cannot_read(path: &Path, error: &io::Error) -> Error {
    Error::retry(format!("cannot read `{}`: {error}", path.display()))
}
