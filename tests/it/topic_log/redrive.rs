//! Sending dead letters back, as far as it is the log's atomicity that counts.

use std::path::Path;

use wharf_runtime::config::Config;
use wharf_runtime::redrive::{Held, Redrive, RedriveError, Request, look};
use wharf_runtime::topic_log::{LogError, TopicSpec};

use super::bench::*;

/// Letters of sink `warehouse` of topic `orders`, one for each key.
async fn letters(bench: &Bench, keys: &[&str]) -> (String, Request) {
    let orders = bench.topic("orders", 1).await;
    let request = letters_of(bench, &orders, keys).await;
    (orders, request)
}

async fn letters_of(bench: &Bench, orders: &str, keys: &[&str]) -> Request {
    let dead = bench.topic(&format!("dead-{orders}"), 1).await;
    let mut batch = wharf_runtime::batch::Batch::default();
    for (offset, key) in keys.iter().enumerate() {
        let mut letter = record(&dead, Some(key), "v");
        let offset = offset.to_string();
        letter.headers = vec![
            (b"own", Some(b"1")),
            (b"__connect.errors.topic", Some(orders.as_bytes())),
            (b"__connect.errors.partition", Some(b"0")),
            (b"__connect.errors.offset", Some(offset.as_bytes())),
            (b"__connect.errors.connector.name", Some(b"warehouse")),
            (b"wharf.code", Some(b"sql.check")),
        ];
        batch.push(&letter);
    }
    assert_eq!(bench.append(&batch).await.unwrap(), []);
    let toml = format!(
        "name = \"{}\"\n[[sink]]\nname = \"warehouse\"\ncomponent = \"http\"\ntopics = [\"{orders}\"]\ndead-letter = \"{dead}\"\n",
        bench.tag
    );
    let config = Config::parse(&toml, Path::new("w.toml")).unwrap();
    Request::new(&config, "warehouse").unwrap()
}

async fn begin(bench: &Bench, request: &Request) -> Redrive {
    Redrive::begin(&**bench, request.clone()).await.unwrap().unwrap()
}

