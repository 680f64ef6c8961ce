use super::*;

const DEADLINE: Duration = Duration::from_secs(120);

/// Of a guest in one call, with the times as they are told.
struct Told {
    waits: Waits,
    now: Instant,
}

impl Told {
    fn new(folders: bool) -> Self {
        let (waits, now) = (Waits::new(folders), Instant::now());
        waits.ledger().of_call = OfCall::new(now);
        Self { waits, now }
    }

    /// So many seconds later.
    fn after(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn computes(&mut self, seconds: u64) {
        self.after(seconds);
    }

    fn sleeps(&mut self, seconds: u64) {
        self.after(seconds);
        self.waits.ledger().of_call.waited += Duration::from_secs(seconds);
    }

    fn asks(&self) -> Waiting {
        let uri = "https://erp.example:8443/api/orders?token=s3cret".parse().unwrap();
        let waiting = self.waits.ask(Asked::Http { method: Method::POST, uri });
        self.waits.ledger().open.last_mut().unwrap().since = self.now;
        waiting
    }

    /// The answer to a request that was asked for so long.
    fn is_answered(&mut self, waiting: Waiting, seconds: u64) {
        self.sleeps(seconds);
        let mut ledger = self.waits.ledger();
        ledger.of_call.answered = true;
        ledger.of_call.longest = ledger.of_call.longest.max(Duration::from_secs(seconds));
        ledger.open.clear();
        ledger.last = Some((Asked::Sql { connection: "warehouse".to_owned(), what: "apply" }, self.now));
        drop(ledger);
        drop(waiting);
    }

    /// It waits for so long, then the call is cut.
    fn is_cut_after(&mut self, seconds: u64) -> (Death, String) {
        self.waits.ledger().of_call.idle = Some(self.now);
        self.after(seconds);
        self.waits.ledger().cut(DEADLINE, self.now)
    }

    fn is_cut_while_it_computes(&self) -> (Death, String) {
        self.waits.ledger().cut(DEADLINE, self.now)
    }
}

#[test]
fn a_call_that_is_cut_within_a_request_has_waited_and_names_it_without_its_query() {
    let mut call = Told::new(false);
    call.computes(1);
    let request = call.asks();
    let (death, story) = call.is_cut_after(119);
    assert_eq!(death, Death::Waited);
    assert!(story.contains("POST https://erp.example:8443/api/orders (119.0s)"), "{story}");
    assert!(story.contains("after 120.0s, of which it waited 119.0s") && !story.contains("s3cret"), "{story}");
    assert!(story.contains("`timeout`") && story.contains("`limits.call-deadline`"), "{story}");
    drop(request);
}

#[test]
fn a_request_that_hangs_after_others_were_answered_and_much_was_computed_is_still_a_wait() {
    let mut call = Told::new(false);
    let request = call.asks();
    call.is_answered(request, 1);
    call.computes(100);
    let request = call.asks();
    assert_eq!(call.is_cut_after(19).0, Death::Slow);
    drop(request);

    let mut call = Told::new(false);
    let request = call.asks();
    call.is_answered(request, 1);
    let request = call.asks();
    assert_eq!(call.is_cut_after(119).0, Death::Waited);
    drop(request);
}

#[test]
fn many_short_requests_are_slow_services_wherever_the_call_is_cut() {
    for while_it_computes in [true, false] {
        let mut call = Told::new(false);
        for _ in 0..39 {
            let request = call.asks();
            call.is_answered(request, 2);
            call.computes(1);
        }
        let (death, story) = if while_it_computes { call.is_cut_while_it_computes() } else { call.is_cut_after(3) };
        assert_eq!(death, Death::Slow, "{story}");
        assert!(story.contains("connection `warehouse` (apply)"), "{story}");
    }
}

#[test]
fn a_call_that_computes_is_no_outage_even_where_it_is_cut_in_one_of_its_short_waits() {
    let mut call = Told::new(false);
    for _ in 0..39 {
        let request = call.asks();
        call.is_answered(request, 0);
        call.computes(3);
    }
    let request = call.asks();
    let (death, story) = call.is_cut_after(3);
    assert_eq!(death, Death::Deadline, "{story}");
    drop(request);
    assert_eq!(call.is_cut_while_it_computes().0, Death::Deadline);
}

#[test]
fn errors_that_come_late_are_no_answers() {
    let mut call = Told::new(false);
    for _ in 0..4 {
        let request = call.asks();
        call.sleeps(30);
        drop(request);
    }
    assert_eq!(call.is_cut_while_it_computes().0, Death::Waited);
}

#[test]
fn a_call_that_sleeps_hangs_unless_it_has_asked_a_service() {
    let (death, story) = Told::new(false).is_cut_after(120);
    assert_eq!(death, Death::Deadline);
    assert!(story.contains("by the clock (120.0s); it had asked no service"), "{story}");

    let mut call = Told::new(false);
    let request = call.asks();
    call.is_answered(request, 1);
    let (death, story) = call.is_cut_after(119);
    assert_eq!(death, Death::Slow);
    assert!(story.contains("by the clock (119.0s); the last service that it asked was"), "{story}");
}

#[test]
fn a_wait_for_requests_to_its_inbox_is_no_wait_for_a_service() {
    let mut call = Told::new(false);
    let inbox = call.waits.ask(Asked::Inbox);
    let (death, story) = call.is_cut_after(120);
    assert_eq!(death, Death::Deadline);
    assert!(story.contains("requests to its inbox"), "{story}");
    drop(inbox);
}

#[test]
fn a_guest_with_folders_may_have_waited_for_a_file() {
    assert_eq!(Told::new(true).is_cut_after(120).0, Death::Waited);
    let mut call = Told::new(true);
    call.computes(120);
    assert_eq!(call.is_cut_while_it_computes().0, Death::Deadline);
}

#[test]
fn a_request_that_the_call_before_left_open_counts_from_this_call_on() {
    let mut call = Told::new(false);
    let request = call.asks();
    call.after(500);
    call.waits.ledger().of_call = OfCall::new(call.now);
    assert_eq!(call.is_cut_after(120).0, Death::Waited);
    drop(request);
}
