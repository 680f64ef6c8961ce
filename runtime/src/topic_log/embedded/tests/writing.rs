//! The one writing thread: calls that share a commit, calls that fail, a disk that is full.
use tokio::sync::oneshot;

use super::super::writer::Tx;
use super::*;

fn append(values: &[&str]) -> AppendJob {
    AppendJob { batch: batch("t", values), whole: false }
}

fn count(db: &Connection) -> i64 {
    db.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap()
}

/// Keeps the thread busy until the sender says go, so that what is asked meanwhile waits together.
async fn busy(log: &EmbeddedLog, go: oneshot::Receiver<()>) -> Result<(), LogError> {
    let wait = move |_: &Tx<'_>| {
        go.blocking_recv().unwrap();
        Ok(())
    };
    log.shared.writer().unwrap().run(wait).await
}

#[tokio::test]
async fn calls_that_wait_together_share_one_commit() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let writer = log.shared.writer().unwrap();
    let (go, gone) = oneshot::channel();
    let path = folder.path().to_owned();
    let look = writer.run(move |tx| Ok((count(tx.db), count(&beside(&path)))));
    let (first, second) = (append(&["a"]), append(&["b"]));
    // Polled in this order: the thread is held before the others are queued.
    let (_, one, two, seen, _) =
        tokio::join!(busy(&log, gone), writer.run(move |tx| first.run(tx)), writer.run(move |tx| second.run(tx)), look, async {
            go.send(()).unwrap();
        });
    one.unwrap();
    two.unwrap();
    assert_eq!(seen.unwrap(), (2, 0), "both are written, neither is committed");
    assert_eq!(count(&beside(folder.path())), 2);
}

#[tokio::test]
async fn a_call_that_fails_leaves_nothing_and_the_others_of_its_commit_stand() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let writer = log.shared.writer().unwrap();
    let (go, gone) = oneshot::channel();
    let (first, second, third) = (append(&["a"]), append(&["half"]), append(&["c"]));
    let (_, one, two, three, _) = tokio::join!(
        busy(&log, gone),
        writer.run(move |tx| first.run(tx)),
        writer.run(move |tx| {
            second.run(tx)?;
            Err::<(), _>(LogError::Fatal("no".to_owned()).into())
        }),
        writer.run(move |tx| third.run(tx)),
        async {
            go.send(()).unwrap();
        }
    );
    one.unwrap();
    three.unwrap();
    assert_eq!(two.unwrap_err(), LogError::Fatal("no".to_owned()));
    assert_eq!(values(&log, "t").await, ["a", "c"]);
    assert_eq!(ends(&log, "t").await, [(0, 2)]);
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_said_with_what_to_do() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let mut mixed = batch("t", &["a"]);
    Arc::make_mut(&mut mixed).push(&record("x", None, b"b"));
    let error = log.append(&mixed).await.unwrap_err();
    assert!(fatal(&error).contains("no topic `x`") && fatal(&error).contains("create = true"), "{error}");
    assert_eq!(values(&log, "t").await, [""; 0], "the record before it is not written either");
}

#[tokio::test]
async fn one_record_that_is_too_large_keeps_no_other_dead_letter_out() {
    let folder = folder();
    let log = open(&folder);
    log.create_topics(&[spec("t", 1, &[("max.message.bytes", "3")])]).await.unwrap();
    let refused = log.append(&batch("t", &["a", "abcd", "c"])).await.unwrap();
    assert_eq!(refused.iter().map(|r| r.index).collect::<Vec<_>>(), [1]);
    assert_eq!(values(&log, "t").await, ["a", "c"]);
}

async fn limit_pages(log: &EmbeddedLog, more: i64) {
    let set = move |tx: &Tx<'_>| {
        let pages: i64 = tx.db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let most: i64 = tx.db.query_row(&format!("PRAGMA max_page_count = {}", pages + more), [], |row| row.get(0))?;
        assert_eq!(most, pages + more);
        Ok(())
    };
    log.shared.writer().unwrap().run(set).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_asks_for_a_retry_and_nothing_is_half_written() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let mut source = log.source(&owner(0, 1)).await.unwrap();
    source.append(&batch("t", &["a"]), &[position("x", b"1")]).await.unwrap();
    limit_pages(&log, 8).await;
    let large = "x".repeat(50_000);
    let many = batch("t", &["small", &large, &large, &large]);
    for _ in 0..2 {
        let LogError::Retry(text) = source.append(&many, &[position("x", b"2")]).await.unwrap_err() else {
            panic!("not a retry")
        };
        assert!(text.contains("is full"), "{text}");
    }
    assert_eq!(values(&log, "t").await, ["a"]);
    assert_eq!(ends(&log, "t").await, [(0, 1)]);
    assert_eq!(log.source(&owner(0, 2)).await.unwrap().positions(), [position("x", b"1")]);

    limit_pages(&log, 1_000).await;
    let mut source = log.source(&owner(0, 1)).await.unwrap();
    source.append(&many, &[position("x", b"2")]).await.unwrap();
    assert_eq!(ends(&log, "t").await, [(0, 5)], "it goes on by itself, without a gap");
}

#[tokio::test]
async fn calls_that_share_a_commit_with_a_full_disk_are_told_the_truth() {
    let folder = folder();
    let log = with_topic(&folder).await;
    limit_pages(&log, 8).await;
    let writer = log.shared.writer().unwrap();
    let (go, gone) = oneshot::channel();
    let large = "x".repeat(200_000);
    let (first, second, third) = (append(&["a"]), append(&[&large]), append(&["c"]));
    let (_, one, two, three, _) = tokio::join!(
        busy(&log, gone),
        writer.run(move |tx| first.run(tx)),
        writer.run(move |tx| second.run(tx)),
        writer.run(move |tx| third.run(tx)),
        async {
            go.send(()).unwrap();
        }
    );
    let confirmed: Vec<_> =
        [(one, "a"), (two, "large"), (three, "c")].into_iter().filter(|(r, _)| r.is_ok()).map(|(_, v)| v).collect();
    assert_eq!(values(&log, "t").await, confirmed);
    assert!(!confirmed.contains(&"large"));
}

#[tokio::test]
async fn dropping_the_log_finishes_what_was_asked() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let (go, gone) = oneshot::channel();
    let first = append(&["a"]);
    {
        let writer = log.shared.writer().unwrap();
        let mut waiting = Box::pin(async { tokio::join!(busy(&log, gone), writer.run(move |tx| first.run(tx))) });
        // Queued, and then nobody waits for the answer any more.
        assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err());
    }
    go.send(()).unwrap();
    drop(log);
    assert_eq!(count(&beside(folder.path())), 1);
}
