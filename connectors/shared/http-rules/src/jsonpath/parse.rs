//! The text of a path to its segments: the grammar of RFC 9535, 2, without functions.

use serde_json::Value;

use super::filter::{Filter, Operand, Operator, Query};
use super::{Segment, Selector};

/// How deep filters may nest.
const DEEPEST: usize = 32;
/// Integers of a path, RFC 9535, 2.1: those that a double holds exactly.
const LARGEST: i64 = (1 << 53) - 1;

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is no JSONPath: expected {expected} at character {at}{}", if rest.is_empty() { ", where it ends".to_owned() } else { format!(", where `{rest}` stands") })]
pub struct BadPath {
    pub path: String,
    /// From 1.
    pub at: usize,
    pub expected: &'static str,
    rest: String,
}

pub(super) fn path(text: &str) -> Result<Vec<Segment>, BadPath> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    if !parser.take("$") {
        return Err(parser.error("`$`"));
    }
    let segments = parser.segments()?;
    if parser.rest().is_empty() { Ok(segments) } else { Err(parser.error("`.`, `[` or the end")) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

type Parsed<T> = Result<T, BadPath>;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, expected: &'static str) -> BadPath {
        let before = self.text.get(..self.at).unwrap_or_default();
        let rest = self.rest().chars().take(10).collect();
        BadPath { path: self.text.to_owned(), at: before.chars().count() + 1, expected, rest }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn need(&mut self, text: &'static str, expected: &'static str) -> Parsed<()> {
        if self.take(text) { Ok(()) } else { Err(self.error(expected)) }
    }

    /// As far as `is` holds.
    fn run(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn space(&mut self) {
        self.run(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    }

    fn segments(&mut self) -> Parsed<Vec<Segment>> {
        let mut segments = Vec::new();
        loop {
            let before = self.at;
            self.space();
            let segment = if self.take("..") {
                let selectors = if self.take("[") { self.bracketed()? } else { vec![self.shorthand()?] };
                Segment { descends: true, selectors }
            } else if self.take(".") {
                Segment { descends: false, selectors: vec![self.shorthand()?] }
            } else if self.take("[") {
                Segment { descends: false, selectors: self.bracketed()? }
            } else {
                self.at = before;
                return Ok(segments);
            };
            segments.push(segment);
        }
    }

    /// `*` or a name behind a dot.
    fn shorthand(&mut self) -> Parsed<Selector> {
        if self.take("*") {
            return Ok(Selector::All);
        }
        let first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        if !self.peek().is_some_and(first) {
            return Err(self.error("a name (`['…']` takes any)"));
        }
        let name = self.run(|c| first(c) || c.is_ascii_digit());
        Ok(Selector::Name(name.to_owned()))
    }

    /// What stands between brackets, and the closing one.
    fn bracketed(&mut self) -> Parsed<Vec<Selector>> {
        let mut selectors = Vec::new();
        loop {
            self.space();
            selectors.push(self.selector()?);
            self.space();
            if self.take("]") {
                return Ok(selectors);
            }
            self.need(",", "`,` or `]`")?;
        }
    }

    fn selector(&mut self) -> Parsed<Selector> {
        match self.peek() {
            Some('\'' | '"') => Ok(Selector::Name(self.string()?)),
            Some('*') => {
                self.take("*");
                Ok(Selector::All)
            }
            Some('?') => {
                self.take("?");
                self.space();
                Ok(Selector::Filter(self.any()?))
            }
            Some('-' | ':' | '0'..='9') => self.index_or_slice(),
            _ => Err(self.error("a name in quotes, a number, `*`, `:` or `?`")),
        }
    }

    fn index_or_slice(&mut self) -> Parsed<Selector> {
        let from = self.optional_integer()?;
        let after = self.at;
        self.space();
        if !self.take(":") {
            self.at = after;
            return from.map(Selector::Index).ok_or_else(|| self.error("a number"));
        }
        self.space();
        let to = self.optional_integer()?;
        self.space();
        let mut step = None;
        if self.take(":") {
            self.space();
            step = self.optional_integer()?;
        }
        Ok(Selector::Slice { from, to, step: step.unwrap_or(1) })
    }

    fn optional_integer(&mut self) -> Parsed<Option<i64>> {
        if !matches!(self.peek(), Some('-' | '0'..='9')) {
            return Ok(None);
        }
        let (at, negative) = (self.at, self.take("-"));
        let digits = self.run(|c| c.is_ascii_digit());
        let number = digits.parse::<i64>().ok().filter(|number| *number <= LARGEST);
        match number {
            Some(number) if !(digits.len() > 1 && digits.starts_with('0') || negative && number == 0) => {
                Ok(Some(if negative { -number } else { number }))
            }
            _ => {
                self.at = at;
                Err(self.error("a whole number without zeros before it"))
            }
        }
    }

    /// A text in single or double quotes.
    fn string(&mut self) -> Parsed<String> {
        let quote = if self.take("'") { '\'' } else { self.need("\"", "a quote").map(|()| '"')? };
        let mut text = String::new();
        loop {
            let c = self.peek().filter(|c| *c >= ' ').ok_or_else(|| self.error("the end of the quoted text"))?;
            let at = self.at;
            self.at += c.len_utf8();
            match c {
                _ if c == quote => return Ok(text),
                '\\' => match self.escape(quote) {
                    Some(c) => text.push(c),
                    None => {
                        self.at = at;
                        return Err(self.error("an escape such as `\\n` or `\\u00e9`"));
                    }
                },
                _ => text.push(c),
            }
        }
    }

    fn escape(&mut self, quote: char) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(match c {
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            '/' | '\\' => c,
            _ if c == quote => c,
            'u' => {
                let first = self.hex()?;
                if (0xd800..0xdc00).contains(&first) && self.take("\\u") {
                    let second = self.hex().filter(|unit| (0xdc00..0xe000).contains(unit))?;
                    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?
                } else {
                    char::from_u32(first)?
                }
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    /// Conditions joined by `||`.
    fn any(&mut self) -> Parsed<Filter> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.error("fewer parentheses"));
        }
        let mut filters = vec![self.all()?];
        while self.joined("||") {
            filters.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if filters.len() > 1 { Filter::Any(filters) } else { filters.remove(0) })
    }

    fn all(&mut self) -> Parsed<Filter> {
        let mut filters = vec![self.condition()?];
        while self.joined("&&") {
            filters.push(self.condition()?);
        }
        Ok(if filters.len() > 1 { Filter::All(filters) } else { filters.remove(0) })
    }

    /// An operator with space around it.
    fn joined(&mut self, operator: &str) -> bool {
        let before = self.at;
        self.space();
        let found = self.take(operator);
        if found {
            self.space();
        } else {
            self.at = before;
        }
        found
    }

    fn condition(&mut self) -> Parsed<Filter> {
        if self.take("!") {
            self.space();
            let filter = match self.peek() {
                Some('(') => self.parentheses()?,
                Some('@' | '$') => Filter::Exists(self.query()?),
                _ => return Err(self.error("`(`, `@` or `$`")),
            };
            return Ok(Filter::Not(Box::new(filter)));
        }
        if self.peek() == Some('(') {
            return self.parentheses();
        }
        let at = self.at;
        let left = self.operand()?;
        let Some(operator) = self.operator() else {
            return match left {
                Operand::Query(query) => Ok(Filter::Exists(query)),
                Operand::Literal(_) => Err(self.error("a comparison such as `==`")),
            };
        };
        self.single(&left, at)?;
        let at = self.at;
        let right = self.operand()?;
        self.single(&right, at)?;
        Ok(Filter::Compare(left, operator, right))
    }

    fn parentheses(&mut self) -> Parsed<Filter> {
        self.need("(", "`(`")?;
        self.space();
        let filter = self.any()?;
        self.space();
        self.need(")", "`)`")?;
        Ok(filter)
    }

    /// Only what is one value at most can be compared.
    fn single(&mut self, operand: &Operand, at: usize) -> Parsed<()> {
        match operand {
            Operand::Query(query) if !query.segments.iter().all(Segment::is_single) => {
                self.at = at;
                Err(self.error("a path to one value, as only single values are compared,"))
            }
            _ => Ok(()),
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        const ALL: [(&str, Operator); 6] = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        ALL.into_iter().find_map(|(text, operator)| self.joined(text).then_some(operator))
    }

    fn operand(&mut self) -> Parsed<Operand> {
        match self.peek() {
            Some('@' | '$') => Ok(Operand::Query(self.query()?)),
            Some('\'' | '"') => Ok(Operand::Literal(self.string()?.into())),
            Some('-' | '0'..='9') => self.number(),
            _ => {
                for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
                    if self.take(word) {
                        return Ok(Operand::Literal(value));
                    }
                }
                Err(self.error("`@`, `$`, a text in quotes, a number, true, false or null (functions are not known here)"))
            }
        }
    }

    fn query(&mut self) -> Parsed<Query> {
        let from_root = self.take("$");
        if !from_root {
            self.need("@", "`@` or `$`")?;
        }
        Ok(Query { from_root, segments: self.segments()? })
    }

    /// A JSON number.
    fn number(&mut self) -> Parsed<Operand> {
        let at = self.at;
        let text = self.run(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
        serde_json::from_str(text).map(Operand::Literal).map_err(|_| {
            self.at = at;
            self.error("a number")
        })
    }
}
