//! What holds for stored offsets and pools in every database.
use super::api::{Foreign, OffsetChange, OffsetMove, OffsetScope, SqlError, StoredOffset, TopicPartition};
use super::columns::{ints, rows, table};
use super::rules::Database;

fn scope(log_id: &str) -> OffsetScope {
    OffsetScope { log_id: log_id.to_owned(), group: "wharf.shop.sink".to_owned() }
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: "orders".into(), partition }
}

fn moved(partition: i32, expected: i64, next: i64) -> OffsetMove {
    OffsetMove { partition: at(partition), topic_id: "t1".to_owned(), expected, next }
}

async fn stored(db: &impl Database, log_id: &str, topic_id: &str, partitions: &[i32]) -> Vec<Option<i64>> {
    let partitions: Vec<_> = partitions.iter().map(|p| (at(*p), topic_id.to_owned())).collect();
    db.connections().session("db").unwrap().load_offsets(&scope(log_id), &partitions).await.unwrap()
}

pub async fn stored_offset_belongs_to_log_topic_and_topic_id(db: &impl Database) {
    assert_eq!(stored(db, "log", "t1", &[0, 1]).await, [None, None]);
    let mut session = db.connections().session("db").unwrap();
    session.claim_offset(&scope("log"), &at(1), "t1", 42).await.unwrap();
    assert_eq!(stored(db, "log", "t1", &[1, 0, 1]).await, [Some(42), None, Some(42)]);
    assert_eq!(stored(db, "other log", "t1", &[1]).await, [None]);
    assert_eq!(stored(db, "log", "topic made anew", &[1]).await, [None]);
    assert!(!session.advance_offsets(&scope("other log"), &[moved(1, 42, 43)]).await.unwrap());
    assert!(session.advance_offsets(&scope("log"), &[moved(1, 42, 43)]).await.unwrap());
    assert_eq!(stored(db, "log", "t1", &[1]).await, [Some(43)]);
}

pub async fn claim_of_the_same_offset_is_fine_and_of_another_is_not(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    session.claim_offset(&scope("log"), &at(0), "t1", 5).await.unwrap();
    session.claim_offset(&scope("log"), &at(0), "t1", 5).await.unwrap();
    let other = session.claim_offset(&scope("log"), &at(0), "t1", 6).await.unwrap_err();
    assert!(matches!(&other, SqlError::Retry(text) if text.contains("orders/0")), "{other}");
    assert_eq!(stored(db, "log", "t1", &[0]).await, [Some(5)]);
}

pub async fn of_two_owners_one_moves_the_offset(db: &impl Database) {
    let mut first = db.connections().session("db").unwrap();
    first.claim_offset(&scope("log"), &at(0), "t1", 10).await.unwrap();
    let task = async |next| {
        let mut session = db.connections().session("db").unwrap();
        session.begin().await.unwrap();
        let won = session.advance_offsets(&scope("log"), &[moved(0, 10, next)]).await.unwrap();
        // Gives the other one time to meet the row while it is locked.
        tokio::task::yield_now().await;
        if won {
            session.commit().await.unwrap();
        } else {
            session.rollback().await.unwrap();
        }
        won.then_some(next)
    };
    let (a, b) = tokio::join!(task(20), task(30));
    let won: Vec<_> = [a, b].into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "both or none moved it");
    assert_eq!(stored(db, "log", "t1", &[0]).await, [Some(won[0])]);
}

pub async fn offsets_and_rows_commit_or_vanish_together(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let mut session = db.connections().session("db").unwrap();
    session.claim_offset(&scope("log"), &at(0), "t1", 0).await.unwrap();
    for (id, commits) in [(1, false), (2, true)] {
        session.begin().await.unwrap();
        session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(id)])])).await.unwrap();
        assert!(session.advance_offsets(&scope("log"), &[moved(0, 0, id)]).await.unwrap());
        if commits {
            session.commit().await.unwrap();
        } else {
            session.rollback().await.unwrap();
        }
    }
    assert_eq!(db.read("SELECT id FROM t").await, ["2"]);
    assert_eq!(stored(db, "log", "t1", &[0]).await, [Some(2)]);
}

