//! The files of a source and how far each is read: what is new, what grew, what was renamed, replaced or taken away. Owns the
//! places; reads no records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use wharf_sdk::{Context, Error, Position, Result, log};

use crate::config::{Config, stem};
use crate::place::{Place, Seen, hash};
use crate::reading::cannot_read;
use crate::window::is_same;

/// How long the place of a file that is gone is kept, in milliseconds.
const KEEP: u64 = 7 * 24 * 3_600_000;

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    pub name: String,
    /// The file as it was listed.
    pub seen: Seen,
    pub settled: bool,
    /// It did not grow since the last look: so many bytes at its end are a record though no end of line follows.
    pub last: Option<u64>,
}

pub struct Files {
    task: u64,
    tasks: u64,
    places: BTreeMap<String, Place>,
    /// Names whose place is not stored yet.
    changed: BTreeSet<String>,
    /// Names of the last look.
    known: BTreeSet<String>,
}

type Listing = BTreeMap<String, Seen>;

/// One look into the folder.
struct Look<'a> {
    folder: Folder<'a>,
    listing: Listing,
    /// Milliseconds since 1970.
    now: u64,
}

impl Files {
    /// # Errors
    /// [`Error::Fatal`] for a position that another program wrote.
    pub fn new(context: &Context, positions: &[Position], config: &Config) -> Result<Self> {
        let mut files = Self {
            task: context.task.into(),
            tasks: context.tasks.max(1).into(),
            places: BTreeMap::new(),
            changed: BTreeSet::new(),
            known: BTreeSet::new(),
        };
        for position in positions {
            let place: Place = position.read()?;
            let single = Path::new(&config.path).file_name().is_some_and(|name| name.to_str() == Some(&position.slice));
            let wanted = place.followed || single || config.pattern.matches(&position.slice);
            if wanted && files.is_mine(&position.slice) {
                files.places.insert(position.slice.clone(), place);
            }
        }
        Ok(files)
    }

    /// Looks into the folder; gives what is to be read, in order of names. `now`: milliseconds since
    /// 1970.
    ///
    /// # Errors
    /// [`Error::Retry`] where it cannot be listed.
    pub fn look(&mut self, config: &Config, now: u64) -> Result<VecDeque<Work>> {
        let folder = Folder::of(config)?;
        let look = Look { listing: folder.list()?, folder, now };
        let lost = self.lost(&look);
        if !lost.is_empty() {
            self.settle(lost, &look);
        }
        for name in look.listing.keys().filter(|name| look.folder.wants(name)) {
            if self.is_mine(name) && !self.places.contains_key(name) {
                self.set(name, Place::default());
            }
        }
        let work = self.places.iter().filter_map(|(name, place)| look.work(name, place)).collect();
        self.known = look.listing.into_keys().collect();
        Ok(work)
    }

    pub fn path(config: &Config, name: &str) -> Result<PathBuf> {
        Ok(Folder::of(config)?.root.join(name))
    }

    pub fn place(&self, name: &str) -> Option<&Place> {
        self.places.get(name)
    }

    pub fn set(&mut self, name: &str, place: Place) {
        if self.places.get(name) != Some(&place) {
            self.places.insert(name.to_owned(), place);
            self.changed.insert(name.to_owned());
        }
    }

    /// The positions that changed since they were last asked for.
    ///
    /// # Errors
    /// None that can occur: a place has a JSON form.
    pub fn positions(&mut self) -> Result<Vec<Position>> {
        let changed = std::mem::take(&mut self.changed);
        let positions = changed.into_iter().map(|name| match self.places.get(&name) {
            Some(place) => Position::json(name, place),
            None => Ok(Position::forget(name)),
        });
        positions.collect()
    }

    /// Tasks share files by their names without what rotation appends, so that a rotated file stays with its task.
    fn is_mine(&self, name: &str) -> bool {
        self.tasks == 1 || hash(stem(name).as_bytes()) % self.tasks == self.task
    }

    /// Names that are no longer the files that their places are of.
    fn lost(&mut self, look: &Look<'_>) -> Vec<String> {
        let mut lost = Vec::new();
        for (name, place) in &mut self.places {
            let same = match look.listing.get(name) {
                Some(seen) if place.seen == Some(*seen) && place.settled => true,
                // What cannot be opened is reported when it is to be read.
                Some(_) => is_same(&look.folder.root.join(name), place).unwrap_or(true),
                None => false,
            };
            if !same {
                lost.push(name.clone());
                continue;
            }
            // Known here only: after a restart it is looked at once more.
            place.settled = place.seen.is_some_and(|seen| seen.is_settled(look.now));
            if place.gone.take().is_some() {
                self.changed.insert(name.clone());
            }
        }
        lost
    }

