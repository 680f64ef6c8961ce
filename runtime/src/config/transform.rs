//! `[[source.transform]]` and `[[sink.transform]]`: exactly one step each, and its predicate. Applies nothing.

use std::ops::Range;

use toml::Spanned;

use super::checker::{Checker, SECRET_ELSEWHERE, SECRET_IN_CONFIG};
use super::node::{Entries, OneOrMany, Text};
use super::raw::transform as raw;
use super::{CastTo, FieldPath, MaskHow, Predicate, Route, SetFrom, TransformConfig, TransformStep};

const STEPS: &str = "expected exactly one of rename, copy, keep, drop, mask, cast, set, flatten, key, route, filter, component";

/// All transforms of a connector, in order; faulty ones are reported and left out.
pub fn transforms(checker: &mut Checker<'_>, raw: &[Spanned<raw::Transform>]) -> Vec<TransformConfig> {
    raw.iter().filter_map(|transform| one(checker, transform)).collect()
}

fn one(checker: &mut Checker<'_>, transform: &Spanned<raw::Transform>) -> Option<TransformConfig> {
    let raw = transform.get_ref();
    let when = match &raw.when {
        None => None,
        Some(when) => Some(predicate(checker, when)?),
    };
    let mut steps = Vec::new();
    steps.extend(raw.rename.as_ref().map(|entries| TransformStep::Rename(pairs(checker, entries))));
    steps.extend(raw.copy.as_ref().map(|entries| TransformStep::Copy(pairs(checker, entries))));
    steps.extend(raw.keep.as_ref().map(|names| TransformStep::Keep(fields(checker, names))));
    steps.extend(raw.drop.as_ref().map(|names| TransformStep::Drop(fields(checker, names))));
    steps.extend(raw.mask.as_ref().map(|raw| mask(checker, raw)));
    steps.extend(raw.cast.as_ref().map(|entries| cast(checker, entries)));
    steps.extend(raw.set.as_ref().map(|entries| set(checker, entries)));
    steps.extend(raw.flatten.as_ref().map(flatten));
    steps.extend(raw.key.as_ref().map(|names| TransformStep::Key(fields(checker, names))));
    steps.extend(raw.route.as_ref().map(|raw| route(checker, raw).unwrap_or_else(nothing)));
    steps.extend(raw.filter.as_ref().map(|raw| predicate(checker, raw).map_or_else(nothing, TransformStep::Filter)));
    steps.extend(raw.component.as_ref().map(|name| component(checker, name, raw)));
    if let (Some(config), None) = (&raw.config, &raw.component) {
        checker.error(config.span(), "`config` without `component`", "expected only beside `component`");
    }
    let found = steps.len();
    let mut steps = steps.into_iter();
    if let (Some(step), None) = (steps.next(), steps.next()) {
        return Some(TransformConfig { when, step });
    }
    // An entry that was found faulty before was the step.
    if found > 0 || !checker.removed.iter().any(|(table, _)| *table == transform.span()) {
        checker.error(transform.span(), format!("a transform has {found} steps"), STEPS);
    }
    None
}

/// Stands for a step whose fault has been reported: the configuration is refused anyway.
const fn nothing() -> TransformStep {
    TransformStep::Drop(Vec::new())
}

fn field(checker: &mut Checker<'_>, text: &Text) -> FieldPath {
    let path = checker.text(text);
    let names: Vec<String> = match path.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect(),
        None => path.split('.').map(str::to_owned).collect(),
    };
    if names.iter().any(String::is_empty) {
        checker.error(text.span(), format!("`{path}` is not a field"), "expected a name, `a.b`, or a JSON pointer `/a/b`");
    }
    FieldPath(names)
}

fn fields(checker: &mut Checker<'_>, names: &OneOrMany) -> Vec<FieldPath> {
    names.0.iter().map(|name| field(checker, name)).collect()
}

/// From = to.
fn pairs(checker: &mut Checker<'_>, entries: &Entries<Text>) -> Vec<(FieldPath, FieldPath)> {
    entries.0.iter().map(|(from, to)| (field(checker, from), field(checker, to))).collect()
}

fn mask(checker: &mut Checker<'_>, raw: &Spanned<raw::Mask>) -> TransformStep {
    let span = raw.span();
    let raw = raw.get_ref();
    let names = checker.required(raw.fields.as_ref(), "fields", &span);
    let fields = names.map(|names| fields(checker, names)).unwrap_or_default();
    let how = match (&raw.redact, &raw.hash, raw.last) {
        (Some(with), None, None) => MaskHow::Redact { with: checker.text(with) },
        (None, Some(hash), None) => MaskHow::Hash { salt: checker.secret(&hash.salt) },
        (None, None, Some(last)) => MaskHow::Last(last),
        _ => {
            checker.error(span, "a mask needs exactly one way", "expected one of `redact`, `hash`, `last`");
            return nothing();
        }
    };
    TransformStep::Mask { fields, how }
}

fn cast(checker: &mut Checker<'_>, entries: &Entries<raw::Cast>) -> TransformStep {
    let to = |cast: raw::Cast| match cast {
        raw::Cast::Text => CastTo::Text,
        raw::Cast::Int => CastTo::Int,
        raw::Cast::Float => CastTo::Float,
        raw::Cast::Decimal => CastTo::Decimal,
        raw::Cast::Bool => CastTo::Bool,
        raw::Cast::Timestamp => CastTo::Timestamp,
        raw::Cast::Json => CastTo::Json,
    };
    TransformStep::Cast(entries.0.iter().map(|(name, cast)| (field(checker, name), to(*cast))).collect())
}

