//! gzip in blocks: one thread reads, several compress, one writes in order and hashes what it writes.
//!
//! The result is a gzip file of many members, one a block of 1 MiB, each of which says in an extra field of its header how
//! long it is, so that [`Gunzip`] can decompress several at once. `gunzip`, `pigz` and every reader that
//! follows the format read it whole; a reader that stops at the first member silently gets a fraction, so a
//! manifest says [`MULTI_MEMBER_NOTE`]. Memory is constant: a fixed number of blocks goes round, and
//! whoever writes faster than the disk waits. A `BlockGzip` that is dropped without
//! [`BlockGzip::finish`] has written something incomplete and says so nowhere: always finish.

mod unpack;

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use flate2::read::MultiGzDecoder;
use libdeflater::{CompressionLvl, Compressor};
use sha2::{Digest, Sha256};

use crate::digest;

pub use unpack::Gunzip;

/// What a manifest says beside a file written by [`BlockGzip`].
pub const MULTI_MEMBER_NOTE: &str =
    "gzip of many members: use gunzip or a reader that continues after the first member";

/// How hard libdeflate tries. On two processors the dump of an ERP takes a seventh longer than at level 1 and is 6 % smaller.
const LEVEL: i32 = 3;
/// How much goes into one member.
const BLOCK: usize = 1 << 20;
/// The header of a member as compressors write it, without any field that is optional.
const PLAIN_HEAD: usize = 10;
/// The header of a member of ours: with its extra field (RFC 1952, 2.3.1.1), which holds the length of the member.
const HEAD: usize = PLAIN_HEAD + EXTRA.len() + 4;
/// How that field begins: eight bytes in all, called "LL", with four bytes in it.
const EXTRA: [u8; 6] = [8, 0, b'L', b'L', 4, 0];
const MAGIC: [u8; 3] = [0x1F, 0x8B, 8];
const HAS_EXTRA: u8 = 4;

/// What [`BlockGzip::finish`] knows about the file it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Bytes written, compressed.
    pub bytes: u64,
    /// Bytes that went in.
    pub raw_bytes: u64,
    /// SHA-256 of the compressed bytes, in hexadecimal.
    pub sha256: String,
    /// Number of gzip members.
    pub members: u64,
}

/// A numbered block on its way from the caller to a compressing thread.
struct Raw {
    number: u64,
    bytes: Vec<u8>,
}

/// A block on its way from a compressing thread to the writing one, with the caller's buffer to be used again.
struct Packed {
    number: u64,
    packed: Vec<u8>,
    raw: Vec<u8>,
}

/// A writer that compresses on several threads. See the module for its promises.
pub struct BlockGzip<W> {
    /// The block being filled; `None` while there is no free one.
    filling: Vec<u8>,
    /// Blocks handed out so far.
    number: u64,
    raw_bytes: u64,
    /// Full blocks to compress; dropped to say that there are no more.
    full: Option<SyncSender<Raw>>,
    /// Empty buffers that came back from the writer; its hang-up says that the writer failed.
    free: Receiver<Vec<u8>>,
    workers: Vec<JoinHandle<io::Result<()>>>,
    writer: Option<JoinHandle<io::Result<(W, Written)>>>,
}

impl<W> std::fmt::Debug for BlockGzip<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockGzip").field("raw_bytes", &self.raw_bytes).finish_non_exhaustive()
    }
}

/// How many threads compress, where the caller has no opinion: one a processor, at most eight.
pub fn default_workers() -> usize {
    thread::available_parallelism().map_or(2, NonZeroUsize::get).min(8)
}

