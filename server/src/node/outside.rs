//! `Outside`: home's side of OTLP, in and out: its doors, where it sends, and what the status says of both.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Uri;
use protocol::api;
use tokio::net::TcpListener;

use super::home::listen;
use super::stores::Stores;
use crate::clock::Clock;
use crate::config::Otlp;
use crate::http::{Door, serve_otlp};
use crate::otlp::Intake;
use crate::otlp::export::Figures;
use crate::shutdown::Tasks;
use crate::traces::Tap;

/// The doors that were asked for, open.
#[derive(Debug, Default)]
pub(super) struct OtlpDoors {
    http: Option<TcpListener>,
    grpc: Option<TcpListener>,
}

impl OtlpDoors {
    pub(super) async fn listen(otlp: &Otlp) -> anyhow::Result<Self> {
        let mut doors = Self::default();
        if let Some(address) = otlp.listen {
            doors.http = Some(listen(address, "`listen` of [otlp]").await?);
        }
        if let Some(address) = otlp.grpc {
            doors.grpc = Some(listen(address, "`grpc` of [otlp]").await?);
        }
        Ok(doors)
    }

    /// Serves both until the tasks are cancelled.
    pub(super) fn serve(self, door: &Arc<Door>, tasks: &Tasks) {
        if let Some(listener) = self.http {
            tasks.spawn(
                "otlp",
                serve_otlp(listener, Arc::clone(door), false, tasks.clone()),
            );
        }
        if let Some(listener) = self.grpc {
            tasks.spawn(
                "otlp-grpc",
                serve_otlp(listener, Arc::clone(door), true, tasks.clone()),
            );
        }
    }
}

/// What goes out.
#[derive(Debug)]
struct Export {
    to: Uri,
    figures: Arc<Figures>,
    tap: Arc<Tap>,
}

/// OTLP, seen from home.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) intake: Arc<Intake>,
    pub(super) door: Arc<Door>,
    http: Option<SocketAddr>,
    grpc: Option<SocketAddr>,
    export: Option<Export>,
}

impl Outside {
    pub(super) fn new(stores: &Stores, otlp: &Otlp, doors: &OtlpDoors, clock: &Clock) -> Self {
        let intake = Arc::new(Intake::new(clock.clone()));
        let address = |door: &Option<TcpListener>| door.as_ref().and_then(|door| door.local_addr().ok());
        let export = otlp.export.as_ref().and_then(|to| {
            let (figures, tap) = stores.export(to)?;
            Some(Export {
                to: to.clone(),
                figures,
                tap,
            })
        });
        Self {
            door: Arc::new(Door::new(stores.traces.clone(), Arc::clone(&intake))),
            intake,
            http: address(&doors.http),
            grpc: address(&doors.grpc),
            export,
        }
    }

    /// What the start says.
    pub(super) fn addresses(&self) -> Vec<String> {
        let http = self
            .http
            .map(|address| format!("OTLP     http://{address}/v1/traces"));
        let grpc = self.grpc.map(|address| format!("OTLP     {address} (gRPC)"));
        http.into_iter().chain(grpc).collect()
    }

    /// What the status says; nothing where nothing is switched on.
    pub(super) fn status(&self) -> Option<api::Otlp> {
        let is_on = self.http.is_some() || self.grpc.is_some() || self.export.is_some();
        let (received, refused) = self.door.counts();
        is_on.then(|| api::Otlp {
            listen: self.http.map(|address| address.to_string()),
            grpc: self.grpc.map(|address| address.to_string()),
            received,
            refused,
            export: self.export.as_ref().map(|export| {
                let (waiting, dropped) = export.tap.counts();
                export.figures.show(&export.to, waiting, dropped)
            }),
        })
    }
}
