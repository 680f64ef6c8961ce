//! `wharf offsets`: stop, put a connector somewhere else, run, and see what arrived. The table takes every row, so that a record
//! that is read again is there again.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};
use support::servers::Server;

use crate::site::Site;
use crate::stdout;

/// A sink without a key; `more` are further keys of its section.
fn sink(more: &str) -> String {
    format!(
        r#"
[[sink]]
name = "store"
component = "sql"
topics = ["{{t}}"]
config = {{ connection = "warehouse", table = "stock" }}
allow.sql = ["warehouse"]
{more}
"#
    )
}

fn rows(site: &Site) -> String {
    site.rows("SELECT sku FROM stock ORDER BY rowid").concat()
}

/// Offset that counts, of the group, and of the database.
fn place(site: &Site) -> [Value; 3] {
    let all = site.json(&["offsets", "ls", "wharf.toml", "store", "--json"]);
    let partition = &all["sinks"][0]["partitions"][0];
    assert_eq!(partition["topic"], json!(site.topic()));
    ["offset", "group", "database"].map(|name| partition[name].clone())
}

fn set(site: &Site, to: &str) -> String {
    site.said(&["offsets", "set", "wharf.toml", "store", to, "--yes"])
}

/// The whole way of a sink. Both copies of an exactly-once sink's offset move.
fn a_sink_reads_again_from_where_it_was_put(site: &Site, once: bool) {
    let database = |offset: i64| if once { json!(offset) } else { Value::Null };
    site.configure(&sink(&format!("exactly-once = {once}")));
    site.feed("a.csv", &["A,1", "B,2", "C,3", "D,4"]);
    site.run();
    assert_eq!(rows(site), "ABCD");
    // Below the marker of the source's transaction, where there is one.
    let [end, group, kept] = place(site);
    let end = end.as_i64().unwrap();
    assert!(end >= 4 && group == json!(end) && kept == database(end), "{end} {group} {kept}");

    let asked = site.wharf(&["offsets", "set", "wharf.toml", "store", "2"]);
    assert_eq!(asked.status.code(), Some(2), "not asked, not done");
    assert!(stdout(&asked).contains(&format!("{}/0  {end} -> 2", site.topic())), "{}", stdout(&asked));
    assert_eq!(place(site)[0], json!(end), "nothing changed");

    set(site, "2");
    assert_eq!(place(site), [json!(2), json!(2), database(2)]);
    site.run();
    assert_eq!(rows(site), "ABCDCD");
    set(site, "earliest");
    site.run();
    assert_eq!(rows(site), "ABCDCDABCD");
    set(site, "earliest");
    set(site, "latest");
    site.run();
    assert_eq!(rows(site), "ABCDCDABCD", "what was there is passed over");
    set(site, "2000-01-01T00:00:00Z");
    assert_eq!(place(site)[0], json!(0));
    let said = set(site, "2100-01-01T00:00:00Z");
    assert!(said.contains("lies in the future") && said.contains("passes over all there is"), "{said}");
    if !once {
        let kept = ["offsets", "set", "wharf.toml", "store", "group", "--yes"];
        site.refused(&kept, 2, &["kept in ", "changes nothing"]);
    }
    site.run();
    assert_eq!(rows(site), "ABCDCDABCD");

    let said = site.said(&["offsets", "reset", "wharf.toml", "store", "--partition", "0", "--yes"]);
    assert!(said.contains("-> by `start`"), "{said}");
    assert_eq!(place(site), [Value::Null, Value::Null, Value::Null]);
    site.run();
    assert_eq!(rows(site), "ABCDCDABCDABCD");

    let past = ["offsets", "set", "wharf.toml", "store", "99", "--yes"];
    site.refused(&past, 2, &[&format!("{}/0 holds offsets 0 to", site.topic()), "99 is not among them"]);
    site.refused(&["offsets", "set", "wharf.toml", "store", "soon", "--yes"], 2, &["`soon` is no place", "earliest"]);
    site.refused(&["offsets", "set", "wharf.toml", "stroe", "1", "--yes"], 2, &["no connector `stroe`", "feed, store"]);
    site.refused(&["offsets", "reset", "wharf.toml", "store", "--partition", "7", "--yes"], 2, &["no such partition"]);
}

