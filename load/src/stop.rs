//! Stop: the request to end early, seen by every part of a run. What ran until then is still reported.

use tokio::sync::watch;

/// Asks for the end.
#[derive(Debug)]
pub struct StopHandle(watch::Sender<bool>);

/// Sees the request.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A handle and what sees it. A dropped handle asks for nothing.
pub fn channel() -> (StopHandle, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopHandle(sender), Stop(receiver))
}

impl StopHandle {
    /// Asks for the end; more than once is the same as once.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether the end was asked for.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the end is asked for; for ever, if it never is.
    pub async fn stopped(&mut self) {
        if self.0.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
