//! `$metadata` read: CSDL XML of V4 (OData CSDL XML 4.01) and of V2 (CSDL 2.0 and 3.0, which differ in how a navigation names
//! its target: by an association). Elements are known by their local names; annotations are passed over.

use std::borrow::Cow;
use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Facets, Member, Model, Simple, Structured, Type};

/// What came is no Entity Data Model.
#[derive(Debug, thiserror::Error)]
pub enum BadMetadata {
    #[error("not well-formed XML at byte {at}: {reason}")]
    Xml { at: u64, reason: String },
    #[error("the document has no `Edmx` element: it begins with `{0}`")]
    Root(String),
    #[error("the document ends before its end tag")]
    CutOff,
}

/// A navigation of V2, which waits for the associations.
struct Pending {
    of: String,
    name: String,
    relationship: String,
    role: String,
}

#[derive(Default)]
struct Parser {
    model: Model,
    namespace: String,
    /// Name and content of the type that is open.
    open: Option<(String, Structured)>,
    in_key: bool,
    association: Option<String>,
    /// Type of each end, by association and role.
    ends: HashMap<(String, String), String>,
    pending: Vec<Pending>,
    root: Option<String>,
}

pub(super) fn parse(xml: &str) -> Result<Model, BadMetadata> {
    let mut reader = Reader::from_str(xml);
    let mut parser = Parser::default();
    let mut depth = 0_u32;
    loop {
        let event = reader.read_event().map_err(|e| BadMetadata::Xml { at: reader.error_position(), reason: e.to_string() })?;
        match event {
            Event::Start(element) => {
                depth += 1;
                parser.begin(&element)?;
            }
            Event::Empty(element) => {
                parser.begin(&element)?;
                parser.end(element.local_name().as_ref());
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                parser.end(element.local_name().as_ref());
            }
            Event::Eof if depth > 0 => return Err(BadMetadata::CutOff),
            Event::Eof => break,
            _ => {}
        }
    }
    parser.finish()
}

/// An attribute by its local name.
fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.attributes().flatten().find(|a| a.key.local_name().as_ref() == name)?;
    Some(quick_xml::escape::unescape(&found.value).map_or_else(|_| found.value.to_string(), Cow::into_owned))
}

/// `MaxLength="Max"` and `Scale="variable"` say no number.
fn facets(element: &BytesStart<'_>, edm: &str) -> Facets {
    let number = |name| attribute(element, name).and_then(|text| text.parse().ok());
    Facets {
        nullable: attribute(element, "Nullable").is_none_or(|text| text != "false"),
        max_length: number("MaxLength"),
        precision: number("Precision"),
        scale: number("Scale"),
        range: Facets::range_of(edm),
    }
}

