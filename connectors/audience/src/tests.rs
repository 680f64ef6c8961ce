//! The sink against a service with lists and a database: what arrives there, what is told of each record, and what is written
//! down when.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value, json};
use wharf_sdk::http::{Request, Response};
use wharf_sdk::sql::{Column, ColumnDef, Kind, Rejected, Rows, Table, Value as Cell};
use wharf_sdk::{NewRecord, Records, Verdict as Told, testing};

use super::*;

mod batches;
mod consent;
mod odoo;
mod races;
mod recorded;

/// Rows of the table: member, mark, time, writer.
type Ledgered = BTreeSet<(String, String, i64, String)>;

fn text(rows: &Rows, column: usize, row: usize) -> String {
    match rows.columns[column].iter().nth(row).unwrap().unwrap() {
        Cell::Text(text) => text.to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The table of a test, without a database around it. Changes it as `apply` says, answers the one query of the sink.
fn apply(rows: &Rows, ledger: &mut Ledgered) {
    for row in 0..rows.count as usize {
        let Cell::Int(happened) = rows.columns[3].iter().nth(row).unwrap().unwrap() else { panic!("no time") };
        let row_of = (text(rows, 1, row), text(rows, 2, row), happened, text(rows, 4, row));
        if rows.deletes.get(row) {
            ledger.remove(&row_of)
        } else {
            ledger.insert(row_of)
        };
    }
}

fn query(parameters: &[Column], ledger: &Ledgered) -> Vec<Column> {
    let asked: BTreeSet<_> = parameters[1..]
        .iter()
        .map(|column| match column.iter().next().unwrap().unwrap() {
            Cell::Text(text) => text.to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    let mut spans = std::collections::BTreeMap::new();
    for (member, mark, happened, _) in ledger.iter().filter(|(member, ..)| asked.contains(member)) {
        let span = spans.entry((member, mark)).or_insert((*happened, *happened));
        *span = (span.0.min(*happened), span.1.max(*happened));
    }
    let mut columns = [Column::new("member", Kind::Text), Column::new("mark", Kind::Text)];
    let mut times = [Column::new("earliest", Kind::Int64), Column::new("latest", Kind::Int64)];
    for ((member, mark), (earliest, latest)) in spans {
        columns[0].push(Cell::Text(member)).unwrap();
        columns[1].push(Cell::Text(mark)).unwrap();
        times[0].push(Cell::Int(earliest)).unwrap();
        times[1].push(Cell::Int(latest)).unwrap();
    }
    columns.into_iter().chain(times).collect()
}

/// What the tests see, and what they break.
#[derive(Default)]
struct World {
    ledger: Ledgered,
    requests: Vec<Request>,
    /// So many calls of the database succeed, then one fails.
    database_fails_after: Option<usize>,
    refuses_table: bool,
}

type Shared = Rc<RefCell<World>>;

struct TestDatabase(Shared);

impl TestDatabase {
    fn call(&self) -> Result<()> {
        let left = &mut self.0.borrow_mut().database_fails_after;
        match left {
            Some(0) => {
                *left = None;
                Err(Error::retry("the database is away"))
            }
            Some(count) => {
                *count -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl testing::Database for TestDatabase {
    fn ensure(&mut self, connection: &str, table: &Table, columns: &[ColumnDef]) -> Result<()> {
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        if self.0.borrow().refuses_table {
            return Err(Error::reject("no right to make a table"));
        }
        assert_eq!((connection, table.name.as_str()), ("consent", "audience_consent"));
        assert_eq!((names, table.key.len()), (vec!["audience", "member", "mark", "happened", "writer"], 5));
        Ok(())
    }

    fn columns(&mut self, _: &str, _: &str) -> Result<Vec<ColumnDef>> {
        Err(Error::fatal("nobody asks for columns"))
    }

    fn apply(&mut self, _: &str, _: &Table, rows: Rows) -> Result<Vec<Rejected>> {
        self.call()?;
        apply(&rows, &mut self.0.borrow_mut().ledger);
        Ok(Vec::new())
    }

    fn query(&mut self, _: &str, _: &str, parameters: Vec<Column>, _: u32) -> Result<Vec<Column>> {
        self.call()?;
        Ok(query(&parameters, &self.0.borrow().ledger))
    }
}

/// The documented answer to a request that went well: to a batch, to one member, to a removal.
fn taken(request: &Request) -> Response {
    if request.body.is_empty() {
        return Response::new(204, "");
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let held = |member: &Value| {
        let address = entry::Address::read(member["email_address"].as_str().unwrap()).unwrap();
        json!({"id": address.md5(), "email_address": address.text(), "status": member["status"]})
    };
    let Some(members) = body["members"].as_array() else { return Response::new(200, held(&body).to_string()) };
    let members: Vec<_> = members.iter().map(held).collect();
    let answer = json!({"new_members": [], "updated_members": members, "errors": [], "total_created": 0, "total_updated": members.len(), "error_count": 0});
    Response::new(200, answer.to_string())
}

fn config(more: &Value) -> String {
    let mut config = json!({
        "service": "mailchimp", "url": "https://us6.api.mailchimp.com/3.0", "list": "l1", "connection": "consent", "time": "at",
        "consent": {"field": "status", "subscribe": ["yes", "true"], "withdraw": ["no", "false"]}, "fields": {"FNAME": "first"}
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config.to_string()
}

/// A sink whose service answers as `answer` says.
fn sink(more: &Value, answer: impl Fn(&Request, &Shared) -> Response + 'static) -> (Audience, Shared) {
    let world = Shared::default();
    let (asked, database) = (Rc::clone(&world), Rc::clone(&world));
    testing::http(move |request| {
        asked.borrow_mut().requests.push(request.clone());
        Ok(answer(request, &asked))
    });
    testing::database(TestDatabase(database));
    (Audience::open(&Context::new("newsletter", config(more))).unwrap(), world)
}

/// A customer who decided at this second.
fn customer(name: &str, status: &str, second: i64) -> String {
    json!({"email": format!("{name}@example.com"), "status": status, "at": time(second), "first": name}).to_string()
}

fn time(second: i64) -> String {
    jiff::Timestamp::from_second(second).unwrap().to_string()
}

fn batch(values: &[String]) -> Batch {
    testing::batch("crm", values.iter().map(|value| (None, Some(value.as_str()))))
}

fn member(name: &str) -> String {
    entry::Address::read(&format!("{name}@example.com")).unwrap().hash()
}

/// A row as another sink would have written it.
fn put_row(world: &Shared, name: &str, mark: &str, second: i64) {
    world.borrow_mut().ledger.insert((member(name), mark.to_owned(), second * 1_000_000, String::new()));
}

/// Marks and seconds of a member.
fn rows(world: &Shared, name: &str) -> Vec<(String, i64)> {
    let of =
        |(whose, mark, at, _): &(String, String, i64, String)| (*whose == member(name)).then(|| (mark.clone(), at / 1_000_000));
    world.borrow().ledger.iter().filter_map(of).collect()
}

/// `name status` of each member of each request, in order; removals as `method path`.
fn sent(world: &Shared) -> Vec<String> {
    let one = |value: &Value| {
        let name = value["email_address"].as_str().unwrap().split('@').next().unwrap().to_owned();
        format!("{name} {}", value["status"].as_str().unwrap())
    };
    let of = |request: &Request| {
        if request.body.is_empty() {
            return vec![format!("{} {}", request.method, request.url.split("/3.0/").nth(1).unwrap())];
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["members"].as_array().map_or_else(|| vec![one(&body)], |members| members.iter().map(one).collect())
    };
    world.borrow().requests.iter().flat_map(of).collect()
}

fn code(outcomes: &Outcomes, index: u32) -> Option<&str> {
    match outcomes.get(index)? {
        Told::Reject(rejection) => Some(&rejection.code),
        Told::Retry(_) => Some("retry"),
    }
}
