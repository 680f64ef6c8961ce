//! The file: made, opened again, refused.
use super::*;

fn refusal(folder: &TempDir) -> String {
    fatal(&EmbeddedLog::open(folder.path(), None, None).unwrap_err()).to_owned()
}

#[tokio::test]
async fn a_new_log_has_an_id_of_its_own_and_keeps_it() {
    let (one, two) = (folder(), folder());
    let nested = one.path().join("state").join("wharf");
    let id = EmbeddedLog::open(&nested, None, None).unwrap().id().await.unwrap();
    assert_eq!(EmbeddedLog::open(&nested, None, None).unwrap().id().await.unwrap(), id);
    assert_ne!(open(&two).id().await.unwrap(), id);
    let shape = regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").unwrap();
    assert!(shape.is_match(&id), "{id}");
}

#[cfg(unix)]
#[tokio::test]
async fn others_may_not_read_the_log() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let _log = with_topic(&folder).await;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn opening_again_keeps_everything() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let id = log.topics().await.unwrap()[0].id.clone();
    log.append(&batch("t", &["a", "b"])).await.unwrap();
    log.source(&owner(0, 1)).await.unwrap().append(&batch("t", &["c"]), &[position("x", b"1")]).await.unwrap();
    drop(log);
    let log = open(&folder);
    assert_eq!(log.topics().await.unwrap()[0].id, id);
    assert_eq!(values(&log, "t").await, ["a", "b", "c"]);
    assert_eq!(log.source(&owner(0, 1)).await.unwrap().positions(), [position("x", b"1")]);
    log.append(&batch("t", &["d"])).await.unwrap();
    assert_eq!(ends(&log, "t").await, [(0, 4)]);
}

#[tokio::test]
async fn what_was_confirmed_survives_a_process_that_is_killed() {
    let (folder, after) = (folder(), folder());
    let log = with_topic(&folder).await;
    let mut source = log.source(&owner(0, 1)).await.unwrap();
    source.append(&batch("t", &["a", "b"]), &[position("x", b"1")]).await.unwrap();
    // The files as they stand while the process lives, its last transactions in the `-wal` file only.
    for name in [FILE.to_owned(), format!("{FILE}-wal")] {
        fs::copy(folder.path().join(&name), after.path().join(&name)).unwrap();
    }
    let survivor = open(&after);
    assert_eq!(values(&survivor, "t").await, ["a", "b"]);
    assert_eq!(survivor.source(&owner(0, 1)).await.unwrap().positions(), [position("x", b"1")]);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_as_it_was() {
    let folder = folder();
    beside(folder.path()).execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)").unwrap();
    let before = fs::read(folder.path().join(FILE)).unwrap();
    assert!(refusal(&folder).contains("another program"));
    assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), before);
    let read_only = EmbeddedLog::open_read_only(folder.path()).unwrap_err();
    assert!(fatal(&read_only).contains("another program"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_was() {
    let folder = folder();
    let text = "a text that someone put there\n".repeat(500);
    fs::write(folder.path().join(FILE), &text).unwrap();
    assert!(refusal(&folder).contains("is not a Wharf log"));
    assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), text);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let folder = folder();
    drop(with_topic(&folder).await);
    beside(folder.path()).execute_batch("PRAGMA user_version = 3").unwrap();
    assert!(refusal(&folder).contains("version 3"));
    assert!(fatal(&EmbeddedLog::open_read_only(folder.path()).unwrap_err()).contains("version 3"));
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_damaged() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a"])).await.unwrap();
    drop(log);
    let mut bytes = fs::read(folder.path().join(FILE)).unwrap();
    bytes.iter_mut().skip(8192).for_each(|b| *b = 0xa5);
    fs::write(folder.path().join(FILE), bytes).unwrap();
    assert!(refusal(&folder).contains("is damaged"));
}

