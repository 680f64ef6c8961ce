//! Source and sink by JSON-RPC, as Odoo before 19 has it and 19 has it still. The password is in the body, and the host alone knows it.

use super::*;
use crate::log::log;

/// With all that JSON escapes.
const PASSWORD: &str = "pässw\"ord\\4711";

impl Erp {
    /// The same connector by JSON-RPC, as `user` with the secret in `file`.
    fn by_rpc(&self, body: &str, user: &str, file: &str) -> String {
        let database = format!("database = \"{}\"\n", self.odoo.database);
        let bearer = format!("bearer = \"${{file:{}}}\"", self.deployment.path("key").display());
        assert!(body.contains(&database) && body.contains(&bearer), "{body}");
        let json_body = self.odoo.json_body(&format!("${{file:{}}}", self.deployment.path(file).display()));
        body.replace(&database, &format!("{database}protocol = \"json-rpc\"\nuser = \"{user}\"\n")).replace(&bearer, &json_body)
    }

    /// A user with [`PASSWORD`], which is put into the file `password`; its login.
    async fn user(&self) -> String {
        let login = format!("user-of-{}", self.test);
        let left = self.odoo.read("res.users", &json!([["login", "=", login]]), &["id"]).await;
        let left: Vec<i64> = left.iter().filter_map(|user| user["id"].as_i64()).collect();
        self.odoo.unlink("res.users", &left).await;
        self.odoo.create("res.users", &[json!({ "name": login, "login": login, "password": PASSWORD })]).await;
        self.deployment.write("password", PASSWORD);
        login
    }

