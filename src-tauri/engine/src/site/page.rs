//! Where visitors come in, and what they see there while the application is away.

use std::time::Duration;

use super::Site;
use crate::drivers::command::reader;
use crate::drivers::{Porter, PublicPort};
use crate::error::Result;
use crate::model::finding::{Finding, Severity};
use crate::page::{Page, PageText};
use crate::probes;

impl Site {
    /// Where visitors come in: on the port of the gate, and on whatever else the driver gives out. Nowhere without a gate.
    ///
    /// # Errors
    /// As [`Site::public_port`].
    pub fn public_ports(&self) -> Result<Vec<PublicPort>> {
        let (Some(gate), Some(port)) = (&self.profile.gate, self.public_port()?) else { return Ok(Vec::new()) };
        // What cannot be told of the others takes nothing from the port of the gate.
        let mut ports = self.driver.public_ports().unwrap_or_default();
        // Who gives a port out knows best to which address it is bound.
        if !ports.iter().any(|it| it.port == port) {
            let bind = Some(probes::bind_address(Some(gate), &reader(&self.installation.folder))?);
            ports.insert(0, PublicPort { component: gate.component.clone(), bind, port });
        }
        Ok(ports)
    }

    /// Raises the maintenance page on a port.
    ///
    /// # Errors
    /// `port_taken`, `port_refused`.
    pub fn raise_page(&self, at: &PublicPort, sentence: &str, progress: Option<u8>) -> Result<Vec<Page>> {
        let application = self.profile.application.name.clone();
        let text = PageText { application, sentence: sentence.to_owned(), progress };
        Page::raise_for(at.bind, at.port, &text, Duration::from_secs(5))
    }

    /// What visitors will miss while it is away: where the page cannot stand, they see an error.
    pub(crate) fn findings_of_page(&self) -> Vec<Finding> {
        // What cannot be looked up is found by the probes, which ask on that port.
        let ports = self.public_ports().unwrap_or_default();
        let name = &self.profile.application.name;
        let proxy = ports.iter().find_map(|it| Some((it.port, self.driver.runs_on_at(it.port)?)));
        if let Some((port, proxy)) = proxy {
            return vec![Finding::new(
                Severity::Warning,
                "no_page",
                format!(
                    "Who comes to {name} by port {port} meets {proxy}, which goes on running: while {name} is away it shows an error \
                     of its own, and no page."
                ),
                format!(
                    "To have a page there, name {proxy} under [[components]] in the profile: it is then stopped with the others. The \
                     update itself is the same."
                ),
            )];
        }
        let refused = ports.iter().filter(|it| it.forbidden().is_some());
        let mut ports: Vec<String> = refused.map(|it| it.port.to_string()).collect();
        ports.dedup();
        if ports.is_empty() || self.driver.porter().is_some_and(Porter::may_listen) {
            return Vec::new();
        }
        let ports = ports.join(", ");
        vec![Finding::new(
            Severity::Warning,
            "no_page",
            format!(
                "Who comes to {name} by port {ports} sees an error while it is away, and no page: this user may not listen there."
            ),
            "Run Liftlock as root to have a page there, or choose a time when nobody comes. The update itself is the same.",
        )]
    }
}
