//! A project of Compose as `docker compose config --no-interpolate --format json` tells it: only what an upgrade has to
//! compare, with its variables still in place but for what is mounted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::variables::{Reference, Without, filled, references};

/// What a project says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// What the project is called.
    pub name: String,
    /// Its services by name.
    pub services: BTreeMap<String, Service>,
    /// Its named volumes: the key in the file, and the name it bears for the engine where that is not the usual one.
    pub volumes: BTreeMap<String, Option<String>>,
    /// Every variable it refers to, in the order of their names.
    pub variables: BTreeMap<String, Vec<Reference>>,
}

/// What a service says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// The image, with its variables; none where it is built.
    pub image: Option<String>,
    /// Ports on this machine by those of the container.
    pub ports: BTreeMap<String, BTreeSet<String>>,
    /// What is mounted where.
    pub mounts: BTreeMap<String, Mount>,
    /// The services without which it is not started.
    pub needs: BTreeSet<String>,
}

/// What stands behind a folder of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A named volume, by its key.
    Volume(String),
    /// A folder of this machine.
    Folder(String),
    /// A volume without a name, or memory: nothing that lasts.
    Passing,
}

impl Mount {
    fn seen_from(self, folder: &str) -> Self {
        match self {
            Self::Folder(path) => {
                let inside = path.strip_prefix(folder).and_then(|it| it.strip_prefix('/')).or(path.strip_prefix("./"));
                Self::Folder(inside.unwrap_or(&path).to_owned())
            }
            other => other,
        }
    }
}

impl Project {
    /// Reads the document of a project that was read in this folder: folders inside of it are told relative to it, so
    /// that projects in two places can be compared. What is of another shape than Compose writes counts as absent.
    pub fn read(document: &Value, folder: &str) -> Self {
        let entries = |of: &Value| of.as_object().cloned().unwrap_or_default();
        let services =
            entries(&document["services"]).iter().map(|(name, it)| (name.clone(), Service::read(it, folder))).collect();
        let name = document["name"].as_str().unwrap_or_default().to_owned();
        let usual = |key: &str| format!("{name}_{key}");
        let volumes = entries(&document["volumes"])
            .iter()
            .map(|(key, it)| (key.clone(), it["name"].as_str().filter(|it| *it != usual(key)).map(str::to_owned)))
            .collect();
        let mut variables: BTreeMap<String, Vec<Reference>> = BTreeMap::new();
        visit(document, &mut |text| {
            for reference in references(text) {
                variables.entry(reference.name.clone()).or_default().push(reference);
            }
        });
        Self { name, services, volumes, variables }
    }

    /// The same, with the volumes of its services as they are told with every variable filled in.
    #[must_use]
    pub fn mounting(mut self, volumes: &BTreeMap<String, Vec<Value>>, folder: &str) -> Self {
        for (name, service) in &mut self.services {
            if let Some(mounts) = volumes.get(name) {
                service.mounts = read_mounts(mounts, folder);
            }
        }
        self
    }

    /// The variables that nobody has set, and that have no default.
    pub fn unset<'p>(&'p self, values: &'p BTreeMap<String, String>) -> impl Iterator<Item = &'p str> {
        let is_open = |it: &Reference| !it.is_set(values) && !matches!(it.without, Without::Default(_));
        self.variables.iter().filter(move |it| it.1.iter().any(is_open)).map(|it| it.0.as_str())
    }

    /// What the engine calls a volume.
    pub fn volume_name(&self, key: &str, values: &BTreeMap<String, String>) -> String {
        match self.volumes.get(key) {
            Some(Some(name)) => filled(name, values),
            _ => format!("{}_{key}", self.name),
        }
    }
}

impl Service {
    fn read(value: &Value, folder: &str) -> Self {
        let list = |of: &Value| of.as_array().cloned().unwrap_or_default();
        let mut service = Self { image: value["image"].as_str().map(str::to_owned), ..Self::default() };
        for port in list(&value["ports"]) {
            if let Some((inside, outside)) = read_port(&port) {
                service.ports.entry(inside).or_default().insert(outside);
            }
        }
        // Either a list of names, or an object of conditions by name.
        let named = list(&value["depends_on"]).into_iter().filter_map(|it| it.as_str().map(str::to_owned));
        let keyed = value["depends_on"].as_object().into_iter().flatten().map(|it| it.0.clone());
        service.needs = named.chain(keyed).collect();
        service.mounts = read_mounts(&list(&value["volumes"]), folder);
        service
    }
}

/// Both the long form that Compose writes and the short one that it keeps where variables stand in it.
fn read_port(value: &Value) -> Option<(String, String)> {
    if let Some(text) = value.as_str() {
        let (outside, inside) = split_last(text).unwrap_or(("", text));
        return Some((inside.split('/').next()?.to_owned(), outside.to_owned()));
    }
    let text = |of: &Value| of.as_str().map(str::to_owned).or_else(|| of.as_u64().map(|it| it.to_string()));
    let outside = text(&value["published"]).unwrap_or_default();
    let address = value["host_ip"].as_str().map(|it| format!("{it}:")).unwrap_or_default();
    Some((text(&value["target"])?, format!("{address}{outside}")))
}

