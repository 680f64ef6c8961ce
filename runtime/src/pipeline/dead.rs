//! Dead letters of one task: makes them, counts them against the stop window, and says where the task must stop.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::batch::{Batch, Record};
use crate::capability::veil::Veil;
use crate::config::Connector;
use crate::dead_letter::{DeadLetters, Stage, Window};
use crate::outcome::Rejection;
use crate::pipeline::TaskError;
use crate::telemetry::{Buried, ConnectorMetrics};
use crate::topic_log::{Assignment, Refused};

/// Where this task's bad records go.
#[derive(Debug)]
pub struct Dead {
    /// `None`: dead letters are switched off.
    letters: Option<DeadLetters>,
    window: Window,
    /// A receiver may echo credentials in the answer that a reason quotes.
    veil: Veil,
    /// Letters that were made and are not confirmed yet.
    made: Mutex<Option<Made>>,
}

/// Letters of a step.
#[derive(Debug)]
struct Made {
    buried: Buried,
    /// What was said of the first of them, and how many there are of each code.
    reason: String,
    codes: BTreeMap<String, u64>,
}

/// Of a reason, for a line that names it as an example.
const REASON: usize = 300;
/// The reason where no content may be kept.
const UNSAID: &str = "not kept, as it may quote the record (`dead-letter.value = \"omit\"`): code and field tell what is wrong";
/// The commonest codes that such a line counts.
const CODES: usize = 5;

impl Dead {
    #[must_use]
    pub fn new(deployment: &str, connector: &Connector, component: &str, task: u32, veil: Veil) -> Self {
        let letters = connector.dead_letter.topic.as_ref().map(|topic| DeadLetters {
            topic: topic.clone(),
            deployment: deployment.to_owned(),
            connector: connector.name.clone(),
            task,
            component: component.to_owned(),
            keep_value: connector.dead_letter.keep_value,
            max_record_bytes: connector.max_record_bytes,
            topic_ids: BTreeMap::new(),
        });
        Self { letters, window: Window::new(&connector.dead_letter), veil, made: Mutex::default() }
    }

    /// Letters of these partitions' records name their topic by its id too.
    pub fn reads(&mut self, list: &[Assignment]) {
        if let Some(letters) = &mut self.letters {
            letters.topic_ids.extend(list.iter().map(|a| (a.partition.topic.to_string(), a.topic_id.clone())));
        }
    }

    /// Appends the dead letter of a record to `into`.
    ///
    /// # Errors
    /// [`TaskError::Failed`] when dead letters are switched off: the first bad record stops the task.
    pub fn push(&self, into: &mut Batch, record: &Record<'_>, stage: Stage, rejection: &Rejection) -> Result<(), TaskError> {
        let rejection = &*self.shown(rejection);
        let Some(letters) = &self.letters else {
            return Err(TaskError::Failed(format!(
                "record {} cannot be delivered and dead letters are switched off: {} ({}). Fix the record or set `dead-letter` to a topic",
                place(record),
                rejection.message,
                rejection.code
            )));
        };
        letters.push(into, record, stage, rejection);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, topic) = (rejection.code.clone(), letters.topic.clone());
        let made = made.get_or_insert_with(|| Made {
            buried: Buried { letters: 0, code, place: place(record), topic },
            reason: reason(rejection),
            codes: BTreeMap::new(),
        });
        made.buried.letters += 1;
        *made.codes.entry(rejection.code.clone()).or_default() += 1;
        Ok(())
    }

    /// Makes letters anew that the log refused, so that it takes them: cut, or with another time.
    ///
    /// # Errors
    /// Where one cannot be made otherwise: someone has to change the dead-letter topic, or there would be no place for it.
    pub fn again(&self, into: &mut Batch, letters: &Batch, refused: &[Refused]) -> Result<(), TaskError> {
        let made: Vec<_> = letters.records().collect();
        for Refused { index, code, reason } in refused {
            let letter = made.get(*index).zip(self.letters.as_ref());
            if !letter.is_some_and(|(letter, letters)| letters.push_again(into, letter, code)) {
                return Err(TaskError::Failed(format!("the log refuses a dead letter, nothing is committed: {reason}")));
            }
        }
        Ok(())
    }

    /// What may be shown of a rejection.
    fn shown<'r>(&self, rejection: &'r Rejection) -> Cow<'r, Rejection> {
        if self.letters.as_ref().is_some_and(|letters| !letters.keep_value) {
            return Cow::Owned(Rejection { message: UNSAID.to_owned(), ..rejection.clone() });
        }
        match self.veil.over(&rejection.message) {
            Cow::Owned(message) => Cow::Owned(Rejection { message, ..rejection.clone() }),
            Cow::Borrowed(_) => Cow::Borrowed(rejection),
        }
    }

    /// The letters that were made since the last call are confirmed.
    pub fn confirmed(&self, metrics: &ConnectorMetrics) {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(made) = made {
            metrics.buried(made.buried);
        }
    }

    /// Before a step's dead letters are written: whether they are more than the window allows. Nothing of the step is confirmed
    /// then, so that a restart meets the same records instead of pouring further ones away.
    ///
    /// # Errors
    /// [`TaskError::Failed`] where the connector must stop.
    pub fn check(&self, good: usize, dead: usize) -> Result<(), TaskError> {
        let mut window = self.window.clone();
        if dead > 0 && window.step(good, dead) {
            return Err(TaskError::Failed(format!(
                "stopped so as not to pour the topic away: {}{}. The records stay where they are and come again. Fix the cause and start \
                 again, or allow more by `dead-letter = {{ window = {{ size = …, limit = … }} }}`",
                window.describe(),
                self.described()
            )));
        }
        Ok(())
    }

    /// The letters of this step, which are not written: nobody could look them up.
    fn described(&self) -> String {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Made { buried, reason, codes }) = &*made else { return String::new() };
        let mut codes: Vec<_> = codes.iter().collect();
        codes.sort_by_key(|(_, letters)| std::cmp::Reverse(**letters));
        let counts: Vec<_> = codes.iter().take(CODES).map(|(code, letters)| format!("{code} {letters}")).collect();
        format!(" ({}; the first: {}: {reason})", counts.join(", "), buried.place)
    }

    /// Counts records of one confirmed step. It was checked before; what a restart repeats does not stop here.
    pub fn count(&mut self, good: usize, dead: usize) {
        if self.window.step(good, dead) {
            tracing::debug!(window = self.window.describe(), "the window is over its limit");
        }
    }
}

