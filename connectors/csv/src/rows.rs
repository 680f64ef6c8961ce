//! Where a record ends: rows of CSV (a quoted field may span lines) and lines of JSON Lines. Owns faults of quoting and of
//! length; knows no columns and no types.

use std::io;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::{memchr, memchr_iter, memchr2};

use self::straight::Straight;
use crate::window::Window;

mod straight;

/// Longest record.
pub const LONGEST: usize = 16 << 20;

/// What begins at the window's first unread byte.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Record(Span),
    /// A line that cannot be read, and why.
    Fault(Span, &'static str),
    /// A line that is longer than `LONGEST`; its end is not known.
    TooLong,
    /// No whole record any more.
    End,
}

/// A record's extent in bytes of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Without its end of line.
    pub raw: usize,
    /// With it.
    pub total: usize,
    /// The end of line is missing: the file's last one.
    pub open: bool,
}

impl Span {
    fn of(bytes: &[u8]) -> Self {
        let raw = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        Self { raw: raw.len(), total: bytes.len(), open: raw.len() == bytes.len() }
    }
}

/// Splits a file of CSV.
pub struct Rows {
    reader: Reader,
    delimiter: u8,
    quote: Option<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    straight: Straight,
    /// The last row was taken by `straight`.
    is_straight: bool,
}

/// Fields of one row, without quotes.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// All fields, one after the other.
    pub text: &'a [u8],
    /// Where each ends.
    pub ends: &'a [usize],
}

enum Parsed {
    /// Bytes up to the first byte of the end of line, that byte included.
    Record(usize),
    Incomplete,
    Nothing,
}

