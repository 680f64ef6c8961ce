//! The bundled source `campaign-events` in whole pipelines: against Mailchimp's published specification, and against Odoo 19.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::odoo::Plain;
use support::servers::Server;
use wharf_runtime::supervisor::Outcome;

use super::*;
use crate::proxy::{self, Does, Request};

mod odoo;

/// The source `events` into topic `events`.
fn source(base: &str, auth: &str, config: &str) -> String {
    format!(
        r#"
[[source]]
name = "events"
component = "campaign-events"
topic = "{{t}}events"
[source.config]
url = "{base}"
interval = "200ms"
{config}
[source.allow]
http = ["{base}"]
[source.auth."{}"]
{auth}
"#,
        base.trim_start_matches("http://")
    )
}

#[tokio::test]
async fn requests_are_those_of_mailchimp_s_published_specification_and_its_examples_are_read() {
    let test = "requests_are_those_of_mailchimp_s_published_specification_and_its_examples_are_read";
    let Some(base) = Server::Mailchimp.address(test) else { return };
    let deployment = Deployment::embedded();
    let config = "service = \"mailchimp\"\nfollow = \"36500d\"";
    let auth = "basic = { user = \"wharf\", password = \"key\" }";
    // 422 for what the specification does not allow would stop the source.
    let running = deployment.start(&source(&base, auth, config)).await;
    running.when_settled("events", 2).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    // The examples are one unsubscribe, and one activity whose action is "string".
    let rows = deployment.read("events").await;
    let key =
        json!({"campaign": "string", "member": "string", "action": "unsubscribe", "timestamp": "2019-08-24T14:15:22.000000Z"});
    let keys: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row.key.as_ref().unwrap()).unwrap()).collect();
    assert_eq!(keys, [key]);
    assert_eq!(rows[0].timestamp, 1_566_656_122_000);
    let dead = deployment.read("dlq.flow.events").await;
    assert_eq!(dead.iter().map(deployment::Row::code).collect::<Vec<_>>(), ["event.action"]);
}

/// Fills real actions into the specification's example of a member's activity, whose only action is "string".
fn real_actions(request: &Request, answer: &str) -> String {
    if !request.path().contains("/email-activity") {
        return answer.to_owned();
    }
    let mut answer: Value = serde_json::from_str(answer).unwrap();
    let example = answer["emails"][0]["activity"][0].clone();
    assert_eq!(example["action"], "string");
    let real = |(action, more): (&str, Value)| {
        let mut real = example.clone();
        // The example says at each action what only some of them have.
        real.as_object_mut().unwrap().retain(|name, _| name != "type" && name != "url");
        real["action"] = action.into();
        real.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        real
    };
    let actions =
        [("open", json!({})), ("click", json!({"url": "https://shop.example/sale?m=ada"})), ("bounce", json!({"type": "hard"}))];
    answer["emails"][0]["activity"] = actions.map(real).into_iter().collect();
    answer.to_string()
}

#[tokio::test]
async fn opens_clicks_and_bounces_of_mailchimp_s_published_specification_are_events() {
    let test = "opens_clicks_and_bounces_of_mailchimp_s_published_specification_are_events";
    let Some(base) = Server::Mailchimp.address(test) else { return };
    let proxy = proxy::before(base.trim_start_matches("http://"), |_| Does::Alters(real_actions)).await;
    let deployment = Deployment::embedded();
    let config = "service = \"mailchimp\"\nfollow = \"36500d\"\nevents = [\"open\", \"click\", \"bounce\"]";
    let auth = "basic = { user = \"wharf\", password = \"key\" }";
    let running = deployment.start(&source(&format!("http://{proxy}"), auth, config)).await;
    running.when_settled("events", 3).await;
    // Rounds more, which bring nothing.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    let rows = deployment.read("events").await;
    let values: Vec<Value> = rows.iter().map(|row| serde_json::from_str(&row.text()).unwrap()).collect();
    let expected = |action: &str, more: Value| {
        let mut value = json!({
            "campaign": "string", "member": "string", "action": action, "timestamp": "2019-08-24T14:15:22.000000Z", "list": "string"
        });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        value
    };
    let link = json!({"url": "https://shop.example/sale"});
    assert_eq!(values, [expected("open", json!({})), expected("click", link), expected("bounce", json!({"type": "hard"}))]);
    assert!(rows.iter().all(|row| row.timestamp == 1_566_656_122_000));
}

/// Ids of a mailing, its list, contacts and traces.
struct Mailing {
    list: i64,
    id: i64,
    contacts: Vec<i64>,
    traces: Vec<i64>,
}

