//! Transactions of a source that cannot be committed as they are: aborted and sent again, or overdue and fenced. Kafka alone
//! has them. What is not there yet makes them fail: a record for a topic that nobody has created.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use wharf_runtime::batch::Batch;
use wharf_runtime::topic_log::{LogError, Position, SourceLog, TopicLog};

use super::bench::{Bench, PATIENCE, at, batch, record, texts};
use super::wire::active_producers;

const LOOK: Duration = Duration::from_millis(50);

fn position(place: &str) -> Position {
    Position { slice: "s".to_owned(), place: place.as_bytes().to_vec() }
}

/// One record of a topic that is there, and one of a topic that is not.
fn torn(orders: &str, missing: &str) -> Arc<Batch> {
    batch(&[record(orders, None, "first"), record(missing, None, "second")])
}

/// The end of partition 0 as readers of committed records see it, and its real one.
async fn ends(bench: &Bench, topic: &str) -> (i64, i64) {
    let (bootstrap, topic) = (bench.bootstrap().to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let end = |isolation: &str| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", &bootstrap).set("group.id", "none").set("isolation.level", isolation);
            let consumer: BaseConsumer = config.create().unwrap();
            consumer.fetch_watermarks(&topic, 0, Duration::from_secs(20)).unwrap().1
        };
        (end("read_committed"), end("read_uncommitted"))
    })
    .await
    .unwrap()
}

async fn when_ends(bench: &Bench, topic: &str, what: &str, are: impl Fn(i64, i64) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (stable, high) = ends(bench, topic).await;
        if are(stable, high) {
            return;
        }
        assert!(Instant::now() < deadline, "{topic} never {what}: {stable}, {high}");
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_has_to_be_aborted_is_sent_again_whole_and_nothing_is_doubled() {
    let Some(bench) = Bench::kafka("a_transaction_that_has_to_be_aborted_is_sent_again_whole") else { return };
    let (orders, late) = (bench.topic("orders", 1).await, bench.name("late"));
    let mut owner = bench.owner(0, 1);
    owner.properties.insert("message.timeout.ms".to_owned(), "1000".to_owned());
    let mut log = bench.source(&owner).await.unwrap();
    let records = torn(&orders, &late);
    let append = tokio::spawn(async move { log.append(&records, &[position("1")]).await });
    // The first record and an abort, twice: records time out while their topic is not there.
    when_ends(&bench, &orders, "written twice", |_, high| high >= 4).await;
    assert!(!append.is_finished(), "it goes on until all of it is there");
    bench.topic("late", 1).await;
    assert_eq!(append.await.unwrap().unwrap(), []);
    assert_eq!(texts(&bench.contents(&orders).await), ["first"]);
    assert_eq!(texts(&bench.contents(&late).await), ["second"]);
    assert_eq!(bench.another().source(&owner).await.unwrap().positions(), [position("1")]);
}

/// Leaves a transaction open at the broker, as a process does that stands still in the midst of one.
async fn leave_open(bench: &Bench, log: &mut dyn SourceLog, orders: &str) {
    let (records, positions) = (torn(orders, &bench.name("missing")), [position("lost")]);
    for _ in 0..10 {
        {
            let append = log.append(&records, &positions);
            tokio::pin!(append);
            let seen = when_ends(bench, orders, "open", |stable, high| stable < high);
            tokio::select! {
                answer = &mut append => panic!("{answer:?}"),
                () = seen => {}
            }
        }
        // The call that nobody waits for notices that by and by; it might have been about to begin anew.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (stable, high) = ends(bench, orders).await;
        if stable < high {
            return;
        }
    }
    panic!("no transaction stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_was_given_up_in_the_midst_leaves_nothing_and_the_next_one_goes_through() {
    let Some(bench) = Bench::kafka("an_append_that_was_given_up_in_the_midst_leaves_nothing") else { return };
    let orders = bench.topic("orders", 1).await;
    let mut log = bench.source(&bench.owner(0, 1)).await.unwrap();
    leave_open(&bench, &mut *log, &orders).await;
    assert_eq!(log.append(&batch(&[record(&orders, None, "next")]), &[position("1")]).await.unwrap(), []);
    drop(log);
    assert_eq!(texts(&bench.contents(&orders).await), ["next"]);
    assert_eq!(bench.source(&bench.owner(0, 1)).await.unwrap().positions(), [position("1")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_an_overdue_transaction_is_fenced_and_starts_again_without_standing_by() {
    let Some(bench) = Bench::kafka("the_owner_of_an_overdue_transaction_is_fenced_and_starts_again") else { return };
    let orders = bench.topic("orders", 1).await;
    let mut owner = bench.owner(0, 1);
    owner.properties.insert("transaction.timeout.ms".to_owned(), "3000".to_owned());
    // The owner's own sign of life would abort it too, after a quarter of this; the broker looks every 10 s.
    owner.properties.insert("session.timeout.ms".to_owned(), "240000".to_owned());
    let mut log = bench.source(&owner).await.unwrap();
    log.append(&batch(&[record(&orders, None, "before")]), &[position("1")]).await.unwrap();
    leave_open(&bench, &mut *log, &orders).await;
    when_ends(&bench, &orders, "ended by the broker", |stable, high| stable == high).await;
    let again = log.append(&batch(&[record(&orders, None, "again")]), &[position("2")]).await;
    assert!(matches!(again, Err(LogError::Fenced(_))), "{again:?}");
    drop(log);
    // There is no second owner: it goes on at once, from its own position.
    let mut log = bench.source(&owner).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(log.positions(), [position("1")]);
    assert_eq!(log.append(&batch(&[record(&orders, None, "again")]), &[position("2")]).await.unwrap(), []);
    drop(log);
    assert_eq!(texts(&bench.contents(&orders).await), ["before", "again"]);
    assert_eq!(bench.source(&owner).await.unwrap().positions(), [position("2")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_exactly_once_writes_by_an_idempotent_producer_without_transactions() {
    let Some(bench) = Bench::kafka("a_source_that_is_not_exactly_once_writes_by_an_idempotent_producer") else { return };
    for exactly_once in [true, false] {
        let topic = bench.topic(if exactly_once { "once" } else { "orders" }, 1).await;
        let mut owner = bench.owner(0, 1);
        owner.exactly_once = exactly_once;
        let log: Arc<dyn TopicLog> = bench.another();
        let mut source = log.source(&owner).await.unwrap();
        for value in ["1", "2", "3"] {
            source.append(&batch(&[record(&topic, None, value)]), &[position(value)]).await.unwrap();
        }
        assert_eq!(texts(&bench.contents(&topic).await), ["1", "2", "3"]);
        // Each transaction takes an offset of its own for its marker.
        assert_eq!(ends(&bench, &topic).await.1, if exactly_once { 6 } else { 3 });
        // The broker knows a producer by its numbered batches: one that is not idempotent has none.
        let producers = active_producers(bench.bootstrap(), &at(&topic, 0)).await;
        assert_eq!(producers.len(), 1, "{producers:?}");
        assert!(producers[0].id >= 0, "{producers:?}");
        assert_eq!((producers[0].last_sequence, producers[0].has_transactions), (2, exactly_once), "{producers:?}");
    }
}
