//! Files with `${NAME}` where a run puts its own values.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// What a run puts into files and arguments: name and value.
pub type Values = Vec<(&'static str, String)>;

/// A copy of a file in the run's folder, with the run's values.
///
/// # Errors
/// When it cannot be read or written, or names what has no value.
pub fn fill(from: &Path, folder: &Path, values: &Values) -> Result<PathBuf> {
    let to = folder.join(from.file_name().context("a file's name")?);
    std::fs::write(&to, text(from, values)?)?;
    Ok(to)
}

/// The text of a file with the run's values.
///
/// # Errors
/// When it cannot be read, or names what has no value.
pub fn text(from: &Path, values: &Values) -> Result<String> {
    let text = std::fs::read_to_string(from).with_context(|| from.display().to_string())?;
    filled(&text, values).with_context(|| from.display().to_string())
}

/// # Errors
/// When it names what has no value.
pub fn filled(text: &str, values: &Values) -> Result<String> {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    // A comment may name them.
    let left = text.lines().filter(|line| !line.trim_start().starts_with('#')).find(|line| line.contains("${"));
    match left {
        Some(line) => bail!("no value for what this line names: {line}"),
        None => Ok(text),
    }
}

/// The parts of PostgreSQL's URL, for those that take no URL. There is no password.
///
/// # Errors
/// When it has another form.
pub fn parts(url: &str) -> Result<Values> {
    let inner = url.strip_prefix("postgres://").and_then(|rest| {
        let (user, rest) = rest.split_once('@')?;
        let (place, database) = rest.split_once('/')?;
        Some((user, place.split_once(':')?, database))
    });
    let (user, (host, port), database) = inner.with_context(|| format!("{url} is not postgres://USER@HOST:PORT/DATABASE"))?;
    let values = [("PG_USER", user), ("PG_PASSWORD", ""), ("PG_HOST", host), ("PG_PORT", port), ("PG_DATABASE", database)];
    Ok(values.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::{filled, parts};

    #[test]
    fn what_is_named_is_filled_in_and_has_to_have_a_value() {
        let values = vec![("TOPIC", "orders".to_owned()), ("TABLE", "t".to_owned())];
        assert_eq!(filled("# ${ELSE}\n${TOPIC} to ${TABLE}, ${TOPIC}", &values).unwrap(), "# ${ELSE}\norders to t, orders");
        assert!(filled("a ${TOPIC}\nb ${ELSE}", &values).unwrap_err().to_string().contains("b ${ELSE}"));
    }

    #[test]
    fn parts_of_an_url() {
        let found = parts("postgres://wharf@127.0.0.1:20042/postgres").unwrap();
        let of = |name: &str| found.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str());
        assert_eq!((of("PG_USER"), of("PG_PASSWORD"), of("PG_PORT")), (Some("wharf"), Some(""), Some("20042")));
        assert!(parts("sqlite://file").is_err());
    }
}
