//! A bad network between the agent and a real server: it refuses, swallows questions or answers, cuts and stalls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done to exchanges from now on. One of `every` exchanges is hit; 0 and 1 are each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Connections are closed as soon as they are made, open ones at their next byte.
    Down,
    /// The question never reaches the server; the connection is closed.
    LoseQuestion {
        every: u64,
    },
    /// The server does its work; its answer is swallowed and the connection closed.
    LoseAnswer {
        every: u64,
    },
    /// The question is swallowed and nothing more happens on that connection.
    Stall {
        every: u64,
    },
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    weather: Mutex<Weather>,
    exchanges: AtomicU64,
    hits: AtomicU64,
}

/// The way to one server. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A way to the server at `url` (`http://127.0.0.1:9200`).
    pub(crate) async fn to(url: &str) -> Self {
        let target = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            target,
            weather: Mutex::new(Weather::Fair),
            exchanges: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        });
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(carry(client, Arc::clone(&shared)));
                }
            }
        });
        Proxy { shared, address, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, weather: Weather) {
        *self.shared.weather.lock() = weather;
    }

    /// Exchanges that were hit so far.
    pub(crate) fn hits(&self) -> u64 {
        self.shared.hits.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn strikes(&self, every: u64) -> bool {
        let nth = self.exchanges.fetch_add(1, Ordering::Relaxed) + 1;
        let hit = nth.is_multiple_of(every.max(1));
        self.hits.fetch_add(u64::from(hit), Ordering::Relaxed);
        hit
    }
}

/// One connection, exchange by exchange: a new question begins where the client speaks after the server did.
async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let now = || *shared.weather.lock();
    if now() == Weather::Down {
        shared.hits.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let Ok(server) = TcpStream::connect(shared.target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut question, mut answer) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    // Whether the server spoke last, and whether its next answer is to be lost.
    let (mut fresh, mut lose) = (true, false);
    loop {
        tokio::select! {
            read = from_client.read(&mut question) => {
                let Ok(n @ 1..) = read else { return };
                if std::mem::take(&mut fresh) {
                    match now() {
                        Weather::Down => { shared.hits.fetch_add(1, Ordering::Relaxed); return }
                        Weather::LoseQuestion { every } if shared.strikes(every) => return,
                        Weather::Stall { every } if shared.strikes(every) => return stall(from_client, to_client).await,
                        Weather::LoseAnswer { every } => lose = shared.strikes(every),
                        _ => {}
                    }
                }
                if to_server.write_all(&question[..n]).await.is_err() { return }
            }
            read = from_server.read(&mut answer) => {
                let Ok(n @ 1..) = read else { return };
                // An early `100 Continue` or an error before the whole question was read counts as its answer.
                if lose { return }
                fresh = true;
                if to_client.write_all(&answer[..n]).await.is_err() { return }
            }
        }
    }
}

/// Reads what comes and says nothing until the client gives up.
async fn stall(mut from: impl AsyncRead + Unpin, _to: impl AsyncWrite) {
    let mut sink = vec![0; 64 << 10];
    while let Ok(1..) = from.read(&mut sink).await {}
}
