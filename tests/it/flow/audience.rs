//! The bundled sink `audience` in whole pipelines: against a service that is busy, cuts its answers and refuses single members, and
//! against Mailchimp's published specification.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::servers::Server;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wharf_runtime::supervisor::Outcome;

use super::*;
use crate::proxy::{self, Does, Request};
use crate::sql::database::Postgres;

mod logs;
mod odoo;

/// What the service does with the next requests, in their order; then it is well.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// 429, to be asked again in a second.
    Busy,
    /// Does what was asked, and breaks off in the middle of its answer.
    Cut,
    /// Breaks off before it has done anything.
    Closed,
}

#[derive(Debug, Default)]
struct Lists {
    does: Vec<Deed>,
    /// Status of each member.
    members: BTreeMap<String, String>,
    /// Members that it refuses.
    refused: Vec<&'static str>,
    /// Method and path of each request.
    asked: Vec<String>,
    credentials: Vec<String>,
}

type Shared = Arc<Mutex<Lists>>;

impl Lists {
    /// Status and body of the answer, and whether it is cut.
    fn answer(&mut self, head: &str, body: &[u8]) -> Option<(u16, String, bool)> {
        let line: Vec<_> = head.lines().next().unwrap().split(' ').collect();
        self.asked.push(format!("{} {}", line[0], line[1]));
        let authorization = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
        self.credentials.push(authorization.unwrap_or_default().to_owned());
        let does = if self.does.is_empty() { None } else { Some(self.does.remove(0)) };
        match does {
            Some(Deed::Closed) => return None,
            Some(Deed::Busy) => return Some((429, r#"{"title": "Too Many Requests", "status": 429}"#.to_owned(), false)),
            Some(Deed::Cut) | None => {}
        }
        if line[0] == "DELETE" || line[1].ends_with("/delete-permanent") {
            return Some((204, String::new(), false));
        }
        let body: Value = serde_json::from_slice(body).unwrap();
        let one = vec![body.clone()];
        let members = body["members"].as_array().unwrap_or(&one);
        let (mut updated, mut errors) = (Vec::new(), Vec::new());
        for member in members {
            let address = member["email_address"].as_str().unwrap();
            if self.refused.contains(&address) {
                let error = format!(
                    "{address} is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed."
                );
                errors.push(json!({"email_address": address, "error": error, "error_code": "ERROR_GENERIC", "field": "", "field_message": ""}));
            } else {
                self.members.insert(address.to_owned(), member["status"].as_str().unwrap().to_owned());
                updated.push(json!({"email_address": address, "status": member["status"]}));
            }
        }
        if let [refused] = errors.as_slice()
            && body["members"].is_null()
        {
            let problem = json!({"title": "Member In Compliance State", "status": 400, "detail": refused["error"]});
            return Some((400, problem.to_string(), matches!(does, Some(Deed::Cut))));
        }
        if body["members"].is_null() {
            let id = line[1].rsplit('/').next().unwrap().split('?').next().unwrap();
            let held = json!({"id": id, "email_address": body["email_address"], "status": body["status"]});
            return Some((200, held.to_string(), matches!(does, Some(Deed::Cut))));
        }
        let answer = json!({"new_members": [], "updated_members": updated, "errors": errors, "total_created": 0, "total_updated": updated.len(), "error_count": errors.len()});
        Some((200, answer.to_string(), matches!(does, Some(Deed::Cut))))
    }
}

/// One request a connection.
async fn serve(mut stream: TcpStream, lists: Shared) {
    let Some(request) = Request::read(&mut stream).await else { return };
    let answer = lists.lock().unwrap().answer(&request.head, &request.body);
    let Some((status, answer, cut)) = answer else { return };
    let retry = if status == 429 { "retry-after: 1\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{retry}content-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    let sent = if cut { &answer[..answer.len() / 2] } else { &answer };
    stream.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
}

/// Fills into the example of a specification who was sent, and as what: the sink takes no answer of another member for its own.
/// Answers that are no example of a member pass as they are.
fn fill_in(request: &Request, answer: &str) -> String {
    let Ok(mut answer) = serde_json::from_str::<Value>(answer) else { return answer.to_owned() };
    let sent: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if let Some(members) = sent["members"].as_array() {
        let example = answer["new_members"][0].clone();
        let held = |member: &Value| {
            let mut held = example.clone();
            (held["email_address"], held["status"]) = (member["email_address"].clone(), member["status"].clone());
            held
        };
        let held: Vec<_> = members.iter().map(held).collect();
        (answer["new_members"], answer["updated_members"]) = (held.into(), json!([]));
        (answer["errors"], answer["error_count"]) = (json!([]), json!(0));
    } else if request.head.starts_with("PUT ") {
        let id = request.path().rsplit('/').next().unwrap().split('?').next().unwrap();
        (answer["id"], answer["status"]) = (id.into(), sent["status"].clone());
    }
    answer.to_string()
}

async fn lists(does: Vec<Deed>, refused: Vec<&'static str>) -> (Shared, u16) {
    let lists = Shared::new(Mutex::new(Lists { does, refused, ..Lists::default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = Arc::clone(&lists);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, Arc::clone(&serving)));
        }
    });
    (lists, port)
}

const CONNECTION: &str = "\n[connection.consent]\nurl = \"sqlite://warehouse.sqlite\"\n";

/// The sink of this name, of the topic of the same name.
fn sink(name: &str, base: &str, more: &str) -> String {
    format!(
        r#"
[[sink]]
name = "{name}"
component = "audience"
topics = ["{{t}}{name}"]
allow.http = ["{base}"]
allow.sql = ["consent"]
retry = {{ initial = "10ms", max = "50ms" }}
[sink.config]
service = "mailchimp"
url = "{base}/3.0"
list = "l1"
connection = "consent"
time = "at"
consent = {{ field = "newsletter", subscribe = ["true"], withdraw = ["false"] }}
fields = {{ FNAME = "first" }}
{more}
[sink.auth."{}"]
basic = {{ user = "wharf", password = "secret-key" }}
"#,
        base.trim_start_matches("http://")
    )
}

fn customer(name: &str, newsletter: bool, second: u32) -> String {
    json!({"email": format!("{name}@example.com"), "newsletter": newsletter, "at": format!("2024-05-01T10:00:{second:02}Z"), "first": name}).to_string()
}

async fn produce(deployment: &Deployment, topic: &str, customers: &[String]) {
    deployment.produce_values(topic, &customers.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

fn members(lists: &Shared) -> Vec<String> {
    lists
        .lock()
        .unwrap()
        .members
        .iter()
        .map(|(address, status)| format!("{} {status}", address.split('@').next().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_member_that_is_refused_is_the_only_dead_letter_however_busy_and_broken_the_service_is() {
    let deployment = Deployment::embedded();
    let customers = [customer("ada", true, 1), customer("bob", true, 1), customer("cy", false, 1), customer("dee", true, 1)];
    produce(&deployment, "crm", &customers).await;
    let (lists, port) = lists(vec![Deed::Busy, Deed::Closed, Deed::Cut], vec!["bob@example.com"]).await;
    let body = format!("{CONNECTION}{}", sink("crm", &format!("http://127.0.0.1:{port}"), ""));
    let ended = deployment.until_done(&body).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "crm")), (Outcome::Clean, [4, 0, 3, 0, 1]), "{ended:#?}");
    assert_eq!(members(&lists), ["ada subscribed", "cy unsubscribed", "dee subscribed"]);
    {
        let lists = lists.lock().unwrap();
        assert_eq!(lists.asked, ["POST /3.0/lists/l1?skip_merge_validation=true"; 4]);
        assert!(lists.credentials.iter().all(|line| line.ends_with("Basic d2hhcmY6c2VjcmV0LWtleQ==")), "{lists:?}");
    }
    let dead = deployment.read("dlq.flow.crm").await;
    let told: Vec<_> = dead.iter().map(|row| (row.code(), row.text())).collect();
    assert_eq!(told, [("audience.compliance", customers[1].clone())]);
    let why = dead[0].header("__connect.errors.exception.message");
    assert!(why.contains("compliance state") && !why.contains("bob") && !why.contains("example.com"), "{why}");
    assert!(!reason(&ended.snapshot, "crm").contains("example.com"));
    // What is known is durable by itself: the group keeps the offsets.
    let tables = deployment.query("SELECT name FROM sqlite_master WHERE type = 'table'");
    assert_eq!(tables, ["audience_consent"]);
    assert_eq!(deployment.offsets("crm"), ["0|4"]);
    let known = deployment.query("SELECT mark || ' ' || count(*) FROM audience_consent GROUP BY mark ORDER BY mark");
    assert_eq!(known, ["subscribed 2", "withdrawn 1"]);
    let whole = deployment.query("SELECT audience || ' ' || member FROM audience_consent").join(" ");
    assert!(whole.contains("mailchimp/l1") && !whole.contains('@'), "{whole}");
}

#[tokio::test]
#[should_panic(expected = "delivers over HTTP, which no transaction holds, and cannot be exactly once")]
async fn what_is_kept_in_a_database_cannot_be_told_to_move_with_the_offsets() {
    let body = format!("{CONNECTION}{}", sink("crm", "http://127.0.0.1:1", ""));
    let once = body.replace("component = \"audience\"", "component = \"audience\"\nexactly-once = true");
    Deployment::embedded().until_done(&once).await;
}

async fn a_withdrawal_holds_against_older_subscriptions(connection: &str) {
    let (lists, port) = lists(Vec::new(), Vec::new()).await;
    let base = format!("http://127.0.0.1:{port}");
    let deployment = Deployment::embedded();
    produce(&deployment, "shop", &[customer("ada", false, 5), customer("bob", false, 5), customer("cy", false, 5)]).await;
    let shop = format!("{connection}{}", sink("shop", &base, ""));
    assert_eq!(deployment.until_done(&shop).await.outcome, Outcome::Clean);
    produce(&deployment, "crm", &[customer("Ada", true, 4), customer("bob", true, 5), customer("cy", true, 6)]).await;
    let ended = deployment.until_done(&format!("{shop}{}", sink("crm", &base, ""))).await;
    assert_eq!(counts(&ended.snapshot, "crm"), [3, 0, 3, 0, 0]);
    assert_eq!(members(&lists), ["ada unsubscribed", "bob unsubscribed", "cy subscribed"]);
    let asked = lists.lock().unwrap().asked.len();
    assert_eq!(asked, 2, "those that are withheld are not sent");
}

#[tokio::test]
async fn a_withdrawal_in_one_topic_holds_against_older_subscriptions_in_another_on_sqlite() {
    a_withdrawal_holds_against_older_subscriptions(CONNECTION).await;
}

#[tokio::test]
async fn a_withdrawal_in_one_topic_holds_against_older_subscriptions_in_another_on_postgres() {
    let Some(db) = Postgres::new("flow_audience").await else { return };
    a_withdrawal_holds_against_older_subscriptions(&format!("\n[connection.consent]\nurl = \"{}\"\n", db.url)).await;
    let rows = db.raw.query("SELECT mark, count(*) FROM audience_consent GROUP BY mark ORDER BY mark", &[]).await.unwrap();
    let rows: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [("subscribed".to_owned(), 1), ("withdrawn".to_owned(), 3)]);
}

#[tokio::test]
async fn the_requests_are_those_of_the_published_specification() {
    let Some(base) = Server::Mailchimp.address("the_requests_are_those_of_the_published_specification") else { return };
    let proxy = proxy::before(base.trim_start_matches("http://"), |_| Does::Alters(fill_in)).await;
    let base = format!("http://{proxy}");
    let (ada, bob, dee) = (customer("ada", true, 1), customer("bob", false, 1), customer("dee", true, 1));
    let cy = r#"{"email":"cy@example.com"}"#;
    for tombstones in ["archive", "erase"] {
        let deployment = Deployment::embedded();
        // Two in a batch, one by itself, and one that is gone.
        deployment.produce("crm", 1, &[(None, Some(ada.as_bytes())), (None, Some(bob.as_bytes())), (Some(cy), None)]).await;
        let body = format!("{CONNECTION}{}", sink("crm", &base, &format!("tombstones = \"{tombstones}\"")).replace("/3.0", ""));
        let ended = deployment.until_done(&body).await;
        // 422 for what the specification does not allow would be a dead letter.
        assert_eq!((ended.outcome, counts(&ended.snapshot, "crm")), (Outcome::Clean, [3, 0, 3, 0, 0]), "{ended:#?}");
        produce(&deployment, "crm", std::slice::from_ref(&dee)).await;
        let ended = deployment.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "crm")), (Outcome::Clean, [1, 0, 1, 0, 0]), "{ended:#?}");
    }
}
