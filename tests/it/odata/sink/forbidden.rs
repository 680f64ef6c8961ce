//! Writes that the service forbids: of one entity they are dead letters, of all entities they stop the sink.

use super::*;

/// mock-sap answers 403 to what changes a product of this name.
async fn forbid(plain: &Plain, name: &str) {
    plain.fault(&json!({ "match": format!("A_Product.*{name}"), "method": "MERGE", "status": 403 })).await;
}

fn products(prefix: &str, count: u32) -> Vec<(String, Option<String>)> {
    (0..count).map(|n| record(&format!("{prefix}{n:02}"), &json!({ "ProductGroup": "old" }))).collect()
}

/// The products are there.
async fn made(test: &str, count: u32) -> Option<(Plain, String)> {
    let (plain, prefix) = service(test, V2_SINGLE).await?;
    let deployment = Deployment::embedded();
    produce(&deployment, &products(&prefix, count)).await;
    let ended = deployment.until_done(&sink(&plain.authority, V2_SINGLE, "", "")).await;
    assert_eq!((ended.outcome, plain.products(&prefix).await.len()), (Outcome::Clean, count as usize));
    Some((plain, prefix))
}

fn changed(prefix: &str, numbers: std::ops::Range<u32>) -> Vec<(String, Option<String>)> {
    numbers.map(|n| record(&format!("{prefix}{n:02}"), &json!({ "ProductGroup": "new" }))).collect()
}

#[tokio::test]
async fn a_product_that_may_not_be_changed_is_a_dead_letter_and_the_others_are_changed() {
    let Some((plain, prefix)) = made("odata_sink_forbidden_one", 4).await else { return };
    forbid(&plain, &format!("{prefix}01")).await;
    let deployment = Deployment::embedded();
    produce(&deployment, &changed(&prefix, 0..4)).await;
    let ended = deployment.until_done(&sink(&plain.authority, V2_SINGLE, "", "")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "erp")), (Outcome::Clean, [4, 0, 3, 0, 1]));
    let dead = deployment.read_dead("erp").await;
    assert_eq!(
        dead.iter().map(|row| (row.code(), row.text())).collect::<Vec<_>>(),
        [("odata.403", changed(&prefix, 1..2)[0].1.clone().unwrap())]
    );
    let groups = groups(&plain, &prefix).await;
    assert_eq!(groups.values().collect::<Vec<_>>(), ["new", "old", "new", "new"]);
}

#[tokio::test]
async fn so_is_one_that_comes_alone() {
    let Some((plain, prefix)) = made("odata_sink_forbidden_alone", 2).await else { return };
    forbid(&plain, &format!("{prefix}00")).await;
    let deployment = Deployment::embedded();
    produce(&deployment, &changed(&prefix, 0..2)).await;
    let ended = deployment.until_done(&sink(&plain.authority, V2_SINGLE, "", "batch = { records = 1 }")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "erp")), (Outcome::Clean, [2, 0, 1, 0, 1]));
    assert_eq!(
        deployment.read_dead("erp").await.iter().map(crate::flow::deployment::Row::code).collect::<Vec<_>>(),
        ["odata.403"]
    );
    assert_eq!(groups(&plain, &prefix).await.values().collect::<Vec<_>>(), ["old", "new"]);
}

#[tokio::test]
async fn an_account_that_may_change_nothing_stops_the_sink_and_buries_nothing() {
    let Some((plain, prefix)) = made("odata_sink_forbidden_all", 25).await else { return };
    forbid(&plain, &prefix).await;
    let deployment = Deployment::embedded();
    produce(&deployment, &changed(&prefix, 0..25)).await;
    let ended = deployment.until_done(&sink(&plain.authority, V2_SINGLE, "", "")).await;
    let why = reason(&ended.snapshot, "erp");
    assert!(why.contains("403") && why.contains("that the account may write it"), "{why}");
    assert_eq!(task(&ended.snapshot, "erp").state, TaskState::Failed);
    assert_eq!(deployment.read_dead("erp").await, []);
}
