//! The way back: one thread reads members, several decompress them, the caller gets them in order.
//!
//! Only what [`BlockGzip`](super::BlockGzip) wrote says how long each of its members is; every other gzip file is decompressed
//! as it is read. Memory is constant, and whoever stops reading lets the threads end.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Chain, Cursor, Read},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use flate2::read::MultiGzDecoder;
use libdeflater::Decompressor;

use super::{BLOCK, HEAD, length_of_member};

/// What was read to see whose file it is, and the rest of it.
type Peeked<R> = Chain<Cursor<Vec<u8>>, BufReader<R>>;

/// A gzip file of one or many members, read to its end.
pub struct Gunzip<R>(From<R>);

enum From<R> {
    Blocks(Blocks<R>),
    Stream(Box<MultiGzDecoder<Peeked<R>>>),
}

impl<R> std::fmt::Debug for Gunzip<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gunzip").field("in_blocks", &matches!(self.0, From::Blocks(_))).finish_non_exhaustive()
    }
}

impl<R: Read + Send + 'static> Gunzip<R> {
    /// Decompresses `inner` on `workers` threads (at least one), where its members say how long they are.
    ///
    /// # Errors
    /// It cannot be read; a thread could not be started.
    pub fn new(inner: R, workers: usize) -> io::Result<Self> {
        let mut inner = BufReader::with_capacity(BLOCK, inner);
        let mut head = Vec::with_capacity(HEAD);
        inner.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        let in_blocks = length_of_member(&head).is_some();
        let peeked = Cursor::new(head).chain(inner);
        Ok(Self(if in_blocks {
            From::Blocks(Blocks::begin(peeked, workers.max(1))?)
        } else {
            From::Stream(Box::new(MultiGzDecoder::new(peeked)))
        }))
    }

    /// What was read from, as far as it was read: to its end, where this was.
    ///
    /// # Errors
    /// A thread died.
    pub fn into_inner(self) -> io::Result<R> {
        let peeked = match self.0 {
            From::Blocks(blocks) => blocks.end()?,
            From::Stream(stream) => stream.into_inner(),
        };
        Ok(peeked.into_inner().1.into_inner())
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            From::Blocks(blocks) => blocks.read(into),
            From::Stream(stream) => stream.read(into),
        }
    }
}

/// A numbered member on its way to a decompressing thread, with a buffer for what is in it.
struct Packed {
    number: u64,
    packed: Vec<u8>,
    raw: Vec<u8>,
}

/// What is in a member, or why that cannot be told.
struct Raw {
    number: u64,
    raw: io::Result<Vec<u8>>,
}

struct Blocks<R> {
    unpacked: Receiver<Raw>,
    /// Gives buffers back; its hang-up ends the reading thread.
    give_back: Sender<Vec<u8>>,
    early: BTreeMap<u64, io::Result<Vec<u8>>>,
    number: u64,
    current: Cursor<Vec<u8>>,
    reader: JoinHandle<Peeked<R>>,
}

impl<R: Read + Send + 'static> Blocks<R> {
    fn begin(from: Peeked<R>, workers: usize) -> io::Result<Self> {
        // Two a worker keep everybody busy; one is being read by the caller.
        let blocks = workers * 2 + 1;
        let (full, to_unpack) = sync_channel::<Packed>(blocks);
        let (unpacked, received) = channel::<Raw>();
        let (give_back, free) = channel::<Vec<u8>>();
        for _ in 0..blocks {
            // The receiver is alive: it is ours.
            let _ = give_back.send(Vec::new());
        }
        let to_unpack = Arc::new(Mutex::new(to_unpack));
        for _ in 0..workers {
            let (to_unpack, unpacked) = (Arc::clone(&to_unpack), unpacked.clone());
            // They end by themselves when there is nothing more, or nobody who wants it.
            drop(thread::Builder::new().name("gunzip".into()).spawn(move || unpack(&to_unpack, &unpacked))?);
        }
        let reader = thread::Builder::new()
            .name("gunzip-in".into())
            .spawn(move || read_members(from, &free, &full, &unpacked))?;
        Ok(Self {
            unpacked: received,
            give_back,
            early: BTreeMap::new(),
            number: 0,
            current: Cursor::default(),
            reader,
        })
    }

    fn end(self) -> io::Result<Peeked<R>> {
        drop((self.give_back, self.unpacked));
        self.reader.join().map_err(|_| io::Error::other("a reading thread died"))
    }
}

impl<R> Blocks<R> {
    /// The next block in order; `None` behind the last.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(raw) = self.early.remove(&self.number) {
                self.number += 1;
                return raw.map(Some);
            }
            match self.unpacked.recv() {
                Ok(Raw { number, raw }) => _ = self.early.insert(number, raw),
                Err(_) if self.early.is_empty() => return Ok(None),
                Err(_) => return Err(io::Error::other("a decompressing thread died")),
            }
        }
    }
}

impl<R> Read for Blocks<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.current.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            // At the end nobody takes buffers any more, which is no error.
            let _ = self.give_back.send(std::mem::take(&mut self.current).into_inner());
            match self.next()? {
                Some(raw) => self.current = Cursor::new(raw),
                None => return Ok(0),
            }
        }
    }
}

/// The work of the reading thread: cuts the file into members.
fn read_members<R: Read>(
    mut from: Peeked<R>,
    free: &Receiver<Vec<u8>>,
    full: &SyncSender<Packed>,
    unpacked: &Sender<Raw>,
) -> Peeked<R> {
    for number in 0.. {
        let Ok(raw) = free.recv() else { break };
        // Nobody may want to know any more: then a send fails, and so it ends.
        let goes_on = match read_member(&mut from) {
            Ok(Some(packed)) => full.send(Packed { number, packed, raw }).is_ok(),
            Ok(None) => false,
            Err(cause) => {
                let _ = unpacked.send(Raw { number, raw: Err(cause) });
                false
            }
        };
        if !goes_on {
            break;
        }
    }
    from
}

