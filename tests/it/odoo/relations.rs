//! Fields that name other records: as the source reads them, and as the sink writes them.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn related_records_are_read_as_objects_and_lists_of_ids_as_odoo_has_them() {
    let Some(erp) = Erp::new("ol_read").await else { return };
    let parent = json!({
        "name": "Head", "ref": "ol_read-head", "is_company": true, "country_id": 57,
        "child_ids": [[0, 0, { "name": "Ann", "ref": "ol_read-a" }], [0, 0, { "name": "Bob", "ref": "ol_read-b" }]],
        "category_id": [[0, 0, { "name": "ol_read gold" }], [0, 0, { "name": "ol_read tea" }]]
    });
    erp.odoo.create("res.partner", &[parent]).await;
    let more = "fields = [\"name\", \"country_id\", \"parent_id\", \"child_ids\", \"category_id\"]\nmany2one = \"object\"";
    erp.run_until(&erp.source(more), 3).await;
    let held = erp.partners(&["name", "child_ids", "category_id"]).await;
    let head = held.iter().find(|partner| partner["name"] == "Head").unwrap();
    assert_eq!((head["child_ids"].as_array().unwrap().len(), head["category_id"].as_array().unwrap().len()), (2, 2));
    let topic: BTreeMap<String, Value> = erp
        .in_topic()
        .await
        .into_iter()
        .map(|(_, value)| value.unwrap())
        .map(|value| (value["name"].as_str().unwrap().to_owned(), value))
        .collect();
    let read = |name: &str, field: &str| topic[name][field].clone();
    assert_eq!(topic.len(), 3);
    assert_eq!(read("Head", "country_id"), json!({ "id": 57, "name": "Germany" }));
    assert_eq!(read("Head", "parent_id"), Value::Null);
    assert_eq!(
        (read("Head", "child_ids"), read("Head", "category_id")),
        (head["child_ids"].clone(), head["category_id"].clone())
    );
    for child in ["Ann", "Bob"] {
        assert_eq!(read(child, "parent_id"), json!({ "id": head["id"], "name": "Head" }));
        assert_eq!((read(child, "child_ids"), read(child, "category_id")), (json!([]), json!([])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_other_records_are_written_by_keys_external_ids_and_ids_and_take_the_place_of_what_was_there() {
    let Some(erp) = Erp::new("ol_write").await else { return };
    // Categories by a sink of their own: their keys are then known.
    let category = |n: usize| (format!("{{\"id\":{n}}}"), format!("{{\"name\":\"ol_write {n}\"}}"));
    let categories: Vec<_> = (1..=3).map(category).collect();
    let bytes: Vec<_> = categories.iter().map(|(key, value)| (Some(key.as_str()), Some(value.as_bytes()))).collect();
    erp.deployment.produce("categories", 1, &bytes).await;
    let own =
        erp.sink(&erp.odoo.url, "").replace("\"res.partner\"", "\"res.partner.category\"").replace("\"ol_write\"", "\"ol_tag\"");
    let own = own.replace("\"to-erp\"", "\"tags\"").replace("\"partners\"", "\"categories\"");
    let ended = erp.deployment.until_done(&own).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "tags")), (Outcome::Clean, [3, 0, 3, 0, 0]));
    let made = erp.odoo.read("res.partner.category", &json!([["name", "=like", "ol_write %"]]), &["name"]).await;
    let id = |n: usize| made.iter().find(|category| category["name"] == format!("ol_write {n}")).unwrap()["id"].clone();
    assert_eq!(made.len(), 3, "{made:?}");

    let external = |n: usize| json!({ "external": format!("wharf.ol_tag.{n}") });
    erp.produce(&[
        erp.partner(1, &json!({ "category_id": [external(1), external(3)], "country_id": {"id": 57} })),
        erp.partner(2, &json!({ "category_id": [id(2), {"id": id(3)}] })),
        erp.partner(3, &json!({ "category_id": [external(1), external(99)] })),
        erp.partner(4, &json!({ "category_id": [external(1), external(2)] })),
        erp.partner(4, &json!({ "category_id": [external(3)] })),
        erp.partner(5, &json!({ "category_id": [external(2)] })),
        erp.partner(5, &json!({ "category_id": null })),
        erp.partner(6, &json!({ "child_ids": [external(1)] })),
    ])
    .await;
    let ended = erp.deployment.until_done(&erp.sink(&erp.odoo.url, "")).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "to-erp")), (Outcome::Clean, [8, 0, 6, 0, 2]));
    let written = |lists: &[&[usize]]| -> Vec<String> {
        let line = |(n, list): (usize, &&[usize])| {
            let mut ids: Vec<i64> = list.iter().map(|n| id(*n).as_i64().unwrap()).collect();
            ids.sort_unstable();
            format!("Partner {} {ids:?}", [1, 2, 4, 5][n])
        };
        lists.iter().enumerate().map(line).collect()
    };
    let held = async || {
        let mut partners = erp.partners(&["name", "category_id"]).await;
        partners.sort_by_key(|partner| partner["name"].to_string());
        let line = |partner: &Value| {
            let mut ids: Vec<i64> = serde_json::from_value(partner["category_id"].clone()).unwrap();
            ids.sort_unstable();
            format!("{} {ids:?}", partner["name"].as_str().unwrap())
        };
        partners.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(held().await, written(&[&[1, 3], &[2, 3], &[3], &[]]));
    let dead = erp.deployment.read_dead("to-erp").await;
    let dead: Vec<_> = dead.iter().map(|row| (row.key.as_deref().unwrap(), row.code())).collect();
    assert_eq!(dead, [("{\"id\":3}", "odoo.refused"), ("{\"id\":6}", "value.type")]);

    // By the keys of the other sink.
    erp.produce(&[erp.partner(1, &json!({ "category_id": [2] })), erp.partner(5, &json!({ "category_id": [{"id": 1}, 3] }))])
        .await;
    let by_key = erp.sink(&erp.odoo.url, "relations = { category_id = \"ol_tag\" }");
    let ended = erp.deployment.until_done(&by_key).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "to-erp")), (Outcome::Clean, [2, 0, 2, 0, 0]));
    assert_eq!(held().await, written(&[&[2], &[2, 3], &[3], &[1, 3]]));
}
