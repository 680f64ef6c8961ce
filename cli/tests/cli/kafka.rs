//! The retail example on a real Kafka: the same file with three lines added.

use std::fs;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use support::servers::Server;

use crate::site::Site;
use crate::{shown, stdout, wharf};

#[test]
fn check_tells_of_topics_that_are_not_there_and_of_tasks_that_no_partition_is_left_for() {
    let Some(site) = Site::kafka("check-tells") else { return };
    site.configure(
        "[[sink]]\nname = \"out\"\ncomponent = \"sql\"\ntasks = 3\ntopics = [\"{t}\"]\n\
        config = { connection = \"warehouse\", table = \"stock\", key = [\"sku\"] }\nallow.sql = [\"warehouse\"]\n",
    );
    site.feed("a.csv", &["A,1"]);
    let file = fs::read_to_string(site.path("wharf.toml")).unwrap();
    fs::write(site.path("wharf.toml"), file.replace("create = true", "create = false")).unwrap();
    let check = |said: &[&str], not: &[&str]| {
        let output = wharf(site.dir.path(), &["check", "wharf.toml", "--connect"]);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        for text in said {
            assert!(told.contains(text), "it does not say `{text}`\n{}", shown(&output));
        }
        for text in not {
            assert!(!told.contains(text), "it says `{text}`\n{}", shown(&output));
        }
    };
    let letters = format!("topic `dlq.{}.out` does not exist and `create` is off", site.name);
    let tasks = "sink `out`: its topics have 1 partitions, of its 3 tasks 2 will have nothing to do";
    check(&[&letters], &[tasks]);
    fs::write(site.path("wharf.toml"), file).unwrap();
    site.said(&["run", "wharf.toml", "--until-done"]);
    check(&[tasks], &[&letters]);
}

/// Topics of an earlier run on the same cluster would be gone on from.
async fn forget_earlier_runs(servers: &str) {
    let client: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let metadata = client.inner().fetch_metadata(None, std::time::Duration::from_secs(20)).unwrap();
    let ours = |name: &&str| {
        ["erp.", "wms.", "marketing.", "dlq.retail.", "wharf.retail."].iter().any(|prefix| name.starts_with(prefix))
    };
    let names: Vec<&str> = metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name).filter(ours).collect();
    if !names.is_empty() {
        client.delete_topics(&names, &AdminOptions::new()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
}

#[tokio::test]
async fn three_lines_more_and_the_same_demo_runs_on_kafka_and_goes_on_where_it_ended() {
    let Some(servers) = Server::Kafka.address("the demo on Kafka") else { return };
    forget_earlier_runs(&servers).await;
    let dir = tempfile::tempdir().unwrap();
    // First on the embedded log: what it stored there must not be used for Kafka's topics.
    let embedded = wharf(dir.path(), &["demo"]);
    assert!(embedded.status.success(), "{}", shown(&embedded));
    let rows = "read 5619 = delivered 5567 + filtered 41 + dead-lettered 11";
    assert_eq!(stdout(&embedded).lines().last(), Some(rows));
    fs::remove_file(dir.path().join("wharf-demo/marketing/answered")).unwrap();
    let first = wharf(dir.path(), &["demo", "--kafka", &servers]);
    assert!(first.status.success(), "{}", shown(&first));
    assert_eq!(stdout(&first).lines().last(), Some(rows), "it starts anew and skips nothing\n{}", shown(&first));
    let second = wharf(dir.path(), &["demo", "--kafka", &servers]);
    assert!(second.status.success(), "{}", shown(&second));
    let nothing = "read 0 = delivered 0 + filtered 0 + dead-lettered 0";
    assert_eq!(stdout(&second).lines().last(), Some(nothing), "{}", shown(&second));
    let list = wharf(dir.path(), &["topic", "cat", "wharf-demo/retail.toml", "dlq.retail.wms-inventory", "--json"]);
    assert_eq!(stdout(&list).lines().count(), 3, "{}", shown(&list));
}
