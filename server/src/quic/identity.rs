//! `Identity`: what a node shows to be believed, and the node's name inside a certificate.
//!
//! The name stands in the one URI of the certificate, `spiffe://cleave/node/<name>`; nothing else of a certificate
//! says who it is. Keys are never printed.

use protocol::NodeName;
use protocol::control::{Birth, Papers};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::Error;

pub(super) const URI_PREFIX: &str = "spiffe://cleave/node/";

/// A node's name with the papers that prove it.
#[derive(Clone)]
pub struct Identity {
    /// The name in the certificate.
    pub node: NodeName,
    /// The authority's certificate, PEM: whom to believe.
    pub authority_pem: String,
    /// Its own certificate, PEM.
    pub certificate_pem: String,
    /// Its own private key, PEM.
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl From<&Birth> for Identity {
    fn from(birth: &Birth) -> Self {
        Self {
            node: birth.node.clone(),
            authority_pem: birth.authority_pem.clone(),
            certificate_pem: birth.certificate_pem.clone(),
            key_pem: birth.key_pem.clone(),
        }
    }
}

impl Identity {
    /// A node with the papers that home sent it.
    pub fn with_papers(node: NodeName, papers: Papers) -> Self {
        Self {
            node,
            authority_pem: papers.authority_pem,
            certificate_pem: papers.certificate_pem,
            key_pem: papers.key_pem,
        }
    }

    /// What its node needs to be told.
    pub fn into_papers(self) -> Papers {
        Papers {
            authority_pem: self.authority_pem,
            certificate_pem: self.certificate_pem,
            key_pem: self.key_pem,
        }
    }

    pub(super) fn authority(&self) -> Result<CertificateDer<'static>, Error> {
        CertificateDer::from_pem_slice(self.authority_pem.as_bytes())
            .map_err(|_| self.unusable("the authority's certificate is not PEM"))
    }

    /// Its certificate, which must say its name: a node that mistakes itself would be refused by everyone.
    pub(super) fn certificate(&self) -> Result<CertificateDer<'static>, Error> {
        let certificate = CertificateDer::from_pem_slice(self.certificate_pem.as_bytes())
            .map_err(|_| self.unusable("its certificate is not PEM"))?;
        match node_of(&certificate) {
            Some(node) if node == self.node => Ok(certificate),
            _ => Err(self.unusable("its certificate is for another node")),
        }
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|_| self.unusable("its key is not PEM"))
    }

    pub(super) fn unusable(&self, reason: impl ToString) -> Error {
        Error::Identity {
            node: self.node.clone(),
            reason: reason.to_string(),
        }
    }
}

/// When a certificate ends, in seconds since the Unix epoch.
pub(super) fn end_of(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// The node that a certificate names: its one URI, in our form. Whether to believe it is not decided here.
pub(super) fn node_of(certificate: &CertificateDer<'_>) -> Option<NodeName> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let uri = uris.next()?;
    if uris.next().is_some() {
        return None;
    }
    NodeName::parse(uri.strip_prefix(URI_PREFIX)?).ok()
}
