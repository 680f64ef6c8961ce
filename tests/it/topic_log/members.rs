//! Several members of one group: who owns a partition when, by the classic protocol and by that of KIP-848.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminOptions, NewPartitions};
use wharf_runtime::topic_log::{LogError, SinkEvent, SinkLog, SinkSpec, Start, TopicSelection};

use super::bench::{
    Bench, LIMITS, PATIENCE, Row, admin, assigned, at, away, begin, catch_up, event, numbers, read_rows, rows, texts, try_begin,
    write_numbers,
};

pub async fn a_partition_is_handed_over_only_when_its_lane_lets_go(bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..40).await;
    let mut spec = bench.sink_of(&topic);
    // Whoever does not own all partitions waits for a session to end before it says that all is read.
    bench.short_session(&mut spec);
    let mut first = bench.lane(&spec).await;
    let read = read_rows(&mut *first, 40).await;
    let mut second = bench.lane(&spec).await;
    let SinkEvent::Revoked(gone) = event(&mut *first, LIMITS).await else { panic!("nothing is revoked") };
    for _ in 0..8 {
        let waiting = second.next(LIMITS, Duration::from_millis(250)).await.unwrap();
        assert_eq!((&waiting, second.caught_up().await), (&SinkEvent::Idle, Ok(false)));
    }
    // What was in flight is still this lane's to commit.
    let ends: BTreeMap<_, _> = read.iter().map(|row| (row.at.clone(), row.offset + 1)).collect();
    let commits: Vec<_> = gone.iter().map(|at| (at.clone(), ends[at])).collect();
    first.commit(&commits).await.unwrap();
    first.release(&gone).await.unwrap();
    let list = assigned(&mut *second, 1).await;
    assert_eq!(list.iter().map(|a| (a.partition.clone(), a.committed.unwrap())).collect::<Vec<_>>(), commits);
    begin(&mut *second, &list).await;
    catch_up(&mut *second).await;
    catch_up(&mut *first).await;
}

pub async fn a_partition_is_given_back_at_the_deadline(bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..40).await;
    let mut spec = bench.sink_of(&topic);
    // Half of the poll interval is the deadline.
    bench.short_session(&mut spec);
    spec.properties.insert("max.poll.interval.ms".to_owned(), "6000".to_owned());
    let mut first = bench.lane(&spec).await;
    read_rows(&mut *first, 40).await;
    let mut second = bench.lane(&spec).await;
    let SinkEvent::Revoked(gone) = event(&mut *first, LIMITS).await else { panic!("nothing is revoked") };
    let list = assigned(&mut *second, 1).await;
    assert_eq!(list[0].partition, gone[0]);
    let late = first.commit(&[(gone[0].clone(), 7)]).await;
    assert_eq!(late, Err(LogError::NotOwner(gone.clone())));
    first.release(&gone).await.unwrap();
    assert_eq!(list[0].committed, None);
}

pub async fn dropping_lanes_leaves_the_group_even_with_a_revocation_pending(bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    let spec = bench.sink_of(&topic);
    let mut first = bench.lane(&spec).await;
    assigned(&mut *first, 2).await;
    let mut second = bench.lane(&spec).await;
    let SinkEvent::Revoked(_) = event(&mut *first, LIMITS).await else { panic!("nothing is revoked") };
    drop(first);
    let began = Instant::now();
    assigned(&mut *second, 2).await;
    // It left: its session would have lasted for 45 s.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop(second);
    tokio::task::spawn_blocking(move || drop(bench)).await.unwrap();
}

pub async fn a_partition_that_is_added_at_run_time_is_taken_up(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    let more = [NewPartitions::new(&topic, 2)];
    admin(bench.bootstrap()).create_partitions(&more, &AdminOptions::new()).await.unwrap()[0].clone().unwrap();
    let list = assigned(&mut *lane, 1).await;
    assert_eq!(list[0].partition, at(&topic, 1));
    begin(&mut *lane, &list).await;
    write_numbers(&*bench, &topic, 0..40).await;
    assert_eq!(read_rows(&mut *lane, 40).await.len(), 40);
}

pub async fn a_partition_that_nobody_has_yet_is_not_taken_for_read(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let mut spec = bench.sink_of(&topic);
    bench.short_session(&mut spec);
    // The group hears of the second partition long after a member that died would have left it.
    spec.properties.insert("topic.metadata.refresh.interval.ms".to_owned(), "18000".to_owned());
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    let more = [NewPartitions::new(&topic, 2)];
    admin(bench.bootstrap()).create_partitions(&more, &AdminOptions::new()).await.unwrap()[0].clone().unwrap();
    write_numbers(&*bench.another(), &topic, 0..40).await;
    assert_eq!(all_there_is(&mut *lane).await.len(), 40);
}