    /// Name, colour and whether it is there, of each record of the topic, in order.
    async fn told(&self) -> Vec<String> {
        let line = |row: &crate::flow::deployment::Row| {
            let id = row.key.clone().unwrap();
            let value: Option<Value> = row.value.as_deref().map(|value| serde_json::from_slice(value).unwrap());
            value.map_or_else(|| format!("-{id}"), |value| format!("{id} {} {}", value["name"].as_str().unwrap(), value["color"]))
        };
        self.deployment.read("partners").await.iter().map(line).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_changes_and_deletions_come_once_over_a_kill_with_a_password() {
    let Some(erp) = Erp::new("or_source").await else { return };
    let user = erp.user().await;
    let ids = erp.create(0..30).await;
    let more = "fields = [\"name\", \"color\"]\npage-size = 7\ndeletions = \"sweep\"\nsweep-interval = \"300ms\"";
    let body =
        erp.by_rpc(&erp.source(more), &user, "password").replace("[source.config]", "batch = { records = 4 }\n[source.config]");
    let running = erp.deployment.start(&body).await;
    running.when_settled("erp", 1).await;
    running.kill().await;
    let running = erp.deployment.start(&body).await;
    when("30 records", async || erp.told().await.len() >= 30).await;
    erp.odoo.write("res.partner", &ids[3..5], json!({ "name": "Änn", "color": 7 })).await;
    when("32 records", async || erp.told().await.len() >= 32).await;
    erp.odoo.unlink("res.partner", &ids[9..10]).await;
    when("33 records", async || erp.told().await.len() >= 33).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    let key = |n: usize| format!("{{\"id\":{}}}", ids[n]);
    let mut expected: Vec<_> = (0..30).map(|n| format!("{} Partner {n} 0", key(n))).collect();
    expected.extend([format!("{} Änn 7", key(3)), format!("{} Änn 7", key(4)), format!("-{}", key(9))]);
    assert_eq!(erp.told().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_written_by_their_keys_and_only_what_odoo_refuses_is_buried() {
    let Some(erp) = Erp::new("or_sink").await else { return };
    let partner = |n: usize, more: Value| {
        let mut value = json!({ "name": format!("Partner {n}"), "ref": format!("or_sink-{n}") });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (format!("{{\"id\":{n}}}"), Some(value.to_string()))
    };
    let records = [
        partner(1, json!({})),
        partner(2, json!({ "parent_id": 1 })),
        partner(3, json!({ "parent_id": 99 })),
        partner(4, json!({ "name": "" })),
        partner(5, json!({})),
        partner(6, json!({ "country_id": {"external": "base.de"} })),
        partner(1, json!({ "name": "Änn \"1\"", "color": 3 })),
        ("{\"id\":5}".to_owned(), None),
        ("{\"id\":77}".to_owned(), None),
    ];
    let bytes: Vec<_> = records.iter().map(|(key, value)| (Some(key.as_str()), value.as_deref().map(str::as_bytes))).collect();
    erp.deployment.produce("partners", 1, &bytes).await;
    let more = "relations = { parent_id = \"or_sink\" }\ntombstones = \"delete\"\nmax-batch = 3";
    // An API key stands for the password.
    let sink = erp.by_rpc(&erp.sink(&erp.odoo.url, more), "admin", "key");
    let ended = erp.deployment.until_done(&sink).await;
    assert_eq!((ended.outcome, counts(&ended.snapshot, "to-erp")), (Outcome::Clean, [9, 0, 7, 0, 2]));
    let dead = erp.deployment.read_dead("to-erp").await;
    let dead: Vec<_> = dead.iter().map(|row| (row.key.as_deref().unwrap(), row.code())).collect();
    assert_eq!(dead, [("{\"id\":3}", "odoo.refused"), ("{\"id\":4}", "odoo.refused")]);
    let all = async || {
        let partners = erp.partners(&["ref", "name", "parent_id", "country_id", "color"]).await;
        let one = partners.iter().find(|partner| partner["ref"] == "or_sink-1").unwrap()["id"].clone();
        let line = |p: &Value| format!("{} {} {} {} {}", p["ref"], p["name"], p["parent_id"] == one, p["country_id"], p["color"]);
        let mut lines: Vec<_> = partners.iter().map(line).collect();
        lines.sort();
        lines
    };
    let expected = [
        "\"or_sink-1\" \"Änn \\\"1\\\"\" false false 3",
        "\"or_sink-2\" \"Partner 2\" true false 0",
        "\"or_sink-6\" \"Partner 6\" false 57 0",
    ];
    assert_eq!(all().await, expected);
    // All of it once more, by another group: nothing is made twice.
    erp.deployment.until_done(&sink.replace("\"to-erp\"", "\"once-more\"")).await;
    assert_eq!(all().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_stops_and_says_why_and_no_log_line_has_the_secret() {
    let Some(erp) = Erp::new("or_faults").await else { return };
    let log = log();
    let user = erp.user().await;
    let wrong = "wröng-\"secret\"-0815";
    erp.deployment.write("wrong", wrong);
    let right = erp.by_rpc(&erp.source(""), &user, "password");
    let no_user = erp.by_rpc(&erp.source(""), "nobody-at-all", "password");
    let refused = erp.by_rpc(&erp.source(""), &user, "wrong");
    let elsewhere = right.replace("/params/args/2\"", "/params/args/9\"");
    for (body, expected) in [
        (&refused, "or the password is not taken"),
        (&no_user, "the user `nobody-at-all` or the password is not taken"),
        (&right.replace("model = \"res.partner\"", "model = \"res.partnr\""), "Object res.partnr doesn't exist"),
        (&right.replace("domain = [", "domain = [[\"nope\", \"=\", 1], "), "Invalid field res.partner.nope"),
        (&right.replace("\"/params/args/0\" = [\"", "\"/params/args/0\" = [\"not-"), "its body has at `/params/args/0` none of"),
        (&elsewhere, "its body has nothing at `/params/args/9`"),
        (&right.replace("database = \"", "database = \"no-").replace("[\"odoo\"]", "[\"no-odoo\"]"), "config.database"),
    ] {
        let running = erp.deployment.start(body).await;
        let snapshot = running.when_failed("erp").await;
        let why = reason(&snapshot, "erp");
        assert!(why.contains(expected) && !why.contains("4711") && !why.contains("0815"), "{expected}: {why}");
        running.drain().await;
    }
    // A sink alike.
    let sink = erp.by_rpc(&erp.sink(&erp.odoo.url, ""), &user, "wrong");
    erp.deployment.produce("partners", 1, &[(Some("{\"id\":1}"), Some(b"{\"name\":\"x\"}".as_slice()))]).await;
    let running = erp.deployment.start(&sink).await;
    let why = reason(&running.when_failed("to-erp").await, "to-erp");
    assert!(why.contains("password is not taken") && why.contains("[sink.auth.\""), "{why}");
    running.drain().await;

    let lines = log.text();
    for told in
        ["or the password is not taken", "its body has at `/params/args/0` none of", "its body has nothing at `/params/args/9`"]
    {
        assert!(lines.contains(told), "the log does not tell: {told}");
    }
    // Their ends, which have nothing that is written otherwise.
    for end in ["ord\\4711", "ord\\\\4711", "-0815"] {
        assert_eq!(lines.lines().find(|line| line.contains(end)), None, "{end}");
    }
}
