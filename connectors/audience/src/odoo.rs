//! Odoo, app Email Marketing, by JSON-2 or JSON-RPC: contacts (`mailing.contact`), and that one is on a list or has left it
//! (`mailing.subscription`). Keeps no state of members.
//!
//! Each call is a transaction of its own and takes all or nothing; what is refused is sent again in halves, down to one member.
//! Odoo answers 500 to a wrong value as to a fault of its own. The exception's name tells them apart (`wharf_odoo_api::is_passing`): what
//! has none, or tells of the database's state, is of no member and comes again as a whole. After others a write is in halves too, and
//! the one member is tried some times before it is believed to be at fault.
//!
//! Source: Odoo 19, addon `mass_mailing`, `models/mailing_contact.py` and `models/mailing_subscription.py`.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wharf_odoo_api::Server;
use wharf_sdk::{Error, Rejection, Result, log};

use crate::config::Config;
use crate::entry::Entry;
use crate::target::{Answer, Client, Clock, Status, Target, Verdict, without_address};

mod plan;
mod refusal;

use plan::Plan;
use refusal::Refusal;

const MOST: usize = 500;
/// How often one member is sent whose answer may be a fault of Odoo's own.
const TRIES: u32 = 5;
/// Statuses of a call that writes which may be about what was written.
const OF_A_WRITE: [u16; 2] = [403, 500];

/// One list.
#[derive(Debug)]
pub struct Odoo {
    client: Client,
    server: Server,
    list: i64,
    /// Fields of a contact that are written.
    fields: Vec<String>,
    /// List and fields are there.
    is_known: bool,
    /// How often members were sent that are to be tried again, by the hash of their address.
    tries: HashMap<String, u32>,
    /// Methods that the account may call: where one is refused, that is about the record.
    allowed: HashSet<String>,
    /// So many writes in a row were refused by something between.
    denied: u32,
}

/// A contact, with the fields that are written.
#[derive(Deserialize)]
struct Contact {
    id: i64,
    email_normalized: Value,
    is_blacklisted: bool,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// An address that wants no mailing at all.
#[derive(Deserialize)]
struct Blacklisted {
    email: String,
}

/// That a contact is on the list, or has left it.
#[derive(Deserialize)]
struct Subscription {
    id: i64,
    /// Id and name.
    contact_id: (i64, Value),
    opt_out: bool,
    /// `false` where the contact has not left, or Odoo does not know when.
    opt_out_datetime: Value,
    write_date: Value,
}

/// What a call came to.
enum Called<T> {
    Done(T),
    Refused(Refusal),
}

impl Odoo {
    /// # Errors
    /// `fatal` where the list is no number.
    pub fn new(config: &Config) -> Result<Self> {
        let list = config.list.parse().map_err(|_| Error::fatal("`config.list`: Odoo's lists have numbers"))?;
        Ok(Self {
            client: Client::new(config),
            server: config.server().map_err(Error::fatal)?,
            list,
            fields: config.fields.keys().cloned().collect(),
            is_known: false,
            tries: HashMap::new(),
            allowed: HashSet::new(),
            denied: 0,
        })
    }

    /// `statuses`: those that are about what was sent, beside 4xx.
    fn call<T: DeserializeOwned>(&mut self, method: &str, arguments: &Value, statuses: &[u16]) -> Result<Called<T>> {
        let (model, of_model) = method.split_once('/').unwrap_or((method, ""));
        self.server.set_timeout(self.client.timeout()?);
        let response = self.server.respond(model, of_model, arguments)?;
        match self.client.judge(response, statuses)? {
            Answer::Done(_, body) => serde_json::from_slice(&body).map(Called::Done).map_err(|e| self.client.unreadable(&e)),
            Answer::Refused(status, body, after) => {
                let json: Value = serde_json::from_slice(&body).unwrap_or_default();
                let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let refusal = Refusal { method: method.to_owned(), status, name: text("name"), said: text("message") };
                if status == 403 && refusal.name.is_empty() {
                    self.denied += 1;
                    return Err(self.client.denied_again(status, self.denied));
                }
                if status == 403 && !refusal.is_of_access() {
                    return Err(Error::fatal(self.client.denied(status)));
                }
                if refusal.is_of_no_member() {
                    let name = if refusal.name.is_empty() { String::new() } else { format!(" ({})", refusal.shown()) };
                    let error = Error::retry(format!("{} answers {status} to `{method}`{name}", self.client.host()));
                    return Err(match after {
                        Some(pause) => error.after(pause),
                        None => error,
                    });
                }
                if status == 404 && !refusal.is_missing() {
                    return Err(Error::fatal(format!(
                        "{} has no `{method}`: it takes the app Email Marketing, with tables named as in Odoo 19, and the database that \
                         `config.database` names",
                        self.client.host()
                    )));
                }
                Ok(Called::Refused(refusal))
            }
        }
    }

