//! The guests of the tests as bytes, by name: one for each misbehaviour that the sandbox has an answer to.

/// Components by name, in order of the names.
static COMPONENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// The bytes of a guest; the folder beside this one has its name.
#[must_use]
pub fn component(name: &str) -> Option<&'static [u8]> {
    let found = COMPONENTS.binary_search_by(|(candidate, _)| (*candidate).cmp(name)).ok()?;
    COMPONENTS.get(found).map(|(_, bytes)| *bytes)
}
