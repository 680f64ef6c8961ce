//! One source task as the owner of its positions.

use wharf_runtime::topic_log::{LogError, Position};

use super::bench::{Bench, batch, record, texts};

fn position(slice: &str, place: &str) -> Position {
    Position { slice: slice.to_owned(), place: place.as_bytes().to_vec() }
}

async fn positions(bench: &Bench) -> Vec<Position> {
    let mut found = bench.source(&bench.owner(0, 1)).await.unwrap().positions().to_vec();
    found.sort_by(|a, b| a.slice.cmp(&b.slice));
    found
}

pub async fn records_and_positions_appear_together(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let mut log = bench.source(&bench.owner(0, 1)).await.unwrap();
    assert_eq!(log.positions(), []);
    for n in 0..3 {
        let value = n.to_string();
        assert_eq!(log.append(&batch(&[record(&topic, None, &value)]), &[position("s", &value)]).await.unwrap(), []);
    }
    drop(log);
    assert_eq!(texts(&bench.contents(&topic).await), ["0", "1", "2"]);
    assert_eq!(positions(&bench).await, [position("s", "2")]);
}

pub async fn positions_survive_reopening(mut bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let mut log = bench.source(&bench.owner(0, 1)).await.unwrap();
    let places = [position("a", "1"), position("b", "\u{0}\u{ff} not text"), position("a \"quoted\" slice/é", "3")];
    log.append(&batch(&[record(&topic, None, "v")]), &places).await.unwrap();
    // Positions may also move without records.
    log.append(&batch(&[]), &[position("a", "2")]).await.unwrap();
    drop(log);
    bench.reopen().await;
    let expected = [position("a", "2"), places[2].clone(), places[1].clone()];
    assert_eq!(positions(&bench).await, expected);
}

pub async fn an_empty_place_forgets_its_slice(bench: Bench) {
    let mut log = bench.source(&bench.owner(0, 1)).await.unwrap();
    log.append(&batch(&[]), &[position("keep", "1"), position("forget", "2")]).await.unwrap();
    log.append(&batch(&[]), &[position("forget", "")]).await.unwrap();
    drop(log);
    assert_eq!(positions(&bench).await, [position("keep", "1")]);
}

pub async fn positions_of_another_source_are_not_seen(bench: Bench) {
    let mut other = bench.owner(0, 1);
    other.source = "other".to_owned();
    let mut log = bench.source(&other).await.unwrap();
    log.append(&batch(&[]), &[position("s", "other's")]).await.unwrap();
    assert_eq!(positions(&bench).await, []);
}

pub async fn a_second_owner_fences_the_first(bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let mut first = bench.source(&bench.owner(0, 1)).await.unwrap();
    first.append(&batch(&[record(&topic, None, "first")]), &[position("s", "1")]).await.unwrap();
    let mut second = bench.source(&bench.owner(0, 1)).await.unwrap();
    assert_eq!(second.positions(), [position("s", "1")]);
    let late = first.append(&batch(&[record(&topic, None, "late")]), &[position("s", "late")]).await;
    assert!(matches!(late, Err(LogError::Fenced(_))), "{late:?}");
    second.append(&batch(&[record(&topic, None, "second")]), &[position("s", "2")]).await.unwrap();
    // Once fenced, always fenced.
    let again = first.append(&batch(&[record(&topic, None, "again")]), &[]).await;
    assert!(matches!(again, Err(LogError::Fenced(_))), "{again:?}");
    drop((first, second));
    assert_eq!(texts(&bench.contents(&topic).await), ["first", "second"]);
    assert_eq!(positions(&bench).await, [position("s", "2")]);
}

pub async fn every_task_reads_the_positions_of_the_whole_source(bench: Bench) {
    let mut zero = bench.source(&bench.owner(0, 2)).await.unwrap();
    let mut one = bench.source(&bench.owner(1, 2)).await.unwrap();
    zero.append(&batch(&[]), &[position("a", "0")]).await.unwrap();
    one.append(&batch(&[]), &[position("b", "1")]).await.unwrap();
    // Neither has fenced the other.
    zero.append(&batch(&[]), &[position("a", "00")]).await.unwrap();
    let expected = [position("a", "00"), position("b", "1")];
    let again = bench.source(&bench.owner(1, 2)).await.unwrap();
    assert_eq!(again.positions(), expected);
    assert_eq!(positions(&bench).await, expected);
}

pub async fn an_oversize_record_is_refused_and_nothing_is_written(bench: Bench) {
    let topic = bench.topic_with("orders", 1, &[("max.message.bytes", "1200000")]).await;
    let small = bench.topic_with("small", 1, &[("max.message.bytes", "3000")]).await;
    let mut log = bench.source(&bench.owner(0, 1)).await.unwrap();
    let (large, huge) = ("x".repeat(5000), "x".repeat(1_500_000));
    for (name, value) in [(&small, &large), (&topic, &huge)] {
        let records = [record(&topic, None, "good"), record(name, None, value), record(&topic, None, "also good")];
        let refused = log.append(&batch(&records), &[position("s", "1")]).await.unwrap();
        assert_eq!(refused.iter().map(|r| r.index).collect::<Vec<_>>(), [1], "{refused:?}");
        assert!(refused[0].reason.contains(name), "{}", refused[0].reason);
    }
    // The owner goes on.
    log.append(&batch(&[record(&topic, None, "later")]), &[position("s", "2")]).await.unwrap();
    drop(log);
    assert_eq!(texts(&bench.contents(&topic).await), ["later"]);
    assert_eq!(bench.contents(&small).await, []);
    assert_eq!(positions(&bench).await, [position("s", "2")]);
}

pub async fn a_source_that_is_not_exactly_once_keeps_its_positions(mut bench: Bench) {
    let topic = bench.topic("orders", 1).await;
    let mut owner = bench.owner(0, 1);
    owner.exactly_once = false;
    let mut log = bench.source(&owner).await.unwrap();
    log.append(&batch(&[record(&topic, None, "v")]), &[position("s", "1")]).await.unwrap();
    drop(log);
    bench.reopen().await;
    let log = bench.source(&owner).await.unwrap();
    assert_eq!(log.positions(), [position("s", "1")]);
    assert_eq!(texts(&bench.contents(&topic).await), ["v"]);
}
