//! An object of which only the members that steps can reach are parsed: those between them stay the text that they are, each run of
//! neighbours in one piece, and are written as they came. Takes plain objects only (no escapes, no line ends, no name twice, not deep)
//! and answers `None` for everything else, an odd text as well as a broken one, which is then parsed whole.

use std::fmt;

use memchr::{memchr2_iter, memchr3};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::touched::Touched;

/// Most members: each is compared with each, as none may stand there twice.
const MOST: usize = 64;
/// Most brackets, and so levels: less than what is refused.
const BRACKETS: usize = 100;

/// An object: its members that were parsed, and instead of each run of others one member called by [`placeholder`].
pub type Parsed<'a> = (Value, Vec<&'a str>);

/// `text` as an object of which the touched members are parsed.
pub fn parse<'a>(text: &'a [u8], touched: &Touched) -> Option<Parsed<'a>> {
    if memchr3(b'\\', b'\n', b'\r', text).is_some() || memchr2_iter(b'{', b'[', text).nth(BRACKETS).is_some() {
        return None;
    }
    let text = simdutf8::basic::from_utf8(text).ok()?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(Members).ok()?;
    deserializer.end().ok()?;
    let twice = |(at, (name, _)): (usize, &(&str, &str))| members.iter().take(at).any(|(other, _)| other == name);
    if members.iter().enumerate().any(twice) {
        return None;
    }
    let mut object = Object { members: Map::new(), rest: Vec::new() };
    let mut run = None;
    for (name, json) in members {
        if touched.has(name) {
            object.close(text, &mut run)?;
            object.members.insert(name.to_owned(), serde_json::from_str(json).ok()?);
        } else {
            // From the quote before the name.
            let from = within(text, name)?.checked_sub(1)?;
            let to = within(text, json)? + json.len();
            run = Some(run.map_or((from, to), |(first, _)| (first, to)));
        }
    }
    object.close(text, &mut run)?;
    Some((Value::Object(object.members), object.rest))
}

/// Writes what `parse` gave, as it is now.
///
/// # Errors
/// When a value cannot be written, which no value that was parsed causes.
pub fn write(value: &Value, rest: &[&str], out: &mut Vec<u8>) -> serde_json::Result<()> {
    let Value::Object(members) = value else { return serde_json::to_writer(out, value) };
    out.push(b'{');
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if let Some(text) = placeholder_of(name).and_then(|at| rest.get(at)) {
            out.extend_from_slice(text.as_bytes());
            continue;
        }
        serde_json::to_writer(&mut *out, name)?;
        out.push(b':');
        serde_json::to_writer(&mut *out, value)?;
    }
    out.push(b'}');
    Ok(())
}

struct Object<'a> {
    members: Map<String, Value>,
    rest: Vec<&'a str>,
}

impl<'a> Object<'a> {
    /// Ends a run of members that stay text.
    fn close(&mut self, text: &'a str, run: &mut Option<(usize, usize)>) -> Option<()> {
        if let Some((from, to)) = run.take() {
            self.members.insert(placeholder(self.rest.len())?, Value::Null);
            self.rest.push(text.get(from..to)?);
        }
        Some(())
    }
}

/// The name of a run's member: none that a text without escapes can have.
fn placeholder(at: usize) -> Option<String> {
    let at = u8::try_from(at).ok().filter(|at| *at < 0x80)?;
    Some(['\0', char::from(at)].into_iter().collect())
}

fn placeholder_of(name: &str) -> Option<usize> {
    match name.as_bytes() {
        [0, at] => Some(usize::from(*at)),
        _ => None,
    }
}

/// Where `part` of `text` begins.
fn within(text: &str, part: &str) -> Option<usize> {
    part.as_ptr().addr().checked_sub(text.as_ptr().addr())
}

/// Names and texts of an object's members.
struct Members;

impl<'a> Visitor<'a> for Members {
    type Value = Vec<(&'a str, &'a str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(MOST / 4);
        while let Some((name, json)) = map.next_entry::<&'a str, &'a RawValue>()? {
            if members.len() == MOST {
                return Err(A::Error::custom("too many members"));
            }
            members.push((name, json.get()));
        }
        Ok(members)
    }
}
