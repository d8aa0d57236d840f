//! The fault table: numbered records over four connections through queue, pump and exporter into a strict `_bulk`
//! that misbehaves, with the process killed, its disk filled and its files damaged. What was acknowledged must be
//! there, once.
//!
//! `cargo bench --features crash-points --bench faults -- [--records 200000] [--only WORD]`. It fails if a row
//! shows a loss that the books do not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a bench that cannot go on has nothing to measure"
)]
#![allow(clippy::print_stdout, reason = "it prints its table")]
#![allow(dead_code, reason = "the fakes are shared with the tests")]

#[path = "../tests/it/fakes/mod.rs"]
mod fakes;
mod lane;

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use fakes::bulk::Bulk;
use fakes::server::{Fault, Lie, Server};
use lane::argument;
use lane::child::{self, Books, Start};

const CONNECTIONS: u64 = 4;
const GROUP: u64 = 250;
/// A row that makes no progress for this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const CRASH_POINTS: [&str; 11] = [
    "segment-created:2",
    "segment-full:2",
    "group-written:5",
    "group-written:20",
    "group-synced:5",
    "end-written:5",
    "cursor-written:3",
    "cursor-synced:2",
    "before-remove:1",
    "before-remove:3",
    "removed:1",
];

/// One experiment: a back end, a child, and what is done to them while records are sent.
struct Row {
    server: Server<Bulk>,
    start: Start,
    child: Child,
    dir: tempfile::TempDir,
    records: u64,
    killed: u32,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--child") {
        return child::run(&args[at + 1..]);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let bad = runtime.block_on(table(argument("records", 200_000), &argument("only", String::new())));
    assert_eq!(bad, 0, "{bad} rows are not as they must be");
}

async fn table(records: u64, only: &str) -> u32 {
    println!(
        "| fault | lost | doubled | dead letters | counted as damaged | sent again | faults | seconds |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut bad = 0;
    let faults = [
        ("none", Fault::None),
        ("429, 20% of requests", Fault::Status(429, 20)),
        ("503, 20% of requests", Fault::Status(503, 20)),
        ("429 per item, 30% of requests", Fault::Items(429, 30)),
        ("400 per item, 30% of requests", Fault::Items(400, 30)),
        ("closed before storing, 20%", Fault::CloseBefore(20)),
        ("closed after storing, 20%", Fault::CloseAfter(20)),
        ("hang, 2%", Fault::Hang(2)),
        ("slow, 200 ms", Fault::Slow(200)),
        ("answers half the items, 20%", Fault::Lie(Lie::HalfTheItems, 20)),
        ("answers nonsense, 20%", Fault::Lie(Lie::Nonsense, 20)),
        ("answers without end, 5%", Fault::Lie(Lie::Endless, 5)),
    ];
    for (name, fault) in faults.into_iter().filter(|(name, _)| name.contains(only)) {
        let row = Row::start(records, "").await;
        row.server.misbehave(fault);
        let begun = Instant::now();
        row.send_all().await;
        bad += row.finish(name, begun, 0).await;
    }
    if "back end down at the start".contains(only) {
        let mut row = Row::start(records, "").await;
        row.server.down().await;
        let begun = Instant::now();
        row.send_all().await;
        row.server.up().await;
        bad += row.finish("back end down at the start", begun, 0).await;
    }
    let outage = argument("outage", 60);
    if "back end down in the middle".contains(only) {
        let mut row = Row::start(records, "").await;
        let begun = Instant::now();
        row.send(0, records / 2).await;
        row.server.down().await;
        row.send(records / 2, records).await;
        tokio::time::sleep(Duration::from_secs(outage)).await;
        row.server.up().await;
        bad += row.finish(&format!("back end down for {outage} s in the middle"), begun, 0).await;
    }
    if "killed ten times".contains(only) {
        bad += killed(records).await;
    }
    if cfg!(feature = "crash-points") {
        for point in CRASH_POINTS.into_iter().filter(|point| format!("crash {point}").contains(only)) {
            bad += crashed(records, point).await;
        }
    }
    if "disk full".contains(only) {
        bad += disk_full(records).await;
    }
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 3] = [
        ("a bit flipped in each segment", |bytes| {
            let at = bytes.len() / 2;
            bytes[at] ^= 4;
        }),
        ("a block zeroed in each segment", |bytes| {
            let at = (bytes.len() / 2) & !4095;
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
        }),
        ("each segment cut by 1000 bytes", |bytes| bytes.truncate(bytes.len().saturating_sub(1000))),
    ];
    for (name, damage) in damages.into_iter().filter(|(name, _)| name.contains(only)) {
        bad += damaged(records, name, damage).await;
    }
    bad
}

/// Kill -9 at ten random moments while records come and go.
async fn killed(records: u64) -> u32 {
    let mut row = Row::start(records, "").await;
    // Slow enough that there is always something under way.
    row.server.misbehave(Fault::Slow(20));
    let begun = Instant::now();
    let sending = tokio::spawn(send_all(row.start.port, 0, records));
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(100..400))).await;
        row.restart("");
    }
    sending.await.unwrap();
    row.finish("killed ten times", begun, 0).await
}

