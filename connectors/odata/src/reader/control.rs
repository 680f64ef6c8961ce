//! What an answer holds beside entities: entities that are gone, and links between entities.

use serde_json::{Map, Value};

/// The id of a removed entity: V4.01 `@removed` with `@id`, V4.0 a context that ends in `$deletedEntity` with `id`
/// (OData JSON Format 4.01, 15.3; 4.0, 14.2), SAP's V2 `__metadata.deleted`.
pub fn removed(object: &Map<String, Value>) -> Option<String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    if object.contains_key("@removed") || object.contains_key("@odata.removed") {
        return Some(text(object.get("@id").or_else(|| object.get("@odata.id"))));
    }
    if context(object).is_some_and(|context| context.ends_with("/$deletedEntity")) {
        return Some(text(object.get("id")));
    }
    let metadata = object.get("__metadata")?;
    metadata.get("deleted")?.as_bool()?.then(|| text(metadata.get("uri").or_else(|| metadata.get("id"))))
}

/// A link between entities that came or went: no entity (OData JSON Format 4.01, 15.4 and 15.5).
pub fn is_relation(object: &Map<String, Value>) -> bool {
    context(object).is_some_and(|context| context.ends_with("/$link") || context.ends_with("/$deletedLink"))
}

fn context(object: &Map<String, Value>) -> Option<&str> {
    object.get("@odata.context").or_else(|| object.get("@context"))?.as_str()
}
