//! What every test here stands on: Corner Shop as a project of Docker Compose on an engine of its own, and the same row
//! of workers and the same judge as for the native shop.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;

#[path = "../../upgrades/support/around.rs"]
pub(crate) mod around;
#[path = "../../upgrades/support/case.rs"]
pub(crate) mod case;
pub(crate) mod filaops;
#[path = "../../upgrades/support/judge.rs"]
pub(crate) mod judge;
pub(crate) mod registry;
#[path = "../../upgrades/support/watch.rs"]
pub(crate) mod watch;
pub(crate) mod world;

pub(crate) use around::*;
pub(crate) use case::{Case, Ended, Exit};
pub(crate) use judge::Expected;
pub(crate) use world::World;

/// What a client asks of a server in a test: the verb and the path.
pub(crate) fn asked(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut header) = (String::new(), String::new());
    reader.read_line(&mut line).ok()?;
    while reader.read_line(&mut header).is_ok_and(|it| it > 2) {
        header.clear();
    }
    let mut words = line.split(' ');
    Some((words.next()?.to_owned(), words.next()?.split('?').next()?.to_owned()))
}
