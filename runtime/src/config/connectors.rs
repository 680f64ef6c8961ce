//! Connectors of a configuration by name, on either side of the topics.

use std::collections::BTreeMap;

use super::{Config, Connector};

impl Config {
    /// Sources, then sinks, in the order of the file.
    pub fn connectors(&self) -> impl Iterator<Item = &Connector> {
        self.sources.iter().map(|s| &s.connector).chain(self.sinks.iter().map(|s| &s.connector))
    }

    /// The source or sink of this name.
    ///
    /// # Errors
    /// A text that names those that there are.
    pub fn connector(&self, name: &str) -> Result<&Connector, String> {
        self.connectors().find(|connector| connector.name == name).ok_or_else(|| self.no_connector(name))
    }

    /// There is no connector of that name: which there are.
    #[must_use]
    pub fn no_connector(&self, name: &str) -> String {
        let names: Vec<_> = self.connectors().map(|connector| connector.name.as_str()).collect();
        format!("there is no connector `{name}`; there are: {}", names.join(", "))
    }

    /// The same with one connector alone, and without that one's transforms.
    ///
    /// # Errors
    /// A text that names the connectors that there are.
    pub fn alone(mut self, name: &str) -> Result<Self, String> {
        self.connector(name)?;
        self.sources.retain(|source| source.connector.name == name);
        self.sinks.retain(|sink| sink.connector.name == name);
        self.sources.iter_mut().for_each(|source| source.connector.transforms.clear());
        self.sinks.iter_mut().for_each(|sink| sink.connector.transforms.clear());
        Ok(self)
    }
}

impl Connector {
    /// Its librdkafka properties in the clear, for the log's client.
    #[must_use]
    pub fn kafka_properties(&self) -> BTreeMap<String, String> {
        self.kafka.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
    }
}
