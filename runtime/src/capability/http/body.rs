//! Bodies: the type that crosses to the guest, and the deadline between two pieces of an answer. No size limit here: a
//! guest reads as it goes, and its memory is limited elsewhere.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// A request's or an answer's body.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// The remote side went quiet in the middle of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no piece of the answer came for {after:?}")]
pub struct BetweenBytesTimeout {
    pub after: Duration,
}

/// An answer whose pieces must come within a time of each other. The time counts only while the reader waits.
#[derive(Debug)]
pub(super) struct Timed {
    inner: Incoming,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Timed {
    pub(super) fn new(inner: Incoming, limit: Duration) -> Self {
        Self { inner, limit, timer: Box::pin(sleep(limit)), waiting: false }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        if !this.waiting {
            this.waiting = true;
            // An absurdly long limit is as good as none.
            let far = Duration::from_secs(86_400 * 365);
            this.timer.as_mut().reset(Instant::now() + this.limit.min(far));
        }
        match this.timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(BetweenBytesTimeout { after: this.limit }.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
