//! Who is told what, and when: the sender's answer is what counts.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::sync::Semaphore;

use super::intake::{NOT_DELIVERED, TOO_LATE};
use super::*;

/// Never reached where the rules hold.
const LONG: Duration = Duration::from_secs(20);

struct Desk {
    intake: Arc<Intake>,
    held: Arc<Semaphore>,
}

impl Desk {
    fn new(tasks: u32) -> Self {
        Self { intake: Arc::new(Intake::new(tasks)), held: Arc::new(Semaphore::new(10)) }
    }

    fn send(&self, body: &str) -> Waiting {
        let arrival = Arrival {
            received: 1,
            method: "POST".to_owned(),
            path: "/hooks?a=1".to_owned(),
            headers: vec![("x-id".to_owned(), "7".to_owned())],
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        };
        self.intake.submit(arrival, Arc::clone(&self.held).try_acquire_owned().unwrap())
    }

    fn held(&self) -> usize {
        10 - self.held.available_permits()
    }
}

async fn take(inbox: &Inbox, max: usize) -> Vec<String> {
    let taken = inbox.take(max, Duration::ZERO).await;
    taken.into_iter().map(|r| String::from_utf8(r.body.to_vec()).unwrap()).collect()
}

fn is_answered(waiting: &mut std::pin::Pin<&mut impl Future<Output = Answer>>) -> bool {
    waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[tokio::test]
async fn a_sender_is_told_yes_only_after_its_poll_was_made_durable() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let mut waiting = pin!(desk.send("a").answer(LONG));
    assert_eq!(take(&inbox, 10).await, ["a"]);
    inbox.polled();
    assert!(!is_answered(&mut waiting));
    assert!(inbox.owes());
    inbox.settle(true);
    assert_eq!(waiting.await, Answer::Durable);
    assert_eq!(desk.held(), 0);
    assert!(!inbox.owes());
}

#[tokio::test]
async fn what_a_failed_poll_took_is_not_answered_yes_when_an_earlier_poll_is_made_durable() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let first = desk.send("first");
    take(&inbox, 10).await;
    inbox.polled();
    let second = desk.send("second");
    take(&inbox, 10).await;
    inbox.settle(true);
    inbox.settle(false);
    assert_eq!(first.answer(LONG).await, Answer::Durable);
    assert_eq!(second.answer(LONG).await, NOT_DELIVERED);
}

#[tokio::test]
async fn everything_taken_is_to_come_again_when_it_did_not_become_durable() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let (polled, open) = (desk.send("a"), desk.send("b"));
    take(&inbox, 1).await;
    inbox.polled();
    take(&inbox, 1).await;
    inbox.settle(false);
    assert_eq!(polled.answer(LONG).await, NOT_DELIVERED);
    assert_eq!(open.answer(LONG).await, NOT_DELIVERED);
    assert_eq!(desk.held(), 0);
}

#[tokio::test]
async fn a_task_settles_only_what_it_took() {
    let desk = Desk::new(2);
    let (one, two) = (Inbox::new(&desk.intake), Inbox::new(&desk.intake));
    let (a, b) = (desk.send("a"), desk.send("b"));
    assert_eq!(take(&one, 1).await, ["a"]);
    assert_eq!(take(&two, 1).await, ["b"]);
    one.polled();
    two.polled();
    one.settle(false);
    two.settle(true);
    assert_eq!(a.answer(LONG).await, NOT_DELIVERED);
    assert_eq!(b.answer(LONG).await, Answer::Durable);
}

#[tokio::test]
async fn what_a_dropped_task_took_is_to_come_again() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let waiting = desk.send("a");
    take(&inbox, 1).await;
    inbox.polled();
    drop(inbox);
    assert_eq!(waiting.answer(LONG).await, NOT_DELIVERED);
}

#[tokio::test]
async fn a_dropped_take_loses_no_request() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let mut dropped = Box::pin(inbox.take(1, LONG));
    let polled = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    // The request wakes the call, which is dropped before it looks again.
    let waiting = desk.send("a");
    drop(dropped);
    assert_eq!(take(&inbox, 1).await, ["a"]);
    inbox.polled();
    inbox.settle(true);
    assert_eq!(waiting.answer(LONG).await, Answer::Durable);
}