pub async fn either_all_offsets_move_or_none(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    for partition in 0..3 {
        session.claim_offset(&scope("log"), &at(partition), "t1", 7).await.unwrap();
    }
    assert!(!session.advance_offsets(&scope("log"), &[moved(0, 7, 8), moved(1, 7, 8), moved(2, 6, 8)]).await.unwrap());
    assert!(!session.advance_offsets(&scope("log"), &[moved(0, 7, 8), moved(9, 7, 8)]).await.unwrap());
    assert_eq!(stored(db, "log", "t1", &[0, 1, 2]).await, [Some(7), Some(7), Some(7)]);
    assert!(session.advance_offsets(&scope("log"), &[moved(0, 7, 8), moved(2, 7, 9)]).await.unwrap());
    assert_eq!(stored(db, "log", "t1", &[0, 1, 2]).await, [Some(8), Some(7), Some(9)]);
    assert!(session.advance_offsets(&scope("log"), &[]).await.unwrap());
}

pub async fn sessions_at_once_make_one_offsets_table(db: &impl Database) {
    let claim = async |partition| {
        let mut session = db.connections().session("db").unwrap();
        session.claim_offset(&scope("log"), &at(partition), "t1", 1).await
    };
    let (a, b, c, d) = tokio::join!(claim(0), claim(1), claim(2), claim(3));
    for claimed in [a, b, c, d] {
        claimed.unwrap();
    }
    assert_eq!(stored(db, "log", "t1", &[0, 1, 2, 3]).await, [Some(1); 4]);
}

pub async fn pool_of_one_serves_two_sessions_in_turn(db: &impl Database) {
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let write = async |id: i64| {
        let mut session = db.connections().session("single").unwrap();
        for round in 0..5 {
            session.begin().await.unwrap();
            session.apply(&table("t", &["id"]), &rows(1, vec![ints("id", &[Some(id + round)])])).await.unwrap();
            session.commit().await.unwrap();
        }
    };
    tokio::join!(write(0), write(10));
    assert_eq!(db.read("SELECT count(*) FROM t").await, ["10"]);
}

pub async fn an_operator_sees_every_stored_offset_and_moves_only_those_of_this_log_and_topic(db: &impl Database) {
    let mut session = db.connections().session("db").unwrap();
    let asked: Vec<_> = [0, 1, 2].map(|p| (at(p), "t1".to_owned())).into();
    assert_eq!(session.stored_offsets(&scope("log"), &asked).await.unwrap(), vec![StoredOffset::default(); 3]);
    session.claim_offset(&scope("log"), &at(0), "t1", 10).await.unwrap();
    session.claim_offset(&scope("old log"), &at(0), "t1", 77).await.unwrap();
    session.claim_offset(&scope("log"), &at(1), "t0", 5).await.unwrap();
    let change = |partition, next| OffsetChange { partition: at(partition), topic_id: "t1".to_owned(), next };
    session.change_offsets(&scope("log"), &[change(0, None), change(1, Some(3)), change(2, Some(4))]).await.unwrap();
    session.change_offsets(&scope("log"), &[change(2, Some(6))]).await.unwrap();
    let stored = session.stored_offsets(&scope("log"), &asked).await.unwrap();
    assert_eq!(stored[0], StoredOffset { own: None, others: vec![(Foreign::Log("old log".to_owned()), 77)] });
    assert_eq!(stored[1], StoredOffset { own: Some(3), others: vec![(Foreign::Topic("t0".to_owned()), 5)] });
    assert_eq!(stored[2], StoredOffset { own: Some(6), others: Vec::new() });
    // A sink that still expects what was there before does not move it.
    assert!(!session.advance_offsets(&scope("log"), &[moved(1, 2, 9)]).await.unwrap());
    assert!(session.advance_offsets(&scope("log"), &[moved(1, 3, 9)]).await.unwrap());
}
