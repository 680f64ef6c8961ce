//! How a [`FieldPath`] finds fields in a JSON value. Owns the rules of `*` and of arrays; changes nothing itself.
//!
//! A name is a member of an object; in an array a number is an index. `*` is every member or element. Any other name
//! that meets an array goes into each of its elements, so that a mask on `items.email` can't miss a list by its shape.

use serde_json::Value;

use crate::config::FieldPath;
use crate::outcome::Rejection;

/// A change of one field, which may refuse it.
pub type Change<'f> = dyn FnMut(&mut Value) -> Result<(), Rejection> + 'f;

impl FieldPath {
    /// RFC 6901.
    #[must_use]
    pub fn pointer(&self) -> String {
        self.0.iter().map(|s| format!("/{}", escape(s))).collect()
    }

    /// The one field that the path names; `None` when it isn't there, or lies behind an array without an index.
    #[must_use]
    pub fn get<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(root, |value, name| match value {
            Value::Object(members) => members.get(name),
            Value::Array(elements) => elements.get(index(name)?),
            _ => None,
        })
    }

    /// True when the test holds for one of the fields that the path reaches.
    pub fn any(&self, root: &Value, test: &dyn Fn(&Value) -> bool) -> bool {
        any(root, &self.0, test)
    }

    /// Changes each field that the path reaches, if any.
    ///
    /// # Errors
    /// The first rejection of `change`, with the pointer of the field at fault.
    pub fn change(&self, root: &mut Value, change: &mut Change<'_>) -> Result<(), Rejection> {
        change_each(root, &self.0, change)
    }

    /// Removes each field that the path reaches, if any; the order of the others is kept.
    pub fn remove(&self, root: &mut Value) {
        remove(root, &self.0);
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The position that a path's segment names in an array.
pub fn index(name: &str) -> Option<usize> {
    name.bytes().all(|b| b.is_ascii_digit()).then(|| name.parse().ok()).flatten()
}

fn any(value: &Value, path: &[String], test: &dyn Fn(&Value) -> bool) -> bool {
    let Some((name, rest)) = path.split_first() else { return test(value) };
    match value {
        Value::Object(members) if name == "*" => members.values().any(|v| any(v, rest, test)),
        Value::Object(members) => members.get(name).is_some_and(|v| any(v, rest, test)),
        Value::Array(elements) if name == "*" => elements.iter().any(|v| any(v, rest, test)),
        Value::Array(elements) => match index(name) {
            Some(at) => elements.get(at).is_some_and(|v| any(v, rest, test)),
            None => elements.iter().any(|v| any(v, path, test)),
        },
        _ => false,
    }
}

fn change_each(value: &mut Value, path: &[String], change: &mut Change<'_>) -> Result<(), Rejection> {
    let Some((name, rest)) = path.split_first() else {
        return change(value).map_err(|r| Rejection { field: Some(String::new()), ..r });
    };
    match value {
        Value::Object(members) if name == "*" => {
            members.iter_mut().try_for_each(|(name, v)| change_each(v, rest, change).map_err(|r| under(name, r)))
        }
        Value::Object(members) => {
            members.get_mut(name).map_or(Ok(()), |v| change_each(v, rest, change).map_err(|r| under(name, r)))
        }
        Value::Array(elements) => {
            let (only, rest) = match index(name) {
                Some(at) => (Some(at), rest),
                None if name == "*" => (None, rest),
                None => (None, path),
            };
            let chosen = elements.iter_mut().enumerate().filter(|(at, _)| only.is_none_or(|only| only == *at));
            chosen.into_iter().try_for_each(|(at, v)| change_each(v, rest, change).map_err(|r| under(&at.to_string(), r)))
        }
        _ => Ok(()),
    }
}

/// The same rejection, one level further out.
pub fn under(name: &str, rejection: Rejection) -> Rejection {
    let field = format!("/{}{}", escape(name), rejection.field.unwrap_or_default());
    Rejection { field: Some(field), ..rejection }
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((name, rest)) = path.split_first() else { return };
    match value {
        Value::Object(members) if rest.is_empty() && name == "*" => members.clear(),
        // `remove` would move the last member into the gap.
        Value::Object(members) if rest.is_empty() => drop(members.shift_remove(name)),
        Value::Object(members) if name == "*" => members.values_mut().for_each(|v| remove(v, rest)),
        Value::Object(members) => {
            if let Some(v) = members.get_mut(name) {
                remove(v, rest);
            }
        }
        Value::Array(elements) => match index(name) {
            Some(at) if rest.is_empty() && at < elements.len() => drop(elements.remove(at)),
            Some(at) => {
                if let Some(v) = elements.get_mut(at) {
                    remove(v, rest);
                }
            }
            None if name == "*" && rest.is_empty() => elements.clear(),
            None if name == "*" => elements.iter_mut().for_each(|v| remove(v, rest)),
            None => elements.iter_mut().for_each(|v| remove(v, path)),
        },
        _ => {}
    }
}

/// The text of a scalar or the JSON of a container: what masks hash, patterns see and routes use.
#[must_use]
pub fn text(value: &Value) -> std::borrow::Cow<'_, str> {
    match value {
        Value::String(s) => s.into(),
        Value::Number(n) => n.as_str().into(),
        Value::Bool(true) => "true".into(),
        Value::Bool(false) => "false".into(),
        Value::Null => "null".into(),
        Value::Array(_) | Value::Object(_) => value.to_string().into(),
    }
}

/// What a value is, for messages: never the value itself.
#[must_use]
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
