//! One question that no client library asks: which producers a partition knows (DescribeProducers, API 61, version 0). By hand,
//! as Kafka's protocol guide writes it down. Decides nothing.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wharf_runtime::topic_log::TopicPartition;

/// A producer that a partition knows: one that numbers its batches.
#[derive(Debug)]
pub struct Producer {
    pub id: i64,
    pub last_sequence: i32,
    /// A marker of its transactions has come.
    pub has_transactions: bool,
}

/// Reads big-endian numbers one after the other.
struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk::<N>().expect("the answer is longer");
        self.0 = rest;
        *taken
    }

    fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }

    /// An unsigned varint of at most two bytes: lengths plus one, and tags.
    fn length(&mut self) -> usize {
        let [low] = self.take();
        if low < 0x80 {
            return usize::from(low);
        }
        let [high] = self.take();
        assert!(high < 0x80, "longer than is expected");
        usize::from(low & 0x7f) | usize::from(high) << 7
    }

    /// A compact text, which may be null.
    fn skip_text(&mut self) {
        let length = self.length().saturating_sub(1);
        self.0 = &self.0[length..];
    }
}

/// Asks the broker at the address, which has to lead the partition.
pub async fn active_producers(bootstrap: &str, at: &TopicPartition) -> Vec<Producer> {
    let name = at.topic.as_bytes();
    let mut request = Vec::new();
    // Header, version 2: API 61 in version 0, number 7, client `t`, no tags.
    request.extend_from_slice(&[0, 61, 0, 0, 0, 0, 0, 7, 0, 1, b't', 0]);
    // One topic with one partition; each array and struct ends with no tags.
    request.extend_from_slice(&[2, u8::try_from(name.len() + 1).unwrap()]);
    request.extend_from_slice(name);
    request.push(2);
    request.extend_from_slice(&at.partition.to_be_bytes());
    request.extend_from_slice(&[0, 0]);
    let address: SocketAddr = bootstrap.split(',').next().unwrap().parse().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&u32::try_from(request.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut bytes = vec![0; usize::try_from(stream.read_u32().await.unwrap()).unwrap()];
    stream.read_exact(&mut bytes).await.unwrap();
    let mut answer = Answer(&bytes);
    // Correlation, tags, throttle; one topic and its name; one partition and its number.
    assert_eq!(answer.int(), 7);
    answer.length();
    answer.int();
    assert_eq!(answer.length(), 2, "topics");
    answer.skip_text();
    assert_eq!(answer.length(), 2, "partitions");
    answer.int();
    let error = i16::from_be_bytes(answer.take());
    answer.skip_text();
    assert_eq!(error, 0, "{at}");
    let count = answer.length() - 1;
    let mut producers = Vec::new();
    for _ in 0..count {
        let id = answer.long();
        let (_epoch, last_sequence, _timestamp) = (answer.int(), answer.int(), answer.long());
        let (coordinator_epoch, _open) = (answer.int(), answer.long());
        answer.length();
        producers.push(Producer { id, last_sequence, has_transactions: coordinator_epoch >= 0 });
    }
    producers
}
