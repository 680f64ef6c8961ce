//! Requests in the documented shapes, and what each answer leads to.

use std::time::Duration;

use super::*;

#[test]
fn a_batch_arrives_in_the_documented_shape() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    let outcomes = sink.write(&batch(&[customer("Ada", "yes", 1), customer("bob", "no", 2)])).unwrap();
    assert!(outcomes.is_empty());
    let request = world.borrow().requests[0].clone();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("POST", "https://us6.api.mailchimp.com/3.0/lists/l1?skip_merge_validation=true")
    );
    let expected = json!({"members": [
        {"email_address": "ada@example.com", "status": "subscribed", "merge_fields": {"FNAME": "Ada"}},
        {"email_address": "bob@example.com", "status": "unsubscribed"}], "update_existing": true});
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), expected);
}

#[test]
fn a_single_member_is_put_by_its_hash() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    assert!(sink.write(&batch(&[customer("ada", "true", 1)])).unwrap().is_empty());
    let request = world.borrow().requests[0].clone();
    let md5 = entry::Address::read("ada@example.com").unwrap().md5();
    assert_eq!(request.url, format!("https://us6.api.mailchimp.com/3.0/lists/l1/members/{md5}?skip_merge_validation=true"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["status"], &body["status_if_new"]), (&json!("subscribed"), &json!("subscribed")));
}

/// A member as the service holds it.
fn held(name: &str, status: &str) -> Value {
    json!({"id": entry::Address::read(&format!("{name}@example.com")).unwrap().md5(), "status": status})
}

/// The documented answer to three members, with one refusal.
fn refusing(name: &str, error: &str) -> Response {
    let others = [held("ada", "subscribed"), held("cy", "subscribed")];
    let refusal = json!({"email_address": format!("{name}@example.com"), "error": error, "error_code": "ERROR_GENERIC", "field": "", "field_message": ""});
    Response::new(200, json!({"new_members": others, "updated_members": [], "errors": [refusal], "total_created": 2, "total_updated": 0, "error_count": 1}).to_string())
}

#[test]
fn a_member_that_the_service_refuses_is_rejected_alone_and_without_its_address() {
    for (error, expected) in [
        ("Bob@example.com is in a compliance state due to unsubscribe", "audience.compliance"),
        ("bob@example.com looks fake or invalid, please enter a real email address.", "audience.address"),
        ("bob@example.com has signed up to a lot of lists very recently", "audience.refused"),
        ("The domain portion of the email address is invalid (the portion after the @: example.com)", "audience.address"),
    ] {
        let (mut sink, world) = sink(&json!({}), move |_, _| refusing("BOB", error));
        let outcomes = sink.write(&batch(&["ada", "bob", "cy"].map(|name| customer(name, "yes", 1)))).unwrap();
        let codes: Vec<_> = (0..3).map(|index| code(&outcomes, index)).collect();
        assert_eq!(codes, [None, Some(expected), None]);
        let told = format!("{outcomes:?}").to_lowercase();
        assert!(!told.contains("bob") && !told.contains("example.com"), "{told}");
        assert_eq!(rows(&world, "ada"), [("subscribed".to_owned(), 1)]);
        assert_eq!(rows(&world, "bob"), [], "nothing is on its way, and nobody was subscribed");
        assert_eq!(world.borrow().requests.len(), 1);
    }
}

#[test]
fn a_refusal_with_fields_that_are_null_is_one() {
    let (mut sink, _) = sink(&json!({}), |_, _| {
        let refusal = json!({"email_address": "bob@example.com", "error": "bob@example.com was permanently deleted", "error_code": "ERROR_GENERIC", "field": null, "field_message": null});
        Response::new(
            200,
            json!({"new_members": [held("ada", "subscribed")], "updated_members": [], "errors": [refusal], "error_count": 1})
                .to_string(),
        )
    });
    let outcomes = sink.write(&batch(&["ada", "bob"].map(|name| customer(name, "yes", 1)))).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (None, Some("audience.refused")));
}

