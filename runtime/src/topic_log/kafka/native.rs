//! The few calls of librdkafka that the safe wrapper lacks: headers byte for byte (its own panic on a name that is not UTF-8), a
//! partition's queue read without an event for each message (`native/queue.rs`), topic ids, forgetting offsets of a group, and the
//! end of a partition as last fetched. All unsafe code of this log stands here; no policy does.
#![expect(unsafe_code, reason = "librdkafka's C interface, where the safe wrapper has no access to it")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::util::IntoOpaque;

use super::produce::Ticket;
use crate::batch::{Header, Record};

mod message;
mod queue;

pub(super) use message::{Message, copy};
pub(super) use queue::PartitionQueue;

const OK: c::rd_kafka_resp_err_t = c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// A topic's name as librdkafka takes it.
#[derive(Debug)]
pub(super) struct TopicName(CString);

impl TopicName {
    /// `None`: it holds U+0000, so that no topic is called so.
    pub(super) fn new(topic: &str) -> Option<Self> {
        CString::new(topic).ok().map(Self)
    }
}

/// What goes with a record to its delivery report, and holds its bytes until then.
///
/// # Safety
/// What [`Holds::held`] answers must neither move nor change as long as this lives, wherever this itself is moved to: a record is read
/// from there after [`produce`] has returned.
pub(super) unsafe trait Holds {
    /// The bytes.
    fn held(&self) -> &[u8];
}

// SAFETY: the bytes are of a batch behind an `Arc` of which each ticket is a part owner, and a batch that is shared is not changed.
unsafe impl Holds for Ticket {
    fn held(&self) -> &[u8] {
        self.0.data()
    }
}

/// Hands a record to a producer. `partition`: -1 leaves it to the partitioner. A value that lies in what the ticket holds is sent from
/// there, any other is copied. Errors at once: the queue is full, the record too large, the topic known not to exist.
pub(super) fn produce<C: ProducerContext<DeliveryOpaque: Holds>>(
    producer: &BaseProducer<C>,
    (topic, partition): (&TopicName, i32),
    record: &Record<'_>,
    ticket: C::DeliveryOpaque,
) -> Result<(), Code> {
    // A null pointer is null; an empty key or value is one with a length of 0.
    let memory = |bytes: Option<&[u8]>| c::rd_kafka_vu_s__bindgen_ty_1 {
        mem: c::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
            ptr: bytes.map_or(ptr::null_mut(), |b| b.as_ptr().cast_mut().cast()),
            size: bytes.map_or(0, <[u8]>::len),
        },
    };
    let held = ticket.held().as_ptr_range();
    let lies_there = record.value.map(<[u8]>::as_ptr_range).is_some_and(|v| held.start <= v.start && v.end <= held.end);
    let flags = if lies_there { 0 } else { c_int::try_from(c::RD_KAFKA_MSG_F_COPY).unwrap_or_default() };
    let headers = native_headers(&record.headers);
    let opaque = ticket.into_ptr();
    use c::{rd_kafka_vtype_t as t, rd_kafka_vu_s as vu, rd_kafka_vu_s__bindgen_ty_1 as u};
    // The last one counts only where there are headers.
    let arguments = [
        vu { vtype: t::RD_KAFKA_VTYPE_TOPIC, u: u { cstr: topic.0.as_ptr() } },
        vu { vtype: t::RD_KAFKA_VTYPE_PARTITION, u: u { i32_: partition } },
        vu { vtype: t::RD_KAFKA_VTYPE_MSGFLAGS, u: u { i: flags } },
        vu { vtype: t::RD_KAFKA_VTYPE_VALUE, u: memory(record.value) },
        vu { vtype: t::RD_KAFKA_VTYPE_KEY, u: memory(record.key) },
        vu { vtype: t::RD_KAFKA_VTYPE_OPAQUE, u: u { ptr: opaque } },
        vu { vtype: t::RD_KAFKA_VTYPE_TIMESTAMP, u: u { i64_: record.timestamp.max(0) } },
        vu { vtype: t::RD_KAFKA_VTYPE_HEADERS, u: u { headers } },
    ];
    let count = arguments.len() - usize::from(headers.is_null());
    // SAFETY: the arguments live through the call, which always copies the key, and takes the headers only on success. It copies the value
    // too (MSG_F_COPY), or else that lives as long as the ticket, which comes back with the delivery report: librdkafka reads a value
    // no more once it has reported it, as it must with values that it is to free itself then.
    let code = unsafe {
        let error = c::rd_kafka_produceva(producer.client().native_ptr(), arguments.as_ptr(), count);
        let code = c::rd_kafka_error_code(error);
        if !error.is_null() {
            c::rd_kafka_error_destroy(error);
        }
        code
    };
    if code == OK {
        return Ok(());
    }
    // SAFETY: on failure headers and ticket are still ours, and nobody else has them.
    unsafe {
        if !headers.is_null() {
            c::rd_kafka_headers_destroy(headers);
        }
        drop(C::DeliveryOpaque::from_ptr(opaque));
    }
    Err(code.into())
}

