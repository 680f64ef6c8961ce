//! Odoo as far as the sink calls it: contacts and subscriptions in memory, answers in the shape that a server of version 19 gives.

use super::*;

#[derive(Default)]
struct Server {
    /// Id, address and name.
    contacts: Vec<(i64, String, Value)>,
    /// Contact, whether it has left, and when, as Odoo shows it.
    subscriptions: Vec<(i64, bool, Value)>,
    blacklist: Vec<&'static str>,
    has_no_list: bool,
    /// A call whose arguments hold this text is refused.
    refuses: Option<&'static str>,
    /// A call that writes, and whose arguments hold this text, is answered as a fault of Odoo's own, so often.
    faults: Option<(&'static str, u32)>,
    /// Status and exception of these answers, without an exception a page of something between; `None`: 500 for a wrong value.
    fault: Option<(u16, &'static str)>,
    calls: Vec<String>,
}

impl Server {
    fn answer(&mut self, request: &Request) -> Response {
        let method = request.url.split("/json/2/").nth(1).unwrap();
        self.calls.push(method.to_owned());
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let is_write = !method.ends_with("search_read") && !method.ends_with("fields_get");
        if is_write && self.refuses.is_some_and(|text| body.to_string().contains(text)) {
            return Response::new(422, r#"{"name": "odoo.exceptions.ValidationError", "message": "no good: bob@example.com"}"#);
        }
        if let Some((text, left)) =
            self.faults.as_mut().filter(|(text, left)| is_write && *left > 0 && body.to_string().contains(*text))
        {
            *left -= 1;
            let (status, name) = self.fault.unwrap_or((500, "builtins.ValueError"));
            if name.is_empty() {
                return Response::new(status, "<html>Something between</html>");
            }
            return Response::new(
                status,
                json!({"name": name, "message": format!("Wrong value for {text}example.com")}).to_string(),
            );
        }
        let answer = if is_write { self.write(method, &body) } else { self.read(method, &body) };
        Response::new(200, answer.to_string())
    }

    fn read(&self, method: &str, body: &Value) -> Value {
        match method {
            "mailing.contact/fields_get" => json!({"name": {"type": "char"}}),
            "mailing.list/search_read" => {
                assert_eq!(body["domain"][0], json!(["id", "=", 7]));
                if self.has_no_list { json!([]) } else { json!([{"id": 7}]) }
            }
            "mail.blacklist/search_read" => {
                let listed = self.blacklist.iter().filter(|address| is_asked(body, address));
                listed.map(|address| json!({"id": 1, "email": address})).collect()
            }
            "mailing.contact/search_read" => self
                .contacts
                .iter()
                .filter(|(_, address, _)| is_asked(body, address))
                .map(|(id, address, name)| {
                    json!({"id": id, "email_normalized": address, "name": name, "is_blacklisted": self.blacklist.contains(&address.as_str())})
                })
                .collect(),
            "mailing.subscription/search_read" => self
                .subscriptions
                .iter()
                .zip(1..)
                .filter(|((contact, ..), _)| has(&body["domain"][0][2], &json!(contact)))
                .map(|((contact, left, at), id)| json!({"id": id, "contact_id": [contact, "x"], "opt_out": left, "opt_out_datetime": at, "write_date": "1970-01-01 00:00:05"}))
                .collect(),
            other => panic!("{other}"),
        }
    }

    fn write(&mut self, method: &str, body: &Value) -> Value {
        match method {
            "mailing.contact/create" => {
                for values in body["vals_list"].as_array().unwrap() {
                    let id = i64::try_from(self.contacts.len()).unwrap() + 1;
                    self.contacts.push((id, values["email"].as_str().unwrap().to_owned(), values["name"].clone()));
                    assert_eq!(values["subscription_ids"], json!([[0, 0, {"list_id": 7}]]));
                    self.subscriptions.push((id, false, json!(false)));
                }
                json!(vec![1; body["vals_list"].as_array().unwrap().len()])
            }
            "mailing.contact/write" => {
                let contact = self.contacts.iter_mut().find(|(id, ..)| json!([id]) == body["ids"]).unwrap();
                contact.2 = body["vals"]["name"].clone();
                json!(true)
            }
            "mailing.contact/unlink" => {
                self.contacts.retain(|(id, ..)| !has(&body["ids"], &json!(id)));
                json!(true)
            }
            "mailing.list/write" => {
                assert_eq!(body["ids"], json!([7]));
                for command in body["vals"]["subscription_ids"].as_array().unwrap() {
                    match command[0].as_i64().unwrap() {
                        0 => self.subscriptions.push((command[2]["contact_id"].as_i64().unwrap(), false, json!(false))),
                        _ => {
                            let row = &mut self.subscriptions[usize::try_from(command[1].as_i64().unwrap()).unwrap() - 1];
                            row.1 = command[2]["opt_out"].as_bool().unwrap();
                            row.2 = if row.1 { command[2]["opt_out_datetime"].clone() } else { json!(false) };
                        }
                    }
                }
                json!(true)
            }
            other => panic!("{other}"),
        }
    }
}

/// Whether a query is about this address: as it is, or whatever its case.
fn is_asked(query: &Value, address: &str) -> bool {
    let conditions = query["domain"].as_array().unwrap().iter().filter(|condition| condition.is_array());
    conditions.into_iter().any(|condition| match condition[1].as_str().unwrap() {
        "in" => has(&condition[2], &json!(address)),
        "=ilike" => condition[2].as_str().unwrap().to_lowercase() == address.to_lowercase(),
        other => panic!("{other}"),
    })
}

fn has(list: &Value, of: &Value) -> bool {
    list.as_array().unwrap().contains(of)
}

fn odoo(server: Server) -> (Audience, Rc<RefCell<Server>>, Shared) {
    let server = Rc::new(RefCell::new(server));
    let answering = Rc::clone(&server);
    let more = json!({"service": "odoo", "url": "https://odoo.example.com", "list": "7", "database": "shop", "fields": {"name": "first"}, "tombstones": "erase"});
    let (sink, world) = sink(&more, move |request, _| {
        assert!(request.headers.contains(&("x-odoo-database".to_owned(), "shop".to_owned())));
        answering.borrow_mut().answer(request)
    });
    (sink, server, world)
}

/// `name status` of each contact that is or was on the list.
fn on_list(server: &Rc<RefCell<Server>>) -> Vec<String> {
    let server = server.borrow();
    let name =
        |contact: i64| server.contacts.iter().find(|(id, ..)| *id == contact).unwrap().1.split('@').next().unwrap().to_owned();
    server
        .subscriptions
        .iter()
        .map(|(contact, left, _)| format!("{} {}", name(*contact), if *left { "left" } else { "on" }))
        .collect()
}

#[test]
fn members_are_made_brought_back_and_taken_off_with_the_time_of_their_decision() {
    let known = ["bob", "cy", "dee"].iter().zip(1..).map(|(name, id)| (id, format!("{name}@example.com"), json!(name)));
    let subscriptions = vec![(1, true, json!("1970-01-01 00:00:01")), (2, false, json!(false))];
    let (mut sink, server, world) = odoo(Server { contacts: known.collect(), subscriptions, ..Server::default() });
    let customers = [
        customer("ada", "yes", 9),
        customer("bob", "yes", 9),
        customer("cy", "no", 9),
        customer("dee", "yes", 9),
        customer("eve", "no", 9),
    ];
    assert!(sink.write(&batch(&customers)).unwrap().is_empty());
    assert_eq!(on_list(&server), ["bob on", "cy left", "ada on", "dee on"]);
    assert_eq!(server.borrow().subscriptions[1].2, "1970-01-01 00:00:09", "not the time of Odoo's clock");
    assert_eq!(server.borrow().contacts[3], (4, "ada@example.com".to_owned(), json!("ada")));
    assert_eq!(rows(&world, "eve"), [("withdrawn".to_owned(), 9)]);
    let calls = server.borrow().calls.len();
    // Once more: nothing is left to change.
    assert!(sink.write(&batch(&customers)).unwrap().is_empty());
    assert!(server.borrow().calls[calls..].iter().all(|call| call.ends_with("search_read")), "{:?}", server.borrow().calls);
}

#[test]
fn who_left_in_odoo_itself_at_the_same_time_or_later_is_not_subscribed() {
    let contacts = vec![(1, "ada@example.com".to_owned(), json!("ada")), (2, "bob@example.com".to_owned(), json!("bob"))];
    let subscriptions = vec![(1, true, json!("1970-01-01 00:00:05")), (2, true, json!("1970-01-01 00:00:05"))];
    let (mut sink, server, world) = odoo(Server { contacts, subscriptions, ..Server::default() });
    assert!(sink.write(&batch(&[customer("ada", "yes", 5), customer("bob", "yes", 6)])).unwrap().is_empty());
    assert_eq!(on_list(&server), ["ada left", "bob on"]);
    assert_eq!((rows(&world, "ada"), rows(&world, "bob")), (Vec::new(), vec![("subscribed".to_owned(), 6)]));
}

#[test]
fn who_is_on_the_blacklist_is_rejected_alone() {
    let contacts = vec![(1, "bob@example.com".to_owned(), json!("bob"))];
    let blacklist = vec!["bob@example.com", "cy@example.com"];
    let (mut sink, server, _) = odoo(Server { contacts, blacklist, ..Server::default() });
    let customers = ["ada", "bob", "cy"].map(|name| customer(name, "yes", 5));
    let outcomes = sink.write(&batch(&customers)).unwrap();
    let codes: Vec<_> = (0..3).map(|index| code(&outcomes, index)).collect();
    assert_eq!(codes, [None, Some("audience.compliance"), Some("audience.compliance")], "cy is no contact yet");
    assert_eq!(on_list(&server), ["ada on"]);
}

#[test]
fn an_address_that_odoo_keeps_in_the_case_it_was_written_in_is_found() {
    let contacts = vec![(1, "JÖRG@example.com".to_owned(), json!("jörg")), (2, "ada@example.com".to_owned(), json!("ada"))];
    let subscriptions = vec![(1, false, json!(false)), (2, false, json!(false))];
    let blacklist = vec!["ZOË@example.com"];
    let (mut sink, server, _) = odoo(Server { contacts, subscriptions, blacklist, ..Server::default() });
    let customers = [customer("Jörg", "no", 5), customer("ada", "no", 5), customer("Zoë", "yes", 5)];
    let outcomes = sink.write(&batch(&customers)).unwrap();
    assert_eq!((outcomes.len(), code(&outcomes, 2)), (1, Some("audience.compliance")));
    assert_eq!(on_list(&server), ["JÖRG left", "ada left"]);
}

#[test]
fn a_list_that_odoo_does_not_have_stops_the_sink_by_its_number() {
    let (mut sink, server, _) = odoo(Server { has_no_list: true, ..Server::default() });
    // To leave a list that is not there would be no call that fails.
    let Err(Error::Fatal(text)) = sink.write(&batch(&[customer("ada", "no", 1)])) else { panic!("fatal") };
    assert!(text.contains("no list 7") && text.contains("config.list"), "{text}");
    assert!(server.borrow().contacts.is_empty());
}

#[test]
fn a_member_that_odoo_refuses_is_rejected_alone_and_without_its_address() {
    let (mut sink, server, _) = odoo(Server { refuses: Some("bob@"), ..Server::default() });
    let customers = ["ada", "bob", "cy"].map(|name| customer(name, "yes", 1));
    let outcomes = sink.write(&batch(&customers)).unwrap();
    let codes: Vec<_> = (0..3).map(|index| code(&outcomes, index)).collect();
    assert_eq!(codes, [None, Some("http.422"), None]);
    assert!(!format!("{outcomes:?}").contains("bob"), "{outcomes:?}");
    assert_eq!(on_list(&server), ["ada on", "cy on"]);
}

#[test]
fn a_value_that_odoo_answers_500_to_is_rejected_alone_when_it_was_tried_some_times() {
    let (mut sink, server, world) = odoo(Server { faults: Some(("bob@", u32::MAX)), ..Server::default() });
    let customers = ["ada", "bob", "cy"].map(|name| customer(name, "yes", 1));
    let outcomes = sink.write(&batch(&customers)).unwrap();
    let codes: Vec<_> = (0..3).map(|index| code(&outcomes, index)).collect();
    assert_eq!(codes, [None, Some("retry"), None]);
    assert_eq!(on_list(&server), ["ada on", "cy on"]);
    assert_eq!(rows(&world, "bob"), [("subscribing".to_owned(), 1)], "it may be on its way");
    for _ in 0..3 {
        assert_eq!(code(&sink.write(&batch(&customers)).unwrap(), 1), Some("retry"));
    }
    let outcomes = sink.write(&batch(&customers)).unwrap();
    assert_eq!(code(&outcomes, 1), Some("http.500"));
    assert!(!format!("{outcomes:?}").contains("bob"), "{outcomes:?}");
    assert_eq!(rows(&world, "bob"), []);
}

#[test]
fn a_fault_of_odoo_s_own_that_passes_rejects_nobody_and_keeps_the_order_of_a_member() {
    let (mut sink, server, _) = odoo(Server { faults: Some(("ada@", 1)), ..Server::default() });
    let decisions = batch(&[customer("ada", "yes", 1), customer("ada", "no", 2)]);
    let outcomes = sink.write(&decisions).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("retry"), Some("retry")));
    assert!(sink.write(&batch(&[customer("ada", "yes", 1)])).unwrap().is_empty(), "the withdrawal was not written down before");
    assert_eq!(on_list(&server), ["ada on"]);
}

#[test]
fn a_fault_that_is_of_no_member_rejects_nobody_however_long_it_takes() {
    for (name, then) in [("psycopg2.errors.SerializationFailure", "on"), ("psycopg2.errors.DiskFull", "on"), ("", "left")] {
        let is_leaving = then == "left";
        let contacts = vec![(1, "ada@example.com".to_owned(), json!("ada"))];
        let subscriptions = if is_leaving { vec![(1, false, json!(false))] } else { Vec::new() };
        let faults = Some(("", 20));
        let (mut sink, server, _) =
            odoo(Server { contacts, subscriptions, faults, fault: Some((500, name)), ..Server::default() });
        let one = batch(&[customer("ada", if is_leaving { "no" } else { "yes" }, 1)]);
        for _ in 0..20 {
            let Err(Error::Retry { message, .. }) = sink.write(&one) else { panic!("retry: {name}") };
            assert!(message.contains("500") && message.contains("mailing.list/write") && message.contains(name), "{message}");
        }
        assert!(sink.write(&one).unwrap().is_empty());
        assert_eq!(on_list(&server), [format!("ada {then}")]);
    }
}

#[test]
fn an_answer_of_something_between_that_refuses_writes_stops_the_sink_after_two_more_tries() {
    let (mut sink, _, _) = odoo(Server { faults: Some(("", u32::MAX)), fault: Some((403, "")), ..Server::default() });
    let one = batch(&[customer("ada", "yes", 1)]);
    assert!(matches!(sink.write(&one), Err(Error::Retry { .. })));
    assert!(matches!(sink.write(&one), Err(Error::Retry { .. })));
    let Err(Error::Fatal(text)) = sink.write(&one) else { panic!("fatal") };
    assert!(text.contains("may write to the list"), "{text}");
}

#[test]
fn a_member_whose_fields_are_refused_is_not_put_on_the_list_and_withdrawals_go_first() {
    let known = ["ada", "bob"].iter().zip(1..).map(|(name, id)| (id, format!("{name}@example.com"), json!("A")));
    let subscriptions = vec![(2, false, json!(false))];
    let (mut sink, server, world) =
        odoo(Server { contacts: known.collect(), subscriptions, refuses: Some("\"ada\""), ..Server::default() });
    let outcomes = sink.write(&batch(&[customer("ada", "yes", 5), customer("bob", "no", 5)])).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("http.422"), None));
    assert_eq!(on_list(&server), ["bob left"]);
    assert_eq!(rows(&world, "ada"), []);
    let writes: Vec<_> = server.borrow().calls.iter().filter(|call| call.ends_with("/write")).cloned().collect();
    assert_eq!(writes[..2], ["mailing.list/write", "mailing.contact/write"]);
}