/// A mailing to so many contacts, sent.
async fn mailing(odoo: &Plain, name: &str, count: usize) -> Mailing {
    let list = odoo.create("mailing.list", &[json!({"name": name})]).await[0];
    let address = |n: usize| format!("ada{n}.{name}@example.com");
    let contacts: Vec<_> =
        (0..count).map(|n| json!({"name": format!("Ada {n}"), "email": address(n), "list_ids": [[4, list]]})).collect();
    let contacts = odoo.create("mailing.contact", &contacts).await;
    let model = &odoo.read("ir.model", &json!([["model", "=", "mailing.list"]]), &["model"]).await[0]["id"];
    let values = json!({"subject": name, "email_from": "shop@example.com", "mailing_model_id": model, "contact_list_ids": [[6, 0, [list]]], "body_html": "<p>hi</p>"});
    let id = odoo.create("mailing.mailing", &[values]).await[0];
    let traces: Vec<_> = (0..count)
        .map(|n| json!({"model": "mailing.contact", "res_id": contacts[n], "mass_mailing_id": id, "email": address(n)}))
        .collect();
    let traces = odoo.create("mailing.trace", &traces).await;
    odoo.call("mailing.trace", "set_sent", &json!({"ids": traces})).await;
    Mailing { list, id, contacts, traces }
}

/// Waits until so many events of this mailing and list have arrived. Odoo's blacklist, which is of no list, comes beside them.
async fn when_told(deployment: &Deployment, mailing: &Mailing, count: usize) {
    let deadline = std::time::Instant::now() + deployment::PATIENCE;
    while told(&deployment.read("events").await, mailing).len() < count {
        assert!(std::time::Instant::now() < deadline, "never {count} events");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// `action member` of each record of this mailing and list.
fn told(rows: &[deployment::Row], mailing: &Mailing) -> Vec<String> {
    let values = rows.iter().map(|row| serde_json::from_str::<Value>(&row.text()).unwrap());
    let own = values.filter(|value| value["campaign"] == mailing.id || value["list"] == mailing.list);
    own.map(|value| format!("{} {}", value["action"].as_str().unwrap(), value["member"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn what_happens_to_a_mailing_of_odoo_arrives_once_also_after_a_restart() {
    let test = "what_happens_to_a_mailing_of_odoo_arrives_once_also_after_a_restart";
    let Some(odoo) = Plain::new(test) else { return };
    for (config, auth) in odoo.protocols().await {
        arrives_once(&odoo, &config, &auth).await;
    }
}

/// `config` and `auth` say by which protocol.
async fn arrives_once(odoo: &Plain, config: &str, auth: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let mailing = mailing(odoo, &format!("may-{now}"), 3).await;
    let contact = |n: usize| format!("mailing.contact/{}", mailing.contacts[n]);
    let config = format!("service = \"odoo\"\n{config}\nlist = \"{}\"\npage-size = 2", mailing.list);
    let body = source(odoo.url.trim_end_matches('/'), auth, &config);
    let deployment = Deployment::embedded();
    let running = deployment.start(&body).await;
    running.when_settled("events", 1).await;
    when_told(&deployment, &mailing, 3).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    for (method, trace) in [("set_opened", 0), ("set_clicked", 0), ("set_bounced", 2)] {
        odoo.call("mailing.trace", method, &json!({"ids": [mailing.traces[trace]]})).await;
    }
    let domain = json!([["contact_id", "=", mailing.contacts[1]], ["list_id", "=", mailing.list]]);
    let subscription = odoo.read("mailing.subscription", &domain, &["opt_out"]).await[0]["id"].as_i64().unwrap();
    odoo.write("mailing.subscription", &[subscription], json!({"opt_out": true})).await;
    let running = deployment.start(&body).await;
    when_told(&deployment, &mailing, 7).await;
    // Two rounds more, which bring nothing.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    let rows = deployment.read("events").await;
    let told = told(&rows, &mailing);
    let expected = [("sent", 0), ("sent", 1), ("sent", 2), ("open", 0), ("click", 0), ("bounce", 2), ("unsubscribe", 1)];
    assert_eq!(told, expected.map(|(action, n)| format!("{action} {}", contact(n))));
    let keys: BTreeSet<_> = rows.iter().map(|row| row.key.clone()).collect();
    assert_eq!(keys.len(), rows.len());
    let all: String = rows.iter().map(deployment::Row::text).collect();
    assert!(!all.contains("example.com") && !all.contains("Ada "), "{all}");
}
