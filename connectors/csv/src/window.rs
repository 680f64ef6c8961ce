//! A stretch of an open file, plain or gzip: bytes that are not read yet, and enough of those before to recognise the place.
//! Owns offsets (always of the uncompressed file); knows no lines and no records.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::place::{PRINT, Place, Print};

const CHUNK: usize = 128 << 10;
const LARGEST_CHUNK: usize = 4 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Most bytes that one call of `advance` unpacks: the call of a guest has a limit of CPU time.
const UNPACK: u64 = 256 << 20;

pub struct Window {
    reader: Reader,
    data: Vec<u8>,
    /// Index in `data` of the first byte that is not read yet.
    at: usize,
    /// Offset in the file of `data`'s first byte.
    base: u64,
    /// The first bytes of the file, at most as many as a print takes.
    head: Vec<u8>,
    end: bool,
    cut: bool,
}

enum Reader {
    Plain(File),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

/// How `advance` went.
#[derive(Debug, PartialEq, Eq)]
pub enum Advance {
    Arrived,
    /// Call again.
    NotYet,
    /// The file ends before.
    TooShort,
}

impl Window {
    /// Opens a file at its beginning, with some of it read.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut magic = Vec::with_capacity(GZIP.len());
        file.by_ref().take(GZIP.len() as u64).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        let reader = if magic == GZIP {
            Reader::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK, file))))
        } else {
            Reader::Plain(file)
        };
        let mut window = Self { reader, data: Vec::new(), at: 0, base: 0, head: Vec::new(), end: false, cut: false };
        window.fill()?;
        Ok(window)
    }

    pub fn unread(&self) -> &[u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    pub fn consume(&mut self, bytes: usize) {
        self.at = self.data.len().min(self.at + bytes);
    }

    /// Offset in the file of the first unread byte.
    pub const fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Offset behind the last byte that is here.
    pub const fn end_offset(&self) -> u64 {
        self.base + self.data.len() as u64
    }

    /// The gzip stream stops in the middle: it is still being written, or was cut.
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    pub const fn is_compressed(&self) -> bool {
        matches!(self.reader, Reader::Gzip(_))
    }

    /// Reads on; false at the end. A call doubles what is unread, up to 4 MiB more, so that looking for the end of a long
    /// record from its beginning each time stays cheap.
    ///
    /// # Errors
    /// What the system says, or a gzip stream that is damaged.
    pub fn fill(&mut self) -> io::Result<bool> {
        if self.end {
            return Ok(false);
        }
        let old = self.at.saturating_sub(PRINT);
        if old >= CHUNK {
            self.data.drain(..old);
            self.base += old as u64;
            self.at -= old;
        }
        let before = self.data.len();
        let wanted = (before - self.at).clamp(CHUNK, LARGEST_CHUNK);
        self.data.resize(before + wanted, 0);
        let read = self.read(before);
        self.data.truncate(before + *read.as_ref().unwrap_or(&0));
        let count = read?;
        if self.base == 0 {
            self.head.clear();
            self.head.extend(self.data.iter().take(PRINT));
        }
        Ok(count > 0)
    }

    /// Fills `data` from there; gives the number of bytes.
    fn read(&mut self, from: usize) -> io::Result<usize> {
        let Some(mut room) = self.data.get_mut(from..) else { return Ok(0) };
        let mut count = 0;
        while !room.is_empty() {
            let read = match &mut self.reader {
                Reader::Plain(file) => file.read(room),
                Reader::Gzip(decoder) => decoder.read(room),
            };
            match read {
                Ok(0) => {
                    self.end = true;
                    break;
                }
                Ok(read) => {
                    count += read;
                    room = room.get_mut(read..).unwrap_or_default();
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::UnexpectedEof && matches!(self.reader, Reader::Gzip(_)) => {
                    (self.end, self.cut) = (true, true);
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(count)
    }

    /// Moves on to an offset that is not before the present one.
    ///
    /// # Errors
    /// As of `fill`.
    pub fn advance(&mut self, offset: u64) -> io::Result<Advance> {
        let before = offset.saturating_sub(PRINT as u64);
        let is_far = before > self.end_offset();
        if let Reader::Plain(file) = &mut self.reader
            && is_far
        {
            file.seek(SeekFrom::Start(before))?;
            self.data.clear();
            (self.base, self.at, self.end) = (before, 0, false);
        }
        let mut unpacked = 0;
        loop {
            if let Some(at) = offset.checked_sub(self.base).and_then(|at| usize::try_from(at).ok())
                && at <= self.data.len()
            {
                self.at = at;
                return Ok(Advance::Arrived);
            }
            if unpacked >= UNPACK {
                return Ok(Advance::NotYet);
            }
            let from = self.end_offset();
            self.at = self.data.len();
            if !self.fill()? {
                return Ok(Advance::TooShort);
            }
            unpacked += self.end_offset() - from;
        }
    }

    pub fn begins_like(&self, place: &Place) -> bool {
        self.head.get(..place.head.len).is_some_and(|bytes| Print::of(bytes) == place.head)
    }

    /// Whether what stands before the present offset is what stood before the place's.
    pub fn arrived_at(&self, place: &Place) -> bool {
        let bytes = self.at.checked_sub(place.tail.len).and_then(|from| self.data.get(from..self.at));
        bytes.is_some_and(|bytes| Print::of(bytes) == place.tail)
    }

    /// Sets offset and prints of a place to here.
    pub fn mark(&self, place: &mut Place) {
        place.offset = self.offset();
        let head = self.head.get(..self.head.len().min(usize::try_from(place.offset).unwrap_or(usize::MAX)));
        place.head = Print::of(head.unwrap_or_default());
        let tail = self.data.get(self.at.saturating_sub(PRINT)..self.at);
        place.tail = Print::of(tail.unwrap_or_default());
    }
}

/// Whether a file is the one that a place is of. Of a gzip file only the beginning is compared here; the rest when it is
/// unpacked up to the place.
///
/// # Errors
/// What the system says.
pub fn is_same(path: &Path, place: &Place) -> io::Result<bool> {
    if place.offset == 0 {
        return Ok(true);
    }
    let mut window = Window::open(path)?;
    if !window.begins_like(place) {
        return Ok(false);
    }
    Ok(window.is_compressed() || (window.advance(place.offset)? == Advance::Arrived && window.arrived_at(place)))
}
