//! What is wrong with a configuration, and how it is shown: title, place, the line with a caret, what was expected, the nearest
//! valid name. Owns rendering; decides nothing about what is valid.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::path::PathBuf;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One finding, with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// What is wrong, one line without a full stop.
    pub title: String,
    /// Bytes in the file; `None`: the file as a whole.
    pub span: Option<Range<usize>>,
    /// What was expected there; may be empty.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// The line is shown up to the end of `span` only: what follows may be a secret, whatever it is called.
    pub cut: bool,
}

impl Diagnostic {
    #[must_use]
    pub fn error(span: Range<usize>, title: impl Into<String>) -> Self {
        Self { severity: Severity::Error, title: title.into(), span: Some(span), label: String::new(), help: None, cut: false }
    }

    #[must_use]
    pub fn warning(span: Range<usize>, title: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, title) }
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn cut(self) -> Self {
        Self { cut: true, ..self }
    }

    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// All findings of one file together with the text they point into. Display renders them as rustc does.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub path: PathBuf,
    pub text: String,
    pub list: Vec<Diagnostic>,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.list {
            self.render(f, diagnostic)?;
            writeln!(f)?;
        }
        let count = |severity| self.list.iter().filter(|d| d.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        write!(f, "{}: ", self.path.display())?;
        match (errors, warnings) {
            (e, 0) => f.write_str(&plural(e, "error")),
            (0, w) => f.write_str(&plural(w, "warning")),
            (e, w) => write!(f, "{}, {}", plural(e, "error"), plural(w, "warning")),
        }
    }
}

impl Findings {
    fn render(&self, f: &mut fmt::Formatter<'_>, diagnostic: &Diagnostic) -> fmt::Result {
        let word = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{word}: {}", diagnostic.title)?;
        let Some(span) = &diagnostic.span else {
            writeln!(f, " --> {}", self.path.display())?;
            return diagnostic.help.as_ref().map_or(Ok(()), |help| writeln!(f, "  = help: {help}"));
        };
        let place = Place::of(&self.text, span);
        let gutter = " ".repeat(place.line.to_string().len());
        writeln!(f, "{gutter}--> {}:{}:{}", self.path.display(), place.line, place.column)?;
        writeln!(f, "{gutter} |")?;
        if diagnostic.cut {
            let shown: String = place.content.chars().take(place.indent + place.marked).collect();
            writeln!(f, "{} | {shown}…", place.line)?;
        } else {
            writeln!(f, "{} | {}", place.line, place.content)?;
        }
        let label = if diagnostic.label.is_empty() { String::new() } else { format!(" {}", diagnostic.label) };
        writeln!(f, "{gutter} | {}{}{label}", " ".repeat(place.indent), "^".repeat(place.marked.max(1)))?;
        if let Some(help) = &diagnostic.help {
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{gutter} = help: {help}")?;
        }
        Ok(())
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// A configuration that cannot be used: every finding, in the order of the file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigErrors(pub Findings);

/// A span as a person counts: line and column from 1, in characters.
struct Place {
    line: usize,
    column: usize,
    content: String,
    /// Characters before the caret in `content`, where a tab is shown as four blanks.
    indent: usize,
    /// Characters that are meant, of which none may be in this line.
    marked: usize,
}

impl Place {
    fn of(text: &str, span: &Range<usize>) -> Self {
        let start = floor(text, span.start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let content = rest.lines().next().unwrap_or_default();
        let line_end = line_start + content.len();
        let end = floor(text, span.end).clamp(start, line_end.max(start));
        let lead = text.get(line_start..start).unwrap_or_default();
        let marked = text.get(start..end).unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: lead.chars().count() + 1,
            content: expand(&hide(content)),
            indent: expand(lead).chars().count(),
            marked: expand(marked).chars().count(),
        }
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

fn expand(text: &str) -> String {
    text.replace('\t', "    ")
}

/// Keys whose literal value is not repeated in an error, as errors end in logs.
const HIDDEN: [&str; 6] = ["password", "secret", "bearer", "salt", "value", "url"];

/// Stars, one a character, over the literal strings of [`HIDDEN`] keys; references stay readable.
fn hide(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut hidden: Option<&str> = None;
    let mut rest = line;
    while let Some(open) = rest.find(['"', '\'']) {
        let (head, tail) = rest.split_at(open);
        let mut chars = tail.chars();
        let quote = chars.next().unwrap_or('"');
        let body = chars.as_str();
        let close = body.find(quote).unwrap_or(body.len());
        let (inner, after) = body.split_at(close);
        let key = head.trim_end().trim_end_matches('=').trim_end();
        hidden = if head.trim_end().ends_with('=') && !key.is_empty() {
            hidden_by(key)
        } else {
            hidden.filter(|_| head.trim() == "=")
        };
        shown.push_str(head);
        shown.push(quote);
        if hidden.is_some_and(|word| word != "url" || !is_bare_http(inner)) && !inner.contains("${") {
            shown.extend(inner.chars().map(|_| '*'));
        } else {
            shown.push_str(inner);
        }
        // A quoted key such as "sasl.password" hides the value that follows it.
        hidden = hidden_by(inner);
        if let Some(next) = after.strip_prefix(quote) {
            shown.push(quote);
            rest = next;
        } else {
            rest = after;
        }
    }
    shown.push_str(rest);
    shown
}

fn hidden_by(key: &str) -> Option<&'static str> {
    HIDDEN.into_iter().find(|word| key.ends_with(word))
}

/// An address of HTTP without a user and without a query: a database's holds a password more often than not.
fn is_bare_http(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(['@', '?'])
}

/// The nearest of `valid` to what was written, when it is near enough to be a slip.
pub fn nearest<'a>(written: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    valid
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.chars().count().max(written.chars().count()) / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// "did you mean `x`?", or the list of what there is, or that there is nothing.
pub fn suggest<'a>(written: &str, what: &str, valid: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(name) = nearest(written, valid.clone()) {
        return format!("did you mean `{name}`?");
    }
    let list = listed(valid);
    if list.is_empty() { format!("there is no {what} in this file") } else { format!("there is: {list}") }
}

/// Names in backquotes, with commas.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().fold(String::new(), |mut list, name| {
        if !list.is_empty() {
            list.push_str(", ");
        }
        // Writing to a String cannot fail.
        if write!(list, "`{name}`").is_err() {
            list.push_str(name);
        }
        list
    })
}
