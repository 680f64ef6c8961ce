//! The bundled source and sink `odoo` against Odoo 19. What arrived is compared with what Odoo holds. Each test has partners of its
//! own, told by the beginning of their `ref`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use support::odoo::Plain;
use wharf_runtime::supervisor::Outcome;

use crate::flow::deployment::{Deployment, Ended, PATIENCE, counts, reason};

mod away;
mod chosen;
mod relations;
mod rpc;
mod sink;
mod source;

/// Odoo, and a deployment on the embedded log that may call it.
struct Erp {
    odoo: Plain,
    deployment: Deployment,
    test: &'static str,
}

impl Erp {
    /// `None` where there is no Odoo.
    async fn new(test: &'static str) -> Option<Self> {
        let odoo = Plain::new(test)?;
        let deployment = Deployment::embedded();
        deployment.write("key", &odoo.key);
        let erp = Self { odoo, deployment, test };
        // What an earlier run left on the same server.
        let left: Vec<i64> = erp.partners(&["id"]).await.iter().filter_map(|partner| partner["id"].as_i64()).collect();
        erp.odoo.unlink("res.partner", &left).await;
        Some(erp)
    }

    fn domain(&self) -> Value {
        json!([["ref", "=like", format!("{}-%", self.test)]])
    }

    async fn partners(&self, fields: &[&str]) -> Vec<Value> {
        self.odoo.read("res.partner", &self.domain(), fields).await
    }

    /// Makes partners of these numbers, in Germany, in one transaction; their ids.
    async fn create(&self, numbers: std::ops::Range<usize>) -> Vec<i64> {
        let partner = |n| json!({ "name": format!("Partner {n}"), "ref": format!("{}-{n}", self.test), "country_id": 57 });
        self.odoo.create("res.partner", &numbers.map(partner).collect::<Vec<_>>()).await
    }

    /// What lets a connector call Odoo, as `source` or `sink`.
    fn access(&self, kind: &str) -> String {
        let (url, authority, key) = (&self.odoo.url, self.odoo.authority(), self.deployment.path("key"));
        format!("[{kind}.allow]\nhttp = [\"{url}\"]\n[{kind}.auth.\"{authority}\"]\nbearer = \"${{file:{}}}\"\n", key.display())
    }

    /// A `[[source]]` of this test's partners into topic `partners`; `more` are keys of its `config`.
    fn source(&self, more: &str) -> String {
        format!(
            "\n[[source]]\nname = \"erp\"\ncomponent = \"odoo\"\ntopic = \"partners\"\n[source.config]\nurl = \"{}\"\ndatabase = \"{}\"\n\
             model = \"res.partner\"\ndomain = {}\ninterval = \"200ms\"\noverlap = \"60s\"\n{more}\n{}",
            self.odoo.url,
            self.odoo.database,
            self.domain(),
            self.access("source")
        )
    }
}

impl Erp {
    /// A `[[sink]]` of topic `partners` into partners, at a URL; `more` are keys of its `config`.
    fn sink(&self, url: &str, more: &str) -> String {
        let access =
            self.access("sink").replace(&self.odoo.url, url).replace(self.odoo.authority(), url.trim_start_matches("http://"));
        format!(
            "\n[[sink]]\nname = \"to-erp\"\ncomponent = \"odoo-sink\"\ntopics = [\"partners\"]\n[sink.config]\nurl = \"{url}\"\n\
             database = \"{}\"\nmodel = \"res.partner\"\nprefix = \"{}\"\n{more}\n{access}",
            self.odoo.database, self.test
        )
    }
}

/// Waits until something is so.
async fn when<F: Future<Output = bool>>(what: &str, is: impl Fn() -> F) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is().await {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Odoo's own database; `None` where it is not known.
pub async fn database(odoo: &Plain, test: &str) -> Option<tokio_postgres::Client> {
    let server = support::servers::Server::Postgres.address(test)?;
    let (head, _) = server.rsplit_once('/').unwrap();
    Some(crate::sql::database::raw(&format!("{head}/{}", odoo.database)).await)
}