#[test]
fn who_left_at_a_time_that_odoo_does_not_tell_left_when_the_row_was_written_last() {
    let contacts = vec![(1, "ada@example.com".to_owned(), json!("ada")), (2, "bob@example.com".to_owned(), json!("bob"))];
    // The server of the tests writes every row at second 5.
    let subscriptions = vec![(1, true, json!(false)), (2, true, json!(false))];
    let (mut sink, server, _) = odoo(Server { contacts, subscriptions, ..Server::default() });
    assert!(sink.write(&batch(&[customer("ada", "yes", 5), customer("bob", "yes", 6)])).unwrap().is_empty());
    assert_eq!(on_list(&server), ["ada left", "bob on"]);
}

#[test]
fn a_contact_that_went_while_it_was_written_is_seen_anew_and_stops_nobody() {
    let contacts = vec![(1, "ada@example.com".to_owned(), json!("A"))];
    let fault = Some((404, "odoo.exceptions.MissingError"));
    let (mut sink, server, _) = odoo(Server { contacts, faults: Some(("\"ada\"", 2)), fault, ..Server::default() });
    let customers = batch(&["ada", "bob"].map(|name| customer(name, "yes", 1)));
    let outcomes = sink.write(&customers).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("retry"), None));
    server.borrow_mut().contacts.retain(|(_, address, _)| address != "ada@example.com");
    server.borrow_mut().subscriptions.retain(|(contact, ..)| *contact != 1);
    assert!(sink.write(&customers).unwrap().is_empty());
    let contacts: Vec<_> = server.borrow().contacts.iter().map(|(_, address, _)| address.clone()).collect();
    assert_eq!(contacts, ["bob@example.com", "ada@example.com"]);
    server.borrow_mut().faults = Some(("cy@", 9));
    server.borrow_mut().fault = Some((404, "werkzeug.exceptions.NotFound"));
    let Err(Error::Fatal(text)) = sink.write(&batch(&[customer("cy", "yes", 1)])) else { panic!("fatal") };
    assert!(text.contains("mailing.contact/create"), "{text}");
}