/// The next member; `None` at the end of the file.
fn read_member(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut member = Vec::with_capacity(HEAD);
    from.take(HEAD as u64).read_to_end(&mut member)?;
    if member.is_empty() {
        return Ok(None);
    }
    let Some(length) = length_of_member(&member) else {
        let is_cut = member.len() < HEAD;
        let kind = if is_cut { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::InvalidData };
        return Err(io::Error::new(kind, "what follows is no block of this file"));
    };
    from.take((length - HEAD) as u64).read_to_end(&mut member)?;
    if member.len() < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last block is cut off"));
    }
    Ok(Some(member))
}

/// The work of one decompressing thread.
fn unpack(to_unpack: &Mutex<Receiver<Packed>>, unpacked: &Sender<Raw>) {
    let mut decompressor = Decompressor::new();
    loop {
        // The lock is held while waiting: whoever has it takes the next member, the others queue behind it.
        let Ok(Ok(Packed { number, packed, raw })) = to_unpack.lock().map(|queue| queue.recv()) else { return };
        if unpacked.send(Raw { number, raw: unpacked_into(raw, &packed, &mut decompressor) }).is_err() {
            return;
        }
    }
}

/// Decompresses a member into `raw`, its checksum and length compared.
fn unpacked_into(mut raw: Vec<u8>, packed: &[u8], decompressor: &mut Decompressor) -> io::Result<Vec<u8>> {
    let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("a block is damaged: {why}"));
    let stated = packed.last_chunk().map_or(u32::MAX, |it| u32::from_le_bytes(*it)) as usize;
    if stated > BLOCK {
        return Err(damaged("it says that it is larger than any"));
    }
    raw.resize(stated, 0);
    let length = decompressor.gzip_decompress(packed, &mut raw).map_err(|cause| damaged(&cause.to_string()))?;
    if length == stated { Ok(raw) } else { Err(damaged("it is shorter than it says")) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::super::tests::{noise, packed};
    use super::*;

    fn unpacked(bytes: &[u8], workers: usize) -> io::Result<Vec<u8>> {
        let mut raw = Vec::new();
        Gunzip::new(Cursor::new(bytes.to_vec()), workers)?.read_to_end(&mut raw).map(|_| raw)
    }

    #[test]
    fn what_was_packed_in_blocks_comes_out_at_every_size_and_with_any_number_of_threads() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 77] {
            let raw = noise(size);
            let bytes = packed(&raw, 70_001, 2).0;
            for workers in [0, 1, 3] {
                assert!(unpacked(&bytes, workers).unwrap() == raw, "{size} bytes by {workers} threads");
            }
        }
    }

    #[test]
    fn a_gzip_file_of_somebody_else_is_read_too_and_both_give_back_what_they_read_from() {
        let raw = noise(3 * BLOCK);
        let mut theirs = GzEncoder::new(Vec::new(), Compression::fast());
        theirs.write_all(&raw).unwrap();
        let mut theirs = theirs.finish().unwrap();
        theirs.extend(theirs.clone());
        let twice = [raw.clone(), raw.clone()].concat();
        for (bytes, wanted) in [(theirs, twice), (packed(&raw, 1 << 16, 2).0, raw)] {
            let mut gunzip = Gunzip::new(Cursor::new(bytes.clone()), 2).unwrap();
            let mut back = Vec::new();
            gunzip.read_to_end(&mut back).unwrap();
            assert!(back == wanted);
            assert_eq!(gunzip.into_inner().unwrap().position(), bytes.len() as u64);
        }
    }

    #[test]
    fn whatever_is_cut_off_or_flipped_is_an_error_of_its_kind_and_never_less_data() {
        let raw = noise(2 * BLOCK + 4000);
        let bytes = packed(&raw, 1 << 16, 2).0;
        let kind = |bytes: &[u8]| unpacked(bytes, 2).map(|it| it.len()).unwrap_err().kind();
        let second = length_of_member(&bytes).unwrap();
        for at in [1, 9, HEAD, 5000, second - 1, second + 1, second + HEAD, bytes.len() - 1] {
            assert_eq!(kind(&bytes[..at]), io::ErrorKind::UnexpectedEof, "cut at {at}");
        }
        for at in (0..bytes.len()).step_by(9973).chain(0..HEAD).chain(second..second + HEAD) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            match unpacked(&flipped, 2) {
                // Nothing in a header is the data: at worst it is decompressed as one stream.
                Ok(back) => assert!(back == raw && at % second < HEAD, "byte {at}"),
                Err(cause) => assert!(
                    matches!(
                        cause.kind(),
                        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
                    ),
                    "byte {at}: {cause:?}"
                ),
            }
        }
        let mut behind = bytes.clone();
        behind.extend([0; 40]);
        assert_eq!(kind(&behind), io::ErrorKind::InvalidData);
    }

    #[test]
    fn whoever_stops_reading_lets_the_threads_end() {
        let bytes = packed(&noise(30 * BLOCK), 1 << 16, 2).0;
        let mut gunzip = Gunzip::new(Cursor::new(bytes.clone()), 2).unwrap();
        gunzip.read_exact(&mut [0; 10]).unwrap();
        assert!(gunzip.into_inner().unwrap().position() < bytes.len() as u64);
    }
}
