//! Which page comes next, and when a round is at its end. Notices pages that lead in a circle. Sends nothing.

use std::collections::HashSet;

use wharf_packing::hash;

use crate::config::{Config, Pagination};
use crate::page::Page;
use crate::place::Step;
use crate::url::resolve;

/// What is remembered of the pages of a round.
#[derive(Debug, Default)]
pub struct Pager {
    /// Where the pages of this round were, as hashes.
    visited: HashSet<u64>,
    /// The records of the page before, as a hash.
    before: Option<u64>,
    /// A page of so few records that it should be the last.
    short: Option<u64>,
    /// A page of so many, and fewer than a full one, was the last once: the most of them.
    last: u64,
    /// One of so many was not: the fewest of them.
    not_last: Option<u64>,
}

/// So many records at the least may be all that an API gives at a time.
pub const LIKE_A_LIMIT: u64 = 10;

/// Where a page was, and where it says that the next one is.
#[derive(Debug, Clone, Copy)]
pub struct Whereabouts<'a> {
    pub url: &'a str,
    /// Of the header `Link`.
    pub link: Option<&'a str>,
    /// What `config.next` selects is a URL.
    pub by_url: bool,
}

/// Pages that lead nowhere.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPages {
    #[error("the pages lead in a circle: `{0}` comes a second time in one round")]
    Circle(String),
    #[error(
        "two pages one after the other are the same: does the API know the parameter that holds `{{{{ {0} }}}}`? Without it each answer is the first page"
    )]
    Same(&'static str),
    #[error(
        "a page has {got} records and is not the last, where `config.page-size` says that a full one has {size}: the API gives at most {got}. Set `page-size` to that, or leave it out"
    )]
    Short { got: u64, size: u64 },
    #[error("the answer says that there are more records (`config.more`), and names no next page")]
    NoNext,
}

impl Pager {
    /// A round begins, here.
    pub fn begin(&mut self, step: &Step) {
        self.visited.clear();
        self.visited.insert(identity(step));
        self.before = None;
        self.short = None;
    }

    /// The page behind this one; `None`: it was the last.
    ///
    /// # Errors
    /// [`BadPages`].
    pub fn after(&mut self, config: &Config, step: &Step, page: &Page, at: Whereabouts<'_>) -> Result<Option<Step>, BadPages> {
        if page.more == Some(false) {
            return Ok(None);
        }
        let next = match config.pagination {
            Pagination::None => None,
            Pagination::Link => at.link.map(|link| Step::Url(resolve(at.url, link))),
            Pagination::Cursor => page.next.as_deref().map(|next| by_next(next, at)),
            Pagination::Page | Pagination::Offset => return self.counted(config, step, page),
        };
        let Some(next) = next else {
            return if page.more == Some(true) { Err(BadPages::NoNext) } else { Ok(None) };
        };
        // Feeds name the place at which nothing is yet as the next one.
        if page.count == 0 && &next == step {
            return Ok(None);
        }
        if !self.visited.insert(identity(&next)) {
            return Err(BadPages::Circle(text_of(&next)));
        }
        Ok(Some(next))
    }

    fn counted(&mut self, config: &Config, step: &Step, page: &Page) -> Result<Option<Step>, BadPages> {
        let by_page = config.pagination == Pagination::Page;
        if page.count > 0 && self.before.replace(page.content) == Some(page.content) {
            return Err(BadPages::Same(if by_page { "page" } else { "offset" }));
        }
        if page.more.is_none() && self.is_last(config, page.count)? {
            return Ok(None);
        }
        // What was filtered out of a page counts nowhere: of an empty one all is.
        let count = if page.count > 0 { page.count } else { config.page_size.unwrap_or_default() };
        match step {
            Step::Page(number) if by_page => Ok(Some(Step::Page(number + 1))),
            _ if by_page => Ok(Some(Step::Page(config.first_page + 1))),
            _ if count == 0 => Err(BadPages::NoNext),
            Step::Offset(offset) => Ok(Some(Step::Offset(offset + count))),
            _ => Ok(Some(Step::Offset(count))),
        }
    }

    /// Whether no page is behind one of so many records. Behind a short one it is looked, until one of as many was the last: an
    /// API that gives less than it was asked for would end there, with all others unread.
    fn is_last(&mut self, config: &Config, count: u64) -> Result<bool, BadPages> {
        let before = self.short.take();
        if let Some(got) = before {
            if count == 0 {
                self.last = self.last.max(got);
            } else {
                self.not_last = Some(self.not_last.map_or(got, |fewest| fewest.min(got)));
            }
        }
        let Some(size) = config.page_size.filter(|size| count < *size && count > 0) else { return Ok(count == 0) };
        if count <= self.last && self.not_last.is_none_or(|fewest| count < fewest) {
            return Ok(true);
        }
        // Counted in records the next one follows at once; a page's number may stand for as many as were asked for.
        if config.pagination == Pagination::Page && before == Some(count) && count >= LIKE_A_LIMIT {
            return Err(BadPages::Short { got: count, size });
        }
        self.short = Some(count);
        Ok(false)
    }
}

