use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::Refused;

/// An answer that comes after the sync: await it, or [`Pending::wait`] for it.
#[must_use = "the change is made all the same, but nobody will know how it went"]
pub struct Pending<T>(oneshot::Receiver<Result<T, Refused>>);

/// The future of a [`Pending`].
pub struct Answer<T>(oneshot::AsyncReceiver<Result<T, Refused>>);

/// The writer is gone, which it is only while the server stops; or the change panicked.
fn gone() -> Refused {
    Refused::Unavailable("the server is stopping, or failed at it".to_owned())
}

impl<T> Pending<T> {
    pub(crate) const fn new(receiver: oneshot::Receiver<Result<T, Refused>>) -> Self {
        Self(receiver)
    }

    /// Of what needs no sync.
    pub(crate) fn ready(value: T) -> Self {
        let (sender, receiver) = oneshot::channel();
        // The receiver is there.
        sender.send(Ok(value)).ok();
        Self(receiver)
    }

    /// Blocks this thread until the answer is there.
    ///
    /// # Errors
    /// As the change itself.
    pub fn wait(self) -> Result<T, Refused> {
        self.0.recv().unwrap_or_else(|_| Err(gone()))
    }
}

impl<T> IntoFuture for Pending<T> {
    type Output = Result<T, Refused>;
    type IntoFuture = Answer<T>;

    fn into_future(self) -> Answer<T> {
        Answer(self.0.into_future())
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or_else(|_| Err(gone())))
    }
}
