//! The maintenance page in a container, for a port on which this user may not listen and Docker may.
//!
//! No image can be counted on to have a web server, and none can be fetched meanwhile: it is our own program. The container
//! shares the network of this computer: the page is bound just where the application was. It outlives its worker, and the next
//! one ends it with the errands and raises it anew. Deliberately absent: engines on other computers or in a machine of their own, and rootless
//! ones, which may listen nowhere else than this user.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Compose, errand};
use crate::clock::SystemClock;
use crate::docker::{Ourselves, succeeded};
use crate::drivers::{Porter, PublicPort};
use crate::error::{Error, Result};
use crate::ports::{Clock, Patience};
use crate::process::Silent;

const PATIENCE: Patience = Patience { deadline: Duration::from_secs(120), stall_after: None };
/// How long the page may take until it answers.
const UP_WITHIN: Duration = Duration::from_secs(10);

impl Porter for Compose {
    fn may_listen(&self) -> bool {
        let told = self.project.docker().ask(["info", "--format", "{{.Name}} {{.SecurityOptions}}"]);
        // Whoever has the name of this computer shares its network, unless he is in one of his own.
        told.is_ok_and(|it| it.split_once(' ').is_some_and(|it| is_here(it.0) && !it.1.contains("name=rootless")))
    }

    fn get_ready(&self) -> Result<()> {
        let ourselves = Ourselves::on(self.project.docker())?;
        // Another one may have been quicker, with the same.
        let _ = self.ourselves.set(ourselves);
        Ok(())
    }

    fn raise(&self, at: &PublicPort, application: &str) -> Result<String> {
        let docker = self.project.docker();
        let ourselves = self
            .ourselves
            .get()
            .ok_or_else(|| Error::bug("page_not_ready", "The page was to be raised from what was never made."))?;
        let (port, ip) = (at.port.to_string(), at.bind.map(|it| it.to_string()));
        let words: Vec<&str> = ["page", application, &port].into_iter().chain(ip.as_deref()).collect();
        let run = ourselves.listen(&format!("{}={}", errand::LABEL, self.project.name()?), &words);
        let begun = succeeded(docker.runner().run(&run, PATIENCE, &[], &Silent))?;
        let container = begun.stdout.trim().to_owned();
        let clock = SystemClock;
        let until = clock.since_boot() + UP_WITHIN;
        while TcpStream::connect_timeout(&reached_at(at), Duration::from_secs(1)).is_err() {
            if clock.since_boot() > until {
                self.lower(&[container])?;
                return Err(Error::failed("page_silent", "The page does not answer from its container.")
                    .remedy("Nothing needs to be done: the update goes on without it."));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(container)
    }

    fn lower(&self, containers: &[String]) -> Result<()> {
        let words = ["rm", "--force"].into_iter().chain(containers.iter().map(String::as_str));
        self.project.docker().act(words, PATIENCE, &Silent).map(drop)
    }
}

#[cfg(unix)]
fn is_here(name: &str) -> bool {
    rustix::system::uname().nodename().to_str() == Ok(name)
}

#[cfg(not(unix))]
fn is_here(_name: &str) -> bool {
    false
}

fn reached_at(at: &PublicPort) -> SocketAddr {
    let ip = match at.bind {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(IpAddr::V4(ip)) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(IpAddr::V6(ip)) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Some(ip) => ip,
    };
    SocketAddr::new(ip, at.port)
}
