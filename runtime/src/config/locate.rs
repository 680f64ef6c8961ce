//! Where something stands in the text of a configuration, for what is only found after the file was read. Validates nothing.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of the value at `pointer` (RFC 6901) in the section of the connector of this name; of the nearest part above it that
/// is there, where it is not.
#[must_use]
pub fn locate(text: &str, connector: &str, pointer: &str) -> Option<Range<usize>> {
    let file = DeTable::parse(text).ok()?;
    let lists = ["source", "sink"].into_iter().filter_map(|list| file.get_ref().get(list)?.get_ref().as_array());
    let named = |section: &&Spanned<DeValue<'_>>| {
        section.get_ref().as_table().and_then(|t| t.get("name")?.get_ref().as_str()) == Some(connector)
    };
    let section = lists.flat_map(|list| list.iter()).find(named)?;
    let mut place = section;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let inner = match place.get_ref() {
            DeValue::Table(table) => table.get(token.as_str()),
            DeValue::Array(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        let Some(inner) = inner else { break };
        place = inner;
    }
    // A table's span reaches from its header to its last key: its first line is enough.
    let span = place.span();
    let line = text.get(span.clone()).and_then(|t| t.find('\n')).unwrap_or(span.len());
    Some(span.start..span.start + line)
}
