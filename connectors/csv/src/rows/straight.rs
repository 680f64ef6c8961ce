//! Rows as most are, by jumps from one delimiter, quote or end of line to the next. Takes what the parser and the rules of quoting
//! take, and as they do; all else, a row that is not whole yet among it, is left to them.

use memchr::{memchr, memchr3};

use super::{Fields, LONGEST};

/// The parser leaves it out.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Splits one row at a time.
#[derive(Debug)]
pub struct Straight {
    delimiter: u8,
    quote: Option<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Straight {
    pub const fn new(delimiter: u8, quote: Option<u8>) -> Self {
        Self { delimiter, quote, text: Vec::new(), ends: Vec::new() }
    }

    /// The row that `split` has taken last.
    pub fn fields(&self) -> Fields<'_> {
        Fields { text: &self.text, ends: &self.ends }
    }

    /// The row at the beginning of `input`, with its end of line. `None`: not taken, which says nothing about it.
    pub fn split<'a>(&mut self, input: &'a [u8]) -> Option<&'a [u8]> {
        self.text.clear();
        self.ends.clear();
        if input.starts_with(b"\n") || input.starts_with(b"\r") || input.starts_with(BOM) {
            return None;
        }
        let mut at = 0;
        loop {
            at = match self.quote {
                Some(quote) if input.get(at) == Some(&quote) => self.quoted(input, at + 1, quote)?,
                _ => self.plain(input, at)?,
            };
            self.ends.push(self.text.len());
            at += match input.get(at..)? {
                [byte, ..] if *byte == self.delimiter => 1,
                [b'\r', b'\n', ..] => return row(input, at + 2),
                [b'\n', ..] | [b'\r', _, ..] => return row(input, at + 1),
                // Text behind a closing quote, or what comes next is not here.
                _ => return None,
            };
        }
    }

    /// A field without quotes; gives the place of what ends it.
    fn plain(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let rest = input.get(at..)?;
        let field = rest.get(..memchr3(self.delimiter, b'\n', b'\r', rest)?)?;
        self.text.extend_from_slice(field);
        Some(at + field.len())
    }

    /// A field between quotes; gives the place behind the closing one.
    fn quoted(&mut self, input: &[u8], mut at: usize, quote: u8) -> Option<usize> {
        loop {
            let rest = input.get(at..)?;
            let part = rest.get(..memchr(quote, rest)?)?;
            self.text.extend_from_slice(part);
            at += part.len() + 1;
            if input.get(at) != Some(&quote) {
                return Some(at);
            }
            // Two quotes stand for one.
            self.text.push(quote);
            at += 1;
        }
    }
}

fn row(input: &[u8], end: usize) -> Option<&[u8]> {
    input.get(..end).filter(|row| row.len() <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, Rows, Step};
    use super::*;

    /// What the parser and the rules of quoting make of the row at the beginning of `input`: its fields and its length.
    fn by_the_parser(rows: &mut Rows, input: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
        let Parsed::Record(used) = rows.parse(input, false) else { return None };
        let total = match (input[used - 1], input.get(used)) {
            (b'\r', Some(b'\n')) => used + 1,
            (b'\r', None) => return None,
            _ => used,
        };
        let Step::Record(_) = rows.judge(&input[..total]) else { return None };
        Some((split(Fields { text: &rows.text, ends: &rows.ends[..rows.count] }), total))
    }

    fn split(Fields { text, ends }: Fields<'_>) -> Vec<Vec<u8>> {
        let starts = std::iter::once(&0).chain(ends);
        starts.zip(ends).map(|(from, to)| text[*from..*to].to_vec()).collect()
    }

    /// All texts of up to `length` bytes of the alphabet.
    fn each_text(alphabet: &[u8], length: u32, mut see: impl FnMut(&[u8])) {
        for length in 0..=length {
            for n in 0..alphabet.len().pow(length) {
                let byte = |place| alphabet[n / alphabet.len().pow(place) % alphabet.len()];
                see(&(0..length).map(byte).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_is_taken_is_as_the_parser_and_the_rules_of_quoting_take_it() {
        for quote in [Some(b'"'), None] {
            let (mut rows, mut straight, mut taken) = (Rows::new(b',', quote), Straight::new(b',', quote), 0);
            each_text(b"a,\"\n\r", 8, |text| {
                let Some(row) = straight.split(text) else { return };
                taken += 1;
                let found = Some((split(straight.fields()), row.len()));
                assert_eq!(found, by_the_parser(&mut rows, text), "{:?}", String::from_utf8_lossy(text));
            });
            assert!(taken > 100_000, "{taken}");
        }
    }

    #[test]
    fn whole_rows_are_taken() {
        let mut straight = Straight::new(b',', Some(b'"'));
        for row in ["a,b\n", "a,b\r\n", ",\n", "\"a\nb\",\"\"\n", "\"a\"\"\",5\" wide\r\n", "\"\"\n"] {
            assert_eq!(straight.split(format!("{row}x").as_bytes()), Some(row.as_bytes()));
        }
    }

    #[test]
    fn a_mark_of_byte_order_within_a_file_is_left_to_the_parser() {
        let input = b"\xef\xbb\xbfa,b\n";
        assert_eq!(Straight::new(b',', Some(b'"')).split(input), None);
        let (fields, _) = by_the_parser(&mut Rows::new(b',', Some(b'"')), input).unwrap();
        assert_eq!(fields, [b"a", b"b"]);
    }
}
