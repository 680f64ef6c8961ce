//! A source that answers with columns that do not fit each other, as its configuration says. It is made of the bare
//! bindings: the writers of the SDK cannot make such a batch.

use std::cell::RefCell;

use wharf_sdk::__private::source::exports::wharf::connector::source_guest::{
    Batch, Context, Description, Error, Guest, Limits, Outcome, Polled, Position,
};
use wharf_sdk::__private::types::{Rejection, Verdict};

thread_local! {
    static FAULT: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Malformed;

impl Guest for Malformed {
    fn describe() -> Description {
        Description { name: "malformed".to_owned(), version: "0.1.0".to_owned(), wants: Vec::new(), manifest: "{}".to_owned() }
    }

    fn open(context: Context, _: Vec<Position>) -> Result<(), Error> {
        FAULT.set(context.config);
        Ok(())
    }

    fn poll(_: Limits) -> Result<Polled, Error> {
        let mut batch = Batch {
            data: b"kv".to_vec(),
            key_lens: vec![1],
            value_lens: vec![1],
            header_counts: Vec::new(),
            header_lens: Vec::new(),
            timestamps: Vec::new(),
            topic_of: Vec::new(),
            topics: Vec::new(),
            partitions: Vec::new(),
            offsets: Vec::new(),
            attempts: Vec::new(),
        };
        let mut rejects = Vec::new();
        let fault = FAULT.with_borrow(Clone::clone);
        match fault.trim_matches('"') {
            "column" => batch.timestamps = vec![1, 2],
            "arena" => batch.data.push(0),
            "length" => batch.key_lens = vec![-7],
            "headers" => batch.header_counts = vec![3],
            "topic" => batch.topic_of = vec![4],
            "reject-outside" => rejects.push(reject(9)),
            "reject-order" => rejects.extend([reject(0), reject(0)]),
            "retry" => rejects.push(Outcome { index: 0, verdict: Verdict::Retry(None) }),
            _ => {}
        }
        Ok(Polled { records: batch, rejects, positions: Vec::new(), idle_ms: 0, finished: false })
    }

    fn ack(_: Vec<Position>) -> Result<(), Error> {
        Ok(())
    }

    fn close() {}
}

fn reject(index: u32) -> Outcome {
    let rejection = Rejection { code: "a".to_owned(), message: "b".to_owned(), field: None };
    Outcome { index, verdict: Verdict::Reject(rejection) }
}

#[cfg(target_arch = "wasm32")]
wharf_sdk::__private::source::__export_source!(Malformed with_types_in wharf_sdk::__private::source);

#[cfg(not(target_arch = "wasm32"))]
const _: fn() = || {
    fn exported<T: Guest>() {}
    exported::<Malformed>();
};
