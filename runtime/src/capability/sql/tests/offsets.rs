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
    assert_eq!(stored[0], StoredOffset { others: vec![(Foreign::Log("old log".to_owned()), 77)], ..StoredOffset::default() });
    assert_eq!(
        stored[1],
        StoredOffset { own: Some(3), others: vec![(Foreign::Topic("t0".to_owned()), 5)], ..StoredOffset::default() }
    );
    assert_eq!(stored[2], StoredOffset { own: Some(6), ..StoredOffset::default() });
    // A sink that still expects what was there before does not move it.
    assert!(!session.advance_offsets(&scope("log"), &[moved(1, 2, 9)]).await.unwrap());
    assert!(session.advance_offsets(&scope("log"), &[moved(1, 3, 9)]).await.unwrap());
}

/// A table that somebody has made, with whatever makes its rows the only ones.
async fn made_by_hand(db: &impl Database, key: &str) {
    let columns =
        "log_id text, consumer_group text, topic text, topic_id text, partition int, next_offset bigint, updated_at timestamptz";
    db.execute(&format!("DROP TABLE IF EXISTS _wharf_offsets; CREATE TABLE _wharf_offsets ({columns}{key})")).await;
}

async fn enter_by_hand(db: &impl Database, partition: i32, next: i64) {
    db.execute(&format!(
        "INSERT INTO _wharf_offsets VALUES ('log', 'wharf.shop.sink', 'orders', 't1', {partition}, {next}, NULL)"
    ))
    .await;
}

/// What each call says of the table.
async fn refusals(db: &impl Database) -> Vec<String> {
    let mut session = db.connections().session("db").unwrap();
    let (scope, asked) = (scope("log"), [(at(3), "t1".to_owned())]);
    let change = OffsetChange { partition: at(3), topic_id: "t1".to_owned(), next: Some(9) };
    let all = [
        session.load_offsets(&scope, &asked).await.err(),
        session.claim_offset(&scope, &at(3), "t1", 5).await.err(),
        session.advance_offsets(&scope, &[moved(3, 5, 6)]).await.err(),
        session.stored_offsets(&scope, &asked).await.err(),
        session.change_offsets(&scope, &[change]).await.err(),
    ];
    let fatal = |error| if let Some(SqlError::Fatal(text)) = error { text } else { panic!("{error:?}") };
    all.into_iter().map(fatal).collect()
}

pub async fn an_offsets_table_without_its_key_is_refused_until_it_has_one(db: &impl Database) {
    // None of these makes a row the only one of its key.
    let index = |of: &str| format!("CREATE UNIQUE INDEX other ON _wharf_offsets {of}");
    let five = "(topic, log_id, topic_id, partition, consumer_group)";
    let keys = [
        String::new(),
        index("(log_id, consumer_group, topic, topic_id, partition, next_offset)"),
        index(&format!("{five} WHERE partition > 3")),
        format!("CREATE INDEX other ON _wharf_offsets {five}"),
    ];
    for key in keys {
        made_by_hand(db, "").await;
        db.execute(&key).await;
        enter_by_hand(db, 3, 5).await;
        for text in refusals(db).await {
            let names = ["connection `db`", "`_wharf_offsets`", "group `wharf.shop.sink`", "no primary key or unique index"];
            assert!(names.iter().all(|name| text.contains(name)) && !text.contains("rows of partition"), "{key}: {text}");
        }
    }
    enter_by_hand(db, 3, 6).await;
    let texts = refusals(db).await;
    assert!(texts.iter().all(|text| text.contains("2 rows of partition orders/3 of group `wharf.shop.sink`")), "{texts:?}");
    assert_eq!(db.read("SELECT next_offset FROM _wharf_offsets ORDER BY 1").await, ["5", "6"], "nothing moves");

    db.execute("DELETE FROM _wharf_offsets WHERE next_offset = 6").await;
    db.execute(texts[0].split_once("run: ").unwrap().1).await;
    assert_eq!(stored(db, "log", "t1", &[3]).await, [Some(5)]);
    let mut session = db.connections().session("db").unwrap();
    session.claim_offset(&scope("log"), &at(3), "t1", 5).await.unwrap();
    assert!(session.advance_offsets(&scope("log"), &[moved(3, 5, 6)]).await.unwrap());
    made_by_hand(db, ", UNIQUE (partition, log_id, consumer_group, topic_id, topic)").await;
    assert_eq!(stored(db, "log", "t1", &[3]).await, [None]);
}

pub async fn of_doubled_rows_none_is_moved_unnoticed_when_the_key_goes_while_a_session_is_open(db: &impl Database) {
    made_by_hand(db, ", CONSTRAINT own UNIQUE (log_id, consumer_group, topic, topic_id, partition)").await;
    let mut session = db.connections().session("single").unwrap();
    session.claim_offset(&scope("log"), &at(0), "t1", 5).await.unwrap();
    assert!(session.advance_offsets(&scope("log"), &[moved(0, 5, 6)]).await.unwrap());
    db.execute(
        "CREATE TABLE copy AS SELECT * FROM _wharf_offsets; DROP TABLE _wharf_offsets; ALTER TABLE copy RENAME TO _wharf_offsets",
    )
    .await;
    enter_by_hand(db, 0, 6).await;
    let moved = session.advance_offsets(&scope("log"), &[moved(0, 6, 7)]).await;
    assert!(matches!(moved, Ok(false) | Err(SqlError::Fatal(_))), "{moved:?}");
    assert_eq!(db.read("SELECT next_offset FROM _wharf_offsets").await, ["6", "6"]);
    let loaded = session.load_offsets(&scope("log"), &[(at(0), "t1".to_owned())]).await.unwrap_err();
    assert!(matches!(&loaded, SqlError::Fatal(text) if text.contains("2 rows of partition orders/0")), "{loaded}");
}
