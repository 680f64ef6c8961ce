//! Finding components by name or path, loading each once, and checking that it is what the configuration needs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::ComponentRef;
use crate::guest::{Component, ComponentError, ComponentKind, Guests};

/// The bundled components: bytes by name, and all names.
#[derive(Debug, Clone, Copy)]
pub struct Bundle {
    pub component: fn(&str) -> Option<&'static [u8]>,
    pub names: fn() -> &'static [&'static str],
}

/// A component that the configuration names and that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("`{connector}`: there is no bundled component `{name}`{hint}; bundled are: {all}")]
    Unknown { connector: String, name: String, hint: String, all: String },
    #[error("`{connector}`: cannot read the component {path}: {source}")]
    Unreadable { connector: String, path: String, source: std::io::Error },
    #[error("`{connector}`: component {component}: {source}")]
    Invalid { connector: String, component: String, source: ComponentError },
    #[error("`{connector}`: component {component} is a {found}, but it stands under [[{wanted}]]")]
    Kind { connector: String, component: String, found: ComponentKind, wanted: ComponentKind },
}

/// All components of a deployment, each loaded once.
#[derive(Debug)]
pub struct Components {
    guests: Arc<Guests>,
    bundle: Bundle,
    loaded: HashMap<(ComponentRef, ComponentKind), Component>,
}

impl Bundle {
    /// The component that a name means where a kind is needed: `NAME-KIND` where there is one, as a system that is read and
    /// written has a component of each, else `NAME`, of whatever kind that is.
    #[must_use]
    pub fn of_kind(&self, name: &str, kind: ComponentKind) -> Option<&'static [u8]> {
        (self.component)(&format!("{name}-{kind}")).or_else(|| (self.component)(name))
    }
}

impl Components {
    #[must_use]
    pub fn new(guests: Arc<Guests>, bundle: Bundle) -> Self {
        Self { guests, bundle, loaded: HashMap::new() }
    }

    /// The component, which must be of a kind.
    ///
    /// # Errors
    /// [`Unusable`], naming the connector that wants it.
    pub async fn get(&mut self, connector: &str, reference: &ComponentRef, wanted: ComponentKind) -> Result<Component, Unusable> {
        let key = (reference.clone(), wanted);
        let component = match self.loaded.get(&key) {
            Some(component) => component.clone(),
            None => {
                let component = self.load(connector, reference, wanted).await?;
                self.loaded.insert(key, component.clone());
                component
            }
        };
        let found = component.kind();
        if found == wanted {
            return Ok(component);
        }
        Err(Unusable::Kind { connector: connector.to_owned(), component: reference.to_string(), found, wanted })
    }

    async fn load(&self, connector: &str, reference: &ComponentRef, wanted: ComponentKind) -> Result<Component, Unusable> {
        let owned;
        let bytes = match reference {
            ComponentRef::Bundled(name) => self.bundle.of_kind(name, wanted).ok_or_else(|| self.unknown(connector, name))?,
            ComponentRef::Path(path) => {
                owned = read(connector, path)?;
                &owned
            }
        };
        Component::load(&self.guests, bytes).await.map_err(|source| Unusable::Invalid {
            connector: connector.to_owned(),
            component: reference.to_string(),
            source,
        })
    }

    fn unknown(&self, connector: &str, name: &str) -> Unusable {
        let names = (self.bundle.names)();
        let nearest = names.iter().max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
        let hint = nearest.filter(|n| strsim::jaro(name, n) > 0.7).map(|n| format!(", did you mean `{n}`?"));
        Unusable::Unknown {
            connector: connector.to_owned(),
            name: name.to_owned(),
            hint: hint.unwrap_or_default(),
            all: names.join(", "),
        }
    }
}

fn read(connector: &str, path: &Path) -> Result<Vec<u8>, Unusable> {
    std::fs::read(path).map_err(|source| Unusable::Unreadable {
        connector: connector.to_owned(),
        path: path.display().to_string(),
        source,
    })
}

impl std::fmt::Display for ComponentRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bundled(name) => write!(f, "`{name}`"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bundle, ComponentKind};

    #[test]
    fn a_name_means_the_component_of_the_kind_that_is_needed() {
        let component = |name: &str| -> Option<&'static [u8]> {
            match name {
                "odata" => Some(b"reads"),
                "odata-sink" => Some(b"writes"),
                _ => None,
            }
        };
        let bundle = Bundle { component, names: || &["odata", "odata-sink"] };
        assert_eq!(bundle.of_kind("odata", ComponentKind::Sink), Some(&b"writes"[..]));
        assert_eq!(bundle.of_kind("odata", ComponentKind::Source), Some(&b"reads"[..]));
        assert_eq!(bundle.of_kind("odata-sink", ComponentKind::Sink), Some(&b"writes"[..]), "the whole name is one too");
        assert_eq!(bundle.of_kind("odoo", ComponentKind::Sink), None);
    }
}
