//! One lane of a sink, and lanes together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wharf_runtime::batch::Record;
use wharf_runtime::topic_log::{BatchLimits, LogError, SinkEvent, SinkLog, SinkSpec, Start, TopicPartition, TopicSelection};

use super::bench::{
    Bench, LIMITS, assigned, at, batch, begin, catch_up, event, numbers, read_rows, record, rows, texts, write_numbers,
};

pub async fn start_earliest_reads_all(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..5).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 1).await;
    assert_eq!((list[0].partition.clone(), list[0].committed, list[0].low, list[0].high), (at(&topic, 0), None, 0, 5));
    let id = bench.topics().await.unwrap().into_iter().find(|t| t.name == topic).unwrap().id;
    assert_eq!(list[0].topic_id, id);
    begin(&mut *lane, &list).await;
    assert_eq!(texts(&read_rows(&mut *lane, 5).await), numbers(0..5));
}

pub async fn start_latest_reads_what_comes_later(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..5).await;
    let mut spec = bench.sink_of(&topic);
    spec.start = Start::Latest;
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    write_numbers(&*bench, &topic, 5..8).await;
    assert_eq!(texts(&read_rows(&mut *lane, 3).await), numbers(5..8));
}

pub async fn start_at_a_time_begins_with_the_first_record_of_that_time(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    for (n, timestamp) in [1_700_000_001_000, 1_700_000_002_000, 1_700_000_003_000].into_iter().enumerate() {
        let value = n.to_string();
        bench.append(&batch(&[Record { timestamp, ..record(&topic, None, &value) }])).await.unwrap();
    }
    let mut spec = bench.sink_of(&topic);
    spec.start = Start::At(1_700_000_001_500);
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 1).await;
    assert_eq!(lane.resolve_start(&at(&topic, 0)).await.unwrap(), 1);
    begin(&mut *lane, &list).await;
    assert_eq!(texts(&read_rows(&mut *lane, 2).await), ["1", "2"]);
    drop(lane);
    // No record is that young: what comes from now on.
    (spec.sink, spec.start) = ("young".to_owned(), Start::At(1_800_000_000_000));
    let mut lane = bench.lane(&spec).await;
    assigned(&mut *lane, 1).await;
    assert_eq!(lane.resolve_start(&at(&topic, 0)).await.unwrap(), 3);
}

pub async fn nothing_is_delivered_before_begin(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..3).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 1).await;
    for _ in 0..5 {
        let event = lane.next(LIMITS, Duration::from_millis(200)).await.unwrap();
        assert_eq!((&event, lane.caught_up().await), (&SinkEvent::Idle, Ok(false)));
    }
    lane.begin(&[(list[0].partition.clone(), 1)]).await.unwrap();
    assert_eq!(texts(&read_rows(&mut *lane, 2).await), ["1", "2"]);
}

pub async fn offsets_survive_reopening(mut bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..40).await;
    let spec = bench.sink_of(&topic);
    let mut lane = bench.lane(&spec).await;
    let read = read_rows(&mut *lane, 40).await;
    let ends: BTreeMap<_, _> = read.iter().map(|row| (row.at.clone(), row.offset + 1)).collect();
    let behind: Vec<_> = ends.iter().map(|(at, end)| (at.clone(), end - 2)).collect();
    lane.commit(&behind).await.unwrap();
    drop(lane);
    bench.reopen().await;
    let mut lane = bench.lane(&spec).await;
    let list = assigned(&mut *lane, 2).await;
    let committed: Vec<_> = list.iter().map(|a| (a.partition.clone(), a.committed.unwrap())).collect();
    assert_eq!(committed, behind);
    begin(&mut *lane, &list).await;
    assert_eq!(read_rows(&mut *lane, 4).await.len(), 4);
    catch_up(&mut *lane).await;
}

pub async fn limits_bound_a_batch(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let value = "x".repeat(1000);
    let records: Vec<_> = (0..30).map(|_| record(&topic, None, &value)).collect();
    bench.append(&batch(&records)).await.unwrap();
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    let mut take = async |limits| match event(&mut *lane, limits).await {
        SinkEvent::Records(batch) => batch,
        other => panic!("{other:?}"),
    };
    let linger = Duration::from_secs(2);
    let few = take(BatchLimits { records: 7, bytes: 1 << 20, linger }).await;
    assert_eq!(few.len(), 7);
    let small = take(BatchLimits { records: 1000, bytes: 3500, linger }).await;
    assert_eq!((small.len(), small.offsets[0]), (3, 7));
    // One record comes whatever its size.
    let one = take(BatchLimits { records: 1000, bytes: 10, linger }).await;
    assert_eq!((one.len(), one.offsets[0]), (1, 10));
    let mut rest = Vec::new();
    while rest.len() < 19 {
        rest.extend(take(LIMITS).await.offsets);
    }
    assert_eq!(rest, (11..30).collect::<Vec<_>>());
}