#[test]
fn an_exactly_once_sink_reads_again_from_where_it_was_put_on_the_embedded_log() {
    a_sink_reads_again_from_where_it_was_put(&Site::embedded(), true);
}

#[test]
fn an_at_least_once_sink_reads_again_from_where_it_was_put_on_the_embedded_log() {
    a_sink_reads_again_from_where_it_was_put(&Site::embedded(), false);
}

#[test]
fn an_exactly_once_sink_reads_again_from_where_it_was_put_on_kafka() {
    let Some(site) = Site::kafka("offsets-once") else { return };
    a_sink_reads_again_from_where_it_was_put(&site, true);
}

#[test]
fn an_at_least_once_sink_reads_again_from_where_it_was_put_on_kafka() {
    let Some(site) = Site::kafka("offsets-least") else { return };
    a_sink_reads_again_from_where_it_was_put(&site, false);
}

#[tokio::test]
async fn offsets_in_postgresql_are_shown_and_moved() {
    let (Some(site), Some(url)) = (Site::kafka("offsets-postgres"), Server::Postgres.address("offsets in PostgreSQL")) else {
        return;
    };
    let table = format!("stock_{}", site.name.replace('-', "_"));
    site.configure(&sink("").replace("table = \"stock\"", &format!("table = \"{table}\"")));
    let toml = std::fs::read_to_string(site.path("wharf.toml")).unwrap();
    std::fs::write(site.path("wharf.toml"), toml.replace("sqlite://warehouse.sqlite", &url)).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let rows = async || {
        let rows = client.query(&format!("SELECT sku FROM {table} ORDER BY 1"), &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<String>()
    };
    site.feed("a.csv", &["A,1", "B,2", "C,3"]);
    site.run();
    assert_eq!(rows().await, "ABC");
    set(&site, "1");
    assert_eq!(place(&site), [json!(1), json!(1), json!(1)]);
    site.run();
    assert_eq!(rows().await, "ABBCC");
    site.said(&["offsets", "reset", "wharf.toml", "store", "--yes"]);
    assert_eq!(place(&site), [Value::Null, Value::Null, Value::Null]);
    // A row of another log is shown, and not used.
    let group = format!("wharf.{}.store", site.name);
    let foreign = "INSERT INTO _wharf_offsets VALUES ('elsewhere', $1, $2, 'x', 0, 3, now())";
    client.execute(foreign, &[&group, &site.topic()]).await.unwrap();
    let said = site.said(&["offsets", "ls", "wharf.toml", "store"]);
    assert!(said.contains("not used: offset 3 of another log (elsewhere)"), "{said}");
    assert_eq!(place(&site)[0], Value::Null);
    site.run();
    assert_eq!(rows().await, "AABBBCCC");
    client.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
    client.execute("DELETE FROM _wharf_offsets WHERE consumer_group = $1", &[&group]).await.unwrap();
}

#[test]
fn a_sink_that_was_at_least_once_for_a_while_is_switched_back_by_the_group_s_offsets() {
    let site = Site::embedded();
    site.feed("a.csv", &["A,1", "B,2"]);
    site.configure(&sink(""));
    site.run();
    site.feed("b.csv", &["C,3"]);
    site.configure(&sink("exactly-once = false"));
    site.run();
    site.configure(&sink(""));
    assert_eq!(place(&site), [json!(2), json!(3), json!(2)]);
    let said = site.said(&["offsets", "ls", "wharf.toml", "store"]);
    assert!(said.contains("the group's offset in the log is 3, ahead of the database's 2"), "{said}");
    set(&site, "group");
    assert_eq!(place(&site), [json!(3), json!(3), json!(3)]);
    site.run();
    assert_eq!(rows(&site), "ABC");
}

#[test]
fn a_sink_whose_database_lost_its_offset_is_listed_as_stopped_and_goes_on_where_it_is_put() {
    let site = Site::embedded();
    site.feed("a.csv", &["A,1", "B,2"]);
    site.configure(&sink(""));
    site.run();
    site.execute("DELETE FROM _wharf_offsets");
    let said = site.said(&["offsets", "ls", "wharf.toml", "store"]);
    assert!(said.contains("had written up to 2: this partition stops until it is set"), "{said}");
    assert_eq!(place(&site), [Value::Null, json!(2), Value::Null]);
    let said = set(&site, "group");
    assert!(said.contains("lost by the database -> 2"), "{said}");
    site.feed("b.csv", &["C,3"]);
    site.run();
    assert_eq!(rows(&site), "ABC");
}

/// What its slices are, as `ls` has them.
fn slices(site: &Site) -> Vec<(String, String)> {
    let all = site.json(&["offsets", "ls", "wharf.toml", "feed", "--json"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all["sources"][0]["positions"].as_array().unwrap().iter().map(|p| (text(&p["slice"]), text(&p["place"]))).collect()
}

fn a_source_reads_again_from_where_it_was_put(site: &Site) {
    site.configure(&sink(""));
    site.feed("a.csv", &["A,1", "B,2"]);
    site.run();
    let before = slices(site);
    assert_eq!(before.len(), 1, "{before:?}");
    let (slice, place) = &before[0];
    site.feed("a.csv", &["A,1", "B,2", "C,3"]);
    site.feed("b.csv", &["X,1"]);
    site.run();
    assert_eq!(rows(site).len(), 4);
    let after = slices(site);
    assert_eq!(after.len(), 2);

    let set = ["offsets", "set", "wharf.toml", "feed", place, "--slice", slice];
    site.refused(&set, 2, &["nothing was changed: add --yes"]);
    assert_eq!(slices(site), after);
    site.refused(&[&set[..5], &["--yes"]].concat(), 2, &["add --slice", slice]);
    site.refused(&["offsets", "reset", "wharf.toml", "feed", "--slice", "c", "--yes"], 2, &["nothing is stored for slice `c`"]);
    site.said(&[&set[..], &["--yes"]].concat());
    assert_eq!(slices(site).iter().find(|(s, _)| s == slice), Some(&before[0]));
    site.run();
    assert_eq!(rows(site).matches('C').count(), 2);
    assert_eq!(rows(site).len(), 5);

    site.said(&["offsets", "reset", "wharf.toml", "feed", "--slice", &after[1].0, "--yes"]);
    site.run();
    assert_eq!((rows(site).len(), rows(site).matches('X').count()), (6, 2));
    site.said(&["offsets", "reset", "wharf.toml", "feed", "--yes"]);
    assert!(slices(site).is_empty());
    site.run();
    assert_eq!(rows(site).len(), 10);
}

#[test]
fn a_source_reads_again_from_where_it_was_put_on_the_embedded_log() {
    a_source_reads_again_from_where_it_was_put(&Site::embedded());
}

#[test]
fn a_source_reads_again_from_where_it_was_put_on_kafka() {
    let Some(site) = Site::kafka("offsets-source") else { return };
    a_source_reads_again_from_where_it_was_put(&site);
}

#[test]
fn offsets_do_not_move_while_a_worker_runs() {
    for site in [Some(Site::embedded()), Site::kafka("offsets-running")].into_iter().flatten() {
        site.configure(&sink(""));
        site.feed("a.csv", &["A,1", "B,2"]);
        site.run();
        let worker = site.start("wharf.toml");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !site.wharf(&["status", "wharf.toml"]).status.success() {
            assert!(Instant::now() < deadline, "the worker does not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
        let before = place(&site);
        for order in
            [&["set", "wharf.toml", "store", "0"][..], &["reset", "wharf.toml", "store"], &["reset", "wharf.toml", "feed"]]
        {
            let args = [&["offsets"], order, &["--yes"]].concat();
            site.refused(&args, 1, &["only while the worker is stopped", "is in use by wharf, process"]);
        }
        if site.is_kafka() {
            // From another machine: another state-dir, the same group.
            let toml = std::fs::read_to_string(site.path("wharf.toml")).unwrap();
            std::fs::write(site.path("elsewhere.toml"), toml.replace("state-dir = \"state\"", "state-dir = \"elsewhere\""))
                .unwrap();
            let read_by = || site.json(&["offsets", "ls", "elsewhere.toml", "store", "--json"])["sinks"][0]["members"].clone();
            while read_by().as_array().unwrap().is_empty() {
                assert!(Instant::now() < deadline, "the worker does not join");
                std::thread::sleep(Duration::from_millis(100));
            }
            let set = ["offsets", "set", "elsewhere.toml", "store", "0", "--yes"];
            site.refused(&set, 1, &["sink `store` is read by wharf-", "only while it is stopped"]);
        }
        assert_eq!(place(&site), before);
        drop(worker);
    }
}

#[test]
fn a_database_that_is_down_hides_no_other_connector() {
    let site = Site::embedded();
    let down = sink("").replace("[[sink]]\nname = \"store\"", "[[sink]]\nname = \"away\"").replace("warehouse", "gone");
    let away = format!("{down}\n[connection.gone]\nurl = \"postgres://nobody@127.0.0.1:9/x\"\n");
    site.configure(&sink(""));
    site.feed("a.csv", &["A,1"]);
    site.run();
    site.configure(&format!("{}{away}", sink("")));
    let listed = site.wharf(&["offsets", "ls", "wharf.toml"]);
    assert_eq!(listed.status.code(), Some(1), "{}", stdout(&listed));
    let said = stdout(&listed);
    assert!(said.contains("source feed") && said.contains("sink store: offsets are kept in"), "{said}");
    let error = crate::stderr(&listed);
    assert!(error.contains("sink `away`") && !said.contains("away"), "{error}");
}

#[tokio::test]
async fn a_source_whose_positions_were_deleted_starts_once_it_was_set_or_reset() {
    let Some(site) = Site::kafka("offsets-lost") else { return };
    let topic = format!("wharf.{}.positions", site.name);
    let lose = async || {
        let servers = Server::Kafka.address("positions that are deleted").unwrap();
        let client: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
        client.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap()[0].clone().unwrap();
    };
    let fails = || {
        site.refused(&["run", "wharf.toml", "--until-done"], 1, &[&topic, "kept its positions, was deleted"]);
        site.refused(&["check", "wharf.toml", "--connect"], 1, &["source `feed`", &topic, "wharf offsets reset CONFIG feed"]);
        let said = site.said(&["offsets", "ls", "wharf.toml", "feed"]);
        assert!(said.contains("it does not start") && !said.contains("it reads from the beginning"), "{said}");
    };
    site.configure(&sink(""));
    site.feed("a.csv", &["A,1", "B,2"]);
    site.run();
    site.said(&["check", "wharf.toml", "--connect"]);
    let (slice, place) = slices(&site).remove(0);

    lose().await;
    fails();
    let set = ["offsets", "set", "wharf.toml", "feed", &place, "--slice", &slice];
    site.refused(&set, 2, &["nothing was changed: add --yes"]);
    fails();
    let said = site.said(&[&set[..], &["--yes"]].concat());
    assert!(said.contains("every slice that is not set is read from the beginning"), "{said}");
    site.said(&["check", "wharf.toml", "--connect"]);
    site.feed("b.csv", &["X,1"]);
    site.run();
    assert_eq!(rows(&site), "ABX", "nothing was read again");

    lose().await;
    fails();
    site.said(&["offsets", "reset", "wharf.toml", "feed", "--yes"]);
    site.run();
    let mut again: Vec<_> = rows(&site).chars().collect();
    again.sort_unstable();
    assert_eq!(again.iter().collect::<String>(), "AABBXX");
}
