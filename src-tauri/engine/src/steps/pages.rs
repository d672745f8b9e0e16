//! The maintenance page of one worker: on every port by which visitors come, for as long as what answers there is stopped.
//!
//! It lives only as long as this process, and is raised anew by the next one. A port on which it cannot stand is said
//! once and stops nothing: visitors who come that way see an error meanwhile.

use crate::drivers::PublicPort;
use crate::page::Page;
use crate::steps::{World, component_key};

/// The pages that stand, and what is known for further ones.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// Where visitors come in, looked up once: before the first stop, or by a worker that goes on.
    ports: Option<Vec<PublicPort>>,
    up: Vec<(PublicPort, Standing)>,
    /// Whether somebody is ready to raise it where this user may not listen.
    has_porter: bool,
    /// Said once, not at every step.
    refused: Vec<PublicPort>,
    sentence: String,
    progress: Option<u8>,
}

/// A page that stands.
#[derive(Debug)]
enum Standing {
    /// In this process.
    Here(Vec<Page>),
    /// Elsewhere, under this name. It does not hear what is told.
    There(String),
}

impl World<'_> {
    /// Finds out where visitors come in, so that nobody waits for it later.
    pub fn find_ports(&self) {
        let mut live = self.live();
        if live.pages.ports.is_none() {
            live.pages.ports = Some(self.site.public_ports().unwrap_or_else(|error| {
                self.reporter.say(&format!("No maintenance page: {error} Visitors see an error meanwhile."));
                Vec::new()
            }));
            live.pages.has_porter = self.has_porter(live.pages.ports.iter().flatten());
        }
    }

    fn has_porter<'p>(&self, mut ports: impl Iterator<Item = &'p PublicPort>) -> bool {
        let porter = self.site.driver.porter();
        let Some(porter) = porter.filter(|it| ports.any(|it| it.forbidden().is_some()) && it.may_listen()) else {
            return false;
        };
        let ready = porter.get_ready();
        ready.inspect_err(|error| self.reporter.say(&format!("No page for some of the ports: {error}"))).is_ok()
    }

    /// Says on the page what is going on.
    pub(crate) fn tell_visitors(&self, sentence: &str, progress: Option<u8>) {
        let pages = &mut self.live().pages;
        sentence.clone_into(&mut pages.sentence);
        pages.progress = progress;
        let here = pages.up.iter().filter_map(|it| if let Standing::Here(pages) = &it.1 { Some(pages) } else { None });
        here.flatten().for_each(|it| it.update(sentence, progress));
    }

    /// Raises the maintenance page wherever it does not stand yet: nothing of the application has its ports.
    pub fn raise_page(&self) {
        self.raise_where(|_| true);
    }

    /// Raises it where this component, which is stopped, was reached. Others may still run.
    pub(crate) fn raise_page_of(&self, component: &str) {
        self.raise_where(|it| it.component == component);
    }

    /// Raises it where what was reached is known to be stopped.
    pub(crate) fn raise_page_of_stopped(&self) {
        self.raise_where(|it| self.answer(&component_key("stop", &it.component)).is_some());
    }

    fn raise_where(&self, is_meant: impl Fn(&PublicPort) -> bool) {
        self.find_ports();
        let mut live = self.live();
        let pages = &mut live.pages;
        for port in pages.ports.iter().flatten().filter(|it| is_meant(it)) {
            if pages.refused.contains(port) || pages.up.iter().any(|it| it.0 == *port) {
                continue;
            }
            let name = &self.site.profile.application.name;
            let porter = self.site.driver.porter().filter(|_| pages.has_porter && port.forbidden().is_some());
            let raised = match porter {
                Some(porter) => porter.raise(port, name).map(Standing::There),
                None => self.site.raise_page(port, &pages.sentence, pages.progress).map(Standing::Here),
            };
            match raised {
                Ok(page) => pages.up.push((port.clone(), page)),
                Err(error) => {
                    pages.refused.push(port.clone());
                    self.reporter.say(&format!(
                        "No maintenance page on port {}: {error} Visitors who come that way see an error meanwhile.",
                        port.port
                    ));
                }
            }
        }
    }

    /// Takes the maintenance page down everywhere, so that the public ports are free.
    pub fn lower_page(&self) {
        let up = std::mem::take(&mut self.live().pages.up);
        let mut there = Vec::new();
        for (_, page) in up {
            match page {
                Standing::Here(pages) => pages.into_iter().for_each(Page::lower),
                Standing::There(name) => there.push(name),
            }
        }
        let Some(porter) = self.site.driver.porter().filter(|_| !there.is_empty()) else { return };
        if let Err(error) = porter.lower(&there) {
            self.reporter.say(&format!("A page may still be there: {error}"));
        }
    }
}
