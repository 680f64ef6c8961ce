//! Mailchimp, Marketing API 3.0: `POST /lists/{list_id}` for up to 500 members, `PUT /lists/{list_id}/members/{hash}` in halves down to one
//! where its answer cannot be told apart, `DELETE` and `delete-permanent` for members that are gone. Keeps no state of members.
//!
//! Source: the published specification. A batch answers 200 also where it refused members: `errors` names them by address.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wharf_sdk::http::Request;
use wharf_sdk::{Error, Rejection, Result};

use crate::config::Config;
use crate::entry::{Address, Entry};
use crate::target::{Answer, Client, Clock, Status, Target, Verdict, problem, without_address};

/// "Up to 500 members may be added or updated with each API call."
const MOST: usize = 500;

/// One list.
#[derive(Debug)]
pub struct Mailchimp {
    client: Client,
    list: String,
    is_known: bool,
}

/// The answer to a batch, as far as it is needed.
#[derive(Deserialize)]
struct Batch {
    new_members: Vec<Value>,
    updated_members: Vec<Value>,
    errors: Vec<Refusal>,
    error_count: Option<usize>,
}

/// A member as the service holds it.
#[derive(Deserialize)]
struct Held {
    #[serde(default, deserialize_with = "or_empty")]
    id: String,
    #[serde(default, deserialize_with = "or_empty")]
    email_address: String,
    status: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default, deserialize_with = "or_empty")]
    email_address: String,
    #[serde(default, deserialize_with = "or_empty")]
    error: String,
    #[serde(default, deserialize_with = "or_empty")]
    error_code: String,
    #[serde(default, deserialize_with = "or_empty")]
    field: String,
}

/// A text; empty for null.
fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

impl Mailchimp {
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { client: Client::new(config), list: config.list.clone(), is_known: false }
    }

    fn no_list(&self) -> Error {
        Error::fatal(format!(
            "{} has no list `{}`: see `config.list`, and `config.url` with /3.0 at its end",
            self.client.host(),
            self.list
        ))
    }

    /// That the list is there, once: a member that is not found tells nothing of it.
    fn know(&mut self) -> Result<()> {
        if self.is_known {
            return Ok(());
        }
        let request = Request::get(self.client.url(&format!("lists/{}", self.list))).query("fields", "id");
        match self.client.send(request)? {
            Answer::Done(code, body) => match serde_json::from_slice::<Value>(&body) {
                Ok(list) if list.get("id").is_some_and(Value::is_string) => self.is_known = true,
                _ => return Err(self.client.strange(code, "the list")),
            },
            Answer::Refused(404, ..) => return Err(self.no_list()),
            Answer::Refused(code, ..) => {
                return Err(Error::fatal(format!("{} answers {code} for list `{}`", self.client.host(), self.list)));
            }
        }
        Ok(())
    }

    /// Each member by itself: its answer is about it alone.
    fn put_one(&mut self, entry: &Entry, status: Status) -> Result<Verdict> {
        let url = self.client.url(&format!("lists/{}/members/{}", self.list, entry.address.md5()));
        let mut body = member(entry, status);
        body.insert("status_if_new".to_owned(), status.name().into());
        match self.client.send(Request::put(url).query("skip_merge_validation", "true").json(&body)?)? {
            Answer::Done(code, body) => match serde_json::from_slice::<Held>(&body) {
                Ok(held) if held.is(&entry.address) => Ok(held.verdict(status)),
                _ => Err(self.client.strange(code, "the member")),
            },
            Answer::Refused(404, ..) => Err(self.no_list()),
            Answer::Refused(code, body, _) => Ok(Verdict::Refused(refused(self.client.host(), code, &body))),
        }
    }
}

impl Held {
    /// Whether it is this member: by its id or, where the service takes another spelling for that, by its address.
    fn is(&self, address: &Address) -> bool {
        self.id == address.md5() || Address::read(&self.email_address).is_some_and(|held| held == *address)
    }

    /// Whether the member is what it was to be. Who has left may also be cleaned, archived or the like.
    fn verdict(&self, asked: Status) -> Verdict {
        let is_on_list = self.status == Status::Subscribed.name();
        if is_on_list == (asked == Status::Subscribed) {
            return Verdict::Done;
        }
        // The service's own word, of a short list.
        let held: String = self.status.chars().filter(char::is_ascii_alphabetic).take(20).collect();
        let why = format!("Mailchimp was told that the member is {}, and holds it as {held}", asked.name());
        Verdict::Refused(Rejection::new("audience.status", why))
    }
}

impl Target for Mailchimp {
    fn begin(&mut self, clock: Clock) {
        self.client.begin(clock);
    }

    fn most(&self) -> usize {
        MOST
    }