impl<W: Write + Send + 'static> BlockGzip<W> {
    /// Compresses into `inner` on `workers` threads (at least one).
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn new(inner: W, workers: usize) -> io::Result<Self> {
        let workers = workers.max(1);
        // Two blocks a worker keep everybody busy; one more is being filled and one written.
        let blocks = workers * 2 + 2;
        let (full, to_pack) = sync_channel::<Raw>(blocks);
        let (packed, to_write) = channel::<Packed>();
        let (give_back, free) = channel::<Vec<u8>>();
        for _ in 1..blocks {
            // The receiver is alive: it is ours. Buffers grow when first used, so small dumps stay small.
            let _ = give_back.send(Vec::new());
        }
        let to_pack = Arc::new(Mutex::new(to_pack));
        let mut started = Vec::with_capacity(workers);
        for _ in 0..workers {
            let (to_pack, packed) = (Arc::clone(&to_pack), packed.clone());
            started.push(thread::Builder::new().name("gzip".into()).spawn(move || pack(&to_pack, &packed))?);
        }
        let writer =
            thread::Builder::new().name("gzip-out".into()).spawn(move || write(inner, &to_write, &give_back))?;
        Ok(Self {
            filling: Vec::new(),
            number: 0,
            raw_bytes: 0,
            full: Some(full),
            free,
            workers: started,
            writer: Some(writer),
        })
    }

    /// Compresses what is left, waits for the threads, flushes `inner` and gives it back, not yet synced.
    ///
    /// # Errors
    /// The first error that writing met. The file is then incomplete and must be thrown away.
    pub fn finish(mut self) -> io::Result<(W, Written)> {
        // An empty input is still a gzip file: one member of nothing.
        if !self.filling.is_empty() || self.number == 0 {
            self.hand_out()?;
        }
        self.end()
    }

    /// Sends the block on and takes a free buffer, waiting for one.
    fn hand_out(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.filling);
        self.raw_bytes += bytes.len() as u64;
        let block = Raw { number: self.number, bytes };
        self.number += 1;
        let sent = self.full.as_ref().is_some_and(|full| full.send(block).is_ok());
        match self.free.recv() {
            Ok(buffer) if sent => {
                self.filling = buffer;
                Ok(())
            }
            // The writer has hung up, so it has something to say.
            _ => match self.end() {
                Err(cause) => Err(cause),
                Ok(_) => Err(io::Error::other("the compressing threads ended too early")),
            },
        }
    }

    /// Waits for all threads; the writer's error comes first because it is the cause of the others.
    fn end(&mut self) -> io::Result<(W, Written)> {
        self.full = None;
        let died = || io::Error::other("a compressing thread died");
        let packed: io::Result<()> =
            self.workers.drain(..).try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(died())));
        let written = match self.writer.take() {
            Some(writer) => writer.join().unwrap_or_else(|_| Err(died())),
            None => Err(io::Error::other("writing had failed before")),
        };
        let (inner, mut written) = written?;
        packed?;
        if written.members != self.number {
            return Err(io::Error::other("a compressed block was lost"));
        }
        written.raw_bytes = self.raw_bytes;
        Ok((inner, written))
    }
}

impl<W: Write + Send + 'static> Write for BlockGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.writer.is_none() {
            return Err(io::Error::other("writing had failed before"));
        }
        if self.filling.capacity() == 0 && bytes.len() >= 1 << 12 {
            self.filling.reserve_exact(BLOCK);
        }
        let taken = bytes.len().min(BLOCK - self.filling.len());
        self.filling.extend_from_slice(&bytes[..taken]);
        if self.filling.len() == BLOCK {
            self.hand_out()?;
        }
        Ok(taken)
    }
    /// Does nothing: a block is written when it is full, and the last one by `finish`.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The work of one compressing thread.
fn pack(to_pack: &Mutex<Receiver<Raw>>, packed: &Sender<Packed>) -> io::Result<()> {
    let level = CompressionLvl::new(LEVEL).map_err(|_| io::Error::other("libdeflate has no such level"))?;
    let mut compressor = Compressor::new(level);
    loop {
        // The lock is held while waiting: whoever has it takes the next block, the others queue behind it.
        let next = match to_pack.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return Err(io::Error::other("a compressing thread died")),
        };
        let Ok(Raw { number, bytes: raw }) = next else { return Ok(()) };
        let mut bytes = vec![0; compressor.gzip_compress_bound(raw.len())];
        let length =
            compressor.gzip_compress(&raw, &mut bytes).map_err(|cause| io::Error::other(format!("gzip: {cause}")))?;
        bytes.truncate(length);
        say_length(&mut bytes)?;
        if packed.send(Packed { number, packed: bytes, raw }).is_err() {
            return Ok(()); // The writer failed and tells why.
        }
    }
}

/// Puts the length of a member into its header.
fn say_length(member: &mut Vec<u8>) -> io::Result<()> {
    let length = u32::try_from(member.len() + HEAD - PLAIN_HEAD).map_err(io::Error::other)?;
    let [_, _, _, flags @ 0, ..] = member.as_mut_slice() else {
        return Err(io::Error::other("libdeflate wrote another header than it used to"));
    };
    *flags = HAS_EXTRA;
    member.splice(PLAIN_HEAD..PLAIN_HEAD, EXTRA.into_iter().chain(length.to_le_bytes()));
    Ok(())
}

/// The length of the member that begins with `head`, where it is one of ours that can be.
fn length_of_member(head: &[u8]) -> Option<usize> {
    let (head, length) = head.get(..HEAD)?.split_last_chunk::<4>()?;
    let is_ours = head.starts_with(&MAGIC) && head[3] == HAS_EXTRA && head[PLAIN_HEAD..] == EXTRA;
    let length = u32::from_le_bytes(*length) as usize;
    (is_ours && (HEAD..=2 * BLOCK).contains(&length)).then_some(length)
}

/// The work of the writing thread: puts blocks in order, hashes and writes them, gives buffers back.
fn write<W: Write>(mut inner: W, to_write: &Receiver<Packed>, give_back: &Sender<Vec<u8>>) -> io::Result<(W, Written)> {
    let mut early = BTreeMap::new();
    let mut written = Written { bytes: 0, raw_bytes: 0, sha256: String::new(), members: 0 };
    let mut hash = Sha256::new();
    for Packed { number, packed, raw } in to_write {
        early.insert(number, (packed, raw));
        while let Some((packed, mut raw)) = early.remove(&written.members) {
            hash.update(&packed);
            inner.write_all(&packed)?;
            written.bytes += packed.len() as u64;
            written.members += 1;
            raw.clear();
            // At the end nobody takes buffers any more, which is no error.
            let _ = give_back.send(raw);
        }
    }
    inner.flush()?;
    written.sha256 = digest::hex(&hash.finalize());
    Ok((inner, written))
}