#[tokio::test]
async fn a_dropped_take_leaves_its_wake_up_to_another_task() {
    let desk = Desk::new(2);
    let (one, two) = (Inbox::new(&desk.intake), Inbox::new(&desk.intake));
    let mut dropped = Box::pin(one.take(1, LONG));
    let mut other = Box::pin(two.take(1, LONG));
    let mut context = Context::from_waker(Waker::noop());
    assert!(dropped.as_mut().poll(&mut context).is_pending());
    assert!(other.as_mut().poll(&mut context).is_pending());
    let _waiting = desk.send("a");
    drop(dropped);
    let Poll::Ready(taken) = other.as_mut().poll(&mut context) else { panic!("the other task sleeps on") };
    assert_eq!(taken.len(), 1);
}

#[tokio::test]
async fn a_waiting_take_returns_when_a_request_arrives() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let mut taking = pin!(inbox.take(5, LONG));
    assert!(taking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let _waiting = desk.send("a");
    assert_eq!(taking.await.len(), 1);
    assert!(inbox.take(5, Duration::from_millis(1)).await.is_empty());
}

#[tokio::test]
async fn a_source_that_idles_is_woken_by_a_request() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let mut woken = pin!(inbox.arrived());
    assert!(woken.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let _waiting = desk.send("a");
    woken.await;
    assert_eq!(inbox.take(1, LONG).await.len(), 1);
}

#[tokio::test]
async fn a_sender_waits_no_longer_than_its_deadline() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let untaken = desk.send("a").answer(Duration::from_millis(20)).await;
    assert_eq!(untaken, TOO_LATE);
    assert_eq!(desk.held(), 0);
    assert_eq!(take(&inbox, 1).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_request_that_was_taken_stays_with_its_poll_after_the_deadline() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let waiting = desk.send("a");
    take(&inbox, 1).await;
    assert_eq!(waiting.answer(Duration::from_millis(20)).await, TOO_LATE);
    inbox.polled();
    assert_eq!((inbox.owes(), desk.held()), (true, 1));
    inbox.settle(true);
    assert_eq!((inbox.owes(), desk.held()), (false, 0));
}

#[tokio::test]
async fn a_refused_request_is_answered_at_once_with_a_4xx() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let (bad, odd, good) = (desk.send("bad"), desk.send("odd"), desk.send("good"));
    let taken = inbox.take(10, Duration::ZERO).await;
    inbox.refuse(taken[0].id, 422, "no JSON");
    inbox.refuse(taken[1].id, 200, "not a 4xx");
    inbox.refuse(999, 400, "unknown");
    assert_eq!(desk.held(), 1);
    assert_eq!(bad.answer(LONG).await, Answer::Refused { status: 422, message: "no JSON".to_owned() });
    assert_eq!(odd.answer(LONG).await, Answer::Refused { status: 400, message: "not a 4xx".to_owned() });
    inbox.polled();
    inbox.settle(true);
    assert_eq!(good.answer(LONG).await, Answer::Durable);
}

#[tokio::test]
async fn another_tasks_request_cannot_be_refused() {
    let desk = Desk::new(2);
    let (one, two) = (Inbox::new(&desk.intake), Inbox::new(&desk.intake));
    let waiting = desk.send("a");
    let taken = one.take(1, Duration::ZERO).await;
    two.refuse(taken[0].id, 400, "not mine");
    one.polled();
    one.settle(true);
    assert_eq!(waiting.answer(LONG).await, Answer::Durable);
}

#[tokio::test]
async fn a_closed_intake_answers_what_waits_and_what_comes_and_leaves_what_was_taken() {
    let desk = Desk::new(1);
    let inbox = Inbox::new(&desk.intake);
    let (taken, waits) = (desk.send("a"), desk.send("b"));
    take(&inbox, 1).await;
    desk.intake.close();
    assert_eq!(waits.answer(LONG).await, NOT_DELIVERED);
    assert_eq!(desk.send("late").answer(LONG).await, NOT_DELIVERED);
    inbox.polled();
    inbox.settle(true);
    assert_eq!(taken.answer(LONG).await, Answer::Durable);
}

#[tokio::test]
async fn senders_do_not_wait_for_a_source_whose_last_task_is_over() {
    let desk = Desk::new(2);
    let waits = desk.send("a");
    desk.intake.task_over();
    assert_eq!(desk.held(), 1);
    desk.intake.task_over();
    assert_eq!(waits.answer(LONG).await, NOT_DELIVERED);
    assert_eq!(desk.held(), 0);
}
