//! The bundled sink `audience` against Odoo 19: what a list of its holds.

use support::odoo::Plain;

use super::*;
use crate::log::log;

/// What tells the members of this run from those of others.
fn now() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

/// The sink of a list of Odoo, by JSON-2.
fn odoo_sink(odoo: &Plain, base: &str, list: i64, topic: &str, more: &str) -> String {
    let protocol = (format!("database = \"{}\"\n{more}", odoo.database), format!("bearer = \"{}\"", odoo.key));
    sink_by(&protocol, base, list, topic)
}

/// The same by a protocol: its configuration and its credentials.
fn sink_by((config, auth): &(String, String), base: &str, list: i64, topic: &str) -> String {
    let sink = sink(topic, base, config);
    let sink = sink.replace("\"mailchimp\"", "\"odoo\"").replace("/3.0", "").replace("\"l1\"", &format!("\"{list}\""));
    sink.replace("FNAME", "name").replace("basic = { user = \"wharf\", password = \"secret-key\" }", auth)
}

/// Of each contact on the list, or off it: who it is, whether it has left, and when.
async fn on_list(odoo: &Plain, list: i64) -> Vec<String> {
    let fields = ["contact_id", "opt_out", "opt_out_datetime"];
    let mut found = Vec::new();
    for row in odoo.read("mailing.subscription", &json!([["list_id", "=", list]]), &fields).await {
        let contact = &odoo.read("mailing.contact", &json!([["id", "=", row["contact_id"]]]), &["email"]).await[0];
        let who = contact["email"].as_str().unwrap().split('-').next().unwrap().to_owned();
        found.push(format!("{who} {} {}", row["opt_out"], row["opt_out_datetime"]));
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_list_of_odoo_holds_who_wants_to_be_on_it_whatever_the_order_of_topics() {
    let Some(odoo) = Plain::new("a_list_of_odoo_holds_who_wants_to_be_on_it_whatever_the_order_of_topics") else { return };
    for protocol in odoo.protocols().await {
        holds_who_wants_to_be_on_it(&odoo, &protocol).await;
    }
}

async fn holds_who_wants_to_be_on_it(odoo: &Plain, protocol: &(String, String)) {
    let now = now();
    let list = odoo.create("mailing.list", &[json!({"name": format!("news-{now}")})]).await[0];
    let name = |who: &str| format!("{who}-{now}");
    // One was there before, and has left by the link in a mail.
    let left = json!({"email": format!("{}@example.com", name("eve")), "subscription_ids": [[0, 0, {"list_id": list, "opt_out": true, "opt_out_datetime": "2024-05-01 10:00:05"}]]});
    odoo.create("mailing.contact", &[left]).await;
    let base = odoo.url.trim_end_matches('/');
    let deployment = Deployment::embedded();
    let withdrawn = ["ada", "bob"].map(|who| customer(&name(who), false, 5));
    let subscribed = ["ada", "bob", "cy", "dee", "eve"].map(|who| customer(&name(who), true, if who == "bob" { 6 } else { 4 }));
    // They come in one order, then in the other.
    for topic in ["crm", "shop", "crm"] {
        let customers: &[String] = if topic == "crm" { &subscribed } else { &withdrawn };
        produce(&deployment, topic, customers).await;
        let ended = deployment.until_done(&format!("{CONNECTION}{}", sink_by(protocol, base, list, topic))).await;
        let count = u64::try_from(customers.len()).unwrap();
        assert_eq!((ended.outcome, counts(&ended.snapshot, topic)), (Outcome::Clean, [count, 0, count, 0, 0]), "{ended:#?}");
    }
    let found = on_list(odoo, list).await;
    let left = "true \"2024-05-01 10:00:05\"";
    assert_eq!(
        found,
        [
            format!("ada {left}"),
            "bob false false".to_owned(),
            "cy false false".to_owned(),
            "dee false false".to_owned(),
            format!("eve {left}")
        ]
    );
}

#[tokio::test]
async fn who_is_gone_is_taken_off_the_list_or_forgotten_and_who_is_on_the_blacklist_is_refused() {
    let Some(odoo) = Plain::new("who_is_gone_is_taken_off_the_list_or_forgotten") else { return };
    let log = log();
    // What an earlier run left: the blacklist is of all lists.
    let left = odoo.read("mail.blacklist", &json!([["email", "=like", "gus-%"]]), &["id"]).await;
    let left: Vec<i64> = left.iter().filter_map(|row| row["id"].as_i64()).collect();
    odoo.unlink("mail.blacklist", &left).await;
    for (tombstones, expected, left) in
        [("archive", vec!["ann false false", "fay true \"2023-11-14 22:13:20\""], 1), ("erase", vec!["ann false false"], 0)]
    {
        let now = now();
        let list = odoo.create("mailing.list", &[json!({"name": format!("gone-{now}")})]).await[0];
        let address = |who: &str| format!("{who}-{tombstones}{now}@example.com");
        let blacklisted = odoo.create("mail.blacklist", &[json!({"email": address("gus")})]).await;
        // Answers break off and are refused meanwhile: nothing of it is told with an address.
        let faults = [Does::Cuts, Does::Refuses(429), Does::Passes, Does::Loses, Does::Passes, Does::Passes, Does::Cuts];
        let mut faults = faults.into_iter();
        let first = move |_: &Request| faults.next().unwrap_or(Does::Passes);
        let proxy = proxy::before(odoo.authority(), first).await;
        let body = odoo_sink(&odoo, &format!("http://{proxy}"), list, "crm", &format!("tombstones = \"{tombstones}\""));
        let body = format!("{CONNECTION}{body}");
        let deployment = Deployment::embedded();
        // The tombstone has the time of its record, 2023-11-14 22:13:20.
        let customer = |who: &str| {
            json!({"email": address(who), "newsletter": true, "at": "2023-11-14T22:13:00Z", "first": who}).to_string()
        };
        let customers = ["ann", "fay", "gus"].map(customer);
        produce(&deployment, "crm", &customers).await;
        let ended = deployment.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "crm")), (Outcome::Clean, [3, 0, 2, 0, 1]), "{ended:#?}");
        assert_eq!(on_list(&odoo, list).await, ["ann false false", "fay false false"]);
        deployment.produce("crm", 1, &[(Some(&address("fay")), None)]).await;
        let ended = deployment.until_done(&body).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "crm")), (Outcome::Clean, [1, 0, 1, 0, 0]), "{ended:#?}");
        assert_eq!(on_list(&odoo, list).await, expected);
        let contacts = odoo.read("mailing.contact", &json!([["email", "=", address("fay")]]), &["id"]).await;
        assert_eq!(contacts.len(), left, "{tombstones}");
        let dead = deployment.read_dead("crm").await;
        let told: Vec<_> = dead.iter().map(|row| (row.code(), row.text())).collect();
        assert_eq!(told, [("audience.compliance", customers[2].clone())]);
        assert_eq!(log.line_with(&format!("{tombstones}{now}")), None);
        odoo.unlink("mail.blacklist", &blacklisted).await;
    }
}

