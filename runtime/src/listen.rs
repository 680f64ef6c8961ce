//! The HTTP listener. The seam that the supervisor stands on; the server follows.
use std::path::Path;
use std::sync::Arc;
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("x")]
    X,
}
#[derive(Debug)]
pub struct Route {
    pub connector: String,
    pub listen: crate::config::SourceListen,
    pub intake: Arc<crate::capability::inbox::Intake>,
}
#[derive(Debug)]
pub struct Listener;
impl Listener {
    pub async fn start(
        _c: Option<&crate::config::Listen>,
        _s: &Path,
        _r: Vec<Route>,
        _t: Arc<crate::telemetry::Telemetry>,
    ) -> Result<Self, ListenError> {
        Ok(Self)
    }
    pub async fn shutdown(self) {}
}
