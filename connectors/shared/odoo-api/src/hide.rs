//! What Odoo says of a record, without the record: its errors quote values, whole, in parts or cut off, and in another case. What
//! stands in logs, in `wharf status` and in the reason of a dead letter must hold none of them.

use std::collections::HashMap;

/// As much of a text as is looked at.
const LOOKED: usize = 4000;
/// So many characters that a value has too are of it, wherever they stand.
const RUN: usize = 12;
/// A value of at most so many words is hidden word by word: a name, an address, a short list. Of a longer one only the words with a
/// digit or an `@` are, as nothing would be left of Odoo's own.
const FEW: usize = 4;
/// Shorter words are hidden where they are the whole value.
const WORD: usize = 3;

/// The text in one line, with `…` in place of what stands in one of the values too.
#[must_use]
pub fn hide<'a>(said: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let line = one_line(said);
    let is_cut = line.chars().nth(LOOKED).is_some();
    let line: Vec<char> = line.chars().take(LOOKED).collect();
    let like: Vec<char> = line.iter().copied().map(fold).collect();
    let mut hidden = vec![false; line.len()];
    let mut runs: HashMap<&[char], Vec<usize>> = HashMap::new();
    for (at, run) in like.windows(RUN).enumerate() {
        runs.entry(run).or_default().push(at);
    }
    for value in values {
        let value: Vec<char> = one_line(value).chars().map(fold).collect();
        for at in value.windows(RUN).filter_map(|run| runs.get(run)).flatten() {
            mark(&mut hidden, *at, RUN);
        }
        for word in words(&value) {
            hide_word(&like, word, &mut hidden);
        }
    }
    // What begins there may be a value's, and is too short to be known.
    if is_cut {
        mark(&mut hidden, LOOKED - RUN, RUN);
    }
    let mut shown = String::with_capacity(said.len().min(LOOKED));
    for (at, c) in line.iter().enumerate() {
        match (hidden.get(at), at.checked_sub(1).and_then(|before| hidden.get(before))) {
            (Some(true), Some(true)) => {}
            (Some(true), _) => shown.push('…'),
            _ => shown.push(*c),
        }
    }
    shown
}

/// Whether a phrase of a message may have come into it by one of these values.
#[must_use]
pub fn is_in<'a>(phrase: &str, values: impl IntoIterator<Item = &'a str>) -> bool {
    let like = |text: &str| one_line(text).chars().map(fold).collect::<String>();
    let phrase = like(phrase);
    values.into_iter().any(|value| like(value).contains(&phrase))
}

/// Words joined by one space each.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same letter in lower case: Odoo writes addresses so.
fn fold(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// The parts of a value that are hidden where they stand by themselves.
fn words(value: &[char]) -> Vec<&[char]> {
    let is_between = |c: &char| c.is_whitespace() || ",;<>()[]{}\"'".contains(*c);
    let mut words: Vec<&[char]> = value.split(is_between).filter(|word| word.len() >= WORD).collect();
    if words.len() > FEW {
        words.retain(|word| word.iter().any(|c| *c == '@' || c.is_numeric()));
    }
    if value.len() < RUN {
        words.push(value);
    }
    words
}

/// Hides a word wherever no letter or digit goes on from it.
fn hide_word(line: &[char], word: &[char], hidden: &mut [bool]) {
    if word.is_empty() {
        return;
    }
    let goes_on = |at: Option<usize>| at.and_then(|at| line.get(at)).is_some_and(|c| c.is_alphanumeric());
    for (at, _) in line.windows(word.len()).enumerate().filter(|(_, part)| *part == word) {
        if !goes_on(at.checked_sub(1)) && !goes_on(Some(at + word.len())) {
            mark(hidden, at, word.len());
        }
    }
}

fn mark(hidden: &mut [bool], at: usize, length: usize) {
    if let Some(part) = hidden.get_mut(at..at + length) {
        part.fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_odoo_quotes_of_a_record_is_hidden_and_its_own_words_stay() {
        for (said, value, expected) in [
            (
                "Value 'ada@example.com deadlock detected' not found in selection field 'Address Type'",
                "ada@example.com deadlock detected",
                "Value '…' not found in selection field 'Address Type'",
            ),
            ("Detail: Key (email)=(ada@ex.de) already exists.", "Ada@Ex.de", "Detail: Key (email)=(…) already exists."),
            ("'Lovelace' is not allowed", "Ada Lovelace", "'…' is not allowed"),
            ("no record for external id 'base.de' in 'Tags'", "base.fr,base.de", "no record for external id '…' in 'Tags'"),
            ("'7' does not seem to be an integer", "7", "'…' does not seem to be an integer"),
            ("a value is of 77 parts", "7", "a value is of 77 parts"),
            ("Contacts require a name", "contact", "Contacts require a name"),
            ("Contacts require a name", "", "Contacts require a name"),
            ("a line\n  'a\nb c' is wrong", "A\n b  c", "a line '…' is wrong"),
            ("call 0170/555 or a@b.de today", "you reach me by 0170/555, or by a@b.de, or at home", "call … or … today"),
        ] {
            assert_eq!(hide(said, [value]), expected);
        }
        assert_eq!(hide("'Ada' and 'Bob'", ["Ada", "Bob"]), "'…' and '…'");
    }

    #[test]
    fn a_value_that_is_cut_off_is_hidden_as_far_as_it_goes() {
        let value = "the customer wants to be called at night, and never on a Monday";
        assert_eq!(hide("LINE 1: ...be called at night, and never o...", [value]), "LINE 1: ...…...");
        let long = format!("'{value}{}'", "ß".repeat(LOOKED));
        assert_eq!(hide(&long, [format!("{value}{}", "ß".repeat(LOOKED)).as_str()]), "'…");
        let cut = format!("{} secret-of-mine", "x".repeat(LOOKED - 9));
        assert_eq!(hide(&cut, ["a very long value that nobody will cut, secret-of-mine too"]).chars().last(), Some('…'));
        assert!(!hide(&cut, ["secret-of-mine"]).contains("secret"));
    }

    #[test]
    fn a_phrase_is_of_a_value_in_whatever_case_and_with_whatever_spaces_between() {
        assert!(is_in("deadlock detected", ["a", "x Deadlock\n detected"]));
        assert!(!is_in("deadlock detected", ["deadlock", "detected", ""]));
    }
}