pub async fn of_two_redrives_the_later_one_sends_and_nothing_goes_twice(bench: Bench) {
    let (orders, request) = letters(&bench, &["a", "b", "c"]).await;
    let mut first = begin(&bench, &request).await;
    let mut second = begin(&bench, &request).await;
    assert_eq!((first.plan.send.len(), second.plan.send.len()), (3, 3));
    assert_eq!(second.send(&*bench, None, |_| ()).await.unwrap().records, 3);
    let late = first.send(&*bench, None, |_| ()).await;
    let fenced = matches!(&late, Err(RedriveError::Refused(text)) if text.contains("has taken over"));
    assert!(fenced || matches!(late, Err(RedriveError::Log(LogError::Fenced(_)))), "{late:?}");
    let arrived = bench.contents(&orders).await;
    assert_eq!(arrived.iter().map(|row| row.key.clone().unwrap()).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    let group = format!("wharf.{}.warehouse", bench.tag).into_bytes();
    let headers = [("own", b"1".to_vec()), ("wharf.attempt", b"1".to_vec()), ("wharf.redrive-for", group)];
    let headers: Vec<_> = headers.map(|(name, value)| (name.as_bytes().to_vec(), Some(value))).into();
    assert!(arrived.iter().all(|row| row.headers == headers), "{arrived:?}");
    assert_eq!(look(&*bench, &request).await.unwrap().send.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_stays_where_its_topic_would_not_keep_its_record() {
    let Some(bench) = Bench::kafka("a_letter_stays_where_its_topic_would_not_keep_its_record") else { return };
    let (_, mut request) = letters(&bench, &["a", "b", "c"]).await;
    let spec = |name: &str, ms: &str| {
        let config = [("retention.ms".to_owned(), ms.to_owned())].into();
        TopicSpec { name: bench.name(name), partitions: 1, replication: -1, config }
    };
    let (week, century) = (spec("week", "604800000"), spec("century", "3153600000000"));
    bench.create_topics(&[week.clone(), century.clone()]).await.unwrap();
    request.to = Some(week.name.clone());
    let mut redrive = begin(&bench, &request).await;
    assert_eq!(redrive.plan.held, [(Held::Expires, 3)].into());
    assert_eq!(redrive.send(&*bench, None, |_| ()).await.unwrap().records, 0);
    request.to = Some(century.name.clone());
    let mut redrive = begin(&bench, &request).await;
    assert_eq!(redrive.send(&*bench, None, |_| ()).await.unwrap().records, 3);
    assert_eq!((bench.contents(&week.name).await.len(), bench.contents(&century.name).await.len()), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_compacted_topic_a_record_that_is_sent_again_is_for_every_sink() {
    let Some(bench) = Bench::kafka("in_a_compacted_topic_a_record_that_is_sent_again") else { return };
    for (name, policy, is_for_one) in [("both", "compact,delete", false), ("state", "compact", false), ("events", "delete", true)]
    {
        let config = [("cleanup.policy".to_owned(), policy.to_owned()), ("retention.ms".to_owned(), "-1".to_owned())].into();
        let orders = TopicSpec { name: bench.name(name), partitions: 1, replication: -1, config };
        bench.create_topics(std::slice::from_ref(&orders)).await.unwrap();
        let request = letters_of(&bench, &orders.name, &["a"]).await;
        assert_eq!(begin(&bench, &request).await.send(&*bench, None, |_| ()).await.unwrap().records, 1, "{policy}");
        let arrived = bench.contents(&orders.name).await;
        let marked = |row: &Row| row.headers.iter().any(|(name, _)| name == b"wharf.redrive-for");
        assert_eq!(arrived.iter().map(marked).collect::<Vec<_>>(), [is_for_one], "{policy}: {arrived:?}");
    }
}

pub async fn a_place_in_a_topic_that_was_made_anew_is_none_in_the_one_that_is_there(bench: Bench) {
    let (orders, request) = letters(&bench, &[]).await;
    let id = bench.topics().await.unwrap().into_iter().find(|topic| topic.name == orders).unwrap().id;
    let mut newer = record(&orders, Some("c"), "new");
    newer.timestamp += 1;
    assert_eq!(bench.append(&batch(&[record(&orders, Some("b"), "bad"), newer])).await.unwrap(), []);
    let dead = request.dead_letters.clone();
    let mut letters = wharf_runtime::batch::Batch::default();
    // Of the old topic the first place, which the new one has too, and one behind all of the new one.
    for (key, id, offset) in [("a", "old", "0"), ("b", id.as_str(), "0"), ("c", "old", "5"), ("a", "old", "0")] {
        let mut letter = record(&dead, Some(key), "v");
        letter.headers = vec![
            (b"__connect.errors.topic", Some(orders.as_bytes())),
            (b"__connect.errors.partition", Some(b"0")),
            (b"__connect.errors.offset", Some(offset.as_bytes())),
            (b"__connect.errors.connector.name", Some(b"warehouse")),
            (b"wharf.topic-id", Some(id.as_bytes())),
            (b"wharf.code", Some(b"sql.check")),
        ];
        letters.push(&letter);
    }
    assert_eq!(bench.append(&letters).await.unwrap(), []);
    let mut redrive = begin(&bench, &request).await;
    assert_eq!(redrive.plan.held, [(Held::Overtaken, 1), (Held::Repeated, 1)].into());
    assert_eq!(redrive.send(&*bench, None, |_| ()).await.unwrap().records, 2);
    let keys: Vec<_> = bench.contents(&orders).await.into_iter().map(|row| row.key.unwrap()).collect();
    assert_eq!(keys, [b"b", b"c", b"a", b"b"]);
    assert_eq!(look(&*bench, &request).await.unwrap().send.len(), 0);
}

pub async fn what_was_sent_is_remembered_letter_by_letter_over_reopening(mut bench: Bench) {
    let (orders, mut request) = letters(&bench, &["a", "b", "c", "d"]).await;
    request.filter.place = Some(format!("{orders}/0/2"));
    let mut redrive = begin(&bench, &request).await;
    assert_eq!(redrive.send(&*bench, None, |_| ()).await.unwrap().records, 1);
    tokio::task::spawn_blocking(move || drop(redrive)).await.unwrap();
    bench.reopen().await;
    request.filter.place = None;
    // At a rate it takes several transactions.
    let mut redrive = begin(&bench, &request).await;
    let mut told = Vec::new();
    let rate = std::num::NonZeroU32::new(2);
    assert_eq!(redrive.send(&*bench, rate, |sent| told.push(sent)).await.unwrap().records, 3);
    assert_eq!(told[0], 2);
    let arrived = bench.contents(&orders).await;
    assert_eq!(arrived.iter().map(|row| row.key.clone().unwrap()).collect::<Vec<_>>(), [b"c", b"a", b"b", b"d"]);
}

pub async fn a_record_that_was_buried_twice_goes_back_once(bench: Bench) {
    let (orders, request) = letters(&bench, &["a"]).await;
    letters(&bench, &["a", "b"]).await;
    let plan = look(&*bench, &request).await.unwrap();
    assert_eq!((plan.send.len(), plan.held.values().sum::<usize>()), (2, 1), "{plan:?}");
    let mut redrive = begin(&bench, &request).await;
    redrive.send(&*bench, None, |_| ()).await.unwrap();
    letters(&bench, &["a", "b"]).await;
    assert_eq!(look(&*bench, &request).await.unwrap().send.len(), 0, "also when the same records are buried once more");
    assert_eq!(bench.contents(&orders).await.len(), 2);
}
