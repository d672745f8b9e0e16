//! Who listens on a port of this machine, to be named in a message.

/// The name and pid of a process that listens on a TCP port: `corner-shop (process 4711)`. `None` where it
/// cannot be seen: programs of other users, and systems without `/proc`.
#[cfg(target_os = "linux")]
pub fn listener(port: u16) -> Option<String> {
    use std::{collections::HashSet, fs};

    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|it| fs::read_to_string(it).unwrap_or_default());
    let sockets: HashSet<String> =
        tables.iter().flat_map(|table| listening(table, port)).map(|inode| format!("socket:[{inode}]")).collect();
    if sockets.is_empty() {
        return None;
    }
    super::table::all().into_iter().filter(|row| !row.is_dead).find_map(|row| {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", row.pid)).ok()?;
        let has_it = descriptors
            .flatten()
            .filter_map(|it| fs::read_link(it.path()).ok())
            .any(|link| link.to_str().is_some_and(|it| sockets.contains(it)));
        let name = has_it.then(|| fs::read_to_string(format!("/proc/{}/comm", row.pid)).unwrap_or_default())?;
        Some(format!("{} (process {})", super::printable(name.trim()), row.pid))
    })
}

#[cfg(not(target_os = "linux"))]
pub fn listener(_port: u16) -> Option<String> {
    None
}

/// The inodes of the sockets that listen on `port`, from `/proc/net/tcp`.
#[cfg(target_os = "linux")]
fn listening(table: &str, port: u16) -> Vec<u64> {
    let is_meant = |line: &&str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let local =
            fields.get(1).and_then(|it| it.rsplit_once(':')).and_then(|(_, it)| u16::from_str_radix(it, 16).ok());
        local == Some(port) && fields.get(3) == Some(&"0A")
    };
    table.lines().filter(is_meant).filter_map(|line| line.split_ascii_whitespace().nth(9)?.parse().ok()).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn only_listening_sockets_of_that_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4242 1 0 100 0 0 10 0\n\
            1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  0 0 4243 1 0 100 0 0 10 0\n\
            2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4244 1 0 100 0 0 10 0\n";
        assert_eq!(super::listening(table, 8080), [4242]);
    }
}
