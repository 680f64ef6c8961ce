//! The rules that depend most on the log, once more on Kafka: rows go to SQLite, so that only the log differs.

use wharf_runtime::supervisor::Outcome;

use super::*;

#[tokio::test]
async fn a_poisonous_record_alone_is_buried_and_its_neighbours_arrive_in_order() {
    let Some(deployment) = Deployment::kafka("flow_poison") else { return };
    deployment.produce_values("orders", &["a", "b", "trap", "c", "d"]).await;
    let body = format!("{}{NEIGHBOUR}", ledger("", "exactly-once = false"));
    let ended = deployment.until_done(&body).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(entered(&deployment, "ledger"), ["a", "b", "c", "d"]);
    assert_eq!(entered(&deployment, "neighbour"), ["a", "b", "c", "d"]);
    let dead = deployment.read_dead("ledger").await;
    assert_eq!(dead.iter().map(|row| (row.code(), row.text())).collect::<Vec<_>>(), [("guest.poison", "trap".to_owned())]);
    assert_eq!((dead[0].header("__connect.errors.offset"), dead[0].timestamp), ("2", 1_700_000_000_000));
    assert_eq!(counts(&ended.snapshot, "ledger"), [5, 0, 4, 0, 1]);
    // The group's offset is past it: a second run reads nothing.
    let ended = deployment.until_done(&body).await;
    assert_eq!(counts(&ended.snapshot, "ledger"), [0; 5]);
}

#[tokio::test]
async fn offset_is_not_committed_when_there_is_no_topic_for_the_dead_letter() {
    let Some(deployment) = Deployment::kafka("flow_no_dead_letter") else { return };
    for once in [true, false] {
        deployment.produce_values("orders", &["refuse"]).await;
        let body = ledger("", &format!("exactly-once = {once}"));
        let ended = deployment.until_done(&format!("create = false\n{body}")).await;
        assert_eq!(ended.outcome, Outcome::AllFailed, "{ended:#?}");
        assert_eq!(counts(&ended.snapshot, "ledger"), [0; 5]);
    }
    let ended = deployment.until_done(&ledger("", "exactly-once = false")).await;
    assert_eq!(ended.outcome, Outcome::Clean);
    assert_eq!(deployment.read_dead("ledger").await.len(), 2, "none was dropped");
    assert_eq!(counts(&ended.snapshot, "ledger"), [2, 0, 0, 0, 2]);
}

#[tokio::test]
async fn a_partition_whose_offset_is_past_the_end_stops_and_the_run_ends_as_failed() {
    let Some(deployment) = Deployment::kafka("flow_past_the_end") else { return };
    let keys: Vec<_> = (0..40).map(|n| (n % 8).to_string()).collect();
    let records: Vec<_> = keys.iter().map(|key| (Some(key.as_str()), Some(key.as_bytes()))).collect();
    deployment.produce("orders", 2, &records).await;
    let ended = deployment.until_done(&ledger("", "")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "ledger")), (Outcome::Clean, [40, 0, 40, 0, 0]));
    deployment.execute("UPDATE _wharf_offsets SET next_offset = 900 WHERE partition = 0");
    deployment.produce("orders", 2, &records).await;
    let ended = deployment.until_done(&ledger("", "")).await;
    assert_eq!(ended.outcome, Outcome::AllFailed);
    let why = reason(&ended.snapshot, "ledger");
    assert!(why.contains("all else is delivered") && why.contains("offset 900"), "{why}");
    let topic = deployment.read("orders").await;
    let of = |partition: i32| topic.iter().filter(|row| row.partition == partition).count();
    let arrived: Vec<_> = deployment.query("SELECT \"partition\", count(*) FROM ledger GROUP BY 1 ORDER BY 1");
    assert!(of(0) > 0 && of(1) > 0);
    assert_eq!(arrived, [format!("0|{}", of(0) / 2), format!("1|{}", of(1))]);
}

#[tokio::test]
async fn three_tasks_over_six_partitions_keep_the_order_of_each_key() {
    let Some(deployment) = Deployment::kafka("flow_three_tasks") else { return };
    partitions::three_tasks_keep_the_order_of_each_key(&deployment).await;
}