    /// A call that has no reason to be refused.
    fn read<T: DeserializeOwned>(&mut self, method: &str, arguments: &Value) -> Result<T> {
        match self.call(method, arguments, &[])? {
            Called::Done(rows) => Ok(rows),
            Called::Refused(refusal) if refusal.is_missing() => {
                Err(Error::retry(format!("{}: a record went while `{method}` was answered", self.client.host())))
            }
            Called::Refused(Refusal { status, .. }) => {
                Err(Error::fatal(format!("{} answers {status} to `{method}`", self.client.host())))
            }
        }
    }

    /// Odoo answers 500 to a field that it does not have, as to a fault of its own, and a withdrawal from a list that it does not have
    /// changes nothing and is no fault at all: so it is asked for fields and list, once.
    fn know(&mut self) -> Result<()> {
        if self.is_known {
            return Ok(());
        }
        if !self.fields.is_empty() {
            let question = json!({"allfields": self.fields, "attributes": ["type"]});
            let known: Map<String, Value> = self.read("mailing.contact/fields_get", &question)?;
            if let Some(missing) = self.fields.iter().find(|field| !known.contains_key(*field)) {
                return Err(Error::fatal(format!("`config.fields`: Odoo's `mailing.contact` has no field `{missing}`")));
            }
        }
        // Also where it is archived.
        let query = json!({"domain": [["id", "=", self.list], ["active", "in", [true, false]]], "fields": ["id"]});
        if self.read::<Vec<Value>>("mailing.list/search_read", &query)?.is_empty() {
            let (host, list) = (self.client.host(), self.list);
            return Err(Error::fatal(format!("{host} has no list {list}, or shows none: see `config.list`")));
        }
        self.is_known = true;
        Ok(())
    }

    fn contacts(&mut self, addresses: &[&str]) -> Result<HashMap<String, Vec<Contact>>> {
        let fields: Vec<_> =
            ["email_normalized", "is_blacklisted"].into_iter().chain(self.fields.iter().map(String::as_str)).collect();
        let query = json!({"domain": spelled("email_normalized", addresses), "fields": fields, "order": "id"});
        let mut by_address: HashMap<String, Vec<Contact>> = HashMap::new();
        for contact in self.read::<Vec<Contact>>("mailing.contact/search_read", &query)? {
            if let Some(address) = contact.email_normalized.as_str() {
                by_address.entry(address.to_lowercase()).or_default().push(contact);
            }
        }
        Ok(by_address)
    }

    /// Those of these addresses that are on the blacklist, which a contact that is still to be made would not tell.
    fn blacklisted(&mut self, addresses: &[&str]) -> Result<HashSet<String>> {
        if addresses.is_empty() {
            return Ok(HashSet::new());
        }
        let query = json!({"domain": spelled("email", addresses), "fields": ["email"], "order": "id"});
        let rows: Vec<Blacklisted> = self.read("mail.blacklist/search_read", &query)?;
        Ok(rows.into_iter().map(|row| row.email.to_lowercase()).collect())
    }

    fn subscriptions(&mut self, contacts: &[i64]) -> Result<HashMap<i64, Subscription>> {
        if contacts.is_empty() {
            return Ok(HashMap::new());
        }
        let query = json!({
            "domain": [["contact_id", "in", contacts], ["list_id", "=", self.list]],
            "fields": ["contact_id", "opt_out", "opt_out_datetime", "write_date"], "order": "id"
        });
        let rows: Vec<Subscription> = self.read("mailing.subscription/search_read", &query)?;
        Ok(rows.into_iter().map(|row| (row.contact_id.0, row)).collect())
    }

