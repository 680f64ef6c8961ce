//! Limits: CPU time, deadline, memory, output; and traps.

use super::*;
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
