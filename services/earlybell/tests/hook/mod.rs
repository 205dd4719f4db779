//! A webhook's other end, with or without TLS: answers, hangs or fails by the path asked, keeps what it got; and a reader's
//! GET.

pub(crate) mod certificates;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub(crate) const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A request that was answered with success.
#[derive(Clone)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) text: String,
}

impl Got {
    pub(crate) fn body(&self) -> serde_json::Value {
        serde_json::from_str(self.text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Whether its signature is that of the key, by an own computation.
    pub(crate) fn is_signed(&self) -> bool {
        let key = STANDARD.decode(KEY.trim_start_matches("whsec_")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let body = self.text.split_once("\r\n\r\n").unwrap().1;
        mac.update(format!("{}.{}.{body}", self.id, header(&self.text, "webhook-timestamp")).as_bytes());
        header(&self.text, "webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

fn header(text: &str, name: &str) -> String {
    let line =
        text.lines().find_map(|line| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)));
    line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

pub(crate) struct Hook {
    pub(crate) address: SocketAddr,
    desk: Arc<Desk>,
    _serving: JoinSet<()>,
}

/// What conversations share.
#[derive(Default)]
struct Desk {
    got: Mutex<Vec<Got>>,
    mended: AtomicBool,
    failing: AtomicBool,
    hanging: Mutex<Vec<String>>,
}

impl Hook {
    pub(crate) async fn start() -> Self {
        Self::serve(None).await
    }

    pub(crate) async fn start_with_tls(acceptor: TlsAcceptor) -> Self {
        Self::serve(Some(acceptor)).await
    }

    async fn serve(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (desk, mut serving) = (Arc::<Desk>::default(), JoinSet::new());
        let shared = Arc::clone(&desk);
        serving.spawn(async move {
            let mut conversations = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (desk, acceptor) = (Arc::clone(&shared), acceptor.clone());
                conversations.spawn(async move {
                    match acceptor {
                        None => answer(stream, &desk).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                answer(stream, &desk).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, desk, _serving: serving }
    }

    /// From now on what failed succeeds; what hangs goes on hanging.
    pub(crate) fn mend(&self) {
        self.desk.mended.store(true, Ordering::Release);
    }

    /// From now on every request fails.
    pub(crate) fn fail(&self) {
        self.desk.failing.store(true, Ordering::Release);
    }

    /// From now on what [`Hook::fail`] let fail succeeds.
    pub(crate) fn recover(&self) {
        self.desk.failing.store(false, Ordering::Release);
    }

    /// How many requests for a path wait, or waited, for an answer that never comes.
    pub(crate) fn hanging(&self, path: &str) -> usize {
        let path = format!("/{path}");
        self.desk.hanging.lock().unwrap().iter().filter(|hanging| **hanging == path).count()
    }

    pub(crate) fn got(&self, path: &str) -> Vec<Got> {
        let path = format!("/{path}");
        self.desk.got.lock().unwrap().iter().filter(|got| got.path == path).cloned().collect()
    }

    /// A policy's receiver at this hook; `more` are further lines.
    pub(crate) fn receiver(&self, path: &str, more: &str) -> String {
        let url = format!("http://{}/{path}", self.address);
        format!(
            "kind = \"webhook\"\nurl = {url:?}\nsecret_file = \"secret\"\ninsecure_http = true\n\
             private_addresses = true\n{more}"
        )
    }
}

/// One request with its body.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = header(head, "content-length").parse().unwrap_or(0);
            if body.len() >= length {
                return Some(text);
            }
        }
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, desk: &Desk) {
    let Some(text) = read(&mut stream).await else { return };
    let path = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let status = match path.as_str() {
        hang if hang.starts_with("/hang") => {
            desk.hanging.lock().unwrap().push(path);
            return std::future::pending().await;
        }
        _ if desk.failing.load(Ordering::Acquire) => "500 Internal Server Error",
        "/broken" if !desk.mended.load(Ordering::Acquire) => "500 Internal Server Error",
        _ => "204 No Content",
    };
    if status.starts_with("204") {
        desk.got.lock().unwrap().push(Got { path, id: header(&text, "webhook-id"), text });
    }
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
}

/// A GET with a reader's token: status and JSON.
pub(crate) async fn get(port: u16, path: &str, token: String) -> (u16, serde_json::Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let status = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap())
}
