//! Messages that were read, and how they become records: byte for byte.

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use rdkafka::bindings as c;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::message::{BorrowedMessage, Message as _};

use super::OK;
use super::queue::PartitionQueue;
use crate::batch::{Batch, Header, Record};

/// A message of a queue.
pub(in crate::topic_log::kafka) struct Message<'q> {
    native: NonNull<c::rd_kafka_message_t>,
    queue: PhantomData<&'q PartitionQueue>,
}

impl Message<'_> {
    /// # Safety
    /// The message was taken from a queue that lives as long as what is answered, and nobody else has it.
    pub(super) unsafe fn of(native: NonNull<c::rd_kafka_message_t>) -> Self {
        Self { native, queue: PhantomData }
    }

    /// What it tells in place of a record, and librdkafka's words for it.
    pub(super) fn error(&self) -> Option<(Code, String)> {
        // SAFETY: it is ours until `drop`; the text is its own, or static.
        unsafe {
            let error = (*self.native.as_ptr()).err;
            let text = || CStr::from_ptr(c::rd_kafka_message_errstr(self.native.as_ptr())).to_string_lossy().into_owned();
            (error != OK).then(|| (error.into(), text()))
        }
    }

    pub(in crate::topic_log::kafka) fn offset(&self) -> i64 {
        // SAFETY: as above.
        unsafe { (*self.native.as_ptr()).offset }
    }

    /// Appends it to a batch, as a record of this topic.
    pub(in crate::topic_log::kafka) fn copy(&self, topic: &str, batch: &mut Batch) {
        // SAFETY: as above.
        unsafe { push(self.native.as_ptr(), topic, batch) };
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        // SAFETY: it is ours alone, and its client lives.
        unsafe { c::rd_kafka_message_destroy(self.native.as_ptr()) };
    }
}

/// Appends a message to a batch.
pub(in crate::topic_log::kafka) fn copy(message: &BorrowedMessage<'_>, batch: &mut Batch) {
    // SAFETY: the message lives through the call.
    unsafe { push(message.ptr(), message.topic(), batch) };
}

/// # Safety
/// The message lives through the call.
unsafe fn push(message: *const c::rd_kafka_message_t, topic: &str, batch: &mut Batch) {
    let none = c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    let mut kind = none;
    // SAFETY: it is only read.
    let time = unsafe { c::rd_kafka_message_timestamp(message, &raw mut kind) };
    // SAFETY: key, value and headers are the message's.
    let record = unsafe {
        Record {
            topic,
            partition: (*message).partition,
            offset: (*message).offset,
            timestamp: if kind == none { -1 } else { time },
            key: bytes((*message).key, (*message).key_len),
            value: bytes((*message).payload, (*message).len),
            headers: headers(message),
            attempt: 1,
        }
    };
    batch.push(&record);
}

/// # Safety
/// The message outlives `'m`.
unsafe fn headers<'m>(message: *const c::rd_kafka_message_t) -> Vec<Header<'m>> {
    let mut found = Vec::new();
    let mut headers = ptr::null_mut();
    // SAFETY: as promised by the caller; the message owns its headers and their bytes.
    unsafe {
        if c::rd_kafka_message_headers(message, &raw mut headers) != OK {
            return found;
        }
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        while c::rd_kafka_header_get_all(headers, found.len(), &raw mut name, &raw mut value, &raw mut size) == OK {
            found.push((CStr::from_ptr(name).to_bytes(), bytes(value, size)));
        }
    }
    found
}

/// # Safety
/// Null, or so many bytes that outlive `'m`.
unsafe fn bytes<'m>(from: *const c_void, size: usize) -> Option<&'m [u8]> {
    // SAFETY: as promised by the caller.
    (!from.is_null()).then(|| unsafe { std::slice::from_raw_parts(from.cast::<u8>(), size) })
}
