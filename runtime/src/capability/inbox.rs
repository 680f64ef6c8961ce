//! Requests that reached the listener. The seam that guests and pipelines stand on; the listener follows.
use std::time::Duration;
#[derive(Debug)]
pub struct Inbox;
#[derive(Debug)]
pub struct InboxRequest {
    pub id: u64,
    pub received: i64,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: bytes::Bytes,
}
impl Inbox {
    pub async fn take(&self, _m: usize, _w: Duration) -> Vec<InboxRequest> {
        vec![]
    }
    pub fn refuse(&self, _i: u64, _s: u16, _m: &str) {}
    pub fn new(_l: Option<&crate::config::Listen>, _s: &crate::config::SourceListen) -> Self {
        Self
    }
    pub fn settle(&self, _d: bool) {}
}