async fn crashed(records: u64, point: &str) -> u32 {
    let mut row = Row::start(records, point).await;
    // Slow enough that the cursor is written many times on the way.
    row.server.misbehave(Fault::Slow(20));
    let begun = Instant::now();
    let mut sending = tokio::spawn(send_all(row.start.port, 0, records));
    let (deadline, mut delivered) = (begun + PATIENCE, None::<Instant>);
    loop {
        if row.child.try_wait().unwrap().is_some() {
            row.restart("");
            (&mut sending).await.unwrap();
            break;
        }
        // Segments are removed at the latest a second after their last record was delivered.
        if row.server.store.len() as u64 == records {
            delivered = Some(delivered.unwrap_or_else(Instant::now));
        }
        let late = delivered.is_some_and(|at| at.elapsed() > Duration::from_secs(3));
        if late || Instant::now() > deadline {
            sending.abort();
            println!("| crash at {point} | not reached | | | | | | |");
            return 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    row.finish(&format!("crash at {point}"), begun, 0).await
}

/// The back end is away until the file system is full; then it comes back.
async fn disk_full(records: u64) -> u32 {
    let dir = tempfile::tempdir().unwrap();
    let mount = |args: &[&str]| Command::new(args[0]).args(&args[1..]).arg(dir.path()).status();
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs"]).is_ok_and(|status| status.success()) {
        println!("| disk full | cannot mount a tmpfs here | | | | | | |");
        return 0;
    }
    let mut row = Row::start_in(records, "", tempfile::tempdir_in(dir.path()).unwrap()).await;
    row.server.down().await;
    let begun = Instant::now();
    let sending = tokio::spawn(send_all(row.start.port, 0, records));
    let mut last = (0, Instant::now());
    while last.1.elapsed() < Duration::from_secs(3) {
        let queued = child::books(row.start.port).await.unwrap_or_default().queued;
        if queued != last.0 {
            last = (queued, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!sending.is_finished(), "the disk was never full");
    row.server.up().await;
    sending.await.unwrap();
    let bad = row.finish("disk full (tmpfs of 8 MiB)", begun, 0).await;
    // A mount that stays behind does no harm but to the next run's memory.
    let _ = mount(&["umount"]);
    bad
}

/// The process ends with everything in its queue, whose files are then damaged.
async fn damaged(records: u64, name: &str, damage: fn(&mut Vec<u8>)) -> u32 {
    let mut row = Row::start(records, "").await;
    row.server.down().await;
    let begun = Instant::now();
    row.send_all().await;
    row.child.kill().unwrap();
    row.child.wait().unwrap();
    let segments: Vec<_> = std::fs::read_dir(row.dir.path().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "segment"))
        .collect();
    for path in &segments {
        let mut bytes = std::fs::read(path).unwrap();
        damage(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    }
    row.restart("");
    row.server.up().await;
    // A block of 4 KiB touches at most 12 of these records.
    row.finish(name, begun, segments.len() as u64 * 12).await
}

impl Drop for Row {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Row {
    async fn start(records: u64, crash_point: &str) -> Self {
        Self::start_in(records, crash_point, tempfile::tempdir().unwrap()).await
    }

    async fn start_in(records: u64, crash_point: &str, dir: tempfile::TempDir) -> Self {
        let server = Server::start(Bulk::default()).await;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let start = Start { port, dir: Path::new(dir.path()).to_owned(), sink: server.url() };
        let child = start.spawn(crash_point);
        Row { server, start, child, dir, records, killed: 0 }
    }

    fn restart(&mut self, crash_point: &str) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
        self.killed += 1;
        self.child = self.start.spawn(crash_point);
    }

    async fn send_all(&self) {
        send_all(self.start.port, 0, self.records).await;
    }

    async fn send(&self, from: u64, to: u64) {
        send_all(self.start.port, from, to).await;
    }

    /// Waits until the queue is empty and prints the row; 1 if it is not as it must be.
    async fn finish(self, name: &str, begun: Instant, may_lose: u64) -> u32 {
        let (mut last, mut since, mut books) = (0, Instant::now(), Books::default());
        while since.elapsed() < PATIENCE {
            books = child::books(self.start.port).await.unwrap_or(books);
            let done = books.exported + books.dead_lettered + books.dropped;
            if books.queued == 0 && done > 0 {
                break;
            }
            if done != last {
                (last, since) = (done, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let store = &self.server.store;
        let tally = store.tally(self.records);
        let lost = tally.lost - store.refused().min(tally.lost);
        println!(
            "| {name} | {lost} | {} | {} | {} | {} | {} | {:.1} |",
            tally.doubled,
            books.dead_lettered,
            books.dropped,
            store.conflicts(),
            self.server.faults() + u64::from(self.killed),
            begun.elapsed().as_secs_f64(),
        );
        let right = lost == books.dropped
            && lost <= may_lose
            && tally.doubled == 0
            && books.dead_lettered == store.refused()
            && books.off == 0
            && books.queued == 0
            && store.violations().is_empty();
        if !right {
            println!("| ^ {books:?} {:?} | | | | | | | |", store.violations().first());
        }
        u32::from(!right)
    }
}

/// Sends the numbers `from..to` over four connections, each group until it is acknowledged.
async fn send_all(port: u16, from: u64, to: u64) {
    let groups: Vec<(u64, u32)> =
        (from..to).step_by(GROUP as usize).map(|first| (first, (to - first).min(GROUP) as u32)).collect();
    let deadline = Instant::now() + Duration::from_secs(300);
    let mut connections = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let mine = groups.iter().skip(connection as usize).step_by(CONNECTIONS as usize).copied().collect();
        connections.spawn(child::send(port, mine, deadline));
    }
    while let Some(done) = connections.join_next().await {
        done.unwrap();
    }
}
