//! Owners of positions: a later one fences an earlier one, in the transaction that would have written.
use super::*;

async fn take_over(log: &EmbeddedLog, task: u32, tasks: u32) -> Box<dyn SourceLog> {
    log.source(&owner(task, tasks)).await.unwrap()
}

async fn append(source: &mut Box<dyn SourceLog>, value: &str) -> Result<Vec<Refused>, LogError> {
    source.append(&batch("t", &[value]), &[position("x", value.as_bytes())]).await
}

fn is_fenced(result: &Result<Vec<Refused>, LogError>) -> bool {
    matches!(result, Err(LogError::Fenced(_)))
}

#[tokio::test]
async fn a_newer_owner_fences_the_older_one_and_nothing_of_that_is_written() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let mut old = take_over(&log, 0, 1).await;
    append(&mut old, "1").await.unwrap();
    let mut new = take_over(&log, 0, 1).await;
    assert_eq!(new.positions(), [position("x", b"1")]);
    assert!(is_fenced(&append(&mut old, "zombie").await));
    append(&mut new, "2").await.unwrap();
    assert!(is_fenced(&append(&mut old, "zombie").await), "for good");
    assert_eq!(values(&log, "t").await, ["1", "2"]);
    assert_eq!(take_over(&log, 0, 1).await.positions(), [position("x", b"2")]);
}

#[tokio::test]
async fn an_owner_that_comes_back_is_the_newest_again() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let mut old = take_over(&log, 0, 1).await;
    drop(take_over(&log, 0, 1).await);
    assert!(is_fenced(&append(&mut old, "1").await));
    append(&mut take_over(&log, 0, 1).await, "2").await.unwrap();
    assert_eq!(values(&log, "t").await, ["2"]);
}

#[tokio::test]
async fn tasks_of_one_source_do_not_fence_each_other() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let (mut first, mut second) = (take_over(&log, 0, 2).await, take_over(&log, 1, 2).await);
    first.append(&batch("t", &["1"]), &[position("x", b"1")]).await.unwrap();
    second.append(&batch("t", &["2"]), &[position("y", b"2")]).await.unwrap();
    assert_eq!(take_over(&log, 0, 2).await.positions(), [position("x", b"1"), position("y", b"2")]);
}

#[tokio::test]
async fn another_number_of_tasks_fences_all_old_tasks() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let (mut first, mut second) = (take_over(&log, 0, 2).await, take_over(&log, 1, 2).await);
    let mut only = take_over(&log, 0, 1).await;
    assert!(is_fenced(&append(&mut first, "a").await));
    assert!(is_fenced(&append(&mut second, "b").await), "also the task that no longer exists");
    append(&mut only, "c").await.unwrap();
    // And back: epochs begin nowhere again, so an owner of before can't match.
    let mut again = take_over(&log, 1, 2).await;
    assert!(is_fenced(&append(&mut second, "d").await));
    assert!(is_fenced(&append(&mut only, "e").await));
    append(&mut again, "f").await.unwrap();
    assert_eq!(values(&log, "t").await, ["c", "f"]);
}

#[tokio::test]
async fn sources_and_deployments_do_not_touch_each_other() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let mut own = take_over(&log, 0, 1).await;
    append(&mut own, "1").await.unwrap();
    for other in
        [SourceOwner { source: "other".to_owned(), ..owner(0, 3) }, SourceOwner { deployment: "e".to_owned(), ..owner(0, 3) }]
    {
        assert_eq!(log.source(&other).await.unwrap().positions(), []);
    }
    append(&mut own, "2").await.unwrap();
}

#[tokio::test]
async fn an_owner_of_before_a_restart_is_fenced_after_it() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let mut old = take_over(&log, 0, 1).await;
    // Another process on the same file, as after a lock that did not hold.
    let other = open(&folder);
    let mut new = take_over(&other, 0, 1).await;
    assert!(is_fenced(&append(&mut old, "a").await));
    append(&mut new, "b").await.unwrap();
    assert_eq!(values(&other, "t").await, ["b"]);
}

#[tokio::test]
async fn an_empty_place_forgets_the_slice() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let mut source = take_over(&log, 0, 1).await;
    source.append(&Arc::default(), &[position("x", b"1"), position("y", b"1")]).await.unwrap();
    source.append(&Arc::default(), &[position("x", b"")]).await.unwrap();
    assert_eq!(take_over(&log, 0, 1).await.positions(), [position("y", b"1")]);
}

#[tokio::test]
async fn a_refused_record_keeps_records_and_positions_out() {
    let folder = folder();
    let log = open(&folder);
    log.create_topics(&[spec("t", 1, &[("max.message.bytes", "3")])]).await.unwrap();
    let mut source = take_over(&log, 0, 1).await;
    let refused = source.append(&batch("t", &["abc", "abcd"]), &[position("x", b"1")]).await.unwrap();
    assert_eq!(refused.iter().map(|r| r.index).collect::<Vec<_>>(), [1]);
    assert!(refused[0].reason.contains("max.message.bytes"), "{}", refused[0].reason);
    assert_eq!(values(&log, "t").await, [""; 0]);
    assert_eq!(take_over(&log, 0, 1).await.positions(), []);
}
