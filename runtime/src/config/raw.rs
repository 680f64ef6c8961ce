//! The configuration file as it is written. Every key is optional here, so that a missing one is reported together with all
//! other findings; `super` makes the validated types of it. Holds no rules.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::node::{Entries, Node, Text};
use super::unit::{Size, Span};

pub mod transform;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    pub name: Option<Text>,
    pub state_dir: Option<Text>,
    /// Create missing topics.
    pub create: Option<bool>,
    pub drain_timeout: Option<Spanned<Span>>,
    pub vars: Entries<Spanned<Node>>,
    pub kafka: Option<Spanned<Entries<Spanned<Node>>>>,
    pub embedded: Option<Spanned<Embedded>>,
    pub topic: Entries<Spanned<Topic>>,
    pub listen: Option<Spanned<Listen>>,
    pub connection: Entries<Spanned<Connection>>,
    pub source: Vec<Spanned<Connector>>,
    pub sink: Vec<Spanned<Connector>>,
}

/// `[embedded]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Embedded {
    pub retention: Option<Span>,
    pub retention_bytes: Option<Size>,
}

/// `[topic."name"]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Topic {
    pub partitions: Option<Spanned<i64>>,
    pub replication: Option<Spanned<i64>>,
    pub config: Entries<Spanned<Node>>,
}

/// `[listen]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Listen {
    pub address: Option<Text>,
    pub tls: Option<Spanned<Tls>>,
    pub max_body: Option<Spanned<Size>>,
    pub max_held: Option<Spanned<i64>>,
}

/// `listen.tls`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    pub cert: Option<Text>,
    pub key: Option<Text>,
}

/// `[connection.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Connection {
    pub url: Option<Text>,
    pub ca_file: Option<Text>,
    pub pool: Option<Spanned<i64>>,
}

/// `[[source]]` or `[[sink]]`: keys of both, so that one in the wrong place can be named.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Connector {
    pub name: Option<Text>,
    pub component: Option<Text>,
    /// Source.
    pub topic: Option<Text>,
    /// Sink.
    pub topics: Option<Spanned<Topics>>,
    pub tasks: Option<Spanned<i64>>,
    pub config: Option<Spanned<Node>>,
    pub allow: Option<Spanned<Allow>>,
    pub auth: Entries<Spanned<Auth>>,
    pub format: Option<Format>,
    pub transform: Vec<Spanned<transform::Transform>>,
    pub dead_letter: Option<Spanned<DeadLetter>>,
    /// Sink.
    pub start: Option<Spanned<Node>>,
    pub exactly_once: Option<Spanned<bool>>,
    /// Source.
    pub listen: Option<Spanned<SourceListen>>,
    pub retry: Option<Spanned<Retry>>,
    pub limits: Option<Spanned<Limits>>,
    pub batch: Option<Spanned<Batch>>,
    pub max_record_bytes: Option<Spanned<Size>>,
    pub kafka: Option<Spanned<Entries<Spanned<Node>>>>,
}

/// `topics = ["a", "b"]` or `topics = { pattern = "…" }`.
#[derive(Debug)]
pub enum Topics {
    Names(Vec<Text>),
    Pattern(Text),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    pattern: Text,
}

impl<'de> Deserialize<'de> for Topics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TopicsVisitor;
        impl<'de> Visitor<'de> for TopicsVisitor {
            type Value = Topics;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of topic names, or { pattern = \"…\" }")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Topics, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Topics::Names(names))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Topics, A::Error> {
                Pattern::deserialize(MapAccessDeserializer::new(map)).map(|p| Topics::Pattern(p.pattern))
            }
        }
        deserializer.deserialize_any(TopicsVisitor)
    }
}

/// `[source.allow]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Allow {
    pub http: Vec<Spanned<Either<AllowHttp>>>,
    pub sql: Vec<Text>,
    pub files: Vec<Spanned<Either<AllowFiles>>>,
}

