//! Which names a project can have: those of crates that are names of connectors too.

/// Longest name; it stands in names of topics and consumer groups, of which a log takes 249 characters.
const LONGEST: usize = 64;

/// Keywords, with which no crate can be named.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut",
    "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Crates that the project uses.
const USED: [&str; 7] = ["alloc", "core", "serde", "serde-json", "std", "test", "wharf-sdk"];

/// # Errors
/// What is wrong with it and, where one is near, a name that is good.
pub fn check(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(good) {
        let near: String = name.chars().map(|c| if c == '_' || c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let near = if near != name && check(&near).is_ok() { format!(", `{near}` for example") } else { String::new() };
        return Err(format!("`{name}` cannot be the name of a connector: use a-z, 0-9 and `-`{near}"));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(format!("`{name}` cannot be the name of a crate: begin with a letter"));
    }
    if name.len() > LONGEST {
        return Err(format!("`{name}` is too long: use at most {LONGEST} characters"));
    }
    if KEYWORDS.contains(&name) {
        return Err(format!("`{name}` cannot be the name of a crate: it is a keyword of Rust"));
    }
    if USED.contains(&name) {
        return Err(format!("`{name}` is the name of a crate that every connector uses: choose another one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_of_a_crate_and_a_connector_is_refused_with_what_is_wrong() {
        for (name, reason) in [
            ("", "use a-z, 0-9 and `-`"),
            ("My_Sink", "`my-sink` for example"),
            ("a/b", "use a-z, 0-9 and `-`"),
            ("..", "use a-z, 0-9 and `-`"),
            ("größe", "use a-z, 0-9 and `-`"),
            ("7days", "begin with a letter"),
            ("-x", "begin with a letter"),
            ("match", "keyword"),
            ("serde-json", "every connector uses"),
        ] {
            let refused = check(name).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
        assert!(check(&"x".repeat(65)).unwrap_err().contains("at most 64"));
        for name in ["mine", "s3-archive", "x"] {
            assert_eq!(check(name), Ok(()));
        }
    }

    #[test]
    fn the_keywords_are_sorted_so_that_a_missing_one_is_seen() {
        assert!(KEYWORDS.is_sorted());
    }
}
