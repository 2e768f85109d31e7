//! `Authority`: home's certificate authority, which names every node of this Cleave.
//!
//! Certificate and key lie in one file (0600) in one directory (0700), so that there is no half of an authority. What
//! others can read is refused rather than repaired: the key may have been copied. Only home has one; children get what
//! it issues on their stdin, and later papers from home over the wire. It lasts ten years, and is founded anew when home
//! starts in its last one.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::NodeName;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Error;
use super::identity::{Identity, URI_PREFIX, end_of};
use crate::clock::Clock;

const FILE: &str = "authority.pem";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a node's certificate is valid: a machine may sleep for weeks between two renewals.
pub const LEAF_VALID: Duration = Duration::from_secs(30 * DAY.as_secs());
/// How often home gives every node new papers: at a third of their life, so that two renewals may fail.
pub const RENEWED_EVERY: Duration = Duration::from_secs(LEAF_VALID.as_secs() / 3);
/// The directory outlives the machine.
const AUTHORITY_VALID: Duration = Duration::from_secs(10 * 365 * DAY.as_secs());
/// An authority with less left is replaced when home starts: everyone who believes it starts then too.
const AUTHORITY_LEFT_MIN: Duration = Duration::from_secs(365 * DAY.as_secs());
/// Clocks that were set back a little do not refuse a fresh certificate.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// Issues the certificates of nodes.
pub struct Authority {
    clock: Clock,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Opens the authority in `dir`, or founds one where there is none, or none that lasts.
    pub fn open(dir: &Path, clock: &Clock) -> Result<Self, Error> {
        let storage = |source| Error::Storage {
            path: dir.to_owned(),
            source,
        };
        if !dir.exists() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .map_err(storage)?;
        }
        refuse_exposed(dir, 0o700)?;
        let path = dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(pem) => {
                refuse_exposed(&path, 0o600)?;
                let authority = Self::from_pem(&pem, &path, clock)?;
                if authority.lasts(&path)? {
                    return Ok(authority);
                }
                tracing::info!(
                    "the authority in `{}` ends soon: a new one is founded",
                    path.display()
                );
                Self::found(&path, clock)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::found(&path, clock),
            Err(error) => Err(storage(error)),
        }
    }

    fn found(path: &Path, clock: &Clock) -> Result<Self, Error> {
        let pem = new_authority(clock).map_err(|error| unusable(path, error))?;
        write_private(path, &pem).map_err(|source| Error::Storage {
            path: path.to_owned(),
            source,
        })?;
        Self::from_pem(&pem, path, clock)
    }

    /// Whether it outlives what is issued in the next months.
    fn lasts(&self, path: &Path) -> Result<bool, Error> {
        let certificate = CertificateDer::from_pem_slice(self.certificate_pem.as_bytes())
            .map_err(|_| unusable(path, "the certificate is not PEM"))?;
        let end = end_of(&certificate).ok_or_else(|| unusable(path, "the certificate says no end"))?;
        let needed = now(&self.clock) + AUTHORITY_LEFT_MIN;
        Ok(u64::try_from(end).is_ok_and(|end| end >= needed.as_secs()))
    }

    /// A fresh key and certificate for a node.
    pub fn issue(&self, node: &NodeName) -> Result<Identity, Error> {
        let failed = |error: rcgen::Error| Error::Identity {
            node: node.clone(),
            reason: error.to_string(),
        };
        let uri = Ia5String::try_from(format!("{URI_PREFIX}{node}")).map_err(failed)?;
        let mut params = params(&format!("cleave node {node}"), &self.clock, LEAF_VALID);
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Identity {
            node: node.clone(),
            authority_pem: self.certificate_pem.clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    fn from_pem(pem: &str, path: &Path, clock: &Clock) -> Result<Self, Error> {
        // Each block alone: the key must not travel with the certificate.
        let end = "-----END CERTIFICATE-----\n";
        let (certificate, key) = pem
            .find(end)
            .and_then(|at| pem.split_at_checked(at + end.len()))
            .filter(|(certificate, _)| certificate.starts_with("-----BEGIN CERTIFICATE-----"))
            .ok_or_else(|| unusable(path, "the certificate does not come first"))?;
        let key = KeyPair::from_pem(key).map_err(|error| unusable(path, error))?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(|error| unusable(path, error))?;
        Ok(Self {
            clock: clock.clone(),
            certificate_pem: certificate.to_owned(),
            issuer,
        })
    }
}

/// A new authority: its certificate, then its key.
fn new_authority(clock: &Clock) -> Result<String, rcgen::Error> {
    let mut params = params("cleave authority", clock, AUTHORITY_VALID);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    // `pem` ends lines as the platform does; the file is read back the same everywhere.
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()).replace("\r\n", "\n"))
}