pub async fn a_batch_holds_a_share_of_each_partition_that_has_records(bench: Bench) {
    const IN_BATCH: usize = 40;
    let topic = bench.topic("orders", 24).await;
    // Four keys: most partitions are empty.
    let texts: Vec<_> = (0..800).map(|n| (format!("k{}", n % 4), n.to_string())).collect();
    let records: Vec<_> = texts.iter().map(|(key, value)| record(&topic, Some(key), value)).collect();
    assert_eq!(bench.append(&batch(&records)).await.unwrap(), []);
    // A share is of what has arrived: how long the log takes to hand over each partition's first records is not part of the rule.
    let mut least = 0;
    for wait in [0, 1, 5, 20].map(Duration::from_secs) {
        let sink = format!("warehouse-{}", wait.as_secs());
        let mut lane = bench.lane(&SinkSpec { sink, ..bench.sink_of(&topic) }).await;
        let list = assigned(&mut *lane, 24).await;
        let filled: Vec<_> = list.iter().filter(|a| a.high > a.low).map(|a| a.partition.clone()).collect();
        assert!(filled.len() > 1, "{filled:?}");
        begin(&mut *lane, &list).await;
        tokio::time::sleep(wait).await;
        least = smallest_share(&mut *lane, IN_BATCH, &filled).await;
        if least >= IN_BATCH / 4 {
            return;
        }
    }
    panic!("no batch with more than {least} of each partition that has records");
}

/// Reads 800 records and answers how many of them the batch that is the most even has of the partition it has least of.
async fn smallest_share(lane: &mut dyn SinkLog, in_batch: usize, filled: &[TopicPartition]) -> usize {
    let limits = BatchLimits { records: in_batch, bytes: 1 << 20, linger: Duration::from_secs(5) };
    let (mut read, mut least) = (0, 0);
    while read < 800 {
        match event(lane, limits).await {
            SinkEvent::Records(batch) => {
                read += batch.len();
                let rows = rows(&batch);
                let of = |at: &TopicPartition| rows.iter().filter(|row| row.at == *at).count();
                least = least.max(filled.iter().map(of).min().unwrap_or(0));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read, 800);
    least
}

pub async fn the_linger_closes_a_batch_that_is_not_full(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..3).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    let limits = BatchLimits { records: 1000, bytes: 1 << 20, linger: Duration::from_millis(500) };
    match event(&mut *lane, limits).await {
        SinkEvent::Records(batch) => assert_eq!(texts(&rows(&batch)), numbers(0..3)),
        other => panic!("{other:?}"),
    }
}

pub async fn a_dropped_call_loses_nothing(bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..200).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 2).await;
    begin(&mut *lane, &list).await;
    let slow = BatchLimits { records: 1000, bytes: 1 << 20, linger: Duration::from_secs(60) };
    for millis in [0, 1, 5, 20, 300, 600] {
        let call = lane.next(slow, Duration::from_secs(60));
        assert!(tokio::time::timeout(Duration::from_millis(millis), call).await.is_err());
    }
    let mut found: Vec<usize> = read_rows(&mut *lane, 200).await.iter().map(|row| row.text().parse().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, (0..200).collect::<Vec<_>>());
    catch_up(&mut *lane).await;
}

pub async fn seek_reads_again(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..10).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    assert_eq!(texts(&read_rows(&mut *lane, 10).await), numbers(0..10));
    lane.seek(&[(at(&topic, 0), 4)]).await.unwrap();
    assert_eq!(texts(&read_rows(&mut *lane, 6).await), numbers(4..10));
    // Also while records lie ready that were not handed out.
    lane.seek(&[(at(&topic, 0), 0)]).await.unwrap();
    let slow = BatchLimits { records: 1000, bytes: 1 << 20, linger: Duration::from_secs(60) };
    assert!(tokio::time::timeout(Duration::from_secs(1), lane.next(slow, Duration::from_secs(60))).await.is_err());
    lane.seek(&[(at(&topic, 0), 7)]).await.unwrap();
    assert_eq!(texts(&read_rows(&mut *lane, 3).await), numbers(7..10));
    catch_up(&mut *lane).await;
    let elsewhere = lane.seek(&[(at("elsewhere", 0), 0)]).await;
    assert!(matches!(elsewhere, Err(LogError::NotOwner(_))), "{elsewhere:?}");
}

pub async fn caught_up_becomes_true_at_the_end_and_false_with_a_new_record(bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    // Through a transaction: its marker takes the last offset of the partition, and is no record.
    let mut source = bench.source(&bench.owner(0, 1)).await.unwrap();
    source.append(&batch(&[record(&topic, Some("a"), "0")]), &[]).await.unwrap();
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    read_rows(&mut *lane, 1).await;
    catch_up(&mut *lane).await;
    source.append(&batch(&[record(&topic, Some("a"), "1")]), &[]).await.unwrap();
    // The record comes before any word of the end.
    match lane.next(LIMITS, Duration::from_secs(10)).await.unwrap() {
        SinkEvent::Records(batch) => assert_eq!(texts(&rows(&batch)), ["1"]),
        other => panic!("{other:?}"),
    }
    catch_up(&mut *lane).await;
}

