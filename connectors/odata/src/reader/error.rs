//! Why reading stops: texts for the person who has to change something.

use crate::address::ForeignLink;
use crate::plan::BadPlan;

/// Reading cannot go on without risk of leaving something out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    #[error(transparent)]
    Plan(#[from] BadPlan),
    #[error(transparent)]
    Link(#[from] ForeignLink),
    #[error("entities of `{0}` come without the property `{1}` that `config.cursor` names")]
    CursorMissing(String, String),
    #[error(
        "`{0}` does not sort by `{1}` as asked with $orderby: going on could leave entities out. Leave `config.cursor` out (full reads), or take a property that the service sorts by"
    )]
    Unordered(String, String),
    #[error(
        "a whole page of `{0}` ({1} entities) brought nothing new: more entities share one cursor than a page holds. Raise `config.page-size`"
    )]
    Stuck(String, u32),
    #[error(
        "{0} entities of `{1}` are within the overlap, and the position cannot hold them (256 KiB). Lower `config.overlap`; \"0s\" keeps no list, and finds no commits that come late"
    )]
    Overlap(usize, String),
    #[error("a delta link of `{0}` was answered without the next one. Set `config.delta` to \"never\" for full reads")]
    DeltaEnds(String),
}
