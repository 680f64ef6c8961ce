//! Looking at stored places and moving them.

use wharf_runtime::topic_log::places::{Foreign, OffsetChange, StoredOffset};
use wharf_runtime::topic_log::{LogError, Position};

use super::bench::*;

const GROUP_OF: fn(&Bench) -> String = |bench| format!("wharf.{}.warehouse", bench.tag);

async fn id(bench: &Bench, topic: &str) -> String {
    bench.topics().await.unwrap().into_iter().find(|t| t.name == topic).unwrap().id
}

async fn stored(bench: &Bench, topic: &str, partitions: i32) -> Vec<StoredOffset> {
    let id = id(bench, topic).await;
    let asked: Vec<_> = (0..partitions).map(|p| (at(topic, p), id.clone())).collect();
    bench.group_offsets(&GROUP_OF(bench), &asked).await.unwrap()
}

async fn change(bench: &Bench, topic: &str, partition: i32, next: Option<i64>) -> OffsetChange {
    OffsetChange { partition: at(topic, partition), topic_id: id(bench, topic).await, next }
}

fn own(offset: i64) -> StoredOffset {
    StoredOffset { own: Some(offset), ..StoredOffset::default() }
}

pub async fn a_sink_goes_on_where_an_operator_put_its_offsets(bench: Bench) {
    let topic = bench.topic("orders", 2).await;
    let records: Vec<_> = (0..40).map(|n| (format!("k{n}"), n.to_string())).collect();
    let records: Vec<_> = records.iter().map(|(k, v)| record(&topic, Some(k), v)).collect();
    assert_eq!(bench.append(&batch(&records)).await.unwrap(), []);
    assert_eq!(stored(&bench, &topic, 2).await, [StoredOffset::default(), StoredOffset::default()]);
    // Before the group ever existed, then again with what a sink committed.
    let group = GROUP_OF(&bench);
    bench.move_group(&group, &[change(&bench, &topic, 0, Some(5)).await]).await.unwrap();
    assert_eq!(stored(&bench, &topic, 2).await, [own(5), StoredOffset::default()]);
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 2).await;
    assert_eq!(list.iter().map(|a| a.committed).collect::<Vec<_>>(), [Some(5), None]);
    begin(&mut *lane, &list).await;
    lane.commit(&[(at(&topic, 0), 8), (at(&topic, 1), 9)]).await.unwrap();
    away(&bench, lane, &group).await;
    assert_eq!(stored(&bench, &topic, 2).await, [own(8), own(9)]);
    let changes = [change(&bench, &topic, 0, None).await, change(&bench, &topic, 1, Some(2)).await];
    bench.move_group(&group, &changes).await.unwrap();
    assert_eq!(stored(&bench, &topic, 2).await, [StoredOffset::default(), own(2)]);
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    let list = assigned(&mut *lane, 2).await;
    assert_eq!(list.iter().map(|a| a.committed).collect::<Vec<_>>(), [None, Some(2)]);
}

pub async fn offsets_of_a_group_in_use_are_not_moved_and_the_member_is_named(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..4).await;
    let group = GROUP_OF(&bench);
    assert!(bench.members(&group).await.unwrap().is_empty());
    let mut lane = bench.lane(&bench.sink_of(&topic)).await;
    read_rows(&mut *lane, 4).await;
    lane.commit(&[(at(&topic, 0), 3)]).await.unwrap();
    let members = bench.members(&group).await.unwrap();
    assert_eq!(members.len(), 1);
    for next in [Some(1), None] {
        let refused = bench.move_group(&group, &[change(&bench, &topic, 0, next).await]).await;
        assert!(matches!(&refused, Err(LogError::Fatal(text)) if text.contains(&members[0])), "{refused:?}");
    }
    assert_eq!(stored(&bench, &topic, 1).await, [own(3)]);
}

pub async fn forgetting_offsets_that_no_group_has_is_no_error(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    bench.move_group(&GROUP_OF(&bench), &[change(&bench, &topic, 0, None).await]).await.unwrap();
    assert_eq!(stored(&bench, &topic, 1).await, [StoredOffset::default()]);
}

pub async fn an_offset_of_a_topic_that_was_created_anew_is_never_the_own_one(mut bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    write_numbers(&*bench, &topic, 0..4).await;
    let old = id(&bench, &topic).await;
    bench.move_group(&GROUP_OF(&bench), &[change(&bench, &topic, 0, Some(3)).await]).await.unwrap();
    bench.delete_topic(&topic).await;
    bench.topic("orders", 1).await;
    let found = stored(&bench, &topic, 1).await;
    assert_eq!(found[0].own, None);
    // Kafka drops them with the topic; the embedded log keeps them, and says whose they are.
    let others: Vec<_> = found[0].others.iter().collect();
    assert!(others.is_empty() || others == [&(Foreign::Topic(old), 3)], "{others:?}");
}

pub async fn a_start_means_an_offset_for_each_partition(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let mut records: Vec<_> = (0..6).map(|_| record(&topic, Some("a"), "v")).collect();
    (0..).zip(&mut records).for_each(|(n, record)| record.timestamp += n * 1000);
    assert_eq!(bench.append(&batch(&records)).await.unwrap(), []);
    use wharf_runtime::topic_log::Start::{At, Earliest, Latest};
    let time = records[0].timestamp;
    for (start, expected) in [(Earliest, 0), (Latest, 6), (At(time + 2500), 3), (At(time + 5000), 5), (At(time + 5001), 6)] {
        assert_eq!(bench.offsets_at(&[at(&topic, 0)], start).await.unwrap(), [expected], "{start:?}");
    }
}

pub async fn positions_are_seen_without_taking_the_source_over(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let none = bench.positions(&bench.tag, "erp").await.unwrap();
    assert!(none.positions.is_empty() && none.foreign.is_empty());
    let position = |slice: &str, place: &[u8]| Position { slice: slice.to_owned(), place: place.to_vec() };
    let mut source = bench.source(&bench.owner(0, 1)).await.unwrap();
    let two = [position("a", b"1"), position("b", b"\xff\x00")];
    source.append(&batch(&[record(&topic, None, "v")]), &two).await.unwrap();
    assert_eq!(bench.positions(&bench.tag, "erp").await.unwrap().positions, two);
    assert!(bench.positions(&bench.tag, "crm").await.unwrap().positions.is_empty());
    // Its owner still is the owner.
    source.append(&batch(&[record(&topic, None, "w")]), &[position("a", b"2")]).await.unwrap();
    let found = bench.positions(&bench.tag, "erp").await.unwrap().positions;
    assert_eq!(found, [position("a", b"2"), position("b", b"\xff\x00")]);
}
