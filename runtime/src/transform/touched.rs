//! Which members of a value a run of steps can reach, known before any record comes: all others may stay text. Owns what each step
//! and predicate names; reads no record.

use crate::config::{FieldPath, Predicate, Route, TransformConfig, TransformStep};

/// Names of the outermost object's members.
#[derive(Debug, PartialEq, Eq)]
pub struct Touched(Vec<String>);

impl Touched {
    /// `None`: any member may be reached, by `*`, as the whole value, or by a step that looks at all.
    pub fn by(steps: &[TransformConfig]) -> Option<Self> {
        let mut touched = Self(Vec::new());
        for TransformConfig { when, step } in steps {
            when.as_ref().map_or(Some(()), |when| touched.predicate(when))?;
            touched.step(step)?;
        }
        Some(touched)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|touched| touched == name)
    }

    fn step(&mut self, step: &TransformStep) -> Option<()> {
        match step {
            TransformStep::Rename(pairs) | TransformStep::Copy(pairs) => {
                pairs.iter().try_for_each(|(from, to)| self.path(from).and_then(|()| self.path(to)))
            }
            TransformStep::Keep(fields)
            | TransformStep::Drop(fields)
            | TransformStep::Key(fields)
            | TransformStep::Mask { fields, .. } => self.paths(fields),
            TransformStep::Cast(casts) => casts.iter().try_for_each(|(field, _)| self.path(field)),
            TransformStep::Set(sets) => sets.iter().try_for_each(|(field, _)| self.path(field)),
            TransformStep::Route(Route::Field { field, .. }) => self.path(field),
            TransformStep::Route(Route::Regex { .. } | Route::To(_)) => Some(()),
            TransformStep::Filter(predicate) => self.predicate(predicate),
            TransformStep::Flatten { .. } | TransformStep::Component { .. } => None,
        }
    }

    fn predicate(&mut self, predicate: &Predicate) -> Option<()> {
        match predicate {
            Predicate::FieldEquals { field, .. } | Predicate::FieldMatches { field, .. } | Predicate::FieldExists(field) => {
                self.path(field)
            }
            Predicate::Topic(_) | Predicate::Header { .. } | Predicate::Tombstone => Some(()),
            Predicate::Not(inner) => self.predicate(inner),
            Predicate::All(all) => all.iter().try_for_each(|each| self.predicate(each)),
        }
    }

    fn paths(&mut self, paths: &[FieldPath]) -> Option<()> {
        paths.iter().try_for_each(|path| self.path(path))
    }

    fn path(&mut self, path: &FieldPath) -> Option<()> {
        // U+0000 is how members that stay text are named.
        let name = path.0.first().filter(|name| *name != "*" && !name.contains('\0'))?;
        if !self.has(name) {
            self.0.push(name.clone());
        }
        Some(())
    }
}