#[test]
fn a_contact_that_the_account_may_not_write_is_rejected_alone_and_an_account_that_may_write_none_stops_the_sink() {
    let fault = Some((403, "odoo.exceptions.AccessError"));
    let (mut sink, server, _) = odoo(Server { faults: Some(("ada@", u32::MAX)), fault, ..Server::default() });
    let customers = batch(&["ada", "bob"].map(|name| customer(name, "yes", 1)));
    let outcomes = sink.write(&customers).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("retry"), None));
    let outcomes = sink.write(&customers).unwrap();
    assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("http.403"), None));
    assert_eq!(on_list(&server), ["bob on"]);

    let (mut sink, _, _) = odoo(Server { faults: Some(("@example", u32::MAX)), fault, ..Server::default() });
    for _ in 0..4 {
        let outcomes = sink.write(&customers).unwrap();
        assert_eq!((code(&outcomes, 0), code(&outcomes, 1)), (Some("retry"), Some("retry")));
    }
    let Err(Error::Fatal(text)) = sink.write(&customers) else { panic!("fatal") };
    assert!(text.contains("may write to the list"), "{text}");
}

#[test]
fn what_another_brought_about_meanwhile_is_not_refused() {
    let server = Rc::new(RefCell::new(Server::default()));
    let answering = Rc::clone(&server);
    let (mut sink, world) =
        sink(&json!({"service": "odoo", "list": "7", "database": "shop", "fields": {}}), move |request, _| {
            let answer = answering.borrow_mut().answer(request);
            // The other was first by so little that the plan did not see it.
            let is_create = request.url.ends_with("/create");
            if is_create {
                Response::new(422, r#"{"name": "odoo.exceptions.ValidationError", "message": "duplicate"}"#)
            } else {
                answer
            }
        });
    assert!(sink.write(&batch(&[customer("ada", "yes", 1)])).unwrap().is_empty());
    assert_eq!(on_list(&server), ["ada on"]);
    assert_eq!(rows(&world, "ada"), [("subscribed".to_owned(), 1)]);
}

#[test]
fn an_erased_member_is_a_contact_no_more() {
    let contacts = vec![(1, "ada@example.com".to_owned(), json!("ada"))];
    let (mut sink, server, world) = odoo(Server { contacts, ..Server::default() });
    let mut records = Records::new();
    records.push(NewRecord::new().topic("crm").key("ada@example.com").timestamp(5000));
    assert!(sink.write(&records.into_batch()).unwrap().is_empty());
    assert!(server.borrow().contacts.is_empty());
    assert_eq!(rows(&world, "ada"), [("erased".to_owned(), 5), ("withdrawn".to_owned(), 5)]);
}

#[test]
fn a_subscription_is_undone_with_the_time_of_the_withdrawal() {
    for is_cut in [false, true] {
        let server = Rc::new(RefCell::new(Server::default()));
        let answering = Rc::clone(&server);
        let more = json!({"service": "odoo", "list": "7", "database": "shop", "fields": {}});
        let (mut sink, world) = sink(&more, move |request, world| {
            if request.url.ends_with("/create") {
                put_row(world, "ada", "withdrawn", 5);
            }
            answering.borrow_mut().answer(request)
        });
        let ada = batch(&[customer("ada", "yes", 3)]);
        if is_cut {
            world.borrow_mut().database_fails_after = Some(2);
            assert!(matches!(sink.write(&ada), Err(Error::Retry { .. })));
        }
        assert!(sink.write(&ada).unwrap().is_empty());
        assert_eq!(server.borrow().subscriptions, [(1, true, json!("1970-01-01 00:00:05"))], "cut: {is_cut}");
    }
}

#[test]
fn a_member_that_was_erased_while_it_was_subscribed_is_erased_again() {
    for is_cut in [false, true] {
        let server = Rc::new(RefCell::new(Server::default()));
        let answering = Rc::clone(&server);
        let more = json!({"service": "odoo", "list": "7", "database": "shop", "fields": {}});
        let (mut sink, world) = sink(&more, move |request, world| {
            if request.url.ends_with("/create") {
                put_row(world, "ada", "withdrawn", 5);
                put_row(world, "ada", "erased", 5);
            }
            answering.borrow_mut().answer(request)
        });
        let ada = batch(&[customer("ada", "yes", 3)]);
        if is_cut {
            // The first reading and writing succeed: it ends when it has sent.
            world.borrow_mut().database_fails_after = Some(2);
            assert!(matches!(sink.write(&ada), Err(Error::Retry { .. })));
            assert_eq!(server.borrow().contacts.len(), 1);
        }
        assert!(sink.write(&ada).unwrap().is_empty());
        assert!(server.borrow().contacts.is_empty(), "cut: {is_cut}");
        assert_eq!(rows(&world, "ada"), [("erased".to_owned(), 5), ("withdrawn".to_owned(), 5)]);
    }
}

#[test]
fn a_write_counts_as_done_only_where_odoo_answers_what_it_answers_then() {
    for strange in ["{}", "[]", "false", "\"<html>\"", r#"["a"]"#] {
        let server = Rc::new(RefCell::new(Server::default()));
        let more = json!({"service": "odoo", "list": "7", "database": "shop", "fields": {}});
        let answering = Rc::clone(&server);
        let is_first = std::cell::Cell::new(true);
        let (mut sink, _) = sink(&more, move |request, _| {
            let is_create = request.url.ends_with("/create");
            if is_create && is_first.replace(false) {
                Response::new(200, strange)
            } else {
                answering.borrow_mut().answer(request)
            }
        });
        let one = batch(&[customer("ada", "yes", 1)]);
        assert!(matches!(sink.write(&one), Err(Error::Retry { .. })), "{strange}");
        assert!(sink.write(&one).unwrap().is_empty());
        assert_eq!(on_list(&server), ["ada on"]);
    }
}

#[test]
fn a_field_that_odoo_does_not_have_stops_the_sink_by_name() {
    let more = json!({"service": "odoo", "list": "7", "database": "shop", "fields": {"nick": "first"}});
    let (mut sink, _) = sink(&more, |_, _| Response::new(200, "{}"));
    let Err(Error::Fatal(text)) = sink.write(&batch(&[customer("ada", "yes", 1)])) else { panic!("fatal") };
    assert!(text.contains("`nick`"), "{text}");
}
