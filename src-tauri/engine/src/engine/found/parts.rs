//! What an application consists of, in sentences, for whoever decides whether it is to be looked after.

use std::collections::BTreeSet;
use std::path::Path;

use crate::docker::Docker;
use crate::drivers::{self, Driver};
use crate::model::profile::{FilesAt, Profile, Run, Store};

/// What an update stops, what runs on, what a backup holds, and where visitors come in. What cannot be found out is left out.
pub(super) fn of(profile: &Profile, driver: &dyn Driver, folder: &Path, docker: &Docker) -> Vec<String> {
    let mut said = vec![format!("An update stops {}.", listed(driver.components()))];
    let runs_on = runs_on(profile, folder, docker);
    if !runs_on.is_empty() {
        said.push(format!("What runs on meanwhile: {}.", listed(runs_on)));
    }
    let stores: Vec<String> = profile.stores.iter().map(named).collect();
    said.push(match stores.is_empty() {
        true => "It has no data of its own, so there is nothing to back up.".to_owned(),
        false => format!("A backup holds {}.", listed(stores)),
    });
    let ports: BTreeSet<u16> = driver.public_ports().unwrap_or_default().iter().map(|it| it.port).collect();
    match ports.len() {
        0 => {}
        1 => said.push(format!("Visitors come in on port {}.", listed(ports))),
        _ => said.push(format!("Visitors come in on the ports {}.", listed(ports))),
    }
    said
}

/// The services of a compose project that are neither stopped nor run for a while only.
fn runs_on(profile: &Profile, folder: &Path, docker: &Docker) -> Vec<String> {
    let config = drivers::project_of(profile, folder, docker).and_then(|it| it.config(&[]).ok());
    let of_components = profile.phases().into_iter().flatten().filter_map(|it| match &it.run {
        Run::Service { service } => Some(service.as_str()),
        Run::Command(_) | Run::Unit { .. } => None,
    });
    let migrates = profile.migrations.iter().flat_map(|it| it.services());
    let known: BTreeSet<&str> = of_components.chain(migrates).collect();
    let services = config.into_iter().flat_map(|it| it.services);
    services
        .filter(|(name, _)| !known.contains(name.as_str()))
        .map(|(name, it)| it.image.map_or_else(|| name.clone(), |image| format!("{name} ({image})")))
        .collect()
}

fn named(store: &Store) -> String {
    match store {
        Store::Postgres(it) => match &it.service {
            Some(service) => format!("the PostgreSQL database of {service}"),
            None => "its PostgreSQL database".to_owned(),
        },
        Store::Sqlite(it) => format!("the database in {}", it.path.as_str()),
        Store::Files(it) => match &it.at {
            FilesAt::Path(path) => format!("the files in {}", path.as_str()),
            FilesAt::Volume(volume) => format!("the files in the volume {volume}"),
        },
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(all: impl IntoIterator<Item = impl ToString>) -> String {
    let mut all: Vec<String> = all.into_iter().map(|it| it.to_string()).collect();
    let Some(last) = all.pop() else { return String::new() };
    if all.is_empty() { last } else { format!("{} and {last}", all.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_list_reads_as_people_say_it() {
        assert_eq!(listed(["a"]), "a");
        assert_eq!(listed(["a", "b"]), "a and b");
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
    }
}