    /// Sees what is there, and what has to change. Verdicts are of those who cannot be subscribed.
    fn plan(&mut self, members: &[(&Entry, Status)]) -> Result<(Plan, Vec<Verdict>)> {
        let addresses: Vec<_> = members.iter().map(|(entry, _)| entry.address.text()).collect();
        let contacts = self.contacts(&addresses)?;
        let ids: Vec<_> = contacts.values().flatten().map(|contact| contact.id).collect();
        let subscriptions = self.subscriptions(&ids)?;
        let wanting = members.iter().filter(|(_, status)| *status == Status::Subscribed);
        let blacklisted = self.blacklisted(&wanting.map(|(entry, _)| entry.address.text()).collect::<Vec<_>>())?;
        let (mut plan, mut verdicts, mut left) = (Plan::default(), Vec::new(), 0);
        for (entry, status) in members {
            let contacts = contacts.get(entry.address.text()).map(Vec::as_slice).unwrap_or_default();
            let known: Vec<_> = contacts.iter().filter_map(|contact| subscriptions.get(&contact.id)).collect();
            if *status == Status::Unsubscribed {
                // Who is no contact, or not on the list, gets nothing of it.
                // With the time of the decision: Odoo's own would stand against decisions that were made since.
                let values = json!({"opt_out": true, "opt_out_datetime": text_of(entry.at)});
                let present = known.iter().filter(|subscription| !subscription.opt_out);
                plan.leave.extend(present.map(|subscription| json!([1, subscription.id, values])));
                verdicts.push(Verdict::Done);
            } else if blacklisted.contains(entry.address.text()) || contacts.iter().any(|contact| contact.is_blacklisted) {
                let why = "the address is on Odoo's blacklist: it wants no mailing at all, and has to be taken off there";
                verdicts.push(Verdict::Refused(Rejection::new("audience.compliance", why)));
            } else if known.iter().any(|subscription| subscription.left_at().is_some_and(|at| at >= entry.at)) {
                left += 1;
                verdicts.push(Verdict::Withheld);
            } else {
                plan.subscribe(entry, contacts, &known, self.list);
                verdicts.push(Verdict::Done);
            }
        }
        if left > 0 {
            log::info!(records = left, list = self.list; "subscriptions were withheld: the contacts have left the list at the same time or later, in Odoo itself");
        }
        Ok((plan, verdicts))
    }

