//! Ports of this machine: is one free, and who has it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
};

use crate::error::{Error, Result};

/// A port of this machine on which users come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPort {
    /// The component that answers there.
    pub component: String,
    /// The address that it is bound to; `None` for all of this machine's, of whatever kind.
    pub bind: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl PublicPort {
    /// Why this user may not listen there, whoever has it now. The system tells that before it tells that it is taken.
    pub fn forbidden(&self) -> Option<Error> {
        let bind = self.bind.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let cause = TcpListener::bind((bind, self.port)).err()?;
        (cause.kind() == io::ErrorKind::PermissionDenied).then(|| bind_error(bind, self.port, &cause))
    }
}

/// What raises the maintenance page in this user's place, where that one may not listen on a port.
pub trait Porter {
    /// Whether it may itself.
    fn may_listen(&self) -> bool;

    /// Makes what the page is raised from, before anything is stopped.
    ///
    /// # Errors
    /// It cannot be made.
    fn get_ready(&self) -> Result<()>;

    /// Raises the page from it, for as long as nobody takes it down, and answers what that is called.
    ///
    /// # Errors
    /// `page_silent`, or why it cannot be begun.
    fn raise(&self, at: &PublicPort, application: &str) -> Result<String>;

    /// Takes pages down.
    ///
    /// # Errors
    /// They may still be there.
    fn lower(&self, pages: &[String]) -> Result<()>;
}

/// A socket of a port that others of this user may have too, which hears nobody before it is listened on. None where the system
/// has no such thing.
///
/// # Errors
/// As [`is_free`], where somebody has it who shares it with nobody.
#[cfg(target_os = "linux")]
pub(super) fn shared(bind: IpAddr, port: u16) -> Result<Option<TcpListener>> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

    let family = if bind.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let open = || {
        let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        rustix::net::bind(&socket, &SocketAddr::new(bind, port))?;
        Ok(socket)
    };
    open().map(|it| Some(it.into())).map_err(|cause: rustix::io::Errno| bind_error(bind, port, &cause.into()))
}

/// The same.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub(super) fn shared(_bind: IpAddr, _port: u16) -> Result<Option<TcpListener>> {
    Ok(None)
}

/// Begins to hear who comes to such a socket.
#[cfg(target_os = "linux")]
pub(super) fn listen(socket: &TcpListener) -> io::Result<()> {
    Ok(rustix::net::listen(socket, 1024)?)
}

/// The same.
#[cfg(not(target_os = "linux"))]
pub(super) fn listen(_socket: &TcpListener) -> io::Result<()> {
    Ok(())
}

/// Whether something could listen on this port now.
///
/// # Errors
/// `port_taken` with who has it, as far as that can be seen; `port_refused` where this user may not, or the
/// address is not one of this machine.
pub fn is_free(bind: IpAddr, port: u16) -> Result<()> {
    // Bound as the application would be, and given back at once.
    TcpListener::bind((bind, port)).map(drop).map_err(|cause| bind_error(bind, port, &cause))
}

/// A port that nothing listens on at this moment.
///
/// # Errors
/// `port_refused` where the machine has none to give.
pub fn any_free(bind: IpAddr) -> Result<u16> {
    let socket = TcpListener::bind((bind, 0)).and_then(|listener| listener.local_addr());
    socket.map(|address: SocketAddr| address.port()).map_err(|cause| bind_error(bind, 0, &cause))
}

/// Why nothing can be bound to a port.
pub(crate) fn bind_error(bind: IpAddr, port: u16, cause: &io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = holder(port);
            let by = holder.as_ref().map_or_else(String::new, |it| format!(" by {it}"));
            Error::failed("port_taken", format!("Port {port} is taken{by}.")).remedy(
                "Stop the program that uses this port, or choose another port in the settings of the application.",
            )
        }
        io::ErrorKind::PermissionDenied => {
            Error::failed("port_refused", format!("This user may not listen on port {port}."))
                .remedy("Ports below 1024 belong to root: choose a higher one, or give Liftlock the right to use it.")
        }
        _ => Error::failed("port_refused", format!("Nothing can listen on {bind}, port {port}."))
            .remedy("Check the address in the settings of the application: it must be one of this computer."),
    }
    .because(cause)
}

/// Who listens on a port: `corner-shop (process 4711)`. `None` where it cannot be seen, as with programs of
/// other users.
pub fn holder(port: u16) -> Option<String> {
    crate::process::listener(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_with_who_has_it() {
        let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let taken = TcpListener::bind((bind, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = is_free(bind, port).unwrap_err();
        assert_eq!(error.class, "port_taken");
        #[cfg(target_os = "linux")]
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{}", error.message);
        drop(taken);
        // A child that another test starts just now has the socket too, until it becomes its program.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while is_free(bind, port).is_err() {
            assert!(std::time::Instant::now() < deadline, "the port never became free");
            std::thread::yield_now();
        }
        assert_ne!(any_free(bind).unwrap(), 0);
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let error = is_free(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 0).unwrap_err();
        assert_eq!(error.class, "port_refused");
    }
}