#[tokio::test]
async fn withdrawals_beside_older_subscriptions_leave_nobody_on_the_list() {
    let Some(odoo) = Plain::new("withdrawals_beside_older_subscriptions_leave_nobody_on_the_list") else { return };
    let now = now();
    let list = odoo.create("mailing.list", &[json!({"name": format!("beside-{now}")})]).await[0];
    let base = odoo.url.trim_end_matches('/');
    let deployment = Deployment::embedded();
    let all =
        |newsletter: bool, at: u32| (0..30).map(|n| customer(&format!("m{n:02}-{now}"), newsletter, at)).collect::<Vec<_>>();
    produce(&deployment, "crm", &all(true, 4)).await;
    produce(&deployment, "shop", &all(false, 5)).await;
    let section = |topic: &str| odoo_sink(&odoo, base, list, topic, "").replace("topics =", "batch = { records = 3 }\ntopics =");
    let ended = deployment.until_done(&format!("{CONNECTION}{}{}", section("crm"), section("shop"))).await;
    for topic in ["crm", "shop"] {
        assert_eq!((ended.outcome, counts(&ended.snapshot, topic)), (Outcome::Clean, [30, 0, 30, 0, 0]), "{ended:#?}");
    }
    let subscribed: Vec<_> = on_list(&odoo, list).await.into_iter().filter(|line| line.contains(" false ")).collect();
    assert!(subscribed.is_empty(), "{subscribed:?}");
}