fn now(clock: &Clock) -> Duration {
    Duration::from_nanos(clock.anew().unix_ns())
}

fn params(name: &str, clock: &Clock, valid: Duration) -> CertificateParams {
    let now = now(clock);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + now + valid;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn unusable(path: &Path, reason: impl ToString) -> Error {
    Error::Authority {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn refuse_exposed(path: &Path, mode: u32) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Storage {
        path: path.to_owned(),
        source,
    })?;
    let found = metadata.permissions().mode() & 0o777;
    if found & 0o077 != 0 {
        return Err(Error::Exposed {
            path: path.to_owned(),
            found,
            mode,
        });
    }
    Ok(())
}

/// Writes a file that is whole or absent, and never readable by others.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh: PathBuf = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::identity::node_of;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn an_authority_is_founded_once_and_private() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("data/identity");
        let first = Authority::open(&dir, &Clock::system()).unwrap();
        let again = Authority::open(&dir, &Clock::system()).unwrap();
        assert_eq!(first.certificate_pem, again.certificate_pem);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join(FILE)), 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }

    #[test]
    fn an_identity_names_its_node_and_carries_no_key_of_the_authority() {
        let temp = tempfile::tempdir().unwrap();
        let authority = Authority::open(&temp.path().join("identity"), &Clock::system()).unwrap();
        let node = NodeName::parse("cart-").unwrap();
        let identity = authority.issue(&node).unwrap();
        assert_eq!(node_of(&identity.certificate().unwrap()), Some(node));
        assert_eq!(identity.authority_pem.matches("BEGIN").count(), 1);
        assert!(!format!("{identity:?}").contains("BEGIN"));
        let other = Identity {
            node: NodeName::home(),
            ..identity
        };
        assert!(matches!(other.certificate(), Err(Error::Identity { .. })));
    }

    #[test]
    fn an_authority_in_its_last_year_is_founded_anew() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("identity");
        let clock = Clock::test(1_800_000_000_000);
        let first = Authority::open(&dir, &clock).unwrap();
        let later = |by: Duration| {
            clock.advance(by);
            Authority::open(&dir, &clock).unwrap().certificate_pem
        };
        assert_eq!(later(AUTHORITY_VALID - AUTHORITY_LEFT_MIN), first.certificate_pem);
        let second = later(DAY);
        assert_ne!(second, first.certificate_pem);
        assert_eq!(later(DAY), second);
    }

    #[test]
    fn a_certificate_lasts_for_three_renewals() {
        let temp = tempfile::tempdir().unwrap();
        let clock = Clock::test(1_800_000_000_000);
        let authority = Authority::open(&temp.path().join("identity"), &clock).unwrap();
        let ends = || end_of(&authority.issue(&NodeName::home()).unwrap().certificate().unwrap()).unwrap();
        let first = ends();
        assert_eq!(first, 1_800_000_000 + 3 * RENEWED_EVERY.as_secs() as i64);
        clock.advance(RENEWED_EVERY);
        assert_eq!(ends() - first, RENEWED_EVERY.as_secs() as i64);
    }

    #[test]
    fn what_others_can_read_is_refused_with_the_remedy() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("identity");
        Authority::open(&dir, &Clock::system()).unwrap();
        set_mode(&dir.join(FILE), 0o640);
        let error = Authority::open(&dir, &Clock::system()).unwrap_err();
        assert!(matches!(&error, Error::Exposed { found: 0o640, .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
        set_mode(&dir.join(FILE), 0o600);
        set_mode(&dir, 0o755);
        assert!(matches!(
            Authority::open(&dir, &Clock::system()),
            Err(Error::Exposed { mode: 0o700, .. })
        ));
    }

    #[test]
    fn a_damaged_authority_is_refused_and_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("identity");
        Authority::open(&dir, &Clock::system()).unwrap();
        let path = dir.join(FILE);
        let whole = fs::read_to_string(&path).unwrap();
        for damaged in ["", "hello", &whole[..whole.len() / 2], &whole[10..]] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(
                Authority::open(&dir, &Clock::system()),
                Err(Error::Authority { .. })
            ));
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}
