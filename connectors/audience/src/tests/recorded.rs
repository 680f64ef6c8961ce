//! The sink by answers that an Odoo 19.0 gave: Ada is on the list, Bob left it at noon on 1 March 2026 and is on the blacklist.

use super::*;

const CONTACTS: &str = include_str!("../../tests/odoo-contacts.json");
const SUBSCRIPTIONS: &str = include_str!("../../tests/odoo-subscriptions.json");
const BLACKLIST: &str = include_str!("../../tests/odoo-blacklist.json");
const NO_ACCESS: &str = include_str!("../../../shared/odoo-api/tests/no-access.json");

/// `write`: the answer to what changes the list.
fn recorded(blacklist: &'static str, write: (u16, &'static str)) -> (Audience, Shared) {
    let more = json!({"service": "odoo", "url": "https://odoo.example.com", "list": "7", "database": "shop", "fields": {}});
    sink(&more, move |request, _| match request.url.split("/json/2/").nth(1).unwrap() {
        "mailing.list/search_read" => Response::new(200, r#"[{"id": 7}]"#),
        "mailing.contact/search_read" => Response::new(200, CONTACTS),
        "mailing.subscription/search_read" => Response::new(200, SUBSCRIPTIONS),
        "mail.blacklist/search_read" => Response::new(200, blacklist),
        "mailing.list/write" => Response::new(write.0, write.1),
        other => panic!("{other}"),
    })
}

/// The changes of subscriptions that were sent.
fn changes(world: &Shared) -> Vec<Value> {
    let is_write = |request: &&Request| request.url.ends_with("mailing.list/write");
    let of = |request: &Request| serde_json::from_slice::<Value>(&request.body).unwrap()["vals"]["subscription_ids"].clone();
    world.borrow().requests.iter().filter(is_write).map(of).collect()
}

fn decision(name: &str, status: &str, at: &str) -> String {
    json!({"email": format!("{name}@example.com"), "status": status, "at": at}).to_string()
}

#[test]
fn who_is_on_a_recorded_list_leaves_it_and_who_is_on_the_blacklist_is_rejected_alone() {
    let (mut sink, world) = recorded(BLACKLIST, (200, "true"));
    let decisions = [decision("ada", "no", "2026-03-02T09:00:00Z"), decision("bob", "yes", "2026-03-02T09:00:00Z")];
    let outcomes = sink.write(&batch(&decisions)).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (None, Some("audience.compliance")));
    assert_eq!(changes(&world), [json!([[1, 18, {"opt_out": true, "opt_out_datetime": "2026-03-02 09:00:00"}]])]);
}

#[test]
fn what_a_recorded_list_holds_already_is_not_written_again_and_a_contact_tells_of_the_blacklist_too() {
    let (mut sink, world) = recorded("[]", (200, "true"));
    // Bob's contact says that he is on the blacklist.
    let outcomes = sink.write(&batch(&[decision("bob", "yes", "2026-03-02T09:00:00Z")])).unwrap();
    assert_eq!(code(&outcomes, 0), Some("audience.compliance"));
    // Ada is on the list: her subscription changes nothing, and what Bob has left already is not left again.
    let decisions = [decision("ada", "yes", "2026-03-02T09:00:00Z"), decision("bob", "no", "2026-03-02T09:00:01Z")];
    assert!(sink.write(&batch(&decisions)).unwrap().is_empty());
    assert_eq!(changes(&world), Vec::<Value>::new());
}

#[test]
fn an_account_that_may_not_write_stops_the_sink_and_buries_nobody() {
    let (mut sink, _) = recorded("[]", (403, NO_ACCESS));
    let decisions = batch(&[decision("ada", "no", "2026-03-02T09:00:00Z")]);
    let ended = (0..6).map(|_| sink.write(&decisions)).find_map(|outcome| match outcome {
        Ok(outcomes) => {
            assert_eq!(code(&outcomes, 0), Some("retry"), "a withdrawal is no dead letter of an account's rights");
            None
        }
        Err(Error::Retry { .. }) => None,
        Err(error) => Some(error),
    });
    assert!(matches!(ended, Some(Error::Fatal(_))), "{ended:?}");
}
