//! The source against Odoo 19 in bad times: kills, a busy server, broken answers, events that are recorded late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::proxy::{self, Does, Request};

/// The source of this mailing's list, through a proxy or from the server itself.
fn of_list(odoo: &Plain, authority: &str, mailing: &Mailing, more: &str) -> String {
    let config = format!(
        "service = \"odoo\"\ndatabase = \"{}\"\nlist = \"{}\"\nevents = [\"sent\", \"open\"]\n{more}",
        odoo.database, mailing.list
    );
    let body = source(&format!("http://{authority}"), &format!("bearer = \"{}\"", odoo.key), &config);
    body.replace("[source.config]", "retry = { initial = \"10ms\", max = \"50ms\" }\nbatch = { records = 2 }\n[source.config]")
}

fn name(of: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    format!("{of}-{now}")
}

#[tokio::test]
async fn events_of_one_second_arrive_once_each_over_a_kill_in_the_middle_and_a_busy_server() {
    let test = "events_of_one_second_arrive_once_each_over_a_kill_in_the_middle_and_a_busy_server";
    let Some(odoo) = Plain::new(test) else { return };
    for page_size in [2, 5] {
        let mailing = mailing(&odoo, &name("kill"), 12).await;
        // Two pages of messages pass, then nothing does until it is told.
        let (pages, is_free) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, free) = (Arc::clone(&pages), Arc::clone(&is_free));
        let two_pages = move |request: &Request| {
            let is_page = request.path().contains("/mailing.trace/");
            let page = counter.fetch_add(usize::from(is_page), Ordering::SeqCst);
            match page {
                _ if !is_page => Does::Passes,
                0 | 2 => Does::Refuses(429),
                1 | 3 => Does::Passes,
                _ if !free.load(Ordering::SeqCst) => Does::Refuses(503),
                _ => [Does::Cuts, Does::Refuses(429), Does::Passes, Does::Loses, Does::Passes][page % 5],
            }
        };
        let proxy = proxy::before(odoo.authority(), two_pages).await;
        let body = of_list(&odoo, &proxy, &mailing, &format!("page-size = {page_size}"));
        let deployment = Deployment::embedded();
        let running = deployment.start(&body).await;
        running.when_settled("events", 2).await;
        running.when("asked in vain", |_| pages.load(Ordering::SeqCst) > 6).await;
        running.kill().await;
        let so_far = deployment.read("events").await.len();
        assert!((2..12).contains(&so_far), "{so_far}: the kill was not in the middle");
        is_free.store(true, Ordering::SeqCst);
        let running = deployment.start(&body).await;
        running.when("all of them", |snapshot| row(snapshot, "events").delivered >= 12 - u64::try_from(so_far).unwrap()).await;
        // Two rounds more, which bring nothing.
        let before = pages.load(Ordering::SeqCst);
        running.when("two rounds more", |_| pages.load(Ordering::SeqCst) > before + 20).await;
        assert_eq!(running.drain().await.outcome, Outcome::Clean);
        let rows = deployment.read("events").await;
        let expected: Vec<_> = mailing.contacts.iter().map(|contact| format!("sent mailing.contact/{contact}")).collect();
        assert_eq!(told(&rows, &mailing), expected, "pages of {page_size}");
        let seconds: BTreeSet<_> = rows.iter().map(|row| row.timestamp).collect();
        assert_eq!(seconds.len(), 1, "all are of one second");
    }
}

#[tokio::test]
async fn an_event_that_is_recorded_late_is_found_within_the_overlap() {
    let test = "an_event_that_is_recorded_late_is_found_within_the_overlap";
    let Some(odoo) = Plain::new(test) else { return };
    let Some(mut postgres) = crate::odoo::database(&odoo, test).await else { return };
    let mailing = mailing(&odoo, &name("late"), 3).await;
    let deployment = Deployment::embedded();
    let running = deployment.start(&of_list(&odoo, odoo.authority(), &mailing, "")).await;
    running.when_settled("events", 3).await;
    let late = postgres.transaction().await.unwrap();
    let opened = format!(
        "UPDATE mailing_trace SET trace_status = 'open', open_datetime = date_trunc('second', now() AT TIME ZONE 'utc'), \
         write_date = now() AT TIME ZONE 'utc' WHERE id = {}; SELECT pg_sleep(1.5)",
        mailing.traces[0]
    );
    late.batch_execute(&opened).await.unwrap();
    odoo.call("mailing.trace", "set_opened", &json!({"ids": [mailing.traces[1]]})).await;
    running.when_settled("events", 4).await;
    late.commit().await.unwrap();
    running.when_settled("events", 5).await;
    assert_eq!(running.drain().await.outcome, Outcome::Clean);
    let rows = deployment.read("events").await;
    let opened = |n: usize| format!("open mailing.contact/{}", mailing.contacts[n]);
    assert_eq!(told(&rows, &mailing)[3..], [opened(1), opened(0)]);
    assert!(rows[4].timestamp < rows[3].timestamp, "it came with a time that was over");
}
