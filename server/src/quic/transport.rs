//! How packets travel: windows, limits of streams, silence, and the size of a datagram.
//!
//! A node that listens on loopback meets only nodes of its own machine, whose packets may be longer than a network's.

use std::sync::Arc;
use std::time::Duration;

use quinn::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt};

use super::tls::Tls;
use super::{CONNECTIONS_MAX, Config};

/// The longest datagram between nodes of one machine, whose loopback carries 64 KiB: many calls share one packet. Quinn
/// hands up to ten packets to the system at once, which must stay below 65,507 bytes together, or all ten are lost.
const LOOPBACK_DATAGRAM_BYTES_MAX: u16 = 6_500;

/// How often a shaped connection is tried: of ten packets in the idle timeout one arrives.
const SHAPED_KEEP_ALIVE: Duration = Duration::from_millis(100);

/// What the endpoint takes in.
pub(super) fn endpoint(config: &Config) -> EndpointConfig {
    let mut endpoint = EndpointConfig::default();
    if config.listen.ip().is_loopback() {
        endpoint
            .max_udp_payload_size(LOOPBACK_DATAGRAM_BYTES_MAX)
            .expect("it is above the 1,200 bytes that QUIC asks for");
    }
    endpoint
}

/// What the listener answers with.
pub(super) fn server(tls: &Tls, transport: &Arc<TransportConfig>) -> ServerConfig {
    let mut server = ServerConfig::with_crypto(tls.server());
    server.transport_config(Arc::clone(transport));
    // Nodes do not move; a packet from elsewhere is not theirs.
    server.migration(false);
    server.max_incoming(CONNECTIONS_MAX);
    server
}

/// How a connection with a shaped way is carried: its packets are those of a network, and it is tried more often, as some
/// are lost.
pub(super) fn shaped() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .keep_alive_interval(Some(SHAPED_KEEP_ALIVE))
        .receive_window(VarInt::from_u32(64 << 20))
        .stream_receive_window(VarInt::from_u32(4 << 20))
        .send_window(64 << 20)
        .datagram_receive_buffer_size(None);
    transport
}

/// How every connection is carried.
pub(super) fn connection(config: &Config) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(config.streams_max))
        // The control stream, and no other: a second one cannot even be opened.
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .keep_alive_interval(Some(config.keep_alive))
        .max_idle_timeout(IdleTimeout::try_from(config.idle_timeout).ok())
        // What one peer may have in flight to us: a few of the largest bodies.
        .receive_window(VarInt::from_u32(64 << 20))
        .stream_receive_window(VarInt::from_u32(4 << 20))
        .send_window(64 << 20)
        .datagram_receive_buffer_size(None);
    if config.listen.ip().is_loopback() {
        // Found out by probes, so that a loopback that carries less is no trouble.
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(LOOPBACK_DATAGRAM_BYTES_MAX);
        transport.mtu_discovery_config(Some(discovery));
    }
    transport
}
