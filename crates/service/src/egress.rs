//! The only HTTP client: takes an address, headers and a body, gives the answer's status and the beginning of its body.
//!
//! Against requests forged through a policy: the name is resolved here, addresses that are not of the internet are refused
//! unless the caller allows them, and the connection goes to the very address that was looked at. No redirect is followed,
//! no proxy asked, no connection kept. A time limit is the caller's: dropping the future drops the connection.

use crate::trust::{self, Authorities};
use axum::http::{Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::ServerName;

/// The most that is read of an answer's body, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Which addresses may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of the internet.
    Public,
    /// All: for receivers inside the authority's own network.
    Any,
}

/// Which schemes may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// https.
    HttpsOnly,
    /// https and http.
    HttpToo,
}

/// A POST.
#[derive(Clone, Debug)]
pub struct Post<'a> {
    /// The full address.
    pub url: &'a str,
    /// Which addresses may be called.
    pub reach: Reach,
    /// Which schemes may be called.
    pub scheme: Scheme,
    /// Whose certificates are trusted beside those of the public authorities.
    pub authorities: &'a Authorities,
    /// Headers beside `host` and `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long to wait before the next request, where the answer gives it in seconds.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer. No message shows the address, which can hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The address is no http address, or of a scheme that is not allowed.
    #[error("the address is not allowed: {0}; correct it in the policy")]
    Address(&'static str),
    /// All addresses that the name has are of private networks.
    #[error(
        "{host} is at an address that is not of the internet; allow private addresses in the policy if it is meant"
    )]
    Private {
        /// The name.
        host: String,
    },
    /// No connection.
    #[error("{host} cannot be reached ({source}); check that it runs and is reachable from here")]
    Connect {
        /// The name.
        host: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// TLS came to nothing: above all, a certificate that is not trusted.
    #[error("{host}: {what}")]
    Tls {
        /// The name.
        host: String,
        /// Why, and what to do.
        what: String,
    },
    /// The conversation broke off.
    #[error("{host} broke the conversation off ({detail})")]
    Broken {
        /// The name.
        host: String,
        /// What happened.
        detail: String,
    },
}

impl EgressError {
    /// Whether the same request can succeed later without a change of the policy.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Tls { .. } | Self::Broken { .. })
    }
}

/// The client. Clones share its trust in certificate authorities.
#[derive(Clone)]
pub struct Egress {
    tls: TlsConnector,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Egress")
    }
}

impl Egress {
    /// A client that trusts the certificate authorities that Mozilla trusts.
    ///
    /// # Errors
    /// The TLS library refuses its own defaults.
    pub fn new() -> Result<Self, rustls::Error> {
        Ok(Self { tls: connector(&Authorities::none())? })
    }

    /// Sends a POST and waits for the answer.
    ///
    /// # Errors
    /// No answer came; an answer of any status is none.
    pub async fn post(&self, post: Post<'_>) -> Result<Answer, EgressError> {
        let uri: Uri = post.url.parse().map_err(|_| EgressError::Address("it does not read as one"))?;
        let host = uri.host().ok_or(EgressError::Address("it names no host"))?.to_owned();
        let secure = match (uri.scheme_str(), post.scheme) {
            (Some("https"), _) => true,
            (Some("http"), Scheme::HttpToo) => false,
            _ => return Err(EgressError::Address("only https is allowed")),
        };
        let number = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = self.tls(post.authorities).map_err(|error| EgressError::Tls {
            host: host.clone(),
            what: format!("no TLS client can be made ({error}); look at the receiver's ca_file"),
        })?;
        let stream = connect(&host, number, post.reach).await?;
        let request = request(&uri, &host, post)?;
        if !secure {
            return converse(&host, stream, request).await;
        }
        let name = ServerName::try_from(bare(&host).to_owned())
            .map_err(|_| EgressError::Address("its host is no name that a certificate can have"))?;
        let stream = tls.connect(name, stream).await.map_err(|source| match trust::refusal(&source) {
            Some(what) => EgressError::Tls { host: host.clone(), what },
            None => EgressError::Connect { host: host.clone(), source },
        })?;
        converse(&host, stream, request).await
    }