    /// Carries a plan out; answers what the first refusal says. Who leaves comes first, and nobody is brought onto the list before its
    /// fields are taken: a member that is refused is not on it.
    fn carry_out(&mut self, plan: &Plan) -> Result<Option<Refusal>> {
        let of_list =
            |commands: &[Value]| ("mailing.list/write", json!({"ids": [self.list], "vals": {"subscription_ids": commands}}));
        let mut calls: Vec<(&str, Value)> = Vec::new();
        if !plan.leave.is_empty() {
            calls.push(of_list(&plan.leave));
        }
        calls.extend(plan.write.iter().map(|(id, values)| ("mailing.contact/write", json!({"ids": [id], "vals": values}))));
        if !plan.create.is_empty() {
            calls.push(("mailing.contact/create", json!({"vals_list": plan.create})));
        }
        if !plan.join.is_empty() {
            calls.push(of_list(&plan.join));
        }
        for (method, arguments) in calls {
            let made = arguments.get("vals_list").and_then(Value::as_array).map(Vec::len);
            if let Some(refusal) = self.change(method, &arguments, made)? {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    /// A call that writes. It answers with the ids of what was `made`, or true.
    fn change(&mut self, method: &str, arguments: &Value, made: Option<usize>) -> Result<Option<Refusal>> {
        let answer = match self.call::<Value>(method, arguments, &OF_A_WRITE)? {
            Called::Done(answer) => answer,
            Called::Refused(refusal) => return Ok(Some(refusal)),
        };
        let is_made = |count: usize| answer.as_array().is_some_and(|ids| ids.len() == count && ids.iter().all(Value::is_i64));
        if made.map_or(answer == Value::Bool(true), is_made) {
            self.allowed.insert(method.to_owned());
            self.denied = 0;
            return Ok(None);
        }
        Err(self.client.strange(200, &format!("what `{method}` of Odoo answers")))
    }

    /// What becomes of a member that is refused by itself.
    fn refused(&mut self, entry: &Entry, refusal: &Refusal) -> Result<Verdict> {
        let tries = self.tries.remove(&entry.member).unwrap_or_default() + 1;
        if refusal.is_missing() {
            // It may have been the list.
            self.is_known = false;
        }
        // Whether it is about this member the others tell, which come with it.
        let may_be_of_all = refusal.is_of_access() && !self.allowed.contains(&refusal.method);
        if (refusal.may_pass() || may_be_of_all) && tries < TRIES {
            self.tries.insert(entry.member.clone(), tries);
            return Ok(Verdict::Later);
        }
        if may_be_of_all {
            return Err(Error::fatal(self.client.denied(refusal.status)));
        }
        let (status, said) = (refusal.status, without_address(&refusal.said, &entry.address));
        let why = format!("{} answers {status}: {said}", self.client.host());
        Ok(Verdict::Refused(Rejection::new(format!("http.{status}"), why)))
    }
}

/// The condition that an address is one of these. Odoo keeps it in lower case, but leaves the part before the @ as it was written
/// where that is not ASCII (`email_normalize`). What `=ilike` finds beside it is of no address that is looked for.
fn spelled(field: &str, addresses: &[&str]) -> Vec<Value> {
    let others: Vec<_> = addresses.iter().filter(|address| !address.is_ascii()).collect();
    let mut domain = vec![json!("|"); others.len()];
    domain.push(json!([field, "in", addresses]));
    domain.extend(others.into_iter().map(|address| json!([field, "=ilike", address])));
    domain
}

/// As Odoo takes a time: UTC, in whole seconds.
fn text_of(micros: i64) -> String {
    let at = jiff::Timestamp::from_second(micros.div_euclid(1_000_000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_string().trim_end_matches('Z').replace('T', " ")
}

impl Subscription {
    /// When the contact left the list, microseconds since 1970; where Odoo does not know it, when the row was written last. To the end
    /// of the second: Odoo shows whole ones.
    fn left_at(&self) -> Option<i64> {
        let told = self.opt_out_datetime.as_str().or_else(|| self.write_date.as_str());
        let civil: jiff::civil::DateTime = told.filter(|_| self.opt_out)?.parse().ok()?;
        Some(jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?.as_microsecond() + 999_999)
    }
}

impl Target for Odoo {
    fn begin(&mut self, clock: Clock) {
        self.client.begin(clock);
    }

    fn most(&self) -> usize {
        MOST
    }

    fn put(&mut self, members: &[(&Entry, Status)]) -> Result<Vec<Verdict>> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        self.know()?;
        let (plan, verdicts) = self.plan(members)?;
        let Some(refusal) = self.carry_out(&plan)? else {
            self.tries.retain(|member, _| members.iter().all(|(entry, _)| entry.member != *member));
            return Ok(verdicts);
        };
        if let [(entry, _)] = members {
            // Another may have brought about meanwhile what was refused.
            let (left, verdicts) = self.plan(members)?;
            if left.is_empty() {
                self.tries.remove(&entry.member);
                return Ok(verdicts);
            }
            return Ok(vec![self.refused(entry, &refusal)?]);
        }
        // What was done already is seen, and not done twice.
        let (head, tail) = members.split_at(members.len() / 2);
        let mut verdicts = self.put(head)?;
        verdicts.extend(self.put(tail)?);
        Ok(verdicts)
    }

    fn remove(&mut self, entry: &Entry, erase: bool) -> Result<Verdict> {
        if !erase {
            return Ok(self.put(&[(entry, Status::Unsubscribed)])?.into_iter().next().unwrap_or(Verdict::Done));
        }
        let contacts = self.contacts(&[entry.address.text()])?;
        let ids: Vec<_> = contacts.values().flatten().map(|contact| contact.id).collect();
        if ids.is_empty() {
            return Ok(Verdict::Done);
        }
        let refusal = self.change("mailing.contact/unlink", &json!({"ids": ids}), None)?;
        refusal.map_or(Ok(Verdict::Done), |refusal| self.refused(entry, &refusal))
    }
}
