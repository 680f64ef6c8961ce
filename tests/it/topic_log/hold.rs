//! A partition that is held: nothing of it is handed out, nothing of it is lost, and nobody is told that all was read.

use std::collections::BTreeMap;
use std::time::Duration;

use wharf_runtime::topic_log::{BatchLimits, Lost, SinkEvent, SinkLog};

use super::bench::{Bench, LIMITS, Row, assigned, at, begin, catch_up, event, numbers, read_rows, rows, texts, write_numbers};

/// Offsets of each partition, in the order of arrival.
fn by_partition(rows: &[Row]) -> BTreeMap<i32, Vec<i64>> {
    let mut found: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    rows.iter().for_each(|row| found.entry(row.at.partition).or_default().push(row.offset));
    found
}

/// A call that has read records of all partitions and not handed them out.
async fn dropped_call(lane: &mut dyn SinkLog) {
    let slow = BatchLimits { linger: Duration::from_secs(60), ..LIMITS };
    assert!(tokio::time::timeout(Duration::from_secs(2), lane.next(slow, Duration::from_secs(60))).await.is_err());
}

/// Nothing comes, and it is not said that nothing is left.
async fn idles(lane: &mut dyn SinkLog) {
    for _ in 0..10 {
        let event = lane.next(LIMITS, Duration::from_millis(100)).await.unwrap();
        assert_eq!((&event, lane.caught_up().await), (&SinkEvent::Idle, Ok(false)));
    }
}

pub async fn a_held_partition_hands_out_nothing_while_the_others_flow_on(bench: Bench) {
    let topic = bench.topic("orders", 3).await;
    write_numbers(&*bench, &topic, 0..100).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 3).await;
    begin(&mut *lane, &list).await;
    dropped_call(&mut *lane).await;
    let SinkEvent::Records(first) = event(&mut *lane, BatchLimits { records: 5, ..LIMITS }).await else { panic!("no records") };
    let mut all = rows(&first);
    let held = all[0].at.clone();
    dropped_call(&mut *lane).await;
    lane.hold(std::slice::from_ref(&held));
    let before = all.len();
    let mut others: usize = list.iter().filter(|a| a.partition != held).map(|a| usize::try_from(a.high).unwrap()).sum();
    others -= all.iter().filter(|row| row.at != held).count();
    all.extend(read_rows(&mut *lane, others).await);
    write_numbers(&*bench, &topic, 100..160).await;
    // What is new in the held one waits with the rest of it.
    let ends: BTreeMap<_, _> = bench
        .topics()
        .await
        .unwrap()
        .into_iter()
        .find(|t| t.name == topic)
        .unwrap()
        .partitions
        .into_iter()
        .map(|partition| (partition.partition, partition.high))
        .collect();
    others =
        ends.iter().filter(|(partition, _)| **partition != held.partition).map(|(_, high)| usize::try_from(*high).unwrap()).sum();
    others -= all.iter().filter(|row| row.at != held).count();
    all.extend(read_rows(&mut *lane, others).await);
    assert!(all[before..].iter().all(|row| row.at != held), "the held partition does not flow");
    idles(&mut *lane).await;
    let end = lane.ends().into_iter().find(|(at, _)| *at == held).unwrap().1.records;
    let read = all.iter().filter(|row| row.at == held).map(|row| row.offset + 1).max().unwrap_or(0);
    assert!(end > read, "what is held back is still to be read");
    lane.resume(std::slice::from_ref(&held));
    all.extend(read_rows(&mut *lane, 160 - all.len()).await);
    catch_up(&mut *lane).await;
    let expected: BTreeMap<_, Vec<_>> = ends.into_iter().map(|(partition, high)| (partition, (0..high).collect())).collect();
    assert_eq!(by_partition(&all), expected, "each once, in order");
}

pub async fn a_held_partition_goes_on_where_it_is_sought(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..10).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    let SinkEvent::Records(first) = event(&mut *lane, BatchLimits { records: 6, ..LIMITS }).await else { panic!("no records") };
    assert_eq!(texts(&rows(&first)), numbers(0..6));
    lane.hold(&[at(&topic, 0)]);
    lane.seek(&[(at(&topic, 0), 4)]).await.unwrap();
    assert_eq!(texts(&read_rows(&mut *lane, 6).await), numbers(4..10));
    catch_up(&mut *lane).await;
    // Read to its end, but not done.
    lane.hold(&[at(&topic, 0)]);
    idles(&mut *lane).await;
    lane.resume(&[at(&topic, 0)]);
    catch_up(&mut *lane).await;
}

pub async fn a_place_that_is_not_there_is_told_once_its_partition_is_held_no_more(bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..40).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 2).await;
    lane.begin(&[(at(&topic, 1), 0)]).await.unwrap();
    dropped_call(&mut *lane).await;
    // Met while records wait to be handed out, which come first.
    lane.begin(&[(at(&topic, 0), 100)]).await.unwrap();
    dropped_call(&mut *lane).await;
    lane.hold(&[at(&topic, 0)]);
    let others = usize::try_from(list[1].high).unwrap();
    assert!(read_rows(&mut *lane, others).await.iter().all(|row| row.at.partition == 1));
    idles(&mut *lane).await;
    lane.resume(&[at(&topic, 0)]);
    match event(&mut *lane, LIMITS).await {
        SinkEvent::OutOfRange(lost, Lost::PastTheEnd(_)) => assert_eq!(lost, at(&topic, 0)),
        other => panic!("{other:?}"),
    }
}