#[tokio::test]
async fn damaged_contents_end_the_call_and_not_the_thread() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a"])).await.unwrap();
    let other = beside(folder.path());
    other.execute_batch("UPDATE records SET headers = x'ff00000001'").unwrap();
    let mut reader = log.read("t", Start::Earliest).await.unwrap();
    assert!(fatal(&reader.next(Duration::ZERO).await.unwrap_err()).contains("headers cut short"));
    other.execute_batch("UPDATE topics SET config = 'no json'").unwrap();
    assert!(fatal(&log.append(&batch("t", &["b"])).await.unwrap_err()).contains("no JSON"));
    other.execute_batch("UPDATE topics SET config = '{}'; UPDATE records SET headers = NULL").unwrap();
    log.append(&batch("t", &["c"])).await.unwrap();
    assert_eq!(values(&log, "t").await, ["a", "c"]);
}

#[tokio::test]
async fn a_reader_beside_the_worker_sees_what_is_new_and_may_write_nothing() {
    let folder = folder();
    let log = with_topic(&folder).await;
    let look = EmbeddedLog::open_read_only(folder.path()).unwrap();
    assert_eq!(look.id().await.unwrap(), log.id().await.unwrap());
    let mut reader = look.read("t", Start::Earliest).await.unwrap();
    log.append(&batch("t", &["a"])).await.unwrap();
    assert_eq!(reader.next(WAIT).await.unwrap().len(), 1);
    log.create_topics(&[spec("later", 2, &[])]).await.unwrap();
    assert_eq!(look.topics().await.unwrap().len(), 2);
    let refused = [
        look.append(&batch("t", &["b"])).await.map(drop),
        look.create_topics(&[spec("x", 1, &[])]).await,
        look.source(&owner(0, 1)).await.map(drop),
        look.sink(&sink("k", 1, Start::Earliest)).await.map(drop),
    ];
    for result in refused {
        assert!(fatal(&result.unwrap_err()).contains("opened for reading only"));
    }
}

#[tokio::test]
async fn there_is_nothing_to_look_at_before_a_first_run() {
    let folder = folder();
    assert!(fatal(&EmbeddedLog::open_read_only(folder.path()).unwrap_err()).contains("run the deployment first"));
    assert!(!folder.path().join(FILE).exists(), "looking makes no file");
    fs::write(folder.path().join(FILE), "").unwrap();
    let LogError::Retry(text) = EmbeddedLog::open_read_only(folder.path()).unwrap_err() else { panic!("not a retry") };
    assert!(text.contains("still being made"));
}

#[tokio::test]
async fn a_topic_that_is_not_there_names_those_that_are() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.create_topics(&[spec("u", 1, &[])]).await.unwrap();
    let Err(error) = log.read("x", Start::Earliest).await else { panic!("there is no such topic") };
    assert_eq!(fatal(&error), "there is no topic `x`; there are: t, u");
}

#[tokio::test]
async fn a_file_of_version_1_is_taken_over_with_its_offsets() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a", "b", "c"])).await.unwrap();
    let mut lane = log.sink(&sink("k", 1, Start::Earliest)).await.unwrap().remove(0);
    let SinkEvent::Assigned(list) = lane.next(LIMITS, WAIT).await.unwrap() else { panic!("not assigned") };
    lane.commit(&[(list[0].partition.clone(), 2)]).await.unwrap();
    drop((lane, log));
    beside(folder.path()).execute_batch("ALTER TABLE offsets DROP COLUMN mark; PRAGMA user_version = 1").unwrap();
    assert_eq!(values(&EmbeddedLog::open_read_only(folder.path()).unwrap(), "t").await, ["a", "b", "c"], "also as it is");
    for _ in 0..2 {
        let log = open(&folder);
        let mut lane = log.sink(&sink("k", 1, Start::Earliest)).await.unwrap().remove(0);
        let SinkEvent::Assigned(list) = lane.next(LIMITS, WAIT).await.unwrap() else { panic!("not assigned") };
        assert_eq!(list[0].committed, Some(2));
    }
}
