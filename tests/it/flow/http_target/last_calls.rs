//! What becomes of a batch whose retry budget is used up: halves, down to the records that the target fails over.

use super::*;

fn sent(target: &Shared) -> Vec<String> {
    accepted(target).iter().flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn of_a_batch_whose_budget_is_used_up_only_the_record_that_the_target_fails_over_becomes_a_dead_letter() {
    for body in ["record", "json-lines"] {
        for sick in ["0", "7", "19"] {
            let deployment = Deployment::embedded();
            let values: Vec<_> = (0..20).map(|n| n.to_string()).collect();
            deployment.produce_values("orders", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
            let (target, port) = target(Busy::No, 0).await;
            target.lock().unwrap().indigestible = vec![sick.to_owned()];
            let events = events(port, "retry = { initial = \"10ms\", max = \"50ms\", budget = \"300ms\" }");
            let ended = deployment.until_done(&events.replace("\"record\"", &format!("\"{body}\""))).await;
            assert_eq!(ended.outcome, Outcome::Clean);
            let well: Vec<_> = values.iter().filter(|value| *value != sick).cloned().collect();
            assert_eq!(sent(&target), well, "{body}: each once and in order");
            let dead = deployment.read("dlq.flow.events").await;
            assert_eq!(
                dead.iter().map(|row| (row.code(), row.text())).collect::<Vec<_>>(),
                [("retry.exhausted", sick.to_owned())]
            );
            assert_eq!(counts(&ended.snapshot, "events"), [20, 0, 19, 0, 1]);
            assert_eq!(deployment.offsets("events"), ["0|20"]);
        }
    }
}

#[tokio::test]
async fn a_record_that_is_parted_from_the_one_at_fault_is_not_buried_for_a_fault_that_passes() {
    let deployment = Deployment::embedded();
    let values: Vec<_> = (0..16).map(|n| n.to_string()).collect();
    deployment.produce_values("orders", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (target, port) = target(Busy::No, 0).await;
    target.lock().unwrap().indigestible = vec!["5".to_owned()];
    target.lock().unwrap().shy.clone_from(&values);
    let events = events(port, "retry = { initial = \"10ms\", max = \"50ms\", budget = \"300ms\" }");
    let ended = deployment.until_done(&events.replace("\"record\"", "\"json-lines\"")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [16, 0, 15, 0, 1]));
    let dead = deployment.read("dlq.flow.events").await;
    assert_eq!(dead.iter().map(deployment::Row::text).collect::<Vec<_>>(), ["5"]);
    assert!(target.lock().unwrap().shy.len() < 15, "none of its neighbours was sent alone");
    let well: Vec<_> = values.iter().filter(|value| *value != "5").cloned().collect();
    assert_eq!(sent(&target), well, "each once and in order");
}

#[tokio::test]
async fn a_target_that_is_away_when_the_budget_is_used_up_is_not_asked_for_each_record() {
    let deployment = Deployment::embedded();
    let values: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    deployment.produce_values("orders", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (target, port) = target(Busy::Silent, usize::MAX).await;
    let more =
        "retry = { initial = \"100ms\", max = \"100ms\", budget = \"300ms\" }\ndead-letter.window = { size = 0, limit = 0 }";
    let ended = deployment.until_done(&events(port, more)).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [200, 0, 0, 0, 200]));
    let dead = deployment.read("dlq.flow.events").await;
    assert_eq!(dead.iter().map(deployment::Row::text).collect::<Vec<_>>(), values);
    let asked = target.lock().unwrap().refused.len();
    // At most seven of waits, forty last calls, of which those of a record alone are made twice, and one for each half that is left
    // then.
    assert!((5..=88).contains(&asked), "{asked}");
}

#[tokio::test]
async fn many_records_at_fault_close_together_bury_none_of_their_neighbours() {
    for body in ["record", "json-lines"] {
        let deployment = Deployment::embedded();
        let values: Vec<_> = (0..200).map(|n| n.to_string()).collect();
        deployment.produce_values("orders", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let (target, port) = target(Busy::No, 0).await;
        let (sick, well): (Vec<_>, Vec<_>) =
            values.iter().cloned().enumerate().partition(|(n, _)| (60..72).contains(n) || (72..100).contains(n) && n % 2 == 1);
        let texts = |list: Vec<(usize, String)>| list.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        let (sick, well) = (texts(sick), texts(well));
        target.lock().unwrap().indigestible.clone_from(&sick);
        let more =
            "retry = { initial = \"10ms\", max = \"50ms\", budget = \"100ms\" }\ndead-letter.window = { size = 0, limit = 0 }";
        let ended = deployment.until_done(&events(port, more).replace("\"record\"", &format!("\"{body}\""))).await;
        assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [200, 0, 174, 0, 26]), "{body}");
        let dead = deployment.read("dlq.flow.events").await;
        assert_eq!(dead.iter().map(deployment::Row::text).collect::<Vec<_>>(), sick, "{body}");
        assert_eq!(sent(&target), well, "{body}");
    }
}