fn read_mounts(all: &[Value], folder: &str) -> BTreeMap<String, Mount> {
    all.iter().filter_map(read_mount).map(|(target, mount)| (target, mount.seen_from(folder))).collect()
}

fn read_mount(value: &Value) -> Option<(String, Mount)> {
    if let Some(text) = value.as_str() {
        let text = text.strip_suffix(":ro").or_else(|| text.strip_suffix(":rw")).unwrap_or(text);
        return Some(match split_last(text) {
            Some((source, target)) => (target.to_owned(), source_of(source)),
            None => (text.to_owned(), Mount::Passing),
        });
    }
    let target = value["target"].as_str()?.to_owned();
    let mount = match (value["type"].as_str(), value["source"].as_str()) {
        (Some("volume"), Some(key)) => Mount::Volume(key.to_owned()),
        (Some("bind"), Some(folder)) => Mount::Folder(folder.to_owned()),
        _ => Mount::Passing,
    };
    Some((target, mount))
}

fn source_of(source: &str) -> Mount {
    let is_path = source.starts_with(['/', '.', '~']) || source.contains('/');
    if is_path { Mount::Folder(source.to_owned()) } else { Mount::Volume(source.to_owned()) }
}

/// Around the last colon that stands in no variable.
fn split_last(text: &str) -> Option<(&str, &str)> {
    let mut open = 0;
    let mut last = None;
    for (at, sign) in text.char_indices() {
        match sign {
            '{' => open += 1,
            '}' => open -= 1,
            ':' if open == 0 => last = Some(at),
            _ => {}
        }
    }
    last.map(|at| (&text[..at], &text[at + 1..]))
}

fn visit(value: &Value, see: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(all) => all.iter().for_each(|it| visit(it, see)),
        Value::Object(all) => all.values().for_each(|it| visit(it, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_long_and_the_short_form_say_the_same() {
        let long = Project::read(
            &json!({ "name": "p", "services": { "db": {
            "image": "postgres:16",
            "ports": [{ "mode": "ingress", "host_ip": "127.0.0.1", "target": 5432, "published": "${P:-1}", "protocol": "tcp" }],
            "volumes": [{ "type": "volume", "source": "data", "target": "/d" },
                        { "type": "bind", "source": "/srv/p/up", "target": "/u" },
                        { "type": "tmpfs", "target": "/t" }],
        } }, "volumes": { "data": { "name": "p_data" }, "own": { "name": "${N}" } } }),
            "/srv/p",
        );
        let short = Project::read(
            &json!({ "name": "p", "services": { "db": {
            "image": "postgres:16",
            "ports": ["127.0.0.1:${P:-1}:5432/tcp"],
            "volumes": ["data:/d", "./up:/u:ro", "/t"],
        } }, "volumes": { "data": {}, "own": { "name": "${N}" } } }),
            "/elsewhere",
        );
        assert_eq!(long, short);
        assert_eq!(long.services["db"].mounts["/u"], Mount::Folder("up".to_owned()));
        assert_eq!(long.services["db"].ports["5432"].iter().collect::<Vec<_>>(), ["127.0.0.1:${P:-1}"]);
    }

    #[test]
    fn what_is_mounted_is_known_once_variables_are_filled_in() {
        // What Docker Compose itself makes of `${PLACE:-./up}:/u` where it fills nothing in.
        let cut = json!([{ "type": "volume", "source": "${PLACE", "target": "-./up}" }]);
        let web = json!({ "volumes": cut, "environment": ["${KEY:?}", "${SET:?}", "${OTHER:-${INNER}}"] });
        let written = Project::read(&json!({ "name": "p", "services": { "web": web, "db": {} } }), "/srv/p");
        let values = BTreeMap::from([("SET".to_owned(), "yes".to_owned())]);
        assert_eq!(written.unset(&values).collect::<Vec<_>>(), ["INNER", "KEY"]);

        let told = json!([{ "type": "bind", "source": "/srv/p/up", "target": "/u" }]);
        let volumes = BTreeMap::from([("web".to_owned(), told.as_array().unwrap().clone())]);
        let read = written.mounting(&volumes, "/srv/p");
        assert_eq!(read.services["web"].mounts, BTreeMap::from([("/u".to_owned(), Mount::Folder("up".to_owned()))]));
    }

    #[test]
    fn what_is_of_another_shape_is_absent() {
        for odd in [json!(null), json!([]), json!({ "services": 1 }), json!({ "services": { "db": "x" } })] {
            let read = Project::read(&odd, "/");
            assert!(read.services.values().all(|it| *it == Service::default()), "{odd}");
        }
    }
}