    fn put(&mut self, members: &[(&Entry, Status)]) -> Result<Vec<Verdict>> {
        match members {
            [] => return Ok(Vec::new()),
            [(entry, status)] => return Ok(vec![self.put_one(entry, *status)?]),
            _ => {}
        }
        let all: Vec<_> = members.iter().map(|(entry, status)| member(entry, *status)).collect();
        let body = json!({"members": all, "update_existing": true});
        let url = self.client.url(&format!("lists/{}", self.list));
        match self.client.send(Request::post(url).query("skip_merge_validation", "true").json(&body)?)? {
            Answer::Done(_, body) => {
                let batch: Batch = serde_json::from_slice(&body).map_err(|e| self.client.unreadable(&e))?;
                if let Some(verdicts) = verdicts(&batch, members) {
                    return Ok(verdicts);
                }
            }
            Answer::Refused(404, ..) => return Err(self.no_list()),
            Answer::Refused(..) => {}
        }
        // Refused as a whole, or it is not clear who was. To send a member again does no harm: in halves, to the one at fault.
        let (head, tail) = members.split_at(members.len() / 2);
        let mut verdicts = self.put(head)?;
        verdicts.extend(self.put(tail)?);
        Ok(verdicts)
    }

    fn remove(&mut self, entry: &Entry, erase: bool) -> Result<Verdict> {
        let url = self.client.url(&format!("lists/{}/members/{}", self.list, entry.address.md5()));
        let request = if erase { Request::post(format!("{url}/actions/delete-permanent")) } else { Request::delete(url) };
        match self.client.send(request)? {
            Answer::Done(204, _) => Ok(Verdict::Done),
            Answer::Done(code, _) => Err(self.client.strange(code, "204")),
            // Who is not there need not be removed.
            Answer::Refused(404, ..) => {
                self.know()?;
                Ok(Verdict::Done)
            }
            // There are members that the service does not archive: they are to get nothing all the same.
            Answer::Refused(405, ..) if !erase => self.put_one(entry, Status::Unsubscribed),
            Answer::Refused(code, body, _) => Ok(Verdict::Refused(refused(self.client.host(), code, &body))),
        }
    }
}

/// A member as the service takes it. Who leaves needs no fields.
fn member(entry: &Entry, status: Status) -> Map<String, Value> {
    let mut member = Map::new();
    member.insert("email_address".to_owned(), entry.address.text().into());
    member.insert("status".to_owned(), status.name().into());
    if status == Status::Subscribed && !entry.fields.0.is_empty() {
        member.insert("merge_fields".to_owned(), entry.fields.0.clone().into());
    }
    member
}

/// What a batch tells of each member; `None` where it does not tell of each of them once, or tells of another.
fn verdicts(batch: &Batch, members: &[(&Entry, Status)]) -> Option<Vec<Verdict>> {
    let told = batch.new_members.len() + batch.updated_members.len() + batch.errors.len();
    if told != members.len() || batch.error_count.is_some_and(|count| count != batch.errors.len()) {
        return None;
    }
    let mut by_address: HashMap<String, &Refusal> = HashMap::new();
    for refusal in &batch.errors {
        by_address.insert(Address::read(&refusal.email_address)?.text().to_owned(), refusal);
    }
    let rows = batch.new_members.iter().chain(&batch.updated_members);
    let held: Vec<Held> = rows.map(Held::deserialize).collect::<Result<_, _>>().ok()?;
    let by_id: HashMap<_, _> = held.iter().map(|held| (held.id.clone(), held)).collect();
    let named = |held: &'_ Held| Address::read(&held.email_address).map(|address| address.text().to_owned());
    let by_name: HashMap<_, _> = held.iter().filter_map(|held| Some((named(held)?, held))).collect();
    let verdict = |(entry, asked): &(&Entry, Status)| {
        if let Some(refusal) = by_address.get(entry.address.text()) {
            return Some(Verdict::Refused(refusal.rejection(&entry.address)));
        }
        let held = by_id.get(&entry.address.md5()).or_else(|| by_name.get(entry.address.text()))?;
        Some(held.verdict(*asked))
    };
    // As many were told of as were sent, and each that was sent is told of: nobody else is.
    members.iter().map(verdict).collect()
}

impl Refusal {
    /// The service has two codes only; the rest is told from its words.
    fn rejection(&self, address: &Address) -> Rejection {
        let words = self.error.to_lowercase();
        let code = if words.contains("compliance") {
            "audience.compliance"
        } else if !self.field.is_empty() {
            "audience.field"
        } else if words.contains("fake") || words.contains("invalid") || words.contains("valid email") {
            "audience.address"
        } else {
            "audience.refused"
        };
        let field = if self.field.is_empty() { String::new() } else { format!(" (field {})", self.field) };
        let said = without_address(&self.error, address);
        Rejection::new(code, format!("Mailchimp refuses this member{field}: {}: {said}", self.error_code))
    }
}

/// A status that is about one member.
fn refused(host: &str, status: u16, body: &[u8]) -> Rejection {
    let said = problem(body);
    let code =
        if said.to_lowercase().contains("compliance") { "audience.compliance".to_owned() } else { format!("http.{status}") };
    Rejection::new(code, format!("{host} answers {status}: {said}"))
}