/// Reads a gzip file of one or many members to its end.
pub fn reader<R: Read>(inner: R) -> MultiGzDecoder<R> {
    MultiGzDecoder::new(inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    pub(super) fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        (0..bytes)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Half noise, half text: compressible, and not the same everywhere.
                if state & 1 == 0 { state.to_le_bytes()[2] } else { b'a' }
            })
            .collect()
    }

    pub(super) fn packed(raw: &[u8], piece: usize, workers: usize) -> (Vec<u8>, Written) {
        let mut gzip = BlockGzip::new(Vec::new(), workers).unwrap();
        for piece in raw.chunks(piece) {
            gzip.write_all(piece).unwrap();
        }
        gzip.finish().unwrap()
    }

    #[test]
    fn what_goes_in_comes_out_at_every_size_around_a_block() {
        for size in [0, 1, 4095, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 77] {
            let raw = noise(size);
            let (bytes, written) = packed(&raw, 70_001, 3);
            let mut back = Vec::new();
            reader(bytes.as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == raw, "{size} bytes did not come back");
            assert_eq!(written.bytes, bytes.len() as u64);
            assert_eq!(written.raw_bytes, size as u64);
            assert_eq!(written.sha256, digest::sha256(&bytes));
            assert_eq!(written.members, size.div_ceil(BLOCK).max(1) as u64);
        }
    }

    #[test]
    fn the_same_input_gives_the_same_file_whatever_the_number_of_threads() {
        let raw = noise(3 * BLOCK + 5);
        assert_eq!(packed(&raw, 1 << 16, 1).1, packed(&raw, 977, 4).1);
    }

    #[test]
    fn gunzip_reads_it_whole() {
        let raw = noise(2 * BLOCK + 9);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dump.gz");
        std::fs::write(&path, packed(&raw, 1 << 16, 2).0).unwrap();
        let out = std::process::Command::new("gunzip").arg("-c").arg(&path).output().unwrap();
        assert!(out.status.success());
        assert!(out.stdout == raw);
    }

    /// A disk with room for so many bytes.
    #[derive(Debug)]
    struct Disk(usize);
    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_told_to_the_caller_and_nothing_hangs() {
        let raw = noise(BLOCK);
        let mut gzip = BlockGzip::new(Disk(3 * BLOCK), 2).unwrap();
        let told = (0..100).find_map(|_| gzip.write_all(&raw).err()).expect("the disk was full long before");
        assert_eq!(told.kind(), io::ErrorKind::StorageFull);
        assert!(gzip.write(b"more").is_err(), "after a failure nothing is accepted any more");
        assert!(gzip.finish().is_err());
    }

    #[test]
    fn a_full_disk_at_the_very_end_is_told_by_finish() {
        let mut gzip = BlockGzip::new(Disk(10), 2).unwrap();
        gzip.write_all(&noise(1000)).unwrap();
        assert_eq!(gzip.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_slow_disk_holds_the_caller_back_so_that_memory_stays_constant() {
        static WRITTEN: AtomicUsize = AtomicUsize::new(0);
        /// Writes only when told.
        struct Slow(Receiver<()>);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.recv().map_err(io::Error::other)?;
                WRITTEN.fetch_add(1, Ordering::SeqCst);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (go, wait) = channel();
        let (tell, handed) = channel();
        let caller = thread::spawn(move || {
            let mut gzip = BlockGzip::new(Slow(wait), 2).unwrap();
            let raw = noise(BLOCK);
            for _ in 0..40 {
                gzip.write_all(&raw).unwrap();
                tell.send(()).unwrap();
            }
            gzip.finish().unwrap().1
        });
        // Six blocks go round: five can be handed out while none is written, the sixth waits.
        for _ in 0..5 {
            handed.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        }
        assert!(handed.recv_timeout(std::time::Duration::from_millis(200)).is_err());
        assert_eq!(WRITTEN.load(Ordering::SeqCst), 0);
        for _ in 0..40 {
            go.send(()).unwrap();
        }
        assert_eq!(caller.join().unwrap().members, 40);
    }

    #[test]
    fn a_flipped_bit_or_a_missing_end_is_an_error_to_the_reader() {
        let (bytes, _) = packed(&noise(2 * BLOCK), 1 << 16, 2);
        let mut flipped = bytes.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 4;
        assert!(reader(flipped.as_slice()).read_to_end(&mut Vec::new()).is_err());
        assert!(reader(&bytes[..bytes.len() - 5]).read_to_end(&mut Vec::new()).is_err());
    }
}