#[tokio::test]
async fn a_budget_that_ends_before_partitions_part_ends_for_each_by_itself() {
    let key_of = |partition| (0..).map(|n| format!("k{n}")).find(|key| partition_of_key(key.as_bytes(), 2) == partition).unwrap();
    let (first, second) = (key_of(0), key_of(1));
    // So many of one partition, and those of them at fault; ten more of the other.
    for (of_first, sick) in [(8, 2..6), (64, 0..64)] {
        let deployment = Deployment::embedded();
        let values: Vec<_> = (0..of_first + 10).map(|n| n.to_string()).collect();
        let key = |n| Some(if n < of_first { first.as_str() } else { second.as_str() });
        let records: Vec<_> = values.iter().enumerate().map(|(n, value)| (key(n), Some(value.as_bytes()))).collect();
        deployment.produce("orders", 2, &records).await;
        let (target, port) = target(Busy::No, 0).await;
        target.lock().unwrap().indigestible = values[sick.clone()].to_vec();
        // One wait takes all of it.
        let more = "retry = { initial = \"200ms\", budget = \"200ms\" }\ndead-letter.window = { size = 0, limit = 0 }";
        let ended = deployment.until_done(&events(port, more).replace("\"record\"", "\"json-lines\"")).await;
        let (all, dead) = (values.len() as u64, sick.len() as u64);
        assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [all, 0, all - dead, 0, dead]));
        let letters: Vec<_> = deployment.read("dlq.flow.events").await.iter().map(deployment::Row::text).collect();
        assert_eq!(letters, values[sick.clone()]);
        let mut arrived: Vec<usize> = sent(&target).iter().map(|value| value.parse().unwrap()).collect();
        arrived.sort_unstable();
        assert_eq!(arrived, (0..values.len()).filter(|n| !sick.contains(n)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_drain_does_not_wait_for_the_last_calls() {
    let deployment = Deployment::embedded();
    let values: Vec<_> = (0..64).map(|n| n.to_string()).collect();
    deployment.produce_values("orders", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (target, port) = target(Busy::Silent, usize::MAX).await;
    target.lock().unwrap().takes = Duration::from_millis(700);
    let running = deployment.start(&events(port, "retry = { initial = \"10ms\", budget = \"50ms\" }")).await;
    let asked = || target.lock().unwrap().refused.len();
    running.when("the last calls", |_| asked() >= 3).await;
    let ended = running.drain().await;
    // One was under way, and another may have begun meanwhile.
    assert!((3..=5).contains(&asked()), "{}", asked());
    assert_eq!((ended.outcome, counts(&ended.snapshot, "events")), (Outcome::Clean, [0; 5]));
    assert_eq!(deployment.read("dlq.flow.events").await, []);
}