#[test]
fn where_it_is_not_clear_who_was_refused_halves_are_sent_down_to_the_one() {
    const UNCLEAR: [(u16, &str); 5] = [
        (
            200,
            r#"{"new_members": [1, 2, 3], "updated_members": [], "errors": [{"email_address": "bob@example.com", "error": "x"}], "error_count": 2}"#,
        ),
        (
            200,
            r#"{"new_members": [], "updated_members": [1, 2, 3], "errors": [{"email_address": "someone@else.example", "error": "x"}], "error_count": 1}"#,
        ),
        (200, r#"{"new_members": [1, 2, 3], "updated_members": [], "errors": [{"error": "x"}], "error_count": 1}"#),
        (200, r#"{"new_members": [1, 2, 3], "updated_members": [], "errors": [], "error_count": 0}"#),
        (400, r#"{"title": "Invalid Resource"}"#),
    ];
    for (status, body) in UNCLEAR {
        let (mut sink, world) = sink(&json!({}), move |request, _| match request.method.as_str() {
            _ if !String::from_utf8_lossy(&request.body).contains("bob@") => taken(request),
            "POST" => Response::new(status, body),
            _ => Response::new(
                400,
                r#"{"title": "Member In Compliance State", "status": 400, "detail": "bob@example.com is already", "errors": []}"#,
            ),
        });
        let outcomes = sink.write(&batch(&["ada", "bob", "cy", "dee"].map(|name| customer(name, "yes", 1)))).unwrap();
        let codes: Vec<_> = (0..4).map(|index| code(&outcomes, index)).collect();
        assert_eq!(codes, [None, Some("audience.compliance"), None, None]);
        assert!(!format!("{outcomes:?}").contains("bob"), "{outcomes:?}");
        // All, the first half, each of it, the second half.
        assert_eq!(
            sent(&world)[4..],
            ["ada subscribed", "bob subscribed", "ada subscribed", "bob subscribed", "cy subscribed", "dee subscribed"]
        );
        assert_eq!(world.borrow().requests.len(), 5);
    }
}

#[test]
fn busy_and_cut_answers_send_the_whole_batch_again() {
    for (answer, after) in [
        (Response::new(429, r#"{"title": "Too Many Requests"}"#).with_header("Retry-After", "7"), Some(Duration::from_secs(7))),
        (Response::new(500, ""), None),
        (Response::new(409, ""), None),
        (Response::new(423, ""), None),
        (Response::new(200, r#"{"new_members": [{"id": "62eeb292"}], "err"#), None),
        (Response::new(200, ""), None),
        (Response::new(200, "{}"), None),
    ] {
        let shown = format!("{answer:?}");
        let answer = RefCell::new(Some(answer));
        let (mut sink, world) = sink(&json!({}), move |request, _| answer.take().unwrap_or_else(|| taken(request)));
        let customers = batch(&[customer("ada", "yes", 1), customer("bob", "no", 1)]);
        let Err(Error::Retry { after: waits, message }) = sink.write(&customers) else { panic!("retry: {shown}") };
        assert_eq!(waits, after, "{shown}");
        assert!(!message.contains("example.com"), "{message}");
        assert!(sink.write(&customers).unwrap().is_empty());
        assert_eq!(sent(&world), ["ada subscribed", "bob unsubscribed", "ada subscribed", "bob unsubscribed"]);
        assert_eq!(rows(&world, "ada"), [("subscribed".to_owned(), 1)]);
    }
}

#[test]
fn a_page_of_something_between_is_no_delivery() {
    let page = |status| move || Response::new(status, "<html>Sign in</html>");
    let gone = || {
        let mut records = Records::new();
        records.push(NewRecord::new().topic("crm").key("ada@example.com").timestamp(5000));
        records.into_batch()
    };
    for between in [page(200), page(202)] {
        let answers = RefCell::new(vec![between(), between(), Response::new(200, r#"{"ok": true}"#)]);
        let (mut sink, world) = sink(&json!({"tombstones": "erase"}), move |request, _| {
            let answer = answers.borrow_mut().pop();
            answer.unwrap_or_else(|| taken(request))
        });
        let one = batch(&[customer("ada", "yes", 1)]);
        assert!(matches!(sink.write(&one), Err(Error::Retry { .. })), "an object that is no member");
        assert!(matches!(sink.write(&one), Err(Error::Retry { .. })), "no object");
        assert_eq!(rows(&world, "ada"), [("subscribing".to_owned(), 1)], "nothing is certain");
        assert!(matches!(sink.write(&gone()), Err(Error::Retry { .. })), "a removal");
        assert!(sink.write(&gone()).unwrap().is_empty());
    }
}

#[test]
fn a_member_that_the_service_holds_otherwise_than_it_was_told_is_rejected() {
    for (told, held, expected) in
        [("yes", "pending", Some("audience.status")), ("no", "subscribed", Some("audience.status")), ("no", "cleaned", None)]
    {
        let (mut sink, _) = sink(&json!({}), move |_, _| {
            let id = entry::Address::read("ada@example.com").unwrap().md5();
            Response::new(200, json!({"id": id, "status": held}).to_string())
        });
        let outcomes = sink.write(&batch(&[customer("ada", told, 1)])).unwrap();
        assert_eq!(code(&outcomes, 0), expected, "{told} {held}");
    }
}

#[test]
fn a_member_that_a_batch_holds_otherwise_than_it_was_told_is_rejected_alone() {
    for (told, status, expected) in
        [("yes", "pending", Some("audience.status")), ("no", "subscribed", Some("audience.status")), ("no", "archived", None)]
    {
        let (mut sink, world) = sink(&json!({}), move |_, _| {
            let answer = json!({"new_members": [held("bob", "subscribed")], "updated_members": [held("ada", status)], "errors": [], "error_count": 0});
            Response::new(200, answer.to_string())
        });
        let outcomes = sink.write(&batch(&[customer("ada", told, 1), customer("bob", "yes", 1)])).unwrap();
        assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (expected, None), "{told} {status}");
        assert_eq!(world.borrow().requests.len(), 1);
    }
}

#[test]
fn an_answer_that_tells_of_another_member_is_no_delivery() {
    for status in ["subscribed", "unsubscribed"] {
        for told in ["yes", "no"] {
            let (mut sink, _) = sink(&json!({}), move |_, _| Response::new(200, held("eve", status).to_string()));
            assert!(matches!(sink.write(&batch(&[customer("ada", told, 1)])), Err(Error::Retry { .. })), "{told} {status}");
            let both = batch(&[customer("ada", told, 1), customer("bob", told, 1)]);
            let (mut sink, world) = self::sink(&json!({}), move |request, _| {
                match request.method.as_str() {
                "POST" => Response::new(200, json!({"new_members": [held("eve", status), held("ada", "subscribed")], "updated_members": [], "errors": [], "error_count": 0}).to_string()),
                _ => taken(request),
            }
            });
            assert!(sink.write(&both).unwrap().is_empty());
            assert_eq!(world.borrow().requests.len(), 3, "each by itself");
        }
    }
    // Where the service takes another spelling for its id.
    let (mut sink, _) = sink(&json!({}), |_, _| {
        Response::new(200, r#"{"id": "0123", "email_address": "Ada@example.com", "status": "subscribed"}"#)
    });
    assert!(sink.write(&batch(&[customer("ada", "yes", 1)])).unwrap().is_empty());
}

#[test]
fn statuses_that_no_member_can_be_at_fault_for_stop_the_sink() {
    for status in [501, 505] {
        let (mut sink, _) = sink(&json!({}), move |_, _| Response::new(status, ""));
        let Err(Error::Fatal(text)) = sink.write(&batch(&[customer("ada", "yes", 1)])) else { panic!("fatal") };
        assert!(text.contains(&status.to_string()), "{text}");
    }
}

#[test]
fn a_call_ends_in_its_time_and_what_is_left_comes_again_in_smaller_parts_until_it_is_delivered() {
    let (mut sink, world) = sink(&json!({}), |request, _| {
        std::thread::sleep(Duration::from_millis(30));
        // Batches are refused as a whole, so that each member is sent alone.
        if request.method == "POST" { Response::new(400, r#"{"title": "Invalid Resource"}"#) } else { taken(request) }
    });
    sink.clock.patience = Duration::from_millis(200);
    let mut left: Vec<_> = (0..16).map(|n| customer(&format!("c{n}"), "yes", 1)).collect();
    for call in 0.. {
        assert!(call < 100, "it goes on");
        let before = world.borrow().requests.len();
        let started = Instant::now();
        let outcomes = sink.write(&batch(&left));
        assert!(world.borrow().requests.len() - before <= 8, "none begins when the time is over");
        assert!(started.elapsed() < Duration::from_secs(5));
        match outcomes {
            Ok(outcomes) if outcomes.is_empty() => break,
            Ok(outcomes) => {
                let retried = (0..).zip(left).filter(|(index, _)| code(&outcomes, *index) == Some("retry"));
                left = retried.map(|(_, customer)| customer).collect();
            }
            Err(Error::Retry { message, .. }) => assert!(message.contains("time"), "{message}"),
            Err(other) => panic!("{other}"),
        }
    }
    for n in 0..16 {
        assert!(rows(&world, &format!("c{n}")).contains(&("subscribed".to_owned(), 1)));
    }
}

#[test]
fn after_an_answer_that_means_later_only_what_was_not_sent_comes_again() {
    let (mut sink, world) = sink(&json!({}), |request, world| {
        let is_first = world.borrow().requests.len() == 1;
        if is_first { taken(request) } else { Response::new(503, "").with_header("Retry-After", "3") }
    });
    let customers: Vec<_> = (0..700).map(|n| customer(&format!("c{n}"), "yes", 1)).collect();
    let outcomes = sink.write(&batch(&customers)).unwrap();
    assert_eq!(world.borrow().requests.len(), 2);
    assert_eq!((outcomes.get(499), outcomes.len()), (None, 200));
    assert_eq!(outcomes.get(500), Some(&Told::Retry(Some(Duration::from_secs(3)))));
}

#[test]
fn refused_credentials_a_missing_list_and_redirects_stop_the_sink() {
    let one = || batch(&[customer("ada", "yes", 1)]);
    let (mut refused, _) = sink(&json!({}), |_, _| Response::new(401, ""));
    assert!(matches!(refused.write(&one()), Err(Error::Retry { .. })));
    assert!(matches!(refused.write(&one()), Err(Error::Retry { .. })));
    let Err(Error::Fatal(text)) = refused.write(&one()) else { panic!("fatal") };
    assert!(text.contains(r#"[sink.auth."us6.api.mailchimp.com"]"#), "{text}");
    let (mut missing, _) = sink(&json!({}), |_, _| Response::new(404, ""));
    let Err(Error::Fatal(text)) = missing.write(&one()) else { panic!("fatal") };
    assert!(text.contains("no list `l1`"), "{text}");
    let (mut moved, _) = sink(&json!({}), |_, _| Response::new(301, "").with_header("Location", "https://new.example.com/x?y=1"));
    let Err(Error::Fatal(text)) = moved.write(&one()) else { panic!("fatal") };
    assert!(text.contains("redirects to new.example.com (301)"), "{text}");
}

#[test]
fn records_that_say_nothing_of_a_member_are_rejected_and_the_others_sent() {
    let (mut sink, world) = sink(&json!({}), |request, _| taken(request));
    let values = [
        "[]".to_owned(),
        "oops".to_owned(),
        customer("ada", "yes", 1).replace("ada@example.com", "ada"),
        customer("ada", "maybe", 1),
        json!({"email": "ada@example.com", "at": time(1)}).to_string(),
        customer("ada", "yes", 1).replace("1970-01-01T00:00:01Z", "yesterday"),
        customer("ada", "yes", 1).replace("1970-01-01T00:00:01Z", "-000044-03-15T00:00:00Z"),
        customer("ada", "yes", 1),
    ];
    let outcomes = sink.write(&batch(&values)).unwrap();
    let codes: Vec<_> = (0..8).map(|index| code(&outcomes, index)).collect();
    let expected = [
        "audience.object",
        "value.json",
        "audience.email",
        "audience.consent",
        "audience.consent",
        "audience.time",
        "audience.time",
    ];
    assert_eq!(codes, expected.map(Some).into_iter().chain([None]).collect::<Vec<_>>());
    assert!(!format!("{outcomes:?}").contains("ada"), "{outcomes:?}");
    assert_eq!(sent(&world), ["ada subscribed"]);
}

#[test]
fn tombstones_take_a_member_off_the_list_as_configured() {
    let key = r#"{"email":"Ada@example.com"}"#;
    let gone = |key: &str| {
        let mut records = Records::new();
        records.push(NewRecord::new().topic("crm").key(key).timestamp(5000));
        records.into_batch()
    };
    let md5 = entry::Address::read("ada@example.com").unwrap().md5();
    for (setting, expected) in [
        ("archive", format!("DELETE lists/l1/members/{md5}")),
        ("erase", format!("POST lists/l1/members/{md5}/actions/delete-permanent")),
    ] {
        let (mut sink, world) = sink(&json!({"tombstones": setting}), |_, _| Response::new(204, ""));
        assert!(sink.write(&gone(key)).unwrap().is_empty());
        assert!(sink.write(&gone("\"ada@example.com\"")).unwrap().is_empty());
        assert_eq!(sent(&world), [expected.clone(), expected]);
        let is_known = rows(&world, "ada").contains(&("withdrawn".to_owned(), 5));
        assert!(is_known, "who is gone is not subscribed by an older record");
        assert_eq!(rows(&world, "ada").contains(&("erased".to_owned(), 5)), setting == "erase");
        assert_eq!(code(&sink.write(&gone("17")).unwrap(), 0), Some("audience.tombstone"));
    }
    let (mut rejecting, world) = sink(&json!({}), |_, _| Response::new(204, ""));
    assert_eq!(code(&rejecting.write(&gone(key)).unwrap(), 0), Some("audience.tombstone"));
    assert!(world.borrow().requests.is_empty());
}

#[test]
fn a_member_that_cannot_be_removed_is_not_taken_for_removed() {
    let gone = || {
        let mut records = Records::new();
        records.push(NewRecord::new().topic("crm").key("ada@example.com").timestamp(5000));
        records.into_batch()
    };
    // Status of the removal, and whether the list is there.
    for (setting, status, is_there, expected) in [
        ("archive", 404, true, Ok(None)),
        ("archive", 404, false, Err(())),
        ("erase", 404, true, Ok(None)),
        ("erase", 404, false, Err(())),
        ("erase", 405, true, Ok(Some("http.405"))),
        ("archive", 405, true, Ok(None)),
    ] {
        let (mut sink, world) = sink(&json!({"tombstones": setting}), move |request, _| match request.method.as_str() {
            "GET" if is_there => Response::new(200, r#"{"id": "l1"}"#),
            "GET" => Response::new(404, ""),
            "PUT" => taken(request),
            _ => Response::new(status, r#"{"title": "Method Not Allowed"}"#),
        });
        let told = sink.write(&gone());
        let codes = told.as_ref().map(|outcomes| code(outcomes, 0)).map_err(|error| {
            assert!(matches!(error, Error::Fatal(text) if text.contains("no list `l1`")), "{error:?}");
        });
        assert_eq!(codes, expected, "{setting} {status}");
        let is_unsubscribed = sent(&world).contains(&"ada unsubscribed".to_owned());
        assert_eq!(is_unsubscribed, (setting, status) == ("archive", 405), "{:?}", sent(&world));
    }
}

#[test]
fn manifest_names_the_keys_and_defaults_of_the_configuration() {
    let least = r#"{"service": "mailchimp", "url": "https://h", "list": "l", "connection": "c", "consent": {"field": "f", "subscribe": ["a"], "withdraw": ["b"]}}"#;
    assert_eq!(testing::configuration::<Config>(include_str!("../../connector.toml"), least), Ok(()));
}

#[test]
fn values_that_cannot_work_are_refused_by_the_name_of_their_key() {
    for (more, expected) in [
        (json!({"url": "us6.api.mailchimp.com"}), "config.url"),
        (json!({"url": "https://me:key@h/3.0"}), "[sink.auth]"),
        (json!({"list": "a/b"}), "config.list"),
        (json!({"timeout": "46s"}), "config.timeout"),
        (json!({"table": "a; DROP TABLE b"}), "config.table"),
        (json!({"database": "shop"}), "config.database"),
        (json!({"service": "odoo", "list": "7"}), "config.database"),
        (json!({"service": "odoo", "database": "shop"}), "config.list"),
        (json!({"service": "odoo", "database": "shop", "list": "7", "fields": {"email": "mail"}}), "`email`"),
        (json!({"service": "odoo", "database": "shop", "list": "7", "fields": {"list_ids": "lists"}}), "`list_ids`"),
        (json!({"consent": {"field": "f", "subscribe": [], "withdraw": ["b"]}}), "config.consent"),
        (json!({"consent": {"field": "f", "subscribe": ["b"], "withdraw": ["b"]}}), "`b` in both"),
    ] {
        let error = Audience::open(&Context::new("newsletter", config(&more))).unwrap_err();
        assert!(error.message().contains(expected), "{error:?}");
    }
}

#[test]
fn consent_is_kept_by_host_database_and_number_of_a_list_of_odoo() {
    let named = |more: &Value| {
        let odoo = json!({"service": "odoo", "url": "https://odoo.example.com", "database": "shop", "list": "7", "fields": {}});
        let mut config: Value = serde_json::from_str(&config(&odoo)).unwrap();
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<Config>(config).unwrap().audience()
    };
    let own = named(&json!({}));
    assert_eq!(own, "odoo/odoo.example.com/shop/7");
    for same in
        [json!({"list": "07"}), json!({"url": "https://Odoo.example.com:443/"}), json!({"url": "http://odoo.example.com:80"})]
    {
        assert_eq!(named(&same), own, "{same}");
    }
    for other in [
        json!({"list": "8"}),
        json!({"database": "b"}),
        json!({"url": "https://b.example.com"}),
        json!({"url": "https://odoo.example.com:8069"}),
    ] {
        assert_ne!(named(&other), own, "{other}");
    }
}
