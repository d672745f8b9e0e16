//! A socket to listen on that a program is given by whoever starts it.

use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use tokio::net::TcpListener;

/// The socket of this number, listened on from now on.
///
/// # Errors
/// It is another one than the standard input, or that is no socket.
pub fn given(number: &str) -> Result<TcpListener> {
    ensure!(number == "0", "only the standard input is taken for a socket, and not {number}");
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    rustix::net::listen(&socket, 1024).context("the standard input is no socket")?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}