impl Parser {
    fn begin(&mut self, element: &BytesStart<'_>) -> Result<(), BadMetadata> {
        let name = element.local_name().as_ref().to_owned();
        if self.root.is_none() {
            if name != "Edmx" {
                return Err(BadMetadata::Root(name));
            }
            self.model.v4 = attribute(element, "Version").is_some_and(|version| version.starts_with('4'));
            self.root = Some(name);
            return Ok(());
        }
        match name.as_str() {
            "Schema" => self.schema(element),
            "EntityType" | "ComplexType" => self.open_type(element),
            "TypeDefinition" => self.type_definition(element),
            "Key" => self.in_key = true,
            "PropertyRef" if self.in_key => {
                if let (Some((_, of)), Some(property)) = (&mut self.open, attribute(element, "Name")) {
                    of.key.push(property);
                }
            }
            "Property" => self.member(element, false),
            "NavigationProperty" => self.navigation(element),
            "Association" => self.association = attribute(element, "Name").map(|name| self.qualified(&name)),
            "End" => self.association_end(element),
            "EntitySet" => {
                if let (Some(name), Some(of)) = (attribute(element, "Name"), attribute(element, "EntityType")) {
                    self.model.sets.push((name, of));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) {
        match name {
            "EntityType" | "ComplexType" => {
                if let Some((name, of)) = self.open.take() {
                    self.model.types.insert(name, of);
                }
            }
            "Key" => self.in_key = false,
            "Association" => self.association = None,
            _ => {}
        }
    }

    fn schema(&mut self, element: &BytesStart<'_>) {
        self.namespace = attribute(element, "Namespace").unwrap_or_default();
        if let Some(alias) = attribute(element, "Alias") {
            self.model.aliases.insert(alias, self.namespace.clone());
        }
    }

    fn qualified(&self, name: &str) -> String {
        format!("{}.{name}", self.namespace)
    }

    fn open_type(&mut self, element: &BytesStart<'_>) {
        let name = self.qualified(&attribute(element, "Name").unwrap_or_default());
        self.open = Some((
            name,
            Structured {
                base: attribute(element, "BaseType"),
                open: attribute(element, "OpenType").is_some_and(|open| open == "true"),
                ..Structured::default()
            },
        ));
    }

    fn type_definition(&mut self, element: &BytesStart<'_>) {
        if let (Some(name), Some(under)) = (attribute(element, "Name"), attribute(element, "UnderlyingType")) {
            let simple = under.strip_prefix("Edm.").map_or(Simple::Other, Simple::parse);
            self.model.defined.insert(self.qualified(&name), simple);
        }
    }

    fn member(&mut self, element: &BytesStart<'_>, navigation: bool) {
        let (Some((_, of)), Some(name)) = (&mut self.open, attribute(element, "Name")) else { return };
        let text = attribute(element, "Type").unwrap_or_else(|| "Edm.String".to_owned());
        of.members.push(Member { name, of: Type::parse(&text), navigation, facets: facets(element, &text) });
    }

    fn navigation(&mut self, element: &BytesStart<'_>) {
        if attribute(element, "Type").is_some() {
            return self.member(element, true);
        }
        let open = self.open.as_ref().map(|(of, _)| of.clone());
        let (relationship, role) = (attribute(element, "Relationship"), attribute(element, "ToRole"));
        if let (Some(of), Some(name), Some(relationship), Some(role)) = (open, attribute(element, "Name"), relationship, role) {
            self.pending.push(Pending { of, name, relationship, role });
        }
    }

    fn association_end(&mut self, element: &BytesStart<'_>) {
        let (role, of) = (attribute(element, "Role"), attribute(element, "Type"));
        if let (Some(association), Some(role), Some(of)) = (&self.association, role, of) {
            self.ends.insert((association.clone(), role), of);
        }
    }

    fn finish(mut self) -> Result<Model, BadMetadata> {
        if self.root.is_none() {
            return Err(BadMetadata::Root("(nothing)".to_owned()));
        }
        for Pending { of, name, relationship, role } in self.pending {
            let full = self.model.unaliased(&relationship).unwrap_or(relationship);
            let target = self.ends.get(&(full, role)).cloned();
            if let (Some(target), Some(of)) = (target, self.model.types.get_mut(&of)) {
                of.members.push(Member { name, of: Type::Named(target), navigation: true, facets: Facets::default() });
            }
        }
        Ok(self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = include_str!("../../tests/sales-v4.xml");
    const V2: &str = include_str!("../../tests/sales-v2.xml");

    #[test]
    fn sets_keys_and_types_of_v4_are_read() {
        let model = parse(V4).unwrap();
        assert!(model.v4);
        assert_eq!(
            model.sets,
            [("Orders".to_owned(), "Self.Order".to_owned()), ("Customers".to_owned(), "sales.Customer".to_owned())]
        );
        assert_eq!(model.key("Self.Order"), ["ID"]);
        assert_eq!(model.key("sales.Customer"), ["Country", "Number"]);
        assert_eq!(model.simple("sales.Order", "total"), Some(Simple::Decimal));
        assert_eq!(model.simple("sales.Order", "modifiedAt"), Some(Simple::Moment), "a property of the base type");
        assert_eq!(model.simple("sales.Order", "discount"), Some(Simple::Decimal), "a defined type");
        assert_eq!(model.simple("sales.Order", "status"), Some(Simple::Other), "an enumeration");
        assert_eq!(model.simple("sales.Order", "shipTo"), None);
        let id = model.member("sales.Order", "ID").unwrap().facets;
        assert_eq!(id, Facets { nullable: false, ..Facets::default() });
        let items = model.member("sales.Order", "items").unwrap();
        assert_eq!((&items.of, items.navigation), (&Type::List(Box::new(Type::Named("Self.Item".to_owned()))), true));
    }

    #[test]
    fn navigations_of_v2_find_their_target_through_the_association() {
        let model = parse(V2).unwrap();
        assert!(!model.v4);
        assert_eq!(model.key("SALES.OrderType"), ["OrderID"]);
        assert_eq!(model.simple("SALES.OrderType", "ChangedAt"), Some(Simple::LocalMoment));
        let items = model.member("SALES.OrderType", "to_Item").unwrap();
        assert_eq!((&items.of, items.navigation), (&Type::Named("SALES.ItemType".to_owned()), true));
    }

    #[test]
    fn what_is_no_metadata_is_named() {
        assert!(matches!(parse("<html><body/></html>"), Err(BadMetadata::Root(name)) if name == "html"));
        assert!(matches!(parse(""), Err(BadMetadata::Root(_))));
        let cut = V4.get(..V4.len() / 2).unwrap();
        assert!(parse(cut).is_err());
    }
}
