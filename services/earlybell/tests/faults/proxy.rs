//! Between the services and PostgreSQL: lets everything through, but of some commits the answer never comes, and the connection ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The proxy.
pub(crate) struct Proxy {
    counts: Arc<Counts>,
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    /// Commits that are to be silenced.
    next: AtomicU32,
    silenced: AtomicU32,
}

impl Proxy {
    /// Starts one before the database of this address; gives the address before it.
    pub(crate) async fn start(database: &str) -> (Self, String) {
        let (before, rest) = database.split_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let (server, counts) = (server.to_owned(), Arc::<Counts>::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("{before}@{}/{name}", listener.local_addr().unwrap());
        let (shared, mut serving) = (Arc::clone(&counts), JoinSet::new());
        serving.spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, counts) = (server.clone(), Arc::clone(&shared));
                conversations.spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        pass(client, server, &counts).await;
                    }
                });
            }
        });
        (Self { counts, _serving: serving }, address)
    }

    /// The next commits are done, and not answered.
    pub(crate) fn silence_next(&self, count: u32) {
        self.counts.next.store(count, Ordering::Release);
    }

    /// How many were silenced so far.
    pub(crate) fn silenced(&self) -> u32 {
        self.counts.silenced.load(Ordering::Acquire)
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, counts: &Counts) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                let part = &asked[..count];
                let commits = part.windows(7).any(|window| window == b"COMMIT\0");
                if server.write_all(part).await.is_err() {
                    return;
                }
                let take = |left: u32| left.checked_sub(1);
                if commits && counts.next.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok() {
                    // Time for the server to do it; its answer goes nowhere.
                    tokio::time::sleep(Duration::from_millis(60)).await;
                    counts.silenced.fetch_add(1, Ordering::AcqRel);
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
