//! Limits: CPU time, deadline, memory, output; and traps.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_runtime::guest::SourceGuest;
use wharf_runtime::topic_log::BatchLimits;

/// A fresh instance of a well-behaved guest on the same engine takes records.
async fn next_instance_is_fine(guests: &Arc<Guests>) {
    let mut echo = sink(&load(guests, "echo-sink").await, nothing()).await;
    assert!(echo.write(&mut batch(&["a"])).await.unwrap().outcomes.is_empty());
    echo.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn spinning_guest_ends_at_its_cpu_limit() {
    let guests = guests();
    let mut grants = nothing();
    grants.limits.call_cpu = Duration::from_millis(200);
    let mut spin = sink(&load(&guests, "spin").await, grants).await;
    let (death, detail) = death(spin.write(&mut batch(&["a"])).await);
    assert_eq!(death, Death::CpuLimit, "{detail}");
    assert!(death.to_string().contains("limits.call-cpu"));
    assert_eq!(super::death(spin.write(&mut batch(&["a"])).await).0, Death::Cancelled, "a dead instance stays dead");
    next_instance_is_fine(&guests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guest_that_sleeps_ends_at_its_deadline_and_costs_no_cpu() {
    let guests = guests();
    let mut grants = nothing();
    grants.limits.call_deadline = Duration::from_millis(300);
    grants.limits.call_cpu = Duration::from_millis(250);
    let mut sleep = sink(&load(&guests, "sleep").await, grants).await;
    let (death, detail) = death(sleep.write(&mut batch(&["a"])).await);
    assert_eq!(death, Death::Deadline, "{detail}");
    assert!(death.to_string().contains("limits.call-deadline"));
    next_instance_is_fine(&guests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guest_that_computes_until_its_deadline_has_not_waited() {
    let guests = guests();
    let mut grants = nothing();
    grants.limits.call_deadline = Duration::from_millis(300);
    let mut spin = sink(&load(&guests, "spin").await, grants).await;
    let (death, detail) = death(spin.write(&mut batch(&["a"])).await);
    assert_eq!(death, Death::Deadline, "{detail}");
    assert!(detail.contains("of which it waited 0.0ns, and was computing in the end; it had asked no service"), "{detail}");
}

/// A server that answers each request after so long; with `Some(body)` it sends so much of a longer body at once.
async fn late_server(after: Duration, body: Option<&'static str>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // The head of a GET comes in one piece.
                assert!(stream.read(&mut [0; 4_096]).await.unwrap() > 0);
                if let Some(begin) = body {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{begin}");
                    stream.write_all(head.as_bytes()).await.unwrap();
                }
                tokio::time::sleep(after).await;
                // Whoever was cut off is gone by now.
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await);
            });
        }
    });
    port
}

/// How a call that gets these paths ends, with a deadline of 600 ms.
async fn fetched(port: u16, paths: usize) -> (GuestError, String) {
    let guests = guests();
    let mut grants = nothing();
    grants.limits.call_deadline = Duration::from_millis(600);
    grants.http = Some(reach::allow(port));
    let mut guest = sink(&load(&guests, "fetch").await, grants).await;
    let urls: Vec<_> = (0..paths).map(|n| format!("http://127.0.0.1:{port}/orders/{n}?token=s3cret")).collect();
    let ended = guest.write(&mut batch(&urls.iter().map(String::as_str).collect::<Vec<_>>())).await.unwrap_err();
    let told = ended.to_string();
    assert!(!told.contains("s3cret"), "{told}");
    (ended, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_is_cut_within_a_request_is_an_outage_and_says_of_what() {
    let port = late_server(Duration::from_secs(3600), None).await;
    let (ended, told) = fetched(port, 1).await;
    assert!(ended.is_outage() && matches!(ended, GuestError::Died { death: Death::Waited, .. }), "{told}");
    assert!(told.contains(&format!("in the end for GET http://127.0.0.1:{port}/orders/0 (")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_that_is_cut_within_the_body_of_an_answer_is_an_outage_too() {
    let port = late_server(Duration::from_secs(3600), Some("a part of it")).await;
    let (ended, told) = fetched(port, 1).await;
    assert!(matches!(ended, GuestError::Died { death: Death::Waited, .. }), "{told}");
    assert!(told.contains(&format!("in the end for GET http://127.0.0.1:{port}/orders/0 (")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_of_many_requests_that_are_all_answered_is_told_as_slow() {
    let port = late_server(Duration::from_millis(50), None).await;
    let (ended, told) = fetched(port, 100).await;
    assert!(ended.is_outage() && matches!(ended, GuestError::Died { death: Death::Slow, .. }), "{told}");
    assert!(told.contains(&format!("GET http://127.0.0.1:{port}/orders/")) && told.contains("`batch.records`"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guest_that_takes_memory_ends_at_its_limit_not_at_the_hosts() {
    let guests = guests();
    let mut hog = sink(&load(&guests, "hog").await, nothing()).await;
    let (death, detail) = death(hog.write(&mut batch(&["a"])).await);
    assert_eq!(death, Death::MemoryLimit, "{detail}");
    assert!(death.to_string().contains("limits.memory"));
    next_instance_is_fine(&guests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_tells_the_guests_last_words_and_spares_the_records_without_poison() {
    let guests = guests();
    let component = load(&guests, "trap-on-poison").await;
    let mut guest = sink(&component, nothing()).await;
    assert!(guest.write(&mut batch(&["a", "b"])).await.unwrap().outcomes.is_empty());
    let (death, detail) = death(guest.write(&mut batch(&["a", "poison", "b"])).await);
    assert_eq!(death, Death::Trap);
    assert!(detail.contains("poison at t/0/1"), "{detail}");
    let mut fresh = sink(&component, nothing()).await;
    assert!(fresh.write(&mut batch(&["a", "b"])).await.unwrap().outcomes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_that_traps_is_a_death_of_the_source_alone() {
    let guests = guests();
    let mut source = SourceGuest::start(&load(&guests, "trap-in-poll").await, nothing()).await.unwrap();
    source.open(context("{}"), &[]).await.unwrap();
    let limits = BatchLimits { records: 10, bytes: 1_000, linger: Duration::ZERO };
    let (death, detail) = death(source.poll(limits).await);
    assert_eq!(death, Death::Trap);
    assert!(detail.contains("cannot poll"), "{detail}");
    source.close().await.unwrap();
    next_instance_is_fine(&guests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_without_end_is_kept_to_its_last_lines() {
    let guests = guests();
    let mut chatter = sink(&load(&guests, "chatter").await, nothing()).await;
    let (death, detail) = death(chatter.write(&mut batch(&["a"])).await);
    assert_eq!(death, Death::Trap);
    assert!(detail.contains("said enough") && detail.contains("line 9999"), "the last lines are there");
    assert!(!detail.contains("line 9000"), "older ones are not");
    assert!(detail.len() < 25_000, "a line of 1 MiB is cut: {}", detail.len());
}
