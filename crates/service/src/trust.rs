//! Which servers are trusted: takes certificates of authorities as PEM, gives a TLS client that trusts them beside those that
//! Mozilla trusts; and says in words why a server was refused. A server inside an authority's own network has, as a rule, a
//! certificate that only the authority's own machines know.

use std::error::Error;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

/// Certificates of authorities that are trusted beside the public ones.
#[derive(Clone, Debug)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a PEM file gives no authorities.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// There is none in it.
    #[error("it holds no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----")]
    Empty,
    /// One of them is damaged.
    #[error("certificate {number} in it does not read ({detail}); put the authority's certificate there again")]
    Broken {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        detail: String,
    },
}

impl Authorities {
    /// None but the public ones.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Those of a PEM file; what else stands in it is passed over.
    ///
    /// # Errors
    /// There is none, or one does not read: half of a list would refuse servers that the file was to trust.
    pub fn of_pem(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        let mut certificates = Vec::new();
        for (before, read) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let broken = |detail: String| AuthoritiesError::Broken { number: before + 1, detail };
            let certificate = read.map_err(|error| broken(error.to_string()))?;
            roots.add(certificate.clone()).map_err(|error| broken(error.to_string()))?;
            certificates.push(certificate);
        }
        if certificates.is_empty() { Err(AuthoritiesError::Empty) } else { Ok(Self(certificates)) }
    }

    /// Each of them as DER.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A TLS client that trusts the authorities that Mozilla trusts, and these.
pub(crate) fn client(beside: &Authorities) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in &beside.0 {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Why TLS came to nothing, in words that say what to do; none where the error is not one of TLS.
pub fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    let tls = in_chain(error)?;
    Some(match tls {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is of an authority that is not trusted here; if it is your own, name that authority's \
             certificate as the receiver's ca_file in the policy"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            // Each is told as DnsName("…") or IpAddress(…).
            let plain = |name: &String| match name.split_once('(') {
                Some((_, inner)) => inner.trim_matches([')', '"']).to_owned(),
                None => name.clone(),
            };
            let names: Vec<String> = presented.iter().map(plain).collect();
            let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
            format!("its certificate is for {names}; correct the name in the policy, or the server's certificate")
        }
        rustls::Error::InvalidCertificate(other) => {
            format!("its certificate is refused ({other}); have the server's certificate corrected")
        }
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS on that port; correct the port or the security in the policy".to_owned()
        }
        other => format!("no TLS with it ({other}); look at the server's TLS settings"),
    })
}

/// The TLS library's error, whichever wraps it: an IO error hides the one inside from `source`.
fn in_chain<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_or_with_a_broken_one_is_refused() {
        let told = |pem: &str| Authorities::of_pem(pem.as_bytes()).unwrap_err().to_string();
        assert!(told("").contains("no certificate"));
        assert!(told("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").contains("no certificate"));
        assert!(told("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").contains("certificate 1 in it"));
        assert!(told("-----BEGIN CERTIFICATE-----\nAAAA\n").contains("certificate 1 in it"), "cut off");
    }

    #[test]
    fn a_tls_error_is_found_inside_of_others() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let outer = std::io::Error::other(std::io::Error::new(std::io::ErrorKind::InvalidData, inner));
        assert!(refusal(&outer).is_some_and(|told| told.contains("ca_file")));
        assert!(refusal(&std::io::Error::other("reset")).is_none());
    }
}
