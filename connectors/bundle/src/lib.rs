//! The standard connectors as bytes, by name. Owns nothing else: what they are is told by the components themselves.

/// Components by name, in order of the names; empty when built with `WHARF_BUNDLE=skip`.
static COMPONENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/guests.rs"));
static NAMES: [&str; COMPONENTS.len()] = names_of(COMPONENTS);

/// The bytes of a bundled component.
#[must_use]
pub fn component(name: &str) -> Option<&'static [u8]> {
    let found = COMPONENTS.binary_search_by(|(candidate, _)| (*candidate).cmp(name)).ok()?;
    COMPONENTS.get(found).map(|(_, bytes)| *bytes)
}

/// The names of all bundled components, in order.
#[must_use]
pub const fn names() -> &'static [&'static str] {
    &NAMES
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a fault stops the build")]
const fn names_of<const N: usize>(components: &[(&'static str, &[u8])]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = components[at].0;
        at += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_has_a_component() {
        assert!(super::names().is_sorted());
        for name in super::names() {
            let bytes = super::component(name).unwrap();
            // A component's preamble: magic, version 13, layer 1.
            assert_eq!(&bytes[..8], b"\0asm\x0d\0\x01\0", "{name}");
        }
        assert!(super::component("no-such").is_none());
    }
}
