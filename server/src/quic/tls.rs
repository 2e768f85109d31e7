//! TLS of both directions: 1.3 only, ring, both sides show a certificate of our authority, deny by default.
//!
//! The client knows whom it dials and refuses anybody else within the handshake; the listener learns the peer's name
//! from its certificate. No early data and no resumption: both would outlive a decision to refuse.

use std::sync::Arc;

use protocol::NodeName;
use protocol::frame::{ALPN, LANE_ALPN};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
};

use super::Error;
use super::identity::{Identity, node_of};

/// What stands in the handshake's server name. Names are proved by the certificate's URI, so that it is one for all.
pub(super) const SERVER_NAME: &str = "cleave.internal";

/// The configurations of one node.
pub(super) struct Tls {
    server: Arc<QuicServerConfig>,
    lane_server: Arc<ServerConfig>,
    client: ClientConfig,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Tls {
    pub(super) fn new(identity: &Identity) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(identity.authority()?)
            .map_err(|error| identity.unusable(error))?;
        let roots = Arc::new(roots);
        let mut server = server(identity, Arc::clone(&provider), &roots)?;
        // What a connection is for is in its ALPN.
        server.alpn_protocols = vec![LANE_ALPN.to_vec()];
        let lane_server = Arc::new(server.clone());
        server.alpn_protocols.push(ALPN.to_vec());
        let server = QuicServerConfig::try_from(server).map_err(|error| identity.unusable(error))?;
        let algorithms = provider.signature_verification_algorithms;
        // The verifier is replaced for each peer; this one believes nobody's name.
        let nobody = NodeVerifier {
            node: None,
            roots: Arc::clone(&roots),
            algorithms,
        };
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| identity.unusable(error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(nobody))
            .with_client_auth_cert(vec![identity.certificate()?], identity.key()?)
            .map_err(|error| identity.unusable(error))?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_early_data = false;
        Ok(Self {
            server: Arc::new(server),
            lane_server,
            client,
            roots,
            algorithms,
        })
    }

    /// For the listener.
    pub(super) fn server(&self) -> Arc<QuicServerConfig> {
        Arc::clone(&self.server)
    }

    /// For a connection to `node` and nobody else.
    pub(super) fn client(&self, node: &NodeName) -> Arc<QuicClientConfig> {
        let config = QuicClientConfig::try_from(self.config(node))
            .expect("ring has the cipher suite of QUIC's first packets");
        Arc::new(config)
    }

    /// For lanes over TCP.
    pub(super) fn lane_server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.lane_server)
    }

    /// For a lane over TCP to `node` and nobody else.
    pub(super) fn lane_client(&self, node: &NodeName) -> Arc<ClientConfig> {
        let mut config = self.config(node);
        config.alpn_protocols = vec![LANE_ALPN.to_vec()];
        Arc::new(config)
    }

    /// The same over QUIC.
    pub(super) fn lane_quic_client(&self, node: &NodeName) -> Arc<QuicClientConfig> {
        let config = Arc::unwrap_or_clone(self.lane_client(node));
        let config =
            QuicClientConfig::try_from(config).expect("ring has the cipher suite of QUIC's first packets");
        Arc::new(config)
    }

    pub(super) fn config(&self, node: &NodeName) -> ClientConfig {
        let mut config = self.client.clone();
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(NodeVerifier {
                node: Some(node.clone()),
                roots: Arc::clone(&self.roots),
                algorithms: self.algorithms,
            }));
        config
    }
}

fn server(
    identity: &Identity,
    provider: Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
) -> Result<ServerConfig, Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| identity.unusable(error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| identity.unusable(error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate()?], identity.key()?)
        .map_err(|error| identity.unusable(error))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Believes one node, by a certificate of our authority.
#[derive(Debug)]
struct NodeVerifier {
    node: Option<NodeName>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        match (&self.node, node_of(end_entity)) {
            (Some(expected), Some(found)) if *expected == found => Ok(ServerCertVerified::assertion()),
            _ => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