pub async fn two_lanes_split_the_partitions(bench: Bench) {
    let topic = bench.topic("orders", 4).await;
    write_numbers(&*bench, &topic, 0..100).await;
    let mut spec = bench.sink_of(&topic);
    spec.tasks = 2;
    let mut lanes = bench.sink(&spec).await.unwrap();
    assert_eq!(lanes.len(), 2);
    let (mut seen, mut all) = (Vec::new(), Vec::new());
    for lane in &mut lanes {
        let list = assigned(&mut **lane, 2).await;
        seen.extend(list.iter().map(|a| a.partition.partition));
        begin(&mut **lane, &list).await;
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3]);
    for lane in &mut lanes {
        loop {
            match lane.next(LIMITS, Duration::from_millis(200)).await.unwrap() {
                SinkEvent::Records(batch) => all.extend(rows(&batch)),
                SinkEvent::Idle if lane.caught_up().await.unwrap() => break,
                SinkEvent::Idle => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let found: BTreeSet<usize> = all.iter().map(|row| row.text().parse().unwrap()).collect();
    assert_eq!((found.len(), all.len()), (100, 100));
    // A partition of the one is not the other's.
    let own = lanes[0].ends().first().unwrap().0.clone();
    let refused = lanes[1].commit(&[(own.clone(), 1)]).await;
    assert_eq!(refused, Err(LogError::NotOwner(vec![own])));
}

pub async fn order_is_kept_within_a_partition(bench: Bench) {
    let topic = bench.topic("orders", 3).await;
    for start in (0..3000).step_by(500) {
        write_numbers(&*bench, &topic, start..start + 500).await;
    }
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let mut last = BTreeMap::new();
    for row in read_rows(&mut *lane, 3000).await {
        let number: usize = row.text().parse().unwrap();
        let before = last.insert(row.at.clone(), (row.offset, number));
        assert!(before.is_none_or(|(offset, n)| offset + 1 == row.offset && n < number), "{row:?} after {before:?}");
    }
}

pub async fn a_lane_does_not_commit_what_it_never_owned(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    let refused = lane.commit(&[(at(&topic, 0), 0), (at("elsewhere", 3), 1)]).await;
    assert_eq!(refused, Err(LogError::NotOwner(vec![at("elsewhere", 3)])));
    drop(lane);
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    assert_eq!(assigned(&mut *lane, 1).await[0].committed, None);
}

pub async fn a_commit_is_refused_after_another_member_took_over(bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    write_numbers(&*bench, &topic, 0..40).await;
    let spec = bench.sink_of(&topic);
    let mut first = bench.lane(&spec).await;
    read_rows(&mut *first, 40).await;
    let mut second = bench.lane(&spec).await;
    let gone = loop {
        match event(&mut *first, LIMITS).await {
            SinkEvent::Revoked(mut list) => {
                list.sort();
                break list;
            }
            SinkEvent::Records(_) => {}
            other => panic!("{other:?}"),
        }
    };
    first.release(&gone).await.unwrap();
    let offsets: Vec<_> = gone.iter().map(|at| (at.clone(), 5)).collect();
    assert_eq!(first.commit(&offsets).await, Err(LogError::NotOwner(gone.clone())));
    let list = assigned(&mut *second, gone.len()).await;
    assert_eq!(list.iter().map(|a| a.partition.clone()).collect::<Vec<_>>(), gone);
    assert!(list.iter().all(|a| a.committed.is_none()), "{list:?}");
    begin(&mut *second, &list).await;
    second.commit(&offsets).await.unwrap();
}

pub async fn a_pattern_takes_up_a_new_topic(bench: Bench) {
    let first = bench.topic("in.one", 1).await;
    let other = bench.topic("out.one", 1).await;
    let mut spec = bench.sink_of("");
    spec.topics = TopicSelection::Pattern(format!("{}\\.(in)\\.[a-z]+", bench.tag));
    write_numbers(&*bench, &first, 0..2).await;
    write_numbers(&*bench, &other, 50..52).await;
    let mut lane = bench.lane(&spec).await;
    assert_eq!(texts(&read_rows(&mut *lane, 2).await), numbers(0..2));
    let second = bench.topic("in.two", 1).await;
    write_numbers(&*bench, &second, 2..4).await;
    assert_eq!(texts(&read_rows(&mut *lane, 2).await), numbers(2..4));
    catch_up(&mut *lane).await;
}

pub async fn a_lane_knows_the_ends_of_its_partitions(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..10).await;
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 1).await;
    begin(&mut *lane, &list).await;
    let few = BatchLimits { records: 4, ..LIMITS };
    assert!(matches!(event(&mut *lane, few).await, SinkEvent::Records(_)));
    let end = |lane: &dyn SinkLog| lane.ends().first().map(|(at, end)| (at.clone(), end.records));
    assert_eq!(end(&*lane), Some((at(&topic, 0), 10)), "before they are read");
    read_rows(&mut *lane, 6).await;
    catch_up(&mut *lane).await;
    assert_eq!(end(&*lane), Some((at(&topic, 0), 10)), "no marker behind them counts");
}
