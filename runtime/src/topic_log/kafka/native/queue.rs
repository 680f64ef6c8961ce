//! The queue of one partition, read message by message without the wrapper's event of each. Decides nothing.

use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::bindings as c;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

use super::Message;
use crate::topic_log::TopicPartition;
use crate::topic_log::kafka::group::SinkConsumer;

/// A partition's queue, apart from the consumer's common one.
pub(in crate::topic_log::kafka) struct PartitionQueue {
    native: NonNull<c::rd_kafka_queue_t>,
    /// Whose address librdkafka has for as long as this lives.
    wake: Option<Arc<Notify>>,
    #[expect(dead_code, reason = "held: queue and messages are the client's")]
    consumer: Arc<SinkConsumer>,
}

// SAFETY: librdkafka locks its queues; any thread may read, and destroy what it read.
unsafe impl Send for PartitionQueue {}
// SAFETY: nothing of it can be done with a shared reference.
unsafe impl Sync for PartitionQueue {}

impl PartitionQueue {
    /// Parts the queue of a partition from the common one. `None`: there is no such topic.
    pub(in crate::topic_log::kafka) fn split(consumer: &Arc<SinkConsumer>, at: &TopicPartition) -> Option<Self> {
        let topic = CString::new(&*at.topic).ok()?;
        // SAFETY: the name is copied within the call. What is answered is ours until `drop`, and the client lives until then.
        let native = unsafe {
            let queue = c::rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), at.partition);
            let queue = NonNull::new(queue)?;
            c::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            queue
        };
        Some(Self { native, wake: None, consumer: Arc::clone(consumer) })
    }

    /// Whom to wake when something comes into the empty queue.
    pub(in crate::topic_log::kafka) fn wakes(&mut self, wake: Arc<Notify>) {
        let address = Arc::as_ptr(&wake).cast_mut().cast::<c_void>();
        // SAFETY: `wake` is kept until another one is told or the queue is gone, and librdkafka calls under the lock that it
        // changes the callback with.
        unsafe { c::rd_kafka_queue_cb_event_enable(self.native.as_ptr(), Some(came), address) };
        self.wake = Some(wake);
    }

    /// What comes next, where something is there: a record, or what librdkafka has to say in its place. That the topic is gone, or the
    /// partition, is not among it: librdkafka logs that as `ERROR` (`Member::log`).
    ///
    /// Not by `rd_kafka_consume_batch_queue`, though it costs half: it puts the position behind an error, the end of the partition
    /// among them, as if that were a record, and a rebalance goes on at the position. `rd_kafka_consume_callback_queue` moves it by
    /// markers of transactions that are outdated, with the same end.
    pub(in crate::topic_log::kafka) fn next(&mut self) -> Option<Result<Message<'_>, (Code, String)>> {
        // SAFETY: the queue lives, and what was taken is ours.
        let message = unsafe { Message::of(NonNull::new(c::rd_kafka_consume_queue(self.native.as_ptr(), 0))?) };
        Some(message.error().map_or(Ok(message), Err))
    }
}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // SAFETY: nobody else has it. Where the client goes on with the queue, it wakes nobody any more.
        unsafe {
            c::rd_kafka_queue_cb_event_enable(self.native.as_ptr(), None, ptr::null_mut());
            c::rd_kafka_queue_destroy(self.native.as_ptr());
        }
    }
}

unsafe extern "C" fn came(_: *mut c::rd_kafka_t, wake: *mut c_void) {
    // SAFETY: the address that `wakes` gave, which lives.
    unsafe { (*wake.cast::<Notify>().cast_const()).notify_one() };
}