/// What `config.next` selected: a URL where no template takes a cursor.
fn by_next(json: &str, at: Whereabouts<'_>) -> Step {
    if at.by_url {
        let link: String = serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
        Step::Url(resolve(at.url, &link))
    } else {
        Step::Cursor(json.to_owned())
    }
}

fn identity(step: &Step) -> u64 {
    hash(format!("{step:?}").as_bytes())
}

/// For a message: URLs without their query, which may hold personal data.
fn text_of(step: &Step) -> String {
    match step {
        Step::Url(url) => url.split('?').next().unwrap_or_default().to_owned(),
        Step::Cursor(json) => json.chars().take(100).collect(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        serde_json::from_str(&format!(r#"{{"url": "https://h"{more}}}"#)).unwrap()
    }

    const HERE: Whereabouts<'_> = Whereabouts { url: "https://h/v1/o?x=1", link: None, by_url: false };

    /// Walks over answers; gives the steps behind each.
    fn walk(pager: &mut Pager, config: &Config, bodies: &[&str]) -> Result<Vec<Option<Step>>, BadPages> {
        let mut step = Step::First;
        pager.begin(&step);
        let mut steps = Vec::new();
        for body in bodies {
            let page = Page::read(config, body.as_bytes().to_vec()).unwrap();
            let next = pager.after(config, &step, &page, HERE)?;
            step = next.clone().unwrap_or(Step::First);
            steps.push(next);
        }
        Ok(steps)
    }

    #[test]
    fn pages_are_counted_to_an_empty_one() {
        let pages = config(r#", "pagination": "page", "first-page": 0"#);
        let found = walk(&mut Pager::default(), &pages, &["[1, 2]", "[3]", "[]"]).unwrap();
        assert_eq!(found, [Some(Step::Page(1)), Some(Step::Page(2)), None]);
        let offsets = config(r#", "pagination": "offset""#);
        let found = walk(&mut Pager::default(), &offsets, &["[1, 2]", "[3]", "[]"]).unwrap();
        assert_eq!(found, [Some(Step::Offset(2)), Some(Step::Offset(3)), None]);
    }

    #[test]
    fn a_short_page_is_the_last_once_one_of_as_many_was() {
        let pages = config(r#", "pagination": "page", "page-size": 3"#);
        let mut pager = Pager::default();
        let first = walk(&mut pager, &pages, &["[1, 2, 3]", "[4]", "[]"]).unwrap();
        assert_eq!(first, [Some(Step::Page(2)), Some(Step::Page(3)), None]);
        assert_eq!(walk(&mut pager, &pages, &["[1, 2, 3]", "[4]"]).unwrap(), [Some(Step::Page(2)), None]);
        let more = walk(&mut pager, &pages, &["[1, 2]", "[]"]).unwrap();
        assert_eq!(more, [Some(Step::Page(2)), None], "of two that is not known yet");
        assert_eq!(walk(&mut pager, &pages, &["[1, 2]"]).unwrap(), [None]);
    }

    #[test]
    fn an_api_that_gives_less_than_it_was_asked_for_is_read_to_its_end_after_small_rounds_too() {
        let offsets = config(r#", "pagination": "offset", "page-size": 9"#);
        let mut pager = Pager::default();
        assert_eq!(walk(&mut pager, &offsets, &["[1]", "[]"]).unwrap(), [Some(Step::Offset(1)), None]);
        for _ in 0..3 {
            let found = walk(&mut pager, &offsets, &["[1, 2]", "[3, 4]", "[5, 6]", "[]"]).unwrap();
            assert_eq!(found, [Some(Step::Offset(2)), Some(Step::Offset(4)), Some(Step::Offset(6)), None]);
        }
    }

    #[test]
    fn a_record_that_comes_between_a_short_page_and_the_next_stops_nothing() {
        let offsets = config(r#", "pagination": "offset", "page-size": 9"#);
        let mut pager = Pager::default();
        for _ in 0..3 {
            let found = walk(&mut pager, &offsets, &["[1]", "[2]", "[]"]).unwrap();
            assert_eq!(found, [Some(Step::Offset(1)), Some(Step::Offset(2)), None]);
        }
    }

    #[test]
    fn short_pages_by_number_that_are_all_as_long_stop_the_source() {
        let pages = config(r#", "pagination": "page", "page-size": 100"#);
        let ten = |first: u32| format!("{:?}", (first..first + 10).collect::<Vec<_>>());
        let error = walk(&mut Pager::default(), &pages, &[&ten(0), &ten(10)]).unwrap_err();
        assert_eq!(error, BadPages::Short { got: 10, size: 100 });
    }

    #[test]
    fn more_goes_on_behind_short_and_empty_pages() {
        let more = r#", "page-size": 2, "records": "$.d", "more": "$.more""#;
        let bodies = [r#"{"d": [], "more": true}"#, r#"{"d": [1], "more": true}"#, r#"{"d": [2], "more": false}"#];
        let pages = walk(&mut Pager::default(), &config(&format!(r#"{more}, "pagination": "page""#)), &bodies).unwrap();
        assert_eq!(pages, [Some(Step::Page(2)), Some(Step::Page(3)), None]);
        let offsets = walk(&mut Pager::default(), &config(&format!(r#"{more}, "pagination": "offset""#)), &bodies).unwrap();
        assert_eq!(offsets, [Some(Step::Offset(2)), Some(Step::Offset(3)), None]);
        let links = config(r#", "pagination": "link", "records": "$.d", "more": "$.more""#);
        assert_eq!(walk(&mut Pager::default(), &links, &bodies), Err(BadPages::NoNext));
        let unsized_offsets = config(r#", "pagination": "offset", "records": "$.d", "more": "$.more""#);
        assert_eq!(walk(&mut Pager::default(), &unsized_offsets, &bodies), Err(BadPages::NoNext));
    }

    #[test]
    fn pages_of_the_same_records_are_the_same_whatever_stands_around_them() {
        for size in ["", r#", "page-size": 2"#, r#", "page-size": 9"#] {
            let pages = config(&format!(r#", "pagination": "page", "records": "$.d"{size}"#));
            let bodies = [r#"{"d": [1, 2], "page": 1}"#, r#"{"page": 2, "d": [1, 2]}"#];
            assert_eq!(walk(&mut Pager::default(), &pages, &bodies), Err(BadPages::Same("page")), "{size}");
        }
    }

    #[test]
    fn an_empty_page_that_names_itself_is_the_end() {
        let cursors = config(r#", "pagination": "cursor", "records": "$.d", "next": "$.next""#);
        let bodies = [r#"{"d": [1], "next": "a"}"#, r#"{"d": [], "next": "a"}"#];
        assert_eq!(walk(&mut Pager::default(), &cursors, &bodies).unwrap(), [Some(Step::Cursor("\"a\"".to_owned())), None]);
    }

    #[test]
    fn pages_that_lead_in_a_circle_are_noticed() {
        let cursors = config(r#", "pagination": "cursor", "records": "$.d", "next": "$.next""#);
        let a = r#"{"d": [1], "next": "a"}"#;
        let error = walk(&mut Pager::default(), &cursors, &[a, r#"{"d": [1], "next": "b"}"#, a]).unwrap_err();
        assert_eq!(error, BadPages::Circle("\"a\"".to_owned()));
        let pages = config(r#", "pagination": "page""#);
        assert_eq!(walk(&mut Pager::default(), &pages, &["[1, 2]", "[1, 2]"]), Err(BadPages::Same("page")));
    }

    #[test]
    fn more_ends_a_round_before_all_else() {
        let cursors = config(r#", "pagination": "cursor", "records": "$.d", "next": "$.d[-1].id", "more": "$.more""#);
        let bodies = [r#"{"d": [{"id": 7}], "more": true}"#, r#"{"d": [{"id": 8}], "more": false}"#];
        let found = walk(&mut Pager::default(), &cursors, &bodies).unwrap();
        assert_eq!(found, [Some(Step::Cursor("7".to_owned())), None]);
    }

    #[test]
    fn a_link_and_a_url_lead_on_from_the_page_they_stand_in() {
        let links = config(r#", "pagination": "link""#);
        let page = Page::read(&links, b"[]".to_vec()).unwrap();
        let at = Whereabouts { link: Some("?page=2"), ..HERE };
        let next = Pager::default().after(&links, &Step::First, &page, at).unwrap();
        assert_eq!(next, Some(Step::Url("https://h/v1/o?page=2".to_owned())));
        let urls = config(r#", "pagination": "cursor", "records": "$.d", "next": "$.next""#);
        let page = Page::read(&urls, br#"{"d": [], "next": "\/v1\/o?after=a"}"#.to_vec()).unwrap();
        let at = Whereabouts { by_url: true, ..HERE };
        let next = Pager::default().after(&urls, &Step::First, &page, at).unwrap();
        assert_eq!(next, Some(Step::Url("https://h/v1/o?after=a".to_owned())));
    }
}
