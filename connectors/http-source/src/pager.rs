//! Which page comes next, and when a round is at its end. Notices pages that lead in a circle. Sends nothing.

use std::collections::HashSet;

use crate::config::{Config, Pagination};
use crate::page::Page;
use crate::place::Step;
use crate::seen::hash;
use crate::url::resolve;

/// What is remembered of the pages of a round.
#[derive(Debug, Default)]
pub struct Pager {
    /// Where the pages of this round were, as hashes.
    visited: HashSet<u64>,
    /// The answer before, as a hash.
    before: Option<u64>,
    /// A page of so few records that it has to be the last.
    short: Option<u64>,
    /// A short page was the last one once.
    short_is_last: bool,
    /// A short page was followed by a shorter one once: some had come or gone meanwhile.
    short_was_not_last: bool,
}

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
        if let Some(next) = &next
            && !self.visited.insert(identity(next))
        {
            return Err(BadPages::Circle(text_of(next)));
        }
        Ok(next)
    }

    fn counted(&mut self, config: &Config, step: &Step, page: &Page) -> Result<Option<Step>, BadPages> {
        if let (Some(got), Some(size)) = (self.short.take(), config.page_size) {
            if page.count >= got || page.count > 0 && self.short_was_not_last {
                return Err(BadPages::Short { got, size });
            }
            self.short_was_not_last |= page.count > 0;
            self.short_is_last |= page.count == 0;
        }
        if page.count == 0 {
            return Ok(None);
        }
        if config.page_size.is_some_and(|size| page.count < size) {
            if self.short_is_last {
                return Ok(None);
            }
            // Looked at once: an API that gives less than it was asked for would end here, with all others unread.
            self.short = Some(page.count);
        }
        let content = hash(page.body().as_bytes());
        let (name, next) = match (config.pagination, step) {
            (Pagination::Page, Step::Page(number)) => ("page", Step::Page(number + 1)),
            (Pagination::Page, _) => ("page", Step::Page(config.first_page + 1)),
            (_, Step::Offset(offset)) => ("offset", Step::Offset(offset + page.count)),
            _ => ("offset", Step::Offset(page.count)),
        };
        if self.before.replace(content) == Some(content) {
            return Err(BadPages::Same(name));
        }
        Ok(Some(next))
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
    fn a_short_page_is_the_last_once_that_was_seen_and_an_api_that_gives_less_is_told_of() {
        let pages = config(r#", "pagination": "page", "page-size": 2"#);
        let mut pager = Pager::default();
        let first = walk(&mut pager, &pages, &["[1, 2]", "[3]", "[]"]).unwrap();
        assert_eq!(first, [Some(Step::Page(2)), Some(Step::Page(3)), None]);
        assert_eq!(walk(&mut pager, &pages, &["[1, 2]", "[3]"]).unwrap(), [Some(Step::Page(2)), None]);
        let error = walk(&mut Pager::default(), &pages, &["[1]", "[2]"]).unwrap_err();
        assert_eq!(error, BadPages::Short { got: 1, size: 2 });
    }

    #[test]
    fn a_record_that_comes_between_a_short_page_and_the_next_stops_nothing_and_twice_it_does() {
        let pages = config(r#", "pagination": "page", "page-size": 3"#);
        let mut pager = Pager::default();
        let first = walk(&mut pager, &pages, &["[1, 2]", "[3]", "[]"]).unwrap();
        assert_eq!(first, [Some(Step::Page(2)), Some(Step::Page(3)), None]);
        let mut pager = Pager { short_was_not_last: true, ..Pager::default() };
        assert_eq!(walk(&mut pager, &pages, &["[1, 2]", "[3]"]), Err(BadPages::Short { got: 2, size: 3 }));
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
