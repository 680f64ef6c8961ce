//! Topics: what they may be called, how large they may be, and what their configuration means here.
use super::super::catalog::Limits;
use super::*;

fn limits(config: &[(&str, &str)], defaults: &Defaults) -> Result<(Option<i64>, Option<i64>, u64), String> {
    let config = spec("t", 1, config).config;
    Limits::parse(&config, defaults).map(|l| (l.retention_ms, l.retention_bytes, l.max_record))
}

const MOST: u64 = 128 << 20;

#[test]
fn a_topic_without_configuration_has_the_logs_limits() {
    let defaults = Defaults::new(Some(Duration::from_secs(1)), Some(5));
    assert_eq!(limits(&[], &defaults), Ok((Some(1_000), Some(5), MOST)));
    assert_eq!(limits(&[], &Defaults::default()), Ok((None, None, MOST)));
    assert_eq!(limits(&[], &Defaults::new(Some(Duration::MAX), Some(u64::MAX))), Ok((None, None, MOST)));
}

#[test]
fn a_topics_own_limits_win_and_minus_one_means_none() {
    let defaults = Defaults::new(Some(Duration::from_secs(1)), Some(5));
    let own = [("retention.ms", " 7 "), ("retention.bytes", "-1"), ("max.message.bytes", "9"), ("segment.bytes", "x")];
    assert_eq!(limits(&own, &defaults), Ok((Some(7), None, 9)));
    assert_eq!(limits(&[("max.message.bytes", "-1")], &defaults), Ok((Some(1_000), Some(5), MOST)));
}

#[test]
fn a_limit_that_is_no_number_is_refused_by_name() {
    for wrong in ["", "x", "-2", "1.5", "99999999999999999999"] {
        for name in ["retention.ms", "retention.bytes", "max.message.bytes"] {
            assert!(limits(&[(name, wrong)], &Defaults::default()).unwrap_err().contains(name), "{name} = {wrong}");
        }
    }
}

#[test]
fn retention_holds_only_where_the_policy_deletes() {
    let own = |policy| limits(&[("cleanup.policy", policy), ("retention.ms", "7")], &Defaults::default()).unwrap().0;
    assert_eq!((own("compact"), own("delete"), own("compact, delete")), (None, Some(7), Some(7)));
}

#[tokio::test]
async fn names_and_numbers_of_partitions_obey_kafkas_rules() {
    let folder = folder();
    let log = open(&folder);
    let longest = "x".repeat(249);
    log.create_topics(&[spec(&longest, 10_000, &[]), spec("A.b_c-9", -1, &[])]).await.unwrap();
    assert_eq!(ends(&log, &longest).await.len(), 10_000);
    assert_eq!(ends(&log, "A.b_c-9").await.len(), 1);
    for (name, partitions) in
        [("", 1), (".", 1), ("..", 1), ("a/b", 1), ("ä", 1), (&*"x".repeat(250), 1), ("p", 0), ("p", -2), ("p", 10_001)]
    {
        let error = log.create_topics(&[spec("before", 1, &[]), spec(name, partitions, &[])]).await.unwrap_err();
        assert!(fatal(&error).contains(name), "{error}");
    }
    assert_eq!(log.topics().await.unwrap().len(), 2, "what stood before the faulty one is not created either");
}

#[tokio::test]
async fn a_topic_that_exists_is_left_as_it_is() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.append(&batch("t", &["a"])).await.unwrap();
    let before = log.topics().await.unwrap();
    log.create_topics(&[spec("t", 9, &[("retention.ms", "1")])]).await.unwrap();
    assert_eq!(log.topics().await.unwrap(), before);
}

#[tokio::test]
async fn a_topic_made_anew_has_another_id() {
    let folder = folder();
    let log = with_topic(&folder).await;
    log.create_topics(&[spec("u", 1, &[])]).await.unwrap();
    let topics = log.topics().await.unwrap();
    assert_ne!(topics[0].id, topics[1].id);
}
