//! What stands in the service equals the topic: values exact, absent properties untouched, what is deleted gone, and bad records alone in
//! the dead-letter topic.

use super::*;

/// What the service holds of a product, of the properties that are written here.
fn written(product: &Value) -> Value {
    json!({
        "ProductType": product["ProductType"], "ProductGroup": product["ProductGroup"], "GrossWeight": product["GrossWeight"],
        "IsMarkedForDeletion": product["IsMarkedForDeletion"],
    })
}

#[tokio::test]
async fn the_service_holds_what_the_topic_says_last_of_every_entity() {
    for way in WAYS {
        let Some((plain, prefix)) = service("odata_sink_rows", way).await else { return };
        let mut records = Vec::new();
        let mut expected = BTreeMap::new();
        for n in 0..230_u32 {
            let name = format!("{prefix}{n:03}/ä '{n}'");
            let weight = format!("{}.{:03}", 1_234_567_890 - n, n);
            let fields = json!({ "ProductType": "FERT", "GrossWeight": weight, "IsMarkedForDeletion": n % 2 == 0 });
            records.push(record(&name, &fields));
            let group = match n % 4 {
                1 => format!("G{n}"),
                2 => format!("H{n}"),
                _ => String::new(),
            };
            if n % 4 > 0 {
                records.push(record(&name, &json!({ "ProductGroup": format!("G{n}") })));
            }
            if n % 4 == 2 {
                records.push(record(&name, &json!({ "ProductGroup": format!("H{n}"), "ProductType": "ROH" })));
            }
            if n % 4 == 3 {
                records.push((json!({ "Product": name }).to_string(), None));
                continue;
            }
            let kind = if n % 4 == 2 { "ROH" } else { "FERT" };
            expected.insert(
                name,
                json!({ "ProductType": kind, "ProductGroup": group, "GrossWeight": weight, "IsMarkedForDeletion": n % 2 == 0 }),
            );
        }
        let deployment = Deployment::embedded();
        produce(&deployment, &records).await;
        let ended = deployment.until_done(&sink(&plain.authority, way, "", "")).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{way:?}");
        let found: BTreeMap<_, _> =
            plain.products(&prefix).await.iter().map(|(name, product)| (name.clone(), written(product))).collect();
        assert_eq!(found, expected, "{way:?}");
        let count = u64::try_from(records.len()).unwrap();
        assert_eq!(counts(&ended.snapshot, "erp"), [count, 0, count, 0, 0]);
    }
}

#[tokio::test]
async fn times_and_composite_keys_arrive_exactly() {
    for (root, set) in [(PARTNERS_V2, "A_BusinessPartnerRole"), (PARTNERS_V4, "BusinessPartnerRole")] {
        let Some((plain, prefix)) = service("odata_sink_times", V2).await else { return };
        let partner = &prefix[2..12];
        let deployment = Deployment::embedded();
        let of = |role: &str, from: Value| {
            let value = json!({ "BusinessPartner": partner, "BusinessPartnerRole": role, "from": from, "ignored": 1 });
            (String::new(), Some(value.to_string()))
        };
        let records =
            [of("A", json!("2024-05-01T12:00:00.123+02:00")), of("B", json!("1969-12-31T23:59:59Z")), of("C", Value::Null)];
        produce(&deployment, &records).await;
        let way = Way { name: "", root, set, config: "" };
        let fields = "[sink.config.fields]\nBusinessPartner = \"BusinessPartner\"\nValidFrom = \"from\"\n";
        let ended = deployment.until_done(&sink(&plain.authority, way, fields, "")).await;
        assert_eq!(counts(&ended.snapshot, "erp"), [3, 0, 3, 0, 0]);
        for (role, v2, v4) in [
            ("A", json!("/Date(1714557600123)/"), json!("2024-05-01T10:00:00.123000Z")),
            ("B", json!("/Date(-1000)/"), json!("1969-12-31T23:59:59Z")),
            ("C", Value::Null, Value::Null),
        ] {
            let key = format!("(BusinessPartner='{partner}',BusinessPartnerRole='{role}')");
            let found = plain.find(&format!("{PARTNERS_V2}/A_BusinessPartnerRole{key}?$format=json")).await.unwrap();
            assert_eq!(found["d"]["ValidFrom"], v2, "{set} {role}");
            let found = plain.find(&format!("{PARTNERS_V4}/BusinessPartnerRole{key}")).await.unwrap();
            assert_eq!(found["ValidFrom"], v4, "{set} {role}");
        }
    }
}

#[tokio::test]
async fn bad_records_alone_go_to_the_dead_letter_topic() {
    for way in WAYS {
        let Some((plain, prefix)) = service("odata_sink_bad", way).await else { return };
        let name = |n: u32| format!("{prefix}{n}");
        let bare = |value: &str| (String::new(), Some(value.to_owned()));
        let records = [
            record(&name(0), &json!({ "ProductGroup": "ok" })),
            record(&name(1), &json!({ "GroupOfProduct": "ok" })),
            record(&name(2), &json!({ "GrossWeight": "1.2345" })),
            record(&name(3), &json!({ "ProductGroup": "more than nine" })),
            record(&name(4), &json!({ "IsMarkedForDeletion": "yes" })),
            // $metadata knows it, and the service does not let it be written.
            record(&name(5), &json!({ "CreatedByUser": "me" })),
            bare("{\"ProductGroup\": \"ok\"}"),
            bare("no JSON"),
            record(&name(6), &json!({ "ProductGroup": "ok" })),
        ];
        let deployment = Deployment::embedded();
        produce(&deployment, &records).await;
        let ended = deployment.until_done(&sink(&plain.authority, way, "", "")).await;
        assert_eq!(ended.outcome, Outcome::Clean, "{way:?}");
        let both = [(name(0), "ok".to_owned()), (name(6), "ok".to_owned())];
        assert_eq!(groups(&plain, &prefix).await, BTreeMap::from(both), "{way:?}");
        let mut dead: Vec<_> = deployment.read_dead("erp").await.iter().map(|row| (row.code().to_owned(), row.text())).collect();
        dead.sort();
        let expected = [
            ("key.json", 6),
            ("odata.400", 5),
            ("odata.field", 1),
            ("odata.length", 3),
            ("odata.range", 2),
            ("odata.type", 4),
            ("value.json", 7),
        ];
        let expected = expected.map(|(code, n)| (code.to_owned(), records[n].1.clone().unwrap()));
        assert_eq!(dead, expected, "{way:?}");
        assert_eq!(counts(&ended.snapshot, "erp"), [9, 0, 2, 0, 7]);
        let refused = deployment.read_dead("erp").await.into_iter().find(|row| row.code() == "odata.400").unwrap();
        let why = refused.header("__connect.errors.exception.message").to_owned();
        assert!(why.contains("CreatedByUser") && !why.contains("secret"), "{why}");
    }
}
