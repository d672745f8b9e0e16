//! Who listens on a port of this machine.

use std::path::Path;

use super::identity::Identity;

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The process.
    pub process: Identity,
    /// Whether other machines can reach it, as far as it decides that.
    pub is_for_others: bool,
}

impl Listener {
    /// Whether it works in this folder or one below.
    #[cfg(target_os = "linux")]
    pub fn works_in(&self, folder: &Path) -> bool {
        std::fs::read_link(format!("/proc/{}/cwd", self.process.pid)).is_ok_and(|it| it.starts_with(folder))
    }

    /// Whether it works in this folder or one below.
    #[cfg(not(target_os = "linux"))]
    pub fn works_in(&self, _folder: &Path) -> bool {
        false
    }
}

/// The name and pid of a process that listens on a TCP port: `corner-shop (process 4711)`. `None` where it
/// cannot be seen: programs of other users, and systems without `/proc`.
pub fn listener(port: u16) -> Option<String> {
    let pid = listeners(port).first()?.process.pid;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("{} (process {pid})", super::printable(name.trim())))
}

/// Every process that listens on a TCP port; none where they cannot be seen.
#[cfg(target_os = "linux")]
pub fn listeners(port: u16) -> Vec<Listener> {
    use std::{collections::HashMap, fs};

    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|it| fs::read_to_string(it).unwrap_or_default());
    let sockets: HashMap<String, bool> = tables
        .iter()
        .flat_map(|table| listening(table, port))
        .map(|(inode, others)| (format!("socket:[{inode}]"), others))
        .collect();
    if sockets.is_empty() {
        return Vec::new();
    }
    let of = |row: super::table::Row| {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", row.pid)).ok()?;
        let is_for_others = descriptors
            .flatten()
            .filter_map(|it| fs::read_link(it.path()).ok())
            .find_map(|link| sockets.get(link.to_str()?).copied())?;
        Some(Listener { process: Identity::from_row(&row), is_for_others })
    };
    super::table::all().into_iter().filter(|row| !row.is_dead).filter_map(of).collect()
}

/// Every process that listens on a TCP port; none where they cannot be seen.
#[cfg(not(target_os = "linux"))]
pub fn listeners(_port: u16) -> Vec<Listener> {
    Vec::new()
}

/// The inodes of the sockets that listen on `port`, from `/proc/net/tcp`, each with whether it is bound to every address.
#[cfg(target_os = "linux")]
fn listening(table: &str, port: u16) -> Vec<(u64, bool)> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, local) = fields.get(1)?.rsplit_once(':')?;
        let is_meant = u16::from_str_radix(local, 16).ok()? == port && fields.get(3) == Some(&"0A");
        let is_for_others = address.bytes().all(|it| it == b'0');
        Some((fields.get(9)?.parse().ok()?, is_for_others)).filter(|_| is_meant)
    };
    table.lines().filter_map(one).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn only_listening_sockets_of_that_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4242 1 0 100 0 0 10 0\n\
            1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  0 0 4243 1 0 100 0 0 10 0\n\
            2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4244 1 0 100 0 0 10 0\n";
        assert_eq!(super::listening(table, 8080), [(4242, false)]);
        assert_eq!(super::listening(table, 22), [(4244, true)]);
    }
}