/// What comes until the lane says that all is read.
async fn all_there_is(lane: &mut dyn SinkLog) -> Vec<Row> {
    let mut found = Vec::new();
    loop {
        match lane.next(LIMITS, Duration::from_millis(200)).await.unwrap() {
            SinkEvent::Records(batch) => found.extend(rows(&batch)),
            SinkEvent::Assigned(list) => begin(lane, &list).await,
            SinkEvent::Idle if lane.caught_up().await.unwrap() => return found,
            SinkEvent::Idle => {}
            other => panic!("{other:?}"),
        }
    }
}

/// As when somebody has made the topic and filled it, and this sink's broker has not heard of it.
pub async fn a_topic_that_is_heard_of_a_moment_later_is_not_taken_for_read(bench: Bench) {
    let mut spec = bench.sink_of(&bench.name("orders"));
    spec.properties.insert("topic.metadata.refresh.interval.ms".to_owned(), "500".to_owned());
    let mut lane = bench.lane(&spec).await;
    let deadline = Instant::now() + PATIENCE;
    while lane.awaits_group().is_some() {
        assert_eq!(lane.next(LIMITS, Duration::from_millis(100)).await.unwrap(), SinkEvent::Idle);
        assert!(Instant::now() < deadline, "it waits for a group that has nothing to assign");
    }
    assert_eq!(lane.caught_up().await, Ok(false));
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..40).await;
    assert_eq!(all_there_is(&mut *lane).await.len(), 40);
}

/// A sink that starts at the end of one partition with five records; its other topic, `returns`, is not there yet.
async fn at_the_end(bench: &Bench) -> (String, SinkSpec) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&**bench, &topic, 0..5).await;
    let mut spec = bench.sink_of(&topic);
    spec.topics = TopicSelection::Names(vec![topic.clone(), bench.name("returns")]);
    spec.start = Start::Latest;
    (topic, spec)
}

/// A second partition and `returns` come, then records into all.
async fn more_comes(bench: &Bench, topic: &str) {
    let more = [NewPartitions::new(topic, 2)];
    admin(bench.bootstrap()).create_partitions(&more, &AdminOptions::new()).await.unwrap()[0].clone().unwrap();
    let returns = bench.topic("returns", 1).await;
    // Its producer knows of both.
    let another = bench.another();
    write_numbers(&*another, topic, 5..45).await;
    write_numbers(&*another, &returns, 45..50).await;
}

async fn all_that_came_arrives(lane: &mut dyn SinkLog) {
    let mut arrived: Vec<usize> = read_rows(lane, 45).await.iter().map(|row| row.text().parse().unwrap()).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, (5..50).collect::<Vec<_>>());
}

pub async fn what_comes_into_a_partition_or_topic_before_it_is_taken_up_is_read_by_a_sink_that_starts_at_the_end(bench: Bench) {
    let (topic, mut spec) = at_the_end(&bench).await;
    // Longer than the records take.
    spec.properties.insert("topic.metadata.refresh.interval.ms".to_owned(), "3000".to_owned());
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    more_comes(&bench, &topic).await;
    all_that_came_arrives(&mut *lane).await;
}

pub async fn what_comes_into_a_partition_while_a_sink_that_starts_at_the_end_is_away_is_read(bench: Bench) {
    let (topic, spec) = at_the_end(&bench).await;
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    away(&bench, lane, &spec.group()).await;
    more_comes(&bench, &topic).await;
    all_that_came_arrives(&mut *bench.lane(&spec).await).await;
}

/// Not even its topic was there at its first start.
pub async fn what_comes_after_the_first_start_of_a_sink_that_starts_at_the_end_is_read_by_the_next(bench: Bench) {
    let state = tempfile::tempdir().unwrap();
    let mut spec = bench.sink_of(&bench.name("orders"));
    spec.start = Start::Latest;
    let worker = bench.worker(state.path());
    let mut lane = worker.sink(&spec).await.unwrap().remove(0);
    let deadline = Instant::now() + PATIENCE;
    while lane.awaits_group().is_some() {
        assert_eq!(lane.next(LIMITS, Duration::from_millis(100)).await.unwrap(), SinkEvent::Idle);
        assert!(Instant::now() < deadline, "it waits for a group that has nothing to assign");
    }
    tokio::task::spawn_blocking(move || drop((lane, worker))).await.unwrap();
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..40).await;
    let worker = bench.worker(state.path());
    let mut lane = worker.sink(&spec).await.unwrap().remove(0);
    assert_eq!(read_rows(&mut *lane, 40).await.len(), 40);
    tokio::task::spawn_blocking(move || drop((lane, worker))).await.unwrap();
    // Another sink, whose first start this is.
    spec.sink = "other".to_owned();
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 2).await;
    begin(&mut *lane, &list).await;
    write_numbers(&*bench, &topic, 40..50).await;
    let mut read: Vec<usize> = read_rows(&mut *lane, 10).await.iter().map(|row| row.text().parse().unwrap()).collect();
    read.sort_unstable();
    assert_eq!(read, (40..50).collect::<Vec<_>>());
}

