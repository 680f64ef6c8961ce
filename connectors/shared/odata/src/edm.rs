//! The service's types, as far as records need them: which Edm type a property has, what the key is, what may be expanded.
//! Holds no values; `edm/metadata.rs` reads it from `$metadata`.

use std::collections::HashMap;

mod metadata;

pub use metadata::BadMetadata;

/// A primitive type, by how its values are written (OData CSDL XML 4.01, 3.3; OData V2, "Abstract Type System", 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simple {
    Boolean,
    /// Byte, SByte, Int16, Int32.
    Integer,
    Int64,
    Decimal,
    Double,
    Single,
    Text,
    Guid,
    Binary,
    Date,
    /// DateTimeOffset.
    Moment,
    /// V2's DateTime, which has no zone.
    LocalMoment,
    /// Media: not part of a record.
    Stream,
    /// TimeOfDay, Duration, Time, enumerations, geography: kept as they are.
    Other,
}

/// The type of a property or a navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    Simple(Simple),
    /// Qualified name of a complex, entity, enumeration or defined type.
    Named(String),
    List(Box<Type>),
}

/// An entity type or a complex type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Structured {
    pub base: Option<String>,
    pub key: Vec<String>,
    /// Whether it takes properties that it does not declare (`OpenType`).
    pub open: bool,
    /// Properties and navigations, in their order.
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub of: Type,
    pub navigation: bool,
    pub facets: Facets,
}

/// What a property's values are held to (OData CSDL XML 4.01, 7.2; CSDL 2.0, "Facets").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facets {
    pub nullable: bool,
    /// Characters of a text, bytes of a binary.
    pub max_length: Option<usize>,
    /// Digits of a decimal.
    pub precision: Option<usize>,
    /// Digits of a decimal after the point, where a number is said.
    pub scale: Option<usize>,
    /// The smallest and the largest number of an integer type below 64 bits.
    pub range: Option<(i64, i64)>,
}

impl Default for Facets {
    fn default() -> Self {
        Self { nullable: true, max_length: None, precision: None, scale: None, range: None }
    }
}

impl Facets {
    /// The numbers that a type may hold, by its name as `Edm.Int16`.
    #[must_use]
    pub fn range_of(edm: &str) -> Option<(i64, i64)> {
        match edm {
            "Edm.Byte" => Some((0, u8::MAX.into())),
            "Edm.SByte" => Some((i8::MIN.into(), i8::MAX.into())),
            "Edm.Int16" => Some((i16::MIN.into(), i16::MAX.into())),
            "Edm.Int32" => Some((i32::MIN.into(), i32::MAX.into())),
            _ => None,
        }
    }
}

/// What `$metadata` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// `Version` of the document: 4.0 and later are V4.
    pub v4: bool,
    /// Entity sets with the qualified name of their type, in their order.
    pub sets: Vec<(String, String)>,
    types: HashMap<String, Structured>,
    /// Names for primitive types.
    defined: HashMap<String, Simple>,
    /// Alias of a namespace.
    aliases: HashMap<String, String>,
}

impl Model {
    /// Reads `$metadata`.
    ///
    /// # Errors
    /// [`BadMetadata`] for what is no Entity Data Model in XML.
    pub fn parse(xml: &str) -> Result<Self, BadMetadata> {
        metadata::parse(xml)
    }

    /// The qualified name of the type of a set's entities.
    #[must_use]
    pub fn type_of_set(&self, set: &str) -> Option<&str> {
        self.sets.iter().find(|(name, _)| name == set).map(|(_, of)| of.as_str())
    }

    /// A structured type by its qualified name, with the namespace or its alias.
    #[must_use]
    pub fn structured(&self, name: &str) -> Option<&Structured> {
        self.types.get(name).or_else(|| self.types.get(&self.unaliased(name)?))
    }

    /// A primitive type behind a name of the service's own.
    #[must_use]
    pub fn defined(&self, name: &str) -> Option<Simple> {
        self.defined.get(name).copied().or_else(|| self.defined.get(&self.unaliased(name)?).copied())
    }

    fn unaliased(&self, name: &str) -> Option<String> {
        let (alias, simple) = name.rsplit_once('.')?;
        Some(format!("{}.{simple}", self.aliases.get(alias)?))
    }