/// Has everything sent that waits for its batch to fill. Blocks, until all is answered or the time is up. The wrapper's own flush takes
/// the request back at once, mostly before the threads that send have seen it.
pub(super) fn push<C: ClientContext>(client: &Client<C>, time: Duration) {
    let millis = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: it only waits. That the time was up says nothing.
    unsafe { c::rd_kafka_flush(client.native_ptr(), millis) };
}

/// How many messages and events wait in the consumer's common queue.
pub(super) fn waiting<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> usize {
    // SAFETY: the queue is asked and given back while the client lives.
    unsafe {
        let queue = c::rd_kafka_queue_get_consumer(consumer.client().native_ptr());
        let waiting = c::rd_kafka_queue_length(queue);
        c::rd_kafka_queue_destroy(queue);
        waiting
    }
}

fn native_headers(headers: &[Header<'_>]) -> *mut c::rd_kafka_headers_t {
    if headers.is_empty() {
        return ptr::null_mut();
    }
    let length = |bytes: &[u8]| isize::try_from(bytes.len()).unwrap_or(isize::MAX);
    // SAFETY: each name and value is copied within its call.
    unsafe {
        let list = c::rd_kafka_headers_new(headers.len());
        for (name, value) in headers {
            let (bytes, size) = value.map_or((ptr::null(), 0), |v| (v.as_ptr().cast::<c_void>(), length(v)));
            // It answers an error for read-only lists alone.
            c::rd_kafka_header_add(list, name.as_ptr().cast(), length(name), bytes, size);
        }
        list
    }
}

/// A topic's name, and its id or why it has none.
pub(super) type TopicId = (String, Result<String, Code>);

/// The ids of topics. Blocks.
pub(super) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    names: &[&str],
    timeout: Duration,
) -> Result<Vec<TopicId>, KafkaError> {
    let names: Vec<_> = names.iter().map(|name| CString::new(*name)).collect::<Result<_, _>>()?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let rk = client.native_ptr();
    let op = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    // SAFETY: everything made here is destroyed here, in reverse; what is read from the event is copied before that.
    unsafe {
        let mut text = [0; 256];
        let options = c::rd_kafka_AdminOptions_new(rk, op);
        c::rd_kafka_AdminOptions_set_request_timeout(options, millis, text.as_mut_ptr(), text.len());
        let topics = c::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let queue = c::rd_kafka_queue_new(rk);
        c::rd_kafka_DescribeTopics(rk, topics, options, queue);
        // The request has a timeout of its own: the event always comes.
        let event = c::rd_kafka_queue_poll(queue, millis.saturating_add(5000));
        let answer = described(event);
        if !event.is_null() {
            c::rd_kafka_event_destroy(event);
        }
        c::rd_kafka_queue_destroy(queue);
        c::rd_kafka_TopicCollection_destroy(topics);
        c::rd_kafka_AdminOptions_destroy(options);
        answer
    }
}

/// # Safety
/// `event` is null or an event that is not yet destroyed.
unsafe fn described(event: *mut c::rd_kafka_event_t) -> Result<Vec<TopicId>, KafkaError> {
    if event.is_null() {
        return Err(KafkaError::AdminOp(Code::OperationTimedOut));
    }
    // SAFETY: as promised by the caller; the descriptions live as long as the event.
    unsafe {
        let error = c::rd_kafka_event_error(event);
        if error != OK {
            return Err(KafkaError::AdminOp(error.into()));
        }
        let result = c::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let found = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if result.is_null() || found.is_null() {
            return Ok(Vec::new());
        }
        let one = |topic: &*const c::rd_kafka_TopicDescription_t| {
            let text = |text| CStr::from_ptr(text).to_string_lossy().into_owned();
            let name = text(c::rd_kafka_TopicDescription_name(*topic));
            let error = c::rd_kafka_error_code(c::rd_kafka_TopicDescription_error(*topic));
            if error != OK {
                return (name, Err(error.into()));
            }
            (name, Ok(text(c::rd_kafka_Uuid_base64str(c::rd_kafka_TopicDescription_topic_id(*topic)))))
        };
        Ok(std::slice::from_raw_parts(found, count).iter().map(one).collect())
    }
}