pub async fn a_topic_that_is_created_anew_while_it_is_read_comes_as_another_one(mut bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..5).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let old = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &old).await;
    read_rows(&mut *lane, 5).await;
    lane.commit(&[(at(&topic, 0), 5)]).await.unwrap();
    bench.delete_topic(&topic).await;
    bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 100..120).await;
    assert_eq!(read_anew(&mut *lane, &old[0].topic_id, 20).await, numbers(100..120));
}

/// What comes of a topic that was created anew, until the lane says that it is caught up after so many records. Places are kept
/// here as a database keeps them: Kafka drops a group's offsets with the topic by its name, late, and those of the new one too.
async fn read_anew(lane: &mut dyn SinkLog, old: &str, records: usize) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let (mut seen, mut places) = (Vec::new(), BTreeMap::new());
    loop {
        assert!(Instant::now() < deadline, "{} of {records} came", seen.len());
        match lane.next(LIMITS, Duration::from_millis(200)).await.unwrap() {
            SinkEvent::Revoked(list) => lane.release(&list).await.unwrap(),
            SinkEvent::Assigned(mut list) => {
                assert!(list.iter().all(|a| a.topic_id != old && (a.committed.is_none() || !seen.is_empty())), "{list:?}");
                list.iter_mut().for_each(|a| a.committed = places.get(&a.partition).copied());
                match try_begin(lane, &list).await {
                    // Gone again: that is the next event.
                    Ok(()) | Err(LogError::NotOwner(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            SinkEvent::Records(batch) => {
                let rows = rows(&batch);
                places.extend(rows.iter().map(|row| (row.at.clone(), row.offset + 1)));
                seen.extend(rows);
            }
            SinkEvent::Idle if seen.len() >= records && lane.caught_up().await.unwrap() => return texts(&seen),
            // Out of range: the old offset does not fit, and the new topic's id is yet to be seen.
            SinkEvent::OutOfRange(..) | SinkEvent::Idle => {}
        }
    }
}

pub async fn a_topic_that_is_created_anew_with_fewer_partitions_is_read(mut bench: Bench) {
    let topic = bench.topic("orders", 3).await;
    write_numbers(&*bench, &topic, 0..30).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let old = assigned(&mut *lane, 3).await;
    begin(&mut *lane, &old).await;
    read_rows(&mut *lane, 30).await;
    bench.delete_topic(&topic).await;
    bench.topic("orders", 1).await;
    // The other one's producer knows of three partitions.
    write_numbers(&*bench.another(), &topic, 100..120).await;
    assert_eq!(read_anew(&mut *lane, &old[0].topic_id, 20).await, numbers(100..120));
}

pub async fn a_topic_that_is_created_anew_and_has_grown_past_the_old_offset_is_read_once_from_its_start(mut bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..10).await;
    // By default: too long to be found by looking from time to time.
    let mut spec = bench.sink_of(&topic);
    spec.properties.insert("topic.metadata.refresh.interval.ms".to_owned(), "30000".to_owned());
    let mut lane = bench.lane(&spec).await;
    let old = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &old).await;
    read_rows(&mut *lane, 10).await;
    lane.commit(&[(at(&topic, 0), 10)]).await.unwrap();
    bench.delete_topic(&topic).await;
    bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 1000..4000).await;
    let seen = read_anew(&mut *lane, &old[0].topic_id, 3000).await;
    // Not as a list of thousands.
    let wrong = seen.iter().zip(numbers(1000..4000)).position(|(seen, expected)| *seen != expected);
    assert_eq!((seen.len(), wrong), (3000, None));
}

/// KIP-345: a restart within the session costs the other members nothing.
pub async fn a_member_with_a_fixed_name_comes_back_to_its_partitions(bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    let spec = |name: &str| {
        let mut spec = bench.sink_of(&topic);
        spec.properties.insert("group.instance.id".to_owned(), name.to_owned());
        spec
    };
    let mut first = bench.lane(&spec("first")).await;
    let list = assigned(&mut *first, 2).await;
    begin(&mut *first, &list).await;
    let mut second = bench.lane(&spec("second")).await;
    let SinkEvent::Revoked(gone) = event(&mut *first, LIMITS).await else { panic!("nothing is revoked") };
    first.release(&gone).await.unwrap();
    let theirs = assigned(&mut *second, 1).await;
    begin(&mut *second, &theirs).await;
    drop(second);
    // Away for a moment: nobody takes its partition.
    for _ in 0..8 {
        let event = first.next(LIMITS, Duration::from_millis(250)).await.unwrap();
        assert!(matches!(event, SinkEvent::Idle), "{event:?}");
    }
    let mut back = bench.lane(&spec("second")).await;
    let again = assigned(&mut *back, 1).await;
    assert_eq!(again[0].partition, theirs[0].partition);
    let event = first.next(LIMITS, Duration::from_millis(500)).await.unwrap();
    assert!(matches!(event, SinkEvent::Idle), "{event:?}");
}