impl Rows {
    pub fn new(delimiter: u8, quote: Option<u8>) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(delimiter).quoting(quote.is_some());
        if let Some(quote) = quote {
            builder.quote(quote);
        }
        let straight = Straight::new(delimiter, quote);
        let (text, ends) = (vec![0; 4_096], vec![0; 64]);
        Self { reader: builder.build(), delimiter, quote, text, ends, count: 0, straight, is_straight: false }
    }

    /// The row that `next` has found last.
    pub fn fields(&self) -> Fields<'_> {
        if self.is_straight {
            return self.straight.fields();
        }
        let ends = self.ends.get(..self.count).unwrap_or_default();
        let length = ends.last().copied().unwrap_or_default();
        Fields { text: self.text.get(..length).unwrap_or_default(), ends }
    }

    /// `last`: so many bytes at the end of the file are a record even without an end of line.
    ///
    /// # Errors
    /// Those of the window.
    pub fn next(&mut self, window: &mut Window, last: Option<u64>) -> io::Result<Step> {
        loop {
            let unread = window.unread();
            if let Some(row) = self.straight.split(unread) {
                self.is_straight = true;
                return Ok(Step::Record(Span::of(row)));
            }
            self.is_straight = false;
            match self.parse(unread, false) {
                Parsed::Record(used) => {
                    let ends_with_cr = unread.get(used - 1) == Some(&b'\r');
                    let total = match unread.get(used) {
                        Some(b'\n') if ends_with_cr => used + 1,
                        None if ends_with_cr => {
                            // Half of an end of line, or a whole one: the next byte tells.
                            if window.fill()? {
                                continue;
                            }
                            if !is_last(window, last) {
                                return Ok(Step::End);
                            }
                            used
                        }
                        _ => used,
                    };
                    return Ok(self.judge(window.unread().get(..total).unwrap_or_default()));
                }
                Parsed::Nothing | Parsed::Incomplete => {
                    if unread.len() > LONGEST {
                        return Ok(too_long(unread));
                    }
                    if !window.fill()? {
                        break;
                    }
                }
            }
        }
        let unread = window.unread();
        if !is_last(window, last) || !matches!(self.parse(unread, true), Parsed::Record(_)) {
            return Ok(Step::End);
        }
        Ok(self.judge(unread))
    }

    /// Reads one row from the beginning of `input`; `end`: nothing follows.
    fn parse(&mut self, input: &[u8], end: bool) -> Parsed {
        loop {
            self.reader.reset();
            let (mut result, read, mut written, mut fields) = self.reader.read_record(input, &mut self.text, &mut self.ends);
            if end && matches!(result, ReadRecordResult::InputEmpty) {
                let text = self.text.get_mut(written..).unwrap_or_default();
                let ends = self.ends.get_mut(fields..).unwrap_or_default();
                let (last, _, more, one) = self.reader.read_record(&[], text, ends);
                (result, written, fields) = (last, written + more, fields + one);
            }
            match result {
                ReadRecordResult::Record => {
                    self.count = fields;
                    return Parsed::Record(read);
                }
                ReadRecordResult::InputEmpty => return Parsed::Incomplete,
                ReadRecordResult::End => return Parsed::Nothing,
                ReadRecordResult::OutputFull => self.text.resize(self.text.len().max(written) * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
    }

    /// A row, or the fault of its first line: what follows that line is read again, so that one stray quote costs one line.
    fn judge(&self, row: &[u8]) -> Step {
        let span = Span::of(row);
        if span.raw > LONGEST {
            return too_long(row);
        }
        let Some(quote) = self.quote else { return Step::Record(span) };
        let raw = row.get(..span.raw).unwrap_or_default();
        match memchr(quote, raw).and_then(|_| fault(raw, self.delimiter, quote)) {
            None => Step::Record(span),
            Some(why) => Step::Fault(Span::of(first_line(row)), why),
        }
    }
}

/// The last record lacks its end of line, and it is the one that was looked at before.
fn is_last(window: &Window, last: Option<u64>) -> bool {
    last == Some(window.unread().len() as u64)
}

fn too_long(bytes: &[u8]) -> Step {
    // A record over so many lines: its quote is missing, and the lines behind it are rows.
    match first_line(bytes) {
        line if line.len() < bytes.len() && line.len() <= LONGEST => Step::Fault(Span::of(line), UNCLOSED),
        _ => Step::TooLong,
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    let end = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
    bytes.get(..end).unwrap_or_default()
}

const UNCLOSED: &str = "a quoted field is not closed";
const STRAY: &str = "text follows the closing quote of a field";

/// What the parser forgives: text behind a closing quote, and a field that is never closed.
fn fault(row: &[u8], delimiter: u8, quote: u8) -> Option<&'static str> {
    enum At {
        Start,
        Plain,
        Quoted,
        Closed,
    }
    let mut at = At::Start;
    for &byte in row {
        at = match at {
            At::Quoted if byte == quote => At::Closed,
            At::Quoted => At::Quoted,
            At::Start | At::Closed if byte == quote => At::Quoted,
            At::Start | At::Plain | At::Closed if byte == delimiter => At::Start,
            At::Closed => return Some(STRAY),
            At::Start | At::Plain => At::Plain,
        };
    }
    matches!(at, At::Quoted).then_some(UNCLOSED)
}

/// Finds the end of the line that begins at the first unread byte. `last` as in `Rows::next`.
///
/// # Errors
/// Those of the window.
pub fn next_line(window: &mut Window, last: Option<u64>) -> io::Result<Step> {
    let mut searched = 0;
    loop {
        let unread = window.unread();
        if let Some(at) = memchr(b'\n', unread.get(searched..).unwrap_or_default()) {
            let span = Span::of(unread.get(..=searched + at).unwrap_or_default());
            return Ok(if span.raw > LONGEST { Step::TooLong } else { Step::Record(span) });
        }
        if unread.len() > LONGEST {
            return Ok(Step::TooLong);
        }
        searched = unread.len();
        if !window.fill()? {
            let unread = window.unread();
            let record = is_last(window, last) && !unread.is_empty();
            return Ok(if record { Step::Record(Span::of(unread)) } else { Step::End });
        }
    }
}

/// Consumes empty lines and counts them.
///
/// # Errors
/// Those of the window.
pub fn skip_empty(window: &mut Window, lines: &mut u64) -> io::Result<()> {
    loop {
        match window.unread() {
            [b'\r', b'\n', ..] => window.consume(2),
            [] | [b'\r'] => {
                if !window.fill()? {
                    return Ok(());
                }
                continue;
            }
            [b'\n' | b'\r', ..] => window.consume(1),
            _ => return Ok(()),
        }
        *lines += 1;
    }
}

/// Consumes up to the end of the line that is too long; false: the file ends before. `size` counts the bytes.
///
/// # Errors
/// Those of the window.
pub fn skip_line(window: &mut Window, size: &mut u64) -> io::Result<bool> {
    loop {
        let unread = window.unread();
        let (count, found) = memchr(b'\n', unread).map_or((unread.len(), false), |at| (at + 1, true));
        window.consume(count);
        *size += count as u64;
        if found || !window.fill()? {
            return Ok(found);
        }
    }
}

/// Number of lines that end in these bytes, at least one.
pub fn lines(record: &[u8]) -> u64 {
    match memchr2(b'\n', b'\r', record) {
        Some(at) if at + 2 < record.len() => (memchr_iter(b'\n', record).count() as u64).max(1),
        _ => 1,
    }
}