/// `"host[:port]"` or `{ host = "…", private = true }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AllowHttp {
    pub host: String,
    #[serde(default)]
    pub private: bool,
}

/// `"folder"` or `{ path = "folder", as = "/data" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AllowFiles {
    pub path: String,
    pub r#as: Option<String>,
}

/// A string, or a table that says more.
#[derive(Debug)]
pub enum Either<T> {
    Text(String),
    Table(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Either<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for EitherVisitor<T> {
            type Value = Either<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a table")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Either<T>, E> {
                Ok(Either::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Either<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Either::Table)
            }
        }
        deserializer.deserialize_any(EitherVisitor(std::marker::PhantomData))
    }
}

/// `[source.auth."host"]`: exactly one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Auth {
    pub basic: Option<Basic>,
    pub bearer: Option<Text>,
    pub header: Option<Header>,
    pub json_body: Option<Spanned<JsonBody>>,
    pub oauth: Option<Spanned<OAuth>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct OAuth {
    pub token_url: Option<Text>,
    pub client_id: Option<Text>,
    pub client_secret: Option<Text>,
    pub scope: Option<Text>,
    pub client_auth: Option<ClientAuth>,
    pub parameters: Entries<Text>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    Basic,
    Post,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JsonBody {
    pub path: Option<Text>,
    pub pointer: Option<Text>,
    pub value: Option<Text>,
    pub only: Option<Spanned<Entries<Vec<Text>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    pub user: Text,
    pub password: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub name: Text,
    pub value: Text,
}

/// `format`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Json,
    JsonEnvelope,
    Text,
    Bytes,
}

/// `dead-letter = "topic"`, `false`, or a table.
#[derive(Debug)]
pub enum DeadLetter {
    Off,
    Topic(String),
    Table(DeadLetterTable),
}

/// `[source.dead-letter]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeadLetterTable {
    pub topic: Option<Text>,
    pub value: Option<DeadLetterValue>,
    pub window: Option<Window>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterValue {
    Keep,
    Omit,
}

/// `dead-letter.window = { size = 1000, limit = 50 }`; size 0: never stop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub size: usize,
    pub limit: usize,
}

impl<'de> Deserialize<'de> for DeadLetter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DeadLetterVisitor;
        impl<'de> Visitor<'de> for DeadLetterVisitor {
            type Value = DeadLetter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a topic name, false, or { topic, value, window }")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<DeadLetter, E> {
                Ok(if on { DeadLetter::Table(DeadLetterTable::default()) } else { DeadLetter::Off })
            }

            fn visit_str<E: Error>(self, topic: &str) -> Result<DeadLetter, E> {
                Ok(DeadLetter::Topic(topic.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DeadLetter, A::Error> {
                DeadLetterTable::deserialize(MapAccessDeserializer::new(map)).map(DeadLetter::Table)
            }
        }
        deserializer.deserialize_any(DeadLetterVisitor)
    }
}

/// `[source.listen]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceListen {
    pub path: Option<Text>,
    pub signature: Option<Spanned<Signature>>,
    pub reply_deadline: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub scheme: Scheme,
    pub secret: Text,
    /// `scheme = "hmac"` only: where the signature stands.
    pub header: Option<Text>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    Shopify,
    Stripe,
    Hmac,
}

/// `[source.retry]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retry {
    pub initial: Option<Span>,
    pub max: Option<Span>,
    pub budget: Option<Span>,
    pub then: Option<Then>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    DeadLetter,
    Stop,
}

/// `[source.limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    pub memory: Option<Spanned<Size>>,
    pub call_cpu: Option<Spanned<Span>>,
    pub call_deadline: Option<Spanned<Span>>,
}

/// `[source.batch]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Batch {
    pub records: Option<Spanned<i64>>,
    pub bytes: Option<Spanned<Size>>,
    pub linger: Option<Spanned<Span>>,
}
