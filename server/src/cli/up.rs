//! Stub.
pub struct UpArgs { pub config: Option<std::path::PathBuf>, pub data: std::path::PathBuf, pub placement: Option<String>, pub ui: Option<std::net::SocketAddr>, pub ingress: Option<std::net::SocketAddr>, pub open: bool }