    fn tls(&self, authorities: &Authorities) -> Result<TlsConnector, rustls::Error> {
        if authorities.is_empty() { Ok(self.tls.clone()) } else { connector(authorities) }
    }
}

fn connector(beside: &Authorities) -> Result<TlsConnector, rustls::Error> {
    Ok(TlsConnector::from(Arc::new(trust::client(beside)?)))
}

fn request(uri: &Uri, host: &str, post: Post<'_>) -> Result<Request<Full<Bytes>>, EgressError> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut request = Request::post(path).header(header::HOST, authority);
    for (name, value) in post.headers {
        request = request.header(name, value);
    }
    let body = Full::new(Bytes::from(post.body));
    request.body(body).map_err(|_| EgressError::Address("a header of the request cannot be written"))
}

/// IPv6 addresses stand in brackets in addresses of the web, and nowhere else.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

async fn connect(host: &str, port: u16, reach: Reach) -> Result<TcpStream, EgressError> {
    let wrong = |source| EgressError::Connect { host: host.to_owned(), source };
    let found: Vec<SocketAddr> = tokio::net::lookup_host((bare(host), port)).await.map_err(wrong)?.collect();
    let allowed: Vec<SocketAddr> =
        found.into_iter().filter(|address| reach == Reach::Any || is_public(address.ip())).collect();
    if allowed.is_empty() {
        return Err(EgressError::Private { host: host.to_owned() });
    }
    TcpStream::connect(allowed.as_slice()).await.map_err(wrong)
}

async fn converse<S>(host: &str, stream: S, request: Request<Full<Bytes>>) -> Result<Answer, EgressError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |detail: String| EgressError::Broken { host: host.to_owned(), detail };
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| broken(error.to_string()))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
        let status = answer.status().as_u16();
        let seconds = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = seconds.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        // Read, so that the other side can close in order; what it says is nobody's business here.
        let read = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
        if let Err(error) = read {
            tracing::debug!(%error, "the body of an answer was not read to its end");
        }
        Ok(Answer { status, retry_after })
    };
    tokio::pin!(exchange);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        outcome = exchange.as_mut() => outcome,
        ended = connection.as_mut() => match ended {
            // The connection's end and the answer can come together.
            Ok(()) => exchange.await,
            Err(error) => Err(broken(error.to_string())),
        },
    }
}

/// Whether an address is one of the internet: neither private, local, shared, documentation's, reserved nor a group's.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // 2000::/3 is all that was ever given out; of it, not the special-purpose 2001::/23 and the documentation's.
    (first & 0xe000) == 0x2000
        && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        && !(first == 0x3fff && second < 0x1000)
}

/// The IPv4 address inside of a mapped, NAT64 or 6to4 one: it leads there.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let inner = |high: u16, low: u16| {
        let ([first, second], [third, fourth]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(first, second, third, fourth)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(inner(high, low))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for text in [
            "10.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "192.168.0.1",
            "172.16.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    fn post(url: &str, reach: Reach, scheme: Scheme) -> Post<'_> {
        static PUBLIC: Authorities = Authorities::none();
        Post { url, reach, scheme, authorities: &PUBLIC, headers: Vec::new(), body: Vec::new() }
    }

    #[tokio::test]
    async fn private_addresses_and_plain_http_are_refused_before_anything_is_sent() {
        let egress = Egress::new().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/secret", listener.local_addr().unwrap());
        let refused = egress.post(post(&url, Reach::Public, Scheme::HttpToo)).await.unwrap_err();
        assert!(matches!(refused, EgressError::Private { .. }) && !refused.to_string().contains("secret"), "{refused}");
        let refused = egress.post(post(&url, Reach::Any, Scheme::HttpsOnly)).await.unwrap_err();
        assert!(matches!(refused, EgressError::Address(_)), "{refused}");
        let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(accepted.is_err(), "nobody called");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_not_followed() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1024];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            let answer = b"HTTP/1.1 302 Found\r\nlocation: /x\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        };
        let egress = Egress::new().unwrap();
        let (answer, ()) = tokio::join!(egress.post(post(&url, Reach::Any, Scheme::HttpToo)), serve);
        assert_eq!(answer.unwrap(), Answer { status: 302, retry_after: Some(Duration::from_secs(7)) });
    }
}