    /// Finds lost files under other names; begins anew what was replaced; remembers, and at last forgets, what is gone.
    fn settle(&mut self, lost: Vec<String>, look: &Look<'_>) {
        let lost: Vec<(String, Place)> =
            lost.into_iter().filter_map(|name| self.places.remove(&name).map(|place| (name, place))).collect();
        let mut free: Vec<&String> =
            look.listing.keys().filter(|name| !self.places.contains_key(*name) && self.is_mine(name)).collect();
        let mut left = Vec::new();
        for (name, mut place) in lost {
            let Some(at) = free.iter().position(|new| self.is_renamed(&place, new, look)) else {
                left.push((name, place));
                continue;
            };
            let new = free.remove(at);
            log::info!(file = name, renamed = new, line = place.line; "the file was renamed: reading goes on");
            place.gone = None;
            place.followed = !look.folder.wants(new);
            self.changed.insert(name);
            self.set(new, place);
        }
        for (name, place) in left {
            self.settle_one(name, place, look);
        }
    }

    fn settle_one(&mut self, name: String, mut place: Place, look: &Look<'_>) {
        if self.places.contains_key(&name) {
            // Another file has this name now; what this one was is not to be found.
            log::warn!(file = name, line = place.line; "the file was replaced, and is under no other name");
        } else if look.listing.contains_key(&name) {
            log::warn!(file = name, line = place.line; "the file was truncated or replaced: it is read from its beginning");
            if look.folder.wants(&name) {
                self.places.insert(name.clone(), Place::default());
            }
            self.changed.insert(name);
        } else if place.gone.is_some_and(|since| look.now.saturating_sub(since) >= KEEP) {
            self.changed.insert(name);
        } else {
            if place.gone.is_none() {
                log::info!(file = name, line = place.line; "the file is gone: its position is kept for 7 days");
                place.gone = Some(look.now);
                self.changed.insert(name.clone());
            }
            self.places.insert(name, place);
        }
    }

    /// Whether a free name is the file of this place. A file that has long been gone is looked for among new names only, and
    /// is none that was written after it was missed.
    fn is_renamed(&self, place: &Place, new: &str, look: &Look<'_>) -> bool {
        if place.offset == 0 {
            return false;
        }
        if let Some(gone) = place.gone {
            let written = look.listing.get(new).map_or(0, |seen| seen.modified);
            if self.known.contains(new) || written > gone {
                return false;
            }
        }
        is_same(&look.folder.root.join(new), place).unwrap_or(false)
    }
}

impl Look<'_> {
    fn work(&self, name: &str, place: &Place) -> Option<Work> {
        let seen = *self.listing.get(name)?;
        let unchanged = place.seen == Some(seen);
        if unchanged && (place.rest == 0 || place.taken == Some(place.rest)) {
            return None;
        }
        let settled = seen.is_settled(self.now);
        Some(Work { name: name.to_owned(), seen, settled, last: unchanged.then_some(place.rest) })
    }
}

/// Where the files are.
struct Folder<'a> {
    root: PathBuf,
    /// `path` names one file.
    single: Option<&'a str>,
    config: &'a Config,
}

impl<'a> Folder<'a> {
    fn of(config: &'a Config) -> Result<Self> {
        let path = Path::new(&config.path);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(Self { root: path.to_owned(), single: None, config }),
            Err(e) if e.kind() != ErrorKind::NotFound => Err(cannot_read(path, &e)),
            _ => {
                let parent = path.parent().filter(|parent| *parent != Path::new(""));
                let root = parent.unwrap_or(Path::new(".")).to_owned();
                Ok(Self { root, single: path.file_name().and_then(|name| name.to_str()), config })
            }
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.single.map_or_else(|| self.config.pattern.matches(name), |single| single == name)
    }

    /// All files, also those that are not wanted: a wanted one may be renamed to such a name. No hidden ones, no folders.
    fn list(&self) -> Result<Listing> {
        let mut listing = Listing::new();
        let entries = fs::read_dir(&self.root).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::retry(format!(
                "there is no `{}`: it is missing, or no entry of `allow.files` has this name",
                self.config.path
            )),
            _ => cannot_read(&self.root, &e),
        })?;
        for entry in entries {
            let entry = entry.map_err(|e| cannot_read(&self.root, &e))?;
            let Ok(name) = entry.file_name().into_string() else {
                log::warn!(folder = self.root.display(); "a file whose name is not UTF-8 is left out");
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let path = entry.path();
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => drop(listing.insert(name, Seen::of(&metadata))),
                Err(e) if self.wants(&name) && e.kind() != ErrorKind::NotFound => return Err(cannot_read(&path, &e)),
                // A folder, gone since it was listed, or none of ours.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(listing)
    }
}
