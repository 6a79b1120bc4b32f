//! Inserts entries like the log's into a database, durably, and says how fast.
//!
//! ```text
//! peers sqlite FILE ENTRIES BYTES BATCH
//! peers postgres insert|copy HOST_FOLDER ENTRIES BYTES BATCH CONNECTIONS
//! ```
//!
//! Prints one line of JSON. A batch is one transaction and counts when its commit has returned; the latency is that
//! of a batch, from its beginning to its commit. Neither database hashes, proves or checks anything: a table with a
//! number and the entry's bytes is all there is.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rusqlite::Connection;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (latencies, entries, took) = match words.as_slice() {
        ["sqlite", file, entries, bytes, batch] => {
            let load = Load::parse(entries, bytes, batch)?;
            let begin = Instant::now();
            (sqlite(file, load)?, load.entries, begin.elapsed())
        }
        ["postgres", way, host, entries, bytes, batch, connections] => {
            let load = Load::parse(entries, bytes, batch)?;
            let way = Way::parse(way)?;
            Client::connect(&target(host), NoTls)?
                .batch_execute("DROP TABLE IF EXISTS entries; CREATE TABLE entries (id bigint PRIMARY KEY, content bytea NOT NULL); ALTER TABLE entries ALTER content SET STORAGE EXTERNAL; CHECKPOINT")?;
            let begin = Instant::now();
            (postgres(way, host, load, connections.parse()?)?, load.entries, begin.elapsed())
        }
        _ => return Err("see the head of `benches/peers/src/main.rs` for the arguments".into()),
    };
    print(latencies, entries, took);
    Ok(())
}

#[derive(Clone, Copy)]
struct Load {
    entries: usize,
    bytes: usize,
    batch: usize,
}

impl Load {
    fn parse(entries: &str, bytes: &str, batch: &str) -> Outcome<Self> {
        Ok(Self { entries: entries.parse()?, bytes: bytes.parse()?, batch: batch.parse::<usize>()?.max(1) })
    }

    /// The same contents as the log's example makes: room for a signature, the number, and filling.
    fn content(self, index: usize) -> Vec<u8> {
        let mut content = vec![0; 64];
        content.extend((index as u64).to_be_bytes());
        content.resize(self.bytes, 0x5a);
        content
    }

    fn batches(self) -> impl Iterator<Item = std::ops::Range<usize>> {
        (0..self.entries).step_by(self.batch).map(move |first| first..self.entries.min(first + self.batch))
    }
}

fn sqlite(file: &str, load: Load) -> Outcome<Vec<Duration>> {
    let mut connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE entries (id INTEGER PRIMARY KEY, content BLOB NOT NULL)")?;
    let mut latencies = Vec::new();
    for batch in load.batches() {
        let since = Instant::now();
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO entries (id, content) VALUES (?1, ?2)")?;
            for index in batch {
                insert.execute(rusqlite::params![i64::try_from(index)?, load.content(index)])?;
            }
        }
        transaction.commit()?;
        latencies.push(since.elapsed());
    }
    Ok(latencies)
}

#[derive(Clone, Copy)]
enum Way {
    /// One `INSERT` of many rows, prepared.
    Insert,
    /// Binary `COPY`.
    Copy,
}

impl Way {
    fn parse(word: &str) -> Outcome<Self> {
        match word {
            "insert" => Ok(Self::Insert),
            "copy" => Ok(Self::Copy),
            other => Err(format!("`{other}` is neither `insert` nor `copy`").into()),
        }
    }
}

fn target(host: &str) -> String {
    format!("host={host} user=postgres dbname=postgres")
}

/// Each connection takes every so-manieth batch.
fn postgres(way: Way, host: &str, load: Load, connections: usize) -> Outcome<Vec<Duration>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|number| {
                scope.spawn(move || {
                    let batches = load.batches().skip(number).step_by(connections);
                    one_connection(way, host, load, batches)
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for thread in threads {
            latencies.extend(thread.join().map_err(|_| "a connection's thread panicked")??);
        }
        Ok(latencies)
    })
}

fn one_connection(
    way: Way,
    host: &str,
    load: Load,
    batches: impl Iterator<Item = std::ops::Range<usize>>,
) -> Outcome<Vec<Duration>> {
    let mut client = Client::connect(&target(host), NoTls)?;
    let insert = client.prepare(
        "INSERT INTO entries (id, content) SELECT * FROM unnest($1::bigint[], $2::bytea[])",
    )?;
    let mut latencies = Vec::new();
    for batch in batches {
        let since = Instant::now();
        match way {
            Way::Insert => {
                let ids: Vec<i64> = batch.clone().map(i64::try_from).collect::<Result<_, _>>()?;
                let contents: Vec<Vec<u8>> = batch.map(|index| load.content(index)).collect();
                client.execute(&insert, &[&ids, &contents])?;
            }
            Way::Copy => {
                let mut writer = client.copy_in("COPY entries (id, content) FROM STDIN BINARY")?;
                writer.write_all(&copy_rows(load, batch)?)?;
                writer.finish()?;
            }
        }
        latencies.push(since.elapsed());
    }
    Ok(latencies)
}

/// PostgreSQL's binary COPY format: a header, a row of two fields for each entry, a trailer.
fn copy_rows(load: Load, batch: std::ops::Range<usize>) -> Outcome<Vec<u8>> {
    let mut rows = b"PGCOPY\n\xff\r\n\0".to_vec();
    rows.extend([0; 8]);
    for index in batch {
        rows.extend(2_i16.to_be_bytes());
        rows.extend(8_i32.to_be_bytes());
        rows.extend(i64::try_from(index)?.to_be_bytes());
        let content = load.content(index);
        rows.extend(i32::try_from(content.len())?.to_be_bytes());
        rows.extend(content);
    }
    rows.extend((-1_i16).to_be_bytes());
    Ok(rows)
}

fn print(mut latencies: Vec<Duration>, entries: usize, took: Duration) {
    latencies.sort_unstable();
    let percentile = |percent: usize| {
        let at = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    };
    println!(
        "{{\"entries_per_s\":{:.0},\"p50_ms\":{:.2},\"p99_ms\":{:.2}}}",
        entries as f64 / took.as_secs_f64(),
        percentile(50),
        percentile(99),
    );
}