fn set(checker: &mut Checker<'_>, entries: &Entries<Spanned<raw::Set>>) -> TransformStep {
    let mut sets = Vec::new();
    for (name, from) in &entries.0 {
        let path = field(checker, name);
        let from = match from.get_ref() {
            raw::Set::Constant(node) => SetFrom::Constant(checker.json(node.get_ref(), &node.span(), SECRET_ELSEWHERE)),
            raw::Set::Header(header) => SetFrom::Header(checker.text_or(header, &from.span(), SECRET_ELSEWHERE)),
            raw::Set::Timestamp => SetFrom::Timestamp,
            raw::Set::Topic => SetFrom::Topic,
            raw::Set::Partition => SetFrom::Partition,
            raw::Set::Offset => SetFrom::Offset,
        };
        sets.push((path, from));
    }
    TransformStep::Set(sets)
}

fn flatten(raw: &raw::Flatten) -> TransformStep {
    TransformStep::Flatten { separator: raw.separator.clone().unwrap_or_else(|| "_".to_owned()) }
}

fn route(checker: &mut Checker<'_>, raw: &Spanned<raw::Route>) -> Option<TransformStep> {
    let span = raw.span();
    let raw = raw.get_ref();
    let to = raw.to.as_ref();
    let route = match (&raw.field, &raw.r#match) {
        (Some(_), Some(_)) => {
            checker.error(span, "a route has `field` and `match`", "expected { to }, { field, to } or { match, to }");
            return None;
        }
        (Some(name), None) => {
            let template = to.map_or_else(|| "{}".to_owned(), |to| checker.text(to));
            if let (Some(to), false) = (to, template.contains("{}")) {
                checker.error(to.span(), "the template never uses the field", "expected `{}` where the field's text goes");
            }
            Route::Field { field: field(checker, name), template }
        }
        (None, Some(pattern)) => {
            let replacement = checker.required(to, "to", &span).map(|to| checker.text(to));
            Route::Regex { pattern: checker.pattern(pattern, true)?, replacement: replacement? }
        }
        (None, None) => {
            let to = checker.required(to, "to", &span)?;
            Route::To(checker.name(to, "topic"))
        }
    };
    Some(TransformStep::Route(route))
}

fn component(checker: &mut Checker<'_>, name: &Text, raw: &raw::Transform) -> TransformStep {
    let component = checker.component(name, "transform");
    let config = raw.config.as_ref().map(|node| checker.json(node.get_ref(), &node.span(), SECRET_IN_CONFIG));
    TransformStep::Component { component, config: config.unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new())) }
}

fn predicate(checker: &mut Checker<'_>, raw: &Spanned<raw::Predicate>) -> Option<Predicate> {
    let span = raw.span();
    let raw = raw.get_ref();
    let subjects = [raw.field.is_some(), raw.header.is_some(), raw.topic.is_some(), raw.tombstone.is_some()];
    let subjects = subjects.iter().filter(|set| **set).count() + usize::from(raw.not.is_some()) + usize::from(raw.all.is_some());
    if subjects != 1 {
        let title = format!("a predicate asks {subjects} things");
        checker.error(span, title, "expected exactly one of field, header, topic, tombstone, not, all");
        return None;
    }
    let extra = raw.equals.is_some() || raw.matches.is_some() || raw.exists.is_some();
    if let Some(name) = &raw.field {
        return field_predicate(checker, name, raw, span);
    }
    if let Some(name) = &raw.header {
        if raw.matches.is_some() || raw.exists.is_some() {
            checker.error(span, "a header is compared with `equals`, or only has to be there", "expected { header, equals }");
            return None;
        }
        let value = raw.equals.as_ref().and_then(|node| checker.scalar(node)).map(|text| checker.text(&text));
        return Some(Predicate::Header { name: checker.text(name), value });
    }
    if extra {
        checker.error(span, "`equals`, `matches` and `exists` need `field`", "expected { field, equals }, for example");
        return None;
    }
    if let Some(pattern) = &raw.topic {
        return checker.pattern(pattern, true).map(Predicate::Topic);
    }
    if let Some(is) = raw.tombstone {
        return Some(negated(Predicate::Tombstone, !is));
    }
    if let Some(inner) = &raw.not {
        return predicate(checker, inner).map(|inner| negated(inner, true));
    }
    let all = raw.all.as_ref()?;
    Some(Predicate::All(all.iter().filter_map(|inner| predicate(checker, inner)).collect()))
}

fn negated(predicate: Predicate, negate: bool) -> Predicate {
    if negate { Predicate::Not(Box::new(predicate)) } else { predicate }
}

fn field_predicate(checker: &mut Checker<'_>, name: &Text, raw: &raw::Predicate, span: Range<usize>) -> Option<Predicate> {
    let field = field(checker, name);
    match (&raw.equals, &raw.matches, raw.exists) {
        (Some(node), None, None) => {
            let value = checker.json(node.get_ref(), &node.span(), SECRET_ELSEWHERE);
            Some(Predicate::FieldEquals { field, value })
        }
        (None, Some(pattern), None) => {
            let pattern = checker.pattern(pattern, false)?;
            Some(Predicate::FieldMatches { field, pattern })
        }
        (None, None, Some(exists)) => Some(negated(Predicate::FieldExists(field), !exists)),
        _ => {
            checker.error(span, "a field needs exactly one question", "expected one of `equals`, `matches`, `exists`");
            None
        }
    }
}
