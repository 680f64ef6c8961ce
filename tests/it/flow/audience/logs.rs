//! No address of a member is in a log line, and no hash of one that tells it to who knows the address.

use super::*;
use crate::log::log;

#[tokio::test]
async fn no_log_line_holds_an_address_or_its_md5_however_the_service_breaks_off_and_refuses() {
    let log = log();
    let deployment = Deployment::embedded();
    let names = ["logged-ada", "logged-bob", "logged-cy", "logged-dee"];
    let mut asked = Vec::new();
    // All at once, then one by itself.
    let several: Vec<_> = names.iter().map(|name| customer(name, *name != "logged-cy", 1)).collect();
    for (topic, customers) in [("all", several.as_slice()), ("one", &several[..1]), ("bad", &several[1..2])] {
        let deeds = vec![Deed::Busy, Deed::Closed, Deed::Cut, Deed::Closed];
        let (lists, port) = lists(deeds, vec!["logged-bob@example.com"]).await;
        produce(&deployment, topic, customers).await;
        let ended = deployment.until_done(&format!("{CONNECTION}{}", sink(topic, &format!("http://127.0.0.1:{port}"), ""))).await;
        assert_eq!((ended.outcome, row(&ended.snapshot, topic).dead_lettered), (Outcome::Clean, u64::from(topic != "one")));
        asked.extend(lists.lock().unwrap().asked.clone());
    }
    for tombstones in ["archive", "erase"] {
        let (lists, port) = lists(vec![Deed::Closed, Deed::Busy], Vec::new()).await;
        deployment.produce(tombstones, 1, &[(Some("logged-dee@example.com"), None)]).await;
        let sink = sink(tombstones, &format!("http://127.0.0.1:{port}"), &format!("tombstones = \"{tombstones}\""));
        let ended = deployment.until_done(&format!("{CONNECTION}{sink}")).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, tombstones)), (Outcome::Clean, [1, 0, 1, 0, 0]));
        asked.extend(lists.lock().unwrap().asked.clone());
    }
    // Each hash, as the service was asked with it.
    let hash = |asked: &String| Some(asked.split_once("/members/")?.1.get(..32)?.to_owned());
    let hashes: std::collections::BTreeSet<_> = asked.iter().filter_map(hash).collect();
    assert_eq!(hashes.len(), 3, "{asked:?}");
    for never in names.iter().map(|name| (*name).to_owned()).chain(hashes) {
        assert_eq!(log.line_with(&never), None, "{never}");
    }
    for told in ["answers 429", "PUT http://127.0.0.1", "DELETE http://127.0.0.1", "/members/…/actions/delete-permanent"] {
        assert!(log.line_with(told).is_some(), "the log does not tell: {told}");
    }
}
