//! TLS as libpq does it: its modes, what each of them checks, and the binding of passwords to the server's certificate.
//!
//! Two things differ. Without `sslrootcert`, `verify-full` trusts the authorities that this machine trusts, where libpq
//! looks into its user's home. And a name counts only among the certificate's alternative names, never as its common
//! name.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;
use sha2::Sha384;
use sha2::Sha512;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::DigitallySignedStruct;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::client::danger::ServerCertVerified;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto;
use tokio_rustls::rustls::crypto::WebPkiSupportedAlgorithms;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::server::ParsedCertificate;

/// When TLS is used, and what is checked of the server's certificate. The words of libpq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// Never.
    Disable,
    /// When the server lets nobody in without.
    Allow,
    /// When the server offers it.
    Prefer,
    /// Always.
    Require,
    /// Always, and the certificate is of an authority that is trusted.
    VerifyCa,
    /// Always, and the certificate is of an authority that is trusted, for the host that was dialled.
    VerifyFull,
}

impl TlsMode {
    pub const ALL: [Self; 6] = [
        Self::Disable,
        Self::Allow,
        Self::Prefer,
        Self::Require,
        Self::VerifyCa,
        Self::VerifyFull,
    ];

    /// libpq's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// Whether a password is bound to the server's certificate, so that nobody in between can use what proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    Never,
    /// When the server can.
    Preferred,
    /// There is no connection without.
    Required,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Roots {
    /// No root certificate was given. Certificates are checked in `verify-full` alone, by those of this machine.
    Default,
    /// Those that this machine trusts.
    System,
    /// Those in a file, in the PEM format. As with libpq, certificates are then checked in every mode that uses TLS.
    File(PathBuf),
}

/// How TLS is used with a server. Root certificates are read once for it and all its clones, when they are first needed.
#[derive(Clone, Debug)]
pub struct Tls {
    pub mode: TlsMode,
    pub binding: Binding,
    roots: Roots,
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Tls {
    pub fn new(mode: TlsMode, roots: Roots, binding: Binding) -> Self {
        Self {
            mode,
            binding,
            roots,
            config: Arc::default(),
        }
    }

    /// Whose certificates are trusted.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Opens a TLS session with the server of that name. The error is a sentence.
    pub(super) async fn wrap(&self, stream: TcpStream, host: &str) -> Result<TlsStream<TcpStream>, String> {
        let config = self.config()?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host} is no name that a certificate could be for"))?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| format!("no TLS session with {host} comes about: {error}"))
    }

    fn config(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.read_config()?);
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }

    fn read_config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(crypto::ring::default_provider());
        let checks = match (self.mode, &self.roots) {
            (TlsMode::VerifyFull, _) => Checks::Name,
            (TlsMode::VerifyCa, _) | (_, Roots::File(_) | Roots::System) => Checks::Authority,
            (_, Roots::Default) => Checks::Nothing,
        };
        let trusted = match (checks, &self.roots) {
            (Checks::Nothing, _) => Vec::new(),
            (_, Roots::File(path)) => CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| format!("the root certificates in {} cannot be read: {error}", path.display()))?,
            (_, Roots::Default | Roots::System) => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        let (n_added, _) = roots.add_parsable_certificates(trusted.iter().cloned());
        if checks != Checks::Nothing && n_added == 0 {
            return Err(match &self.roots {
                Roots::File(path) => format!("there is no root certificate in {}", path.display()),
                Roots::Default | Roots::System => "this machine has no root certificates".to_owned(),
            });
        }
        let verifier = Verifier {
            checks,
            roots,
            trusted: if self.roots == Roots::System || self.roots == Roots::Default {
                Vec::new()
            } else {
                trusted
            },
            algorithms: provider.signature_verification_algorithms,
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS is not to be had here: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(config)
    }
}

/// What is checked of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checks {
    Nothing,
    Authority,
    /// Who signed it, and for whom.
    Name,
}

#[derive(Debug)]
struct Verifier {
    checks: Checks,
    roots: RootCertStore,
    /// The certificates of the file. A server's own certificate may be among them, as OpenSSL has it.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.checks == Checks::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !self.trusted.contains(end_entity) {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                self.algorithms.all,
            )?;
        }
        if self.checks == Checks::Name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.checks == Checks::Nothing {
            // Whoever holds the key of a certificate that anybody can have made proves nothing by it.
            return Ok(HandshakeSignatureValid::assertion());
        }
        crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.checks == Checks::Nothing {
            return Ok(HandshakeSignatureValid::assertion());
        }
        crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What SCRAM binds a password to (`tls-server-end-point` of RFC 5929): the certificate of the server, hashed as its
/// signature is, by SHA-256 where that is MD5 or SHA-1. None where the signature names no hash.
pub(super) fn end_point(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates()?.first()?;
    end_point_of(certificate)
}

fn end_point_of(certificate: &[u8]) -> Option<Vec<u8>> {
    /// PKCS #1 with MD5, SHA-1 and SHA-256; ECDSA with SHA-1 and SHA-256 (RFC 8017 and RFC 5758).
    const SHA256: [&[u8]; 5] = [
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b",
        b"\x2a\x86\x48\xce\x3d\x04\x01",
        b"\x2a\x86\x48\xce\x3d\x04\x03\x02",
    ];
    const SHA384: [&[u8]; 2] = [
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c",
        b"\x2a\x86\x48\xce\x3d\x04\x03\x03",
    ];
    const SHA512: [&[u8]; 2] = [
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d",
        b"\x2a\x86\x48\xce\x3d\x04\x03\x04",
    ];
    // A sequence of what is signed, the algorithm (a sequence that begins with its name), and the signature.
    let (whole, _) = element(certificate)?;
    let (_, behind_signed) = element(whole)?;
    let (algorithm, _) = element(behind_signed)?;
    let (name, _) = element(algorithm)?;
    match name {
        name if SHA256.contains(&name) => Some(Sha256::digest(certificate).to_vec()),
        name if SHA384.contains(&name) => Some(Sha384::digest(certificate).to_vec()),
        name if SHA512.contains(&name) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// The content of the DER element at the beginning, and what is behind it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[_tag, first], behind) = der.split_first_chunk()?;
    if first < 0x80 {
        return behind.split_at_checked(usize::from(first));
    }
    let (length, behind) = behind.split_at_checked(usize::from(first & 0x7f))?;
    let length = length
        .iter()
        .try_fold(0_usize, |sum, byte| Some(sum.checked_mul(256)? + usize::from(*byte)))?;
    behind.split_at_checked(length)
}
