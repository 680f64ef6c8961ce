//! Who wins where others write the same entity: the last writer, or whoever knew the entity as it is.

use super::*;

/// The ETag that an entity has now.
async fn etag(plain: &Plain, name: &str) -> String {
    let found = plain.find(&format!("{PRODUCTS_V2}/A_Product('{name}')?$format=json")).await.unwrap();
    text(&found["d"]["__metadata"], "etag")
}

#[tokio::test]
async fn an_entity_that_was_changed_meanwhile_is_left_as_it_is_and_the_record_is_a_dead_letter() {
    for way in WAYS {
        let Some((plain, prefix)) = service("odata_sink_etag", way).await else { return };
        let name = |n: u32| format!("{prefix}{n}");
        for n in 0..4 {
            let body = json!({ "Product": name(n), "ProductGroup": "before" }).to_string();
            plain.send("POST", &format!("{PRODUCTS_V2}/A_Product"), &body).await;
        }
        let known = [etag(&plain, &name(0)).await, etag(&plain, &name(1)).await, etag(&plain, &name(2)).await];
        plain.send("PATCH", &format!("{PRODUCTS_V2}/A_Product('{}')", name(1)), r#"{"ProductGroup": "theirs"}"#).await;
        plain.send("DELETE", &format!("{PRODUCTS_V2}/A_Product('{}')", name(2)), "").await;
        let of = |n: u32, etag: Option<&String>| record(&name(n), &json!({ "ProductGroup": "ours", "version": etag }));
        // The fourth is there though its record knows none; the fifth is not.
        let records = [of(0, Some(&known[0])), of(1, Some(&known[1])), of(2, Some(&known[2])), of(3, None), of(4, None)];
        let deployment = Deployment::embedded();
        produce(&deployment, &records).await;
        let ended = deployment.until_done(&sink(&plain.authority, way, "etag = \"match\"\netag-field = \"version\"", "")).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{way:?}");
        let expected = [(0, "ours"), (1, "theirs"), (3, "before"), (4, "ours")].map(|(n, group)| (name(n), group.to_owned()));
        assert_eq!(groups(&plain, &prefix).await, BTreeMap::from(expected), "{way:?}");
        let mut dead: Vec<_> = deployment.read_dead("erp").await.iter().map(|row| (row.text(), row.code().to_owned())).collect();
        dead.sort();
        let mut expected = [1, 2, 3].map(|n: usize| (records[n].1.clone().unwrap(), "odata.conflict".to_owned()));
        expected.sort();
        assert_eq!(dead, expected, "{way:?}");
        assert_eq!(counts(&ended.snapshot, "erp"), [5, 0, 2, 0, 3]);
    }
}

#[tokio::test]
async fn insert_leaves_alone_what_is_there_and_update_creates_nothing() {
    for way in WAYS {
        let Some((plain, prefix)) = service("odata_sink_modes", way).await else { return };
        let (there, new) = (format!("{prefix}there"), format!("{prefix}new"));
        plain
            .send("POST", &format!("{PRODUCTS_V2}/A_Product"), &json!({ "Product": there, "ProductGroup": "before" }).to_string())
            .await;
        let records = [record(&there, &json!({ "ProductGroup": "ours" })), record(&new, &json!({ "ProductGroup": "ours" }))];
        for (write, there_now, new_now, code) in [
            ("update", "ours", None, "odata.missing"),
            ("insert", "ours", Some("ours"), ""),
            ("insert", "later", Some("ours"), "odata.exists"),
        ] {
            if there_now == "later" {
                plain.send("PATCH", &format!("{PRODUCTS_V2}/A_Product('{there}')"), r#"{"ProductGroup": "later"}"#).await;
            }
            let deployment = Deployment::embedded();
            produce(&deployment, &records).await;
            deployment.until_done(&sink(&plain.authority, way, &format!("write = \"{write}\""), "")).await;
            let expected = [Some((there.clone(), there_now.to_owned())), new_now.map(|group| (new.clone(), group.to_owned()))];
            assert_eq!(groups(&plain, &prefix).await, expected.into_iter().flatten().collect(), "{way:?} {write}");
            let dead: Vec<_> = deployment.read_dead("erp").await.iter().map(|row| row.code().to_owned()).collect();
            assert_eq!(dead, Vec::from_iter((!code.is_empty()).then(|| code.to_owned())), "{way:?} {write}");
        }
    }
}
