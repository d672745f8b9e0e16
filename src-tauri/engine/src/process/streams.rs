//! The threads between a child's pipes and whoever reads or writes them.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
};

use super::run::CHECK_EVERY;

/// The most that goes through a pipe in one piece.
const CHUNK: usize = 256 * 1024;

/// What the threads of one run share.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes that went through the pipes of the caller.
    pub(super) bytes: AtomicU64,
    /// The caller's stream is at work on bytes just now, so the silence of the pipe says nothing.
    pub(super) is_busy: AtomicBool,
    /// The command has ended, so nothing more is read for it.
    pub(super) has_ended: AtomicBool,
    /// Nobody waits any longer.
    pub(super) is_over: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Output,
    Errors,
}

#[derive(Debug)]
pub(super) enum Heard {
    Bytes(Stream, Vec<u8>),
    /// A stream of ours could not be read or written.
    Broken(&'static str, io::Error),
}

/// Passes on what a child prints. On its own, because a process left behind by the child may keep the pipe open
/// for ever.
pub(super) fn listen(mut from: impl Read + Send + 'static, stream: Stream, tell: SyncSender<Heard>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Some(read) = read_some(&mut from, &mut buffer) {
            if tell.send(Heard::Bytes(stream, buffer[..read].to_vec())).is_err() {
                return;
            }
        }
    });
}

pub(super) fn pour(mut from: impl Read + Send + 'static, give: SyncSender<Vec<u8>>, flow: Arc<Flow>) {
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        while let Some(read) = read_some(&mut from, &mut buffer) {
            flow.bytes.fetch_add(read as u64, Ordering::Relaxed);
            if give.send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
}

/// Writes to the caller's stream until the pipe ends. It holds `tell` until then, which keeps the watch waiting.
pub(super) fn drain(take: &Receiver<Vec<u8>>, sink: &mut (dyn Write + Send), flow: &Flow, tell: &SyncSender<Heard>) {
    loop {
        match take.recv_timeout(CHECK_EVERY) {
            Ok(bytes) => {
                flow.is_busy.store(true, Ordering::Release);
                let written = sink.write_all(&bytes);
                flow.is_busy.store(false, Ordering::Release);
                if let Err(cause) = written {
                    let _ = tell.send(Heard::Broken("store the output of", cause));
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) if !flow.is_over.load(Ordering::Acquire) => {}
            Err(_) => break,
        }
    }
    if let Err(cause) = sink.flush() {
        let _ = tell.send(Heard::Broken("store the output of", cause));
    }
}

pub(super) fn feed(source: &mut (dyn Read + Send), mut to: impl Write, flow: &Flow, tell: &SyncSender<Heard>) {
    let mut buffer = vec![0; CHUNK];
    // A source that says `Interrupted` now and then is let go as soon as there is nobody to feed.
    while !flow.is_over.load(Ordering::Acquire) && !flow.has_ended.load(Ordering::Acquire) {
        let read = match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => {
                let _ = tell.send(Heard::Broken("read the input of", cause));
                return;
            }
        };
        // A command that does not read to the end says why with its exit code.
        if to.write_all(&buffer[..read]).is_err() {
            return;
        }
        flow.bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
}

fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match from.read(buffer) {
            Ok(0) => return None,
            Ok(read) => return Some(read),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// A dump runs quicker through a pipe that holds a megabyte than through one that holds 64 kilobytes.
#[cfg(target_os = "linux")]
pub(super) fn widen(pipe: &impl std::os::fd::AsFd) {
    // The limit of unprivileged users may be lower; then it stays as it is.
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, 1024 * 1024);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn widen<T>(_pipe: &T) {}