    /// The types that a type is, from itself to its last base.
    fn line<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Structured> {
        // A type that is its own base is no model; the bound keeps it from being an endless one.
        let mut next = self.structured(name);
        std::iter::from_fn(move || {
            let this = next?;
            next = this.base.as_deref().and_then(|base| self.structured(base));
            Some(this)
        })
        .take(32)
    }

    /// The names of the key's properties; the key may stand on a base type.
    #[must_use]
    pub fn key(&self, name: &str) -> &[String] {
        self.line(name).map(|of| of.key.as_slice()).find(|key| !key.is_empty()).unwrap_or_default()
    }

    #[must_use]
    pub fn member(&self, of: &str, name: &str) -> Option<&Member> {
        self.line(of).find_map(|of| of.members.iter().find(|member| member.name == name))
    }

    /// The names of the properties of a type, its bases included.
    pub fn properties<'a>(&'a self, of: &str) -> impl Iterator<Item = &'a str> {
        self.line(of).flat_map(|of| &of.members).filter(|member| !member.navigation).map(|member| member.name.as_str())
    }

    /// Whether a type, or one of its bases, takes properties that it does not declare.
    #[must_use]
    pub fn is_open(&self, of: &str) -> bool {
        self.line(of).any(|of| of.open)
    }

    /// The primitive type of a property; `None` where it is structured, a list or not known.
    #[must_use]
    pub fn simple(&self, of: &str, name: &str) -> Option<Simple> {
        match &self.member(of, name)?.of {
            Type::Simple(simple) => Some(*simple),
            Type::Named(named) => self.defined(named).or_else(|| self.structured(named).is_none().then_some(Simple::Other)),
            Type::List(_) => None,
        }
    }
}

impl Type {
    /// `Edm.String`, `Sales.Address`, `Collection(…)`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some(inner) = text.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')) {
            return Self::List(Box::new(Self::parse(inner)));
        }
        match text.strip_prefix("Edm.") {
            Some(edm) => Self::Simple(Simple::parse(edm)),
            None => Self::Named(text.to_owned()),
        }
    }
}

impl Simple {
    fn parse(edm: &str) -> Self {
        match edm {
            "Boolean" => Self::Boolean,
            "Byte" | "SByte" | "Int16" | "Int32" => Self::Integer,
            "Int64" => Self::Int64,
            "Decimal" => Self::Decimal,
            "Double" => Self::Double,
            "Single" => Self::Single,
            "String" => Self::Text,
            "Guid" => Self::Guid,
            "Binary" => Self::Binary,
            "Date" => Self::Date,
            "DateTimeOffset" => Self::Moment,
            "DateTime" => Self::LocalMoment,
            "Stream" => Self::Stream,
            _ => Self::Other,
        }
    }

    /// Whether V4 writes its literals without quotes.
    #[must_use]
    pub const fn is_bare(self) -> bool {
        matches!(self, Self::Boolean | Self::Integer | Self::Int64 | Self::Decimal | Self::Double | Self::Single | Self::Guid)
    }

    /// Whether its values are points in time.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::Moment | Self::LocalMoment)
    }
}

/// The name nearest to a wrong one.
#[must_use]
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase());
    names.map(|name| (distance(name), name)).filter(|(d, name)| *d <= name.len().max(3) / 2).min().map(|(_, name)| name)
}

/// `(did you mean …?)` where a name is near enough.
#[must_use]
pub fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

/// A service without the entity set that the configuration names.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the service has no entity set `{entity}`{}; it has: {sets}", suggestion(.nearest.as_deref()))]
pub struct NoSet {
    pub entity: String,
    pub nearest: Option<String>,
    pub sets: String,
}

impl NoSet {
    /// From the names of the sets that there are.
    #[must_use]
    pub fn new<'a>(entity: &str, sets: impl Iterator<Item = &'a str> + Clone) -> Self {
        let list: Vec<&str> = sets.clone().take(50).collect();
        let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        Self { entity: entity.to_owned(), nearest: nearest(entity, sets).map(ToOwned::to_owned), sets: list }
    }
}
