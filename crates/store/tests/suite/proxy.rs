//! Between the store and PostgreSQL: passes all on, until it is told to lose the answer to one message.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The words that the message to be lost contains; taken by the first connection that sees them.
type Trap = Arc<Mutex<Option<&'static str>>>;

pub(crate) struct Proxy {
    pub(crate) url: String,
    trap: Trap,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// In front of the server that `url` names.
    pub(crate) async fn start(url: &str) -> Self {
        let (before, rest) = url.split_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let server: SocketAddr = server.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{before}@{}/{database}", listener.local_addr().unwrap());
        let trap = Trap::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, trap.clone()));
        Self { url, trap, _tasks: tasks }
    }

    /// The next message with these words reaches the server; its connection is cut before any answer comes back.
    pub(crate) fn lose_the_answer_to(&self, words: &'static str) {
        *self.trap.lock().unwrap() = Some(words);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, trap: Trap) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        connections.spawn(pass_on(client, server, trap.clone()));
    }
}

async fn pass_on(client: TcpStream, server: SocketAddr, trap: Trap) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
    tokio::select! {
        () = requests(from_client, to_server, trap) => {}
        () = answers(from_server, to_client) => {}
    }
}

/// Ends where the trap is sprung, which ends the answers too; the server's side stays open until it has done what it was asked.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, trap: Trap) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let message = String::from_utf8_lossy(&buffer[..read]).into_owned();
        let sprung = trap.lock().unwrap().take_if(|words| message.contains(*words)).is_some();
        if to.write_all(&buffer[..read]).await.is_err() || sprung {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    tokio::io::copy(&mut from, &mut to).await.ok();
}
