//! The boundary to a guest: what a record costs through a guest, by the path that the pipelines take, and what the same code
//! costs natively. `cargo bench -p wharf-bench --bench boundary`
#![expect(clippy::print_stdout, reason = "shows figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run has to end")]

use std::fmt;
use std::sync::LazyLock;
use std::time::Instant;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use wharf_bench::guest::Host;
use wharf_bench::records::orders;
use wharf_bench::table::{Case, Table, Target};
use wharf_runtime::batch::Batch;

#[path = "../../tests/guests/mask/src/email.rs"]
mod email;
#[path = "../../tests/guests/filter/src/open.rs"]
mod open;

static HOST: LazyLock<Host> = LazyLock::new(|| Host::new().expect("the engine starts"));
static TABLE: Table = Table::new();

const TARGETS: [Target; 3] = [
    Target::PerRecord { operation: "identity", bytes: 200, records: 1000, at_most: 60.0 },
    Target::TimesNative { operation: "mask", bytes: 200, records: 1000, at_most: 1.6 },
    Target::TimesNative { operation: "mask", bytes: 1024, records: 1000, at_most: 1.6 },
];

fn main() {
    divan::main();
    println!("\n{}", TABLE.report(&TARGETS));
}

/// Bytes of a value and records of a batch.
#[derive(Clone, Copy)]
struct Size {
    bytes: usize,
    records: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {} B", self.records, self.bytes)
    }
}

const fn size(records: usize, bytes: usize) -> Size {
    Size { bytes, records }
}

const SIZES: [Size; 6] = [size(1, 200), size(100, 200), size(1000, 200), size(1, 1024), size(100, 1024), size(1000, 1024)];

/// Times `run` on a batch of its own each time.
fn bench<R>(bencher: Bencher<'_, '_>, operation: &'static str, native: bool, size: Size, mut run: impl FnMut(Batch) -> R) {
    let Size { bytes, records } = size;
    let case = Case { operation, bytes, records, native };
    let batch = orders(records, bytes);
    bencher.counter(ItemsCount::new(records)).with_inputs(|| batch.clone()).bench_local_values(|batch| {
        let started = Instant::now();
        let result = black_box(run(black_box(batch)));
        TABLE.record(case, started.elapsed());
        result
    });
}

fn transform(bencher: Bencher<'_, '_>, name: &'static str, size: Size) {
    let mut guest = HOST.transform(name).expect("the guest opens");
    bench(bencher, name, false, size, |batch| guest.apply(batch).expect("the guest answers"));
}

#[divan::bench_group(max_time = 2)]
mod identity {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn guest(bencher: Bencher<'_, '_>, size: Size) {
        transform(bencher, "identity", size);
    }

    #[divan::bench(args = SIZES)]
    fn native(bencher: Bencher<'_, '_>, size: Size) {
        bench(bencher, "identity", true, size, |batch| {
            let mut out = Batch::default();
            batch.records().for_each(|record| out.push(&record));
            out
        });
    }
}

#[divan::bench_group(max_time = 2)]
mod filter {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn guest(bencher: Bencher<'_, '_>, size: Size) {
        transform(bencher, "filter", size);
    }

    #[divan::bench(args = SIZES)]
    fn native(bencher: Bencher<'_, '_>, size: Size) {
        bench(bencher, "filter", true, size, |batch| {
            let mut out = Batch::default();
            batch.records().filter(|r| r.value.is_some_and(open::is_open)).for_each(|record| out.push(&record));
            out
        });
    }
}

#[divan::bench_group(max_time = 2)]
mod mask {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn guest(bencher: Bencher<'_, '_>, size: Size) {
        transform(bencher, "mask", size);
    }

    #[divan::bench(args = SIZES)]
    fn native(bencher: Bencher<'_, '_>, size: Size) {
        let mut written = Vec::new();
        bench(bencher, "mask", true, size, |batch| {
            let mut out = Batch::default();
            for mut record in batch.records() {
                written.clear();
                email::mask(record.value.unwrap_or_default(), &mut written).expect("the value is JSON");
                record.value = Some(&written);
                out.push(&record);
            }
            out
        });
    }
}

/// A sink that accepts everything without a look at it.
#[divan::bench(args = SIZES, max_time = 2)]
fn accept(bencher: Bencher<'_, '_>, size: Size) {
    let mut guest = HOST.sink("echo-sink").expect("the guest opens");
    bench(bencher, "accept", false, size, |batch| guest.write(batch).expect("the guest answers"));
}
