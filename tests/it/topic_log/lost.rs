//! What a sink is told when the log no longer has what its offset names.

use std::time::{Duration, Instant};

use wharf_runtime::topic_log::places::OffsetChange;
use wharf_runtime::topic_log::{Lost, SinkEvent, SinkLog};

use super::bench::{Bench, LIMITS, PATIENCE, assigned, at, away, begin, event, numbers, read_rows, texts, write_numbers};

pub async fn a_place_that_retention_removed_is_out_of_range(mut bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..60).await;
    bench.lose_records(&topic, 10).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 2).await;
    assert_eq!((list[0].low, list[1].low), (10, 0));
    lane.begin(&[(at(&topic, 0), 4), (at(&topic, 1), 0)]).await.unwrap();
    let mut other = Vec::new();
    loop {
        match event(&mut *lane, LIMITS).await {
            SinkEvent::OutOfRange(lost, Lost::Removed { low, text, .. }) => {
                assert_eq!((lost, low), (at(&topic, 0), 10));
                assert!(text.contains("offset 4") && text.contains("begins at 10"), "{text}");
                break;
            }
            SinkEvent::Records(batch) => other.extend(super::bench::rows(&batch)),
            event => panic!("{event:?}"),
        }
    }
    assert!(other.iter().all(|row| row.at.partition == 1), "the stopped partition does not flow");
    let start = lane.resolve_start(&at(&topic, 0)).await.unwrap();
    assert_eq!(start, 10);
    lane.begin(&[(at(&topic, 0), start)]).await.unwrap();
    let all = usize::try_from(list[0].high - 10 + list[1].high).unwrap();
    other.extend(read_rows(&mut *lane, all - other.len()).await);
    let own: Vec<_> = other.iter().filter(|row| row.at.partition == 0).map(|row| row.offset).collect();
    assert_eq!(own, (10..list[0].high).collect::<Vec<_>>());
}

pub async fn a_place_past_the_end_is_out_of_range(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..3).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    assigned(&mut *lane, 1).await;
    lane.begin(&[(at(&topic, 0), 100)]).await.unwrap();
    match event(&mut *lane, LIMITS).await {
        SinkEvent::OutOfRange(lost, Lost::PastTheEnd(text)) => {
            assert_eq!(lost, at(&topic, 0));
            assert!(text.contains("offset 100") && text.contains("ends at 3"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    lane.begin(&[(at(&topic, 0), 1)]).await.unwrap();
    assert_eq!(texts(&read_rows(&mut *lane, 2).await), numbers(1..3));
}

/// A lane of a topic of one partition with three records, placed past the end. As a database does that keeps the offsets itself: the
/// group has none.
async fn placed_past_the_end(bench: &Bench) -> (Box<dyn SinkLog>, String) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&**bench, &topic, 0..3).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    assigned(&mut *lane, 1).await;
    lane.begin(&[(at(&topic, 0), 10)]).await.unwrap();
    (lane, topic)
}

/// The next thing that is told of a lane's one partition has to be that it stands past the end.
async fn past_the_end(lane: &mut dyn SinkLog, topic: &str) -> String {
    match event(lane, LIMITS).await {
        SinkEvent::OutOfRange(lost, Lost::PastTheEnd(text)) => {
            assert_eq!(lost, at(topic, 0));
            lane.keep_stopped(&at(topic, 0)).await.unwrap();
            text
        }
        other => panic!("{other:?}"),
    }
}

pub async fn a_partition_past_the_end_stays_stopped_when_the_log_has_grown_past_it_until_it_is_moved(bench: Bench) {
    let (mut lane, topic) = placed_past_the_end(&bench).await;
    let (spec, group) = (bench.sink_of(&topic), format!("wharf.{}.warehouse", bench.tag));
    past_the_end(&mut *lane, &topic).await;
    write_numbers(&*bench, &topic, 3..30).await;
    let topic_id = bench.topics().await.unwrap().into_iter().find(|t| t.name == topic).unwrap().id;
    for _ in 0..2 {
        away(&bench, lane, &group).await;
        lane = bench.lane(&spec).await;
        let list = assigned(&mut *lane, 1).await;
        assert_eq!(list[0].committed, Some(10));
        begin(&mut *lane, &list).await;
        let text = past_the_end(&mut *lane, &topic).await;
        assert!(text.contains("offset 10") && text.contains("ends at 30"), "{text}");
    }
    away(&bench, lane, &group).await;
    // To the very place where it stands: people have looked at it.
    let change = OffsetChange { partition: at(&topic, 0), topic_id, next: Some(10) };
    let deadline = Instant::now() + PATIENCE;
    // By KIP-848 a member that has left is still in use for a moment, though the group does not name it any more.
    while let Err(error) = bench.move_group(&group, std::slice::from_ref(&change)).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    lane = bench.lane(&spec).await;
    assert_eq!(texts(&read_rows(&mut *lane, 20).await), numbers(10..30));
}

pub async fn that_a_partition_stopped_commits_nothing_before_its_sink_says_so(bench: Bench) {
    let (mut lane, topic) = placed_past_the_end(&bench).await;
    let (spec, group) = (bench.sink_of(&topic), format!("wharf.{}.warehouse", bench.tag));
    let told = event(&mut *lane, LIMITS).await;
    assert!(matches!(told, SinkEvent::OutOfRange(_, Lost::PastTheEnd(_))), "{told:?}");
    away(&bench, lane, &group).await;
    let mut lane = bench.lane(&spec).await;
    assert_eq!(assigned(&mut *lane, 1).await[0].committed, None);
}

pub async fn a_commit_of_what_was_read_before_it_leaves_a_partition_past_the_end_stopped(bench: Bench) {
    let (mut lane, topic) = placed_past_the_end(&bench).await;
    let (spec, group) = (bench.sink_of(&topic), format!("wharf.{}.warehouse", bench.tag));
    past_the_end(&mut *lane, &topic).await;
    lane.commit(&[(at(&topic, 0), 10)]).await.unwrap();
    write_numbers(&*bench, &topic, 3..30).await;
    away(&bench, lane, &group).await;
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    past_the_end(&mut *lane, &topic).await;
}

pub async fn offsets_of_a_topic_that_was_created_anew_are_not_used(mut bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..10).await;
    let spec = bench.sink_of(&topic);
    let mut lane = bench.lane(&spec).await;
    read_rows(&mut *lane, 10).await;
    lane.commit(&[(at(&topic, 0), 10)]).await.unwrap();
    drop(lane);
    bench.delete_topic(&topic).await;
    bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 100..120).await;
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 1).await;
    assert_eq!(list[0].committed, None);
    begin(&mut *lane, &list).await;
    assert_eq!(texts(&read_rows(&mut *lane, 20).await), numbers(100..120));
}
