//! Giving users what runs behind the gate without a second start that they would wait for.
//!
//! A process that has bound its private port cannot get the public one. So users are led to it there, while it is started once
//! more on a socket of the public port, which the system shares between the two (Linux alone does so in a way that fits). A
//! socket hears nobody until the application listens on it, so nobody meets it too early. Then nobody is led any more, and
//! the first one ends when it has answered. What is recorded is the second one as soon as it is there: whatever cuts
//! this short, all of it is found by its mark and stopped.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
    time::Duration,
};

use super::{COMPONENT_MARK, Processes, Record};
use crate::clock::SystemClock;
use crate::crash::{self, Moment};
use crate::drivers::command::reader;
use crate::drivers::forward::Forward;
use crate::drivers::{Gate, PublicPort, port};
use crate::error::Result;
use crate::model::profile::CommandLine;
use crate::ports::Clock;
use crate::probes;
use crate::process::{Identity, end_with_descendants, listeners, marked, spawn_on_socket};

/// The number of its standard input, as which an application gets the socket.
const NUMBER: &str = "0";

/// What of the gate is needed for it.
struct Taker<'p> {
    component: &'p str,
    /// The variable that tells the application the number of its socket.
    variable: &'p str,
    bind: IpAddr,
    port: u16,
}

impl Processes {
    /// Whether users could be led to what runs behind the gate now.
    pub(in crate::drivers) fn can_lead_in(&self) -> Result<bool> {
        let Some(taker) = self.taker()? else { return Ok(false) };
        let public = PublicPort { component: taker.component.to_owned(), bind: Some(taker.bind), port: taker.port };
        Ok(cfg!(target_os = "linux") && self.behind_gate(&taker)?.is_some() && public.forbidden().is_none())
    }

    /// Leads users to it; none where it cannot be.
    ///
    /// # Errors
    /// `port_taken`, `port_refused`, `no_threads`, `stop_failed`.
    pub(in crate::drivers) fn lead_in(&self) -> Result<Option<Forward>> {
        let Some(taker) = self.taker()? else { return Ok(None) };
        let Some((first, private)) = self.behind_gate(&taker)? else { return Ok(None) };
        self.end_unrecorded(&taker, &first)?;
        let Some(listener) = port::shared(taker.bind, taker.port)? else { return Ok(None) };
        port::listen(&listener).map_err(|cause| port::bind_error(taker.bind, taker.port, &cause))?;
        let there = match taker.bind {
            IpAddr::V4(it) if it.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(it) if it.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            it => it,
        };
        Forward::from(listener, SocketAddr::new(there, private)).map(Some)
    }

    /// Starts it once more on the public port, and ends the one to which users are led. `false` where the second one does not come
    /// up: then both may run.
    ///
    /// # Errors
    /// `command_missing`, `pid_record`, `stop_failed`, `port_taken`.
    pub(in crate::drivers) fn hand_over(
        &self,
        mut forward: Forward,
        command: &CommandLine,
        release: (&str, &std::path::Path),
    ) -> Result<bool> {
        let Some(taker) = self.taker()? else { return Ok(false) };
        let Some((first, _)) = self.behind_gate(&taker)? else { return Ok(false) };
        let Some(socket) = port::shared(taker.bind, taker.port)? else { return Ok(false) };
        let component = taker.component;
        let invocation = self.invocation(component, command, release, &[], Gate::Public)?.env(taker.variable, NUMBER);
        let process = spawn_on_socket(socket, &invocation, &self.log(component))?;
        crash::point("forward", "hand_over", Moment::MidEffect);
        self.write_down(component, &Record { process: process.clone(), private_port: None })?;
        crash::point("forward", "hand_over", Moment::AfterEffect);
        if !listens_within(&process, taker.port, self.limits.start_within) {
            return Ok(false);
        }
        forward.close();
        // Not by the mark, which the second one has too.
        end_with_descendants(&first, None, self.limits.stop_within)?;
        Ok(true)
    }

    fn taker(&self) -> Result<Option<Taker<'_>>> {
        let Some((gate, variable)) = self.gate.as_ref().and_then(|it| Some((it, it.socket.as_deref()?))) else {
            return Ok(None);
        };
        let read = reader(&self.dir);
        let Ok(port) = gate.port.lookup(&read)?.trim().parse() else { return Ok(None) };
        let bind = probes::bind_address(Some(gate), &read)?;
        Ok(Some(Taker { component: &gate.component, variable, bind, port }))
    }

    /// The one behind the gate, with its port.
    fn behind_gate(&self, taker: &Taker<'_>) -> Result<Option<(Identity, u16)>> {
        let record = self.record(taker.component)?.filter(|it| it.process.is_alive());
        Ok(record.and_then(|it| Some((it.process, it.private_port?))))
    }

    /// Ends what was started on a socket and not recorded any more.
    fn end_unrecorded(&self, taker: &Taker<'_>, first: &Identity) -> Result<()> {
        let of_component = marked(COMPONENT_MARK, &self.mark(taker.component));
        let on_socket = marked(taker.variable, NUMBER);
        let left = of_component.iter().filter(|it| on_socket.contains(it) && *it != first);
        left.into_iter().try_for_each(|it| end_with_descendants(it, None, self.limits.stop_within).map(drop))
    }
}

/// Whether somebody else than us listens on the port before the process ends and time is up.
fn listens_within(process: &Identity, port: u16, within: Duration) -> bool {
    let deadline = SystemClock.since_boot() + within;
    loop {
        if listeners(port).iter().any(|it| it.process.pid != std::process::id()) {
            return true;
        }
        if !process.is_alive() || SystemClock.since_boot() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(25));
    }
}