/// What is wrong with a record, and where in it.
fn reason(rejection: &Rejection) -> String {
    let field = rejection.field.as_ref().map(|field| format!(" at `{field}`")).unwrap_or_default();
    let cut = rejection.message.char_indices().nth(REASON).map_or(rejection.message.len(), |(end, _)| end);
    format!("{}{field}", rejection.message.get(..cut).unwrap_or_default())
}

/// A record's place for people: topic/partition/offset, as far as it is known.
#[must_use]
pub fn place(record: &Record<'_>) -> String {
    if record.offset < 0 {
        format!("for topic `{}`", record.topic)
    } else {
        format!("{}/{}/{}", record.topic, record.partition, record.offset)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_credential_that_a_receiver_echoes_is_not_in_the_dead_letter() {
        let text = r#"
[[sink]]
name = "out"
component = "http"
topics = ["t"]
allow.http = ["a.example.com", "b.example.com"]
auth."a.example.com" = { bearer = "token-4711" }
auth."b.example.com" = { basic = { user = "u", password = "p-0815" } }
"#;
        let config = Config::parse(text, std::path::Path::new("w.toml")).unwrap();
        let connector = &config.sinks[0].connector;
        let dead = Dead::new("wharf", connector, "http", 0, Veil::of(&connector.auth, Vec::new()));
        let pair = STANDARD.encode("u:p-0815");
        let echoed = format!("answers 400: Bearer token-4711, Basic {pair}, p-0815");
        let mut letters = Batch::default();
        let record = Record {
            topic: "t",
            partition: 0,
            offset: 7,
            timestamp: 0,
            key: None,
            value: Some(b"v"),
            headers: Vec::new(),
            attempt: 1,
        };
        dead.push(&mut letters, &record, Stage::TaskPut, &Rejection::new("http.400", &*echoed)).unwrap();
        let mut off = dead;
        off.letters = None;
        let refused = off.push(&mut Batch::default(), &record, Stage::TaskPut, &Rejection::new("http.400", echoed)).unwrap_err();
        let written = format!("{} {refused}", String::from_utf8_lossy(&letters.data));
        assert_eq!(written.matches("answers 400: Bearer ***, Basic ***, ***").count(), 2, "{written}");
        assert!(written.contains("answers 400: Bearer ***, Basic ***, ***"), "{written}");
        for secret in ["token-4711", "p-0815", pair.as_str()] {
            assert!(!written.contains(secret), "{written}");
        }
    }
}