/// Forgets a group's offsets of the partitions in the list. Blocks.
pub(super) fn delete_offsets<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    partitions: &TopicPartitionList,
    timeout: Duration,
) -> Result<(), Code> {
    let group = CString::new(group).map_err(|_| Code::InvalidGroupId)?;
    let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let rk = client.native_ptr();
    let op = c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS;
    // SAFETY: the list outlives the call, which copies it; everything made here is destroyed here, in reverse.
    unsafe {
        let mut text = [0; 256];
        let options = c::rd_kafka_AdminOptions_new(rk, op);
        c::rd_kafka_AdminOptions_set_request_timeout(options, millis, text.as_mut_ptr(), text.len());
        let mut order = c::rd_kafka_DeleteConsumerGroupOffsets_new(group.as_ptr(), partitions.ptr());
        let queue = c::rd_kafka_queue_new(rk);
        c::rd_kafka_DeleteConsumerGroupOffsets(rk, &raw mut order, 1, options, queue);
        // The request has a timeout of its own: the event always comes.
        let event = c::rd_kafka_queue_poll(queue, millis.saturating_add(5000));
        let answer = deleted(event);
        if !event.is_null() {
            c::rd_kafka_event_destroy(event);
        }
        c::rd_kafka_queue_destroy(queue);
        c::rd_kafka_DeleteConsumerGroupOffsets_destroy(order);
        c::rd_kafka_AdminOptions_destroy(options);
        answer
    }
}

/// The first error: of the request, the group, or a partition.
///
/// # Safety
/// `event` is null or an event that is not yet destroyed.
unsafe fn deleted(event: *mut c::rd_kafka_event_t) -> Result<(), Code> {
    let known = |code: c::rd_kafka_resp_err_t| if code == OK { Ok(()) } else { Err(Code::from(code)) };
    if event.is_null() {
        return Err(Code::OperationTimedOut);
    }
    // SAFETY: as promised by the caller; results and their lists live as long as the event.
    unsafe {
        known(c::rd_kafka_event_error(event))?;
        let result = c::rd_kafka_event_DeleteConsumerGroupOffsets_result(event);
        if result.is_null() {
            return Err(Code::BadMessage);
        }
        let mut count = 0;
        let groups = c::rd_kafka_DeleteConsumerGroupOffsets_result_groups(result, &raw mut count);
        for group in std::slice::from_raw_parts(groups, count) {
            known(c::rd_kafka_error_code(c::rd_kafka_group_result_error(*group)))?;
            let list = c::rd_kafka_group_result_partitions(*group);
            if list.is_null() {
                continue;
            }
            let size = usize::try_from((*list).cnt).unwrap_or(0);
            for partition in std::slice::from_raw_parts((*list).elems, size) {
                known(partition.err)?;
            }
        }
        Ok(())
    }
}

/// The end of a partition as the last fetch told it; `None` before the first.
pub(super) fn known_end<C: ClientContext>(client: &Client<C>, topic: &str, partition: i32) -> Option<i64> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: it only reads what the client has cached.
    let code =
        unsafe { c::rd_kafka_get_watermark_offsets(client.native_ptr(), topic.as_ptr(), partition, &raw mut low, &raw mut high) };
    (code == OK && high >= 0).then_some(high)
}

/// Whether some broker can be asked right now. It is asked about the topics that the client knows, and nobody waits for the answer.
pub(super) fn has_broker<C: ClientContext>(client: &Client<C>) -> bool {
    let mut metadata = ptr::null();
    // SAFETY: without a topic all known ones are meant; an answer, should it come at once, is destroyed here.
    unsafe {
        let code = c::rd_kafka_metadata(client.native_ptr(), 0, ptr::null_mut(), &raw mut metadata, 0);
        if code == OK {
            c::rd_kafka_metadata_destroy(metadata);
        }
        code != c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TRANSPORT
    }
}

/// Asks some broker for the brokers of the cluster, and for no topic. Blocks.
pub(super) fn ask_anyone<C: ClientContext>(client: &Client<C>, timeout: Duration) -> Result<(), KafkaError> {
    let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let mut metadata = ptr::null();
    // SAFETY: without a topic those that the client knows are meant; the answer is destroyed here.
    unsafe {
        let code = c::rd_kafka_metadata(client.native_ptr(), 0, ptr::null_mut(), &raw mut metadata, millis);
        if code != OK {
            return Err(KafkaError::MetadataFetch(code.into()));
        }
        c::rd_kafka_metadata_destroy(metadata);
    }
    Ok(())
}

/// Adds brokers to those that a client knows. Ones that it has already are left as they are.
pub(super) fn add_brokers<C: ClientContext>(client: &Client<C>, servers: &str) {
    let Ok(servers) = CString::new(servers) else { return };
    // SAFETY: the list is copied within the call.
    unsafe { c::rd_kafka_brokers_add(client.native_ptr(), servers.as_ptr()) };
}