#[tokio::test]
async fn a_record_alone_is_buried_when_it_is_routed_to_a_topic_that_is_not_there() {
    let Some(deployment) = Deployment::kafka("flow_route") else { return };
    steps::a_record_routed_to_no_topic_is_buried_alone(&deployment, r#"{ field = "kind", to = "{t}{}" }"#).await;
}

#[tokio::test]
async fn other_partitions_flow_on_while_one_waits_for_a_retry() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka(&format!("flow_held_{once}")) else { return };
        held::other_partitions_flow_on_while_one_waits(&deployment, once).await;
    }
}

#[tokio::test]
async fn into_postgres_other_partitions_flow_on_while_one_waits() {
    let test = "flow_held_on_kafka";
    let Some(deployment) = Deployment::kafka(test) else { return };
    held::in_postgres_other_partitions_flow_on(&deployment, test).await;
}

#[tokio::test]
async fn a_partition_that_waits_goes_to_another_worker_with_its_records() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka(&format!("flow_held_moves_{once}")) else { return };
        held::a_partition_that_waits_goes_to_another_worker(&deployment, once).await;
    }
}

#[tokio::test]
async fn several_polls_share_one_transaction() {
    let Some(deployment) = Deployment::kafka("flow_one_transaction") else { return };
    let scene = |value: &str| format!("{{ records = [{{ value = \"{value}\" }}] }}");
    let scenes = ["a", "b", "c", "d"].map(scene).join(", ");
    // The end of the script closes the transaction, long before its time is up.
    let body = format!(
        "\n[[source]]\nname = \"script\"\ncomponent = \"script\"\ntopic = \"{{t}}orders\"\nformat = \"bytes\"\n\
         batch = {{ linger = \"60s\" }}\nconfig = {{ scenes = [{scenes}] }}\n"
    );
    assert_eq!(deployment.until_done(&body).await.outcome, Outcome::Clean);
    let more = format!("{scenes}, {}", scene("e"));
    assert_eq!(deployment.until_done(&body.replace(&scenes, &more)).await.outcome, Outcome::Clean);
    // The marker of each transaction takes an offset.
    let rows: Vec<_> = deployment.read("orders").await.iter().map(|row| format!("{} {}", row.offset, row.text())).collect();
    assert_eq!(rows, ["0 a", "1 b", "2 c", "3 d", "5 e"]);
}

#[tokio::test]
async fn a_time_that_neither_the_topic_nor_that_of_its_dead_letters_takes_stops_no_source() {
    for once in [true, false] {
        let Some(deployment) = Deployment::kafka(&format!("flow_future_{once}")) else { return };
        // The year 9999.
        let body = format!(
            r#"
[topic."{{t}}orders"]
config = {{ "message.timestamp.after.max.ms" = "3600000" }}

[topic."{{t}}dead"]
config = {{ "message.timestamp.after.max.ms" = "3600000" }}

[[source]]
name = "script"
component = "script"
topic = "{{t}}orders"
format = "bytes"
exactly-once = {once}
dead-letter = "{{t}}dead"
config = {{ scenes = [{{ records = [{{ value = "a" }}, {{ value = "b", timestamp = 253370764800000 }}, {{ value = "c" }}] }}] }}
"#
        );
        let ended = deployment.until_done(&body).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{ended:#?}");
        let dead = deployment.read("dead").await;
        let mut arrived = texts(&deployment.read("orders").await);
        if !once {
            // What was written beside the refused record is written again with its letter.
            arrived.sort();
            arrived.dedup();
        }
        assert_eq!(arrived, ["a", "c"]);
        let told: Vec<_> = dead.iter().map(|row| (row.code(), row.text(), row.header("wharf.timestamp").to_owned())).collect();
        assert_eq!(told, [("record.refused", "b".to_owned(), "253370764800000".to_owned())]);
        assert_eq!(counts(&ended.snapshot, "script"), [3, 0, 2, 0, 1]);
    }
}
