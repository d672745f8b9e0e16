//! A session bus of its own, with a tray and a notification service that remember what they were told.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use zbus::blocking::{Connection, Proxy, connection};
use zbus::zvariant::{OwnedValue, Value};

use super::{Ends, SOON, tied, until};

/// What of a desktop is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hosts {
    pub(crate) tray: bool,
    pub(crate) notifications: bool,
    /// Whether notifications have buttons.
    pub(crate) buttons: bool,
}

impl Hosts {
    pub(crate) const BOTH: Self = Self { tray: true, notifications: true, buttons: true };
    pub(crate) const NEITHER: Self = Self { tray: false, notifications: false, buttons: false };
}

/// No service is started by being asked for: nothing of this machine's desktop comes along.
const CONFIGURATION: &str = include_str!("../../support/session-bus.conf");

/// What the desktop was told.
#[derive(Debug, Default)]
struct Told {
    notes: Vec<Note>,
    /// Bus name and path of each tray item.
    items: Vec<(String, String)>,
    /// Whether notifications are held back.
    disturbs_not: bool,
    /// Whether they have buttons.
    has_buttons: bool,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) title: String,
    pub(crate) body: String,
    /// Its buttons: what each is called in the program, and on the screen.
    pub(crate) buttons: Vec<(String, String)>,
}

/// The bus and the services on it.
pub(crate) struct Bus {
    pub(crate) address: String,
    told: Arc<Mutex<Told>>,
    asks: Connection,
    services: Connection,
    _daemon: Ends,
}

struct Notifications(Arc<Mutex<Told>>);

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[allow(clippy::too_many_arguments, reason = "as it is specified")]
    fn notify(
        &self,
        _app: &str,
        _replaces: u32,
        _icon: &str,
        title: &str,
        body: &str,
        actions: Vec<String>,
        _hints: HashMap<String, Value<'_>>,
        _expires: i32,
    ) -> u32 {
        let notes = &mut self.0.lock().unwrap().notes;
        let buttons = actions.chunks(2).filter_map(|it| Some((it.first()?.clone(), it.get(1)?.clone()))).collect();
        notes.push(Note { title: title.to_owned(), body: body.to_owned(), buttons });
        u32::try_from(notes.len()).unwrap()
    }

    fn close_notification(&self, _id: u32) {}

    #[zbus(property)]
    fn inhibited(&self) -> bool {
        self.0.lock().unwrap().disturbs_not
    }

    fn get_capabilities(&self) -> Vec<String> {
        let has_buttons = self.0.lock().unwrap().has_buttons;
        ["body"].into_iter().chain(has_buttons.then_some("actions")).map(str::to_owned).collect()
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        ("tests".to_owned(), "liftlock".to_owned(), "1".to_owned(), "1.2".to_owned())
    }
}

struct Tray(Arc<Mutex<Told>>);

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
impl Tray {
    fn register_status_notifier_item(&self, service: &str, #[zbus(header)] header: zbus::message::Header<'_>) {
        let sender = header.sender().map(ToString::to_string).unwrap_or_default();
        self.0.lock().unwrap().items.push((sender, service.to_owned()));
    }

    fn register_status_notifier_host(&self, _service: &str) {}

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        self.0.lock().unwrap().items.iter().map(|(bus, path)| format!("{bus}{path}")).collect()
    }
}

impl Bus {
    pub(super) fn new(folder: &Path, hosts: Hosts) -> Self {
        let configuration = folder.join("bus.conf");
        std::fs::write(&configuration, CONFIGURATION.replace("FOLDER", &folder.display().to_string())).unwrap();
        let mut command = tied("dbus-daemon");
        command.arg("--config-file").arg(&configuration).args(["--nofork", "--print-address=1"]);
        let log = File::create(folder.join("bus.log")).unwrap();
        let mut daemon = Ends(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap());
        let mut address = String::new();
        BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();

        let told = Arc::new(Mutex::new(Told { has_buttons: hosts.buttons, ..Told::default() }));
        let mut services = connection::Builder::address(address.as_str()).unwrap();
        if hosts.tray {
            let watcher = "org.kde.StatusNotifierWatcher";
            services = services.name(watcher).unwrap().serve_at("/StatusNotifierWatcher", Tray(told.clone())).unwrap();
        }
        if hosts.notifications {
            let (name, path) = ("org.freedesktop.Notifications", "/org/freedesktop/Notifications");
            services = services.name(name).unwrap().serve_at(path, Notifications(told.clone())).unwrap();
        }
        let services = services.build().unwrap();
        let asks = connection::Builder::address(address.as_str()).unwrap().build().unwrap();
        Self { address, told, asks, services, _daemon: daemon }
    }

    /// Switches do-not-disturb.
    pub(crate) fn do_not_disturb(&self, on: bool) {
        self.told.lock().unwrap().disturbs_not = on;
    }

    /// Every notification so far.
    pub(crate) fn notes(&self) -> Vec<Note> {
        self.told.lock().unwrap().notes.clone()
    }

    /// Waits for a notification with this title.
    pub(crate) fn note(&self, title: &str, within: std::time::Duration) -> Note {
        until(&format!("the notification “{title}”"), within, || {
            self.notes().into_iter().find(|it| it.title == title)
        })
    }

    /// Clicks a button of the notification with this title, or the notification itself where none is named.
    pub(crate) fn choose(&self, title: &str, button: Option<&str>) {
        let notes = self.notes();
        let place = notes.iter().rposition(|it| it.title == title).unwrap();
        let wanted = |it: &&(String, String)| button.map_or(it.0 == "default", |button| it.1 == button);
        let (action, _) = notes[place].buttons.iter().find(wanted).unwrap_or_else(|| panic!("{:?}", notes[place]));
        let name = "org.freedesktop.Notifications";
        let path = "/org/freedesktop/Notifications";
        let id = u32::try_from(place + 1).unwrap();
        self.services.emit_signal(None::<()>, path, name, "ActionInvoked", &(id, action)).unwrap();
    }

    /// The tray item that is there now: one whose program still lives.
    pub(crate) fn item(&self) -> Item<'_> {
        until("an item in the tray", SOON, || self.items().pop())
    }

    /// Every tray item whose program still lives.
    pub(crate) fn items(&self) -> Vec<Item<'_>> {
        let items = self.told.lock().unwrap().items.clone();
        let lives = |bus: &str| {
            let proxy = zbus::blocking::fdo::DBusProxy::new(&self.asks).unwrap();
            proxy.name_has_owner(bus.try_into().unwrap()).unwrap()
        };
        items.into_iter().filter(|(bus, _)| lives(bus)).map(|(bus, path)| Item { bus: self, name: bus, path }).collect()
    }
}

/// Liftlock in the tray.
pub(crate) struct Item<'a> {
    bus: &'a Bus,
    name: String,
    path: String,
}

/// A node of a menu: its number, its properties, the nodes below it.
type Node = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

impl Item<'_> {
    /// The process that it belongs to; none once that has ended.
    pub(crate) fn process(&self) -> Option<u32> {
        let proxy = zbus::blocking::fdo::DBusProxy::new(&self.bus.asks).unwrap();
        proxy.get_connection_unix_process_id(self.name.as_str().try_into().unwrap()).ok()
    }

    /// The lines of its menu, with the number of each.
    pub(crate) fn menu(&self) -> Vec<(i32, String)> {
        let answer: zbus::Result<(u32, Node)> =
            self.dbusmenu().call("GetLayout", &(0, -1, vec!["label", "enabled", "type"]));
        let Ok((_, (_, _, entries))) = answer else { return Vec::new() };
        entries.into_iter().filter_map(|it| Node::try_from(it).ok()).map(|(id, about, _)| (id, label(&about))).collect()
    }

    /// Waits until its first line, which says how things stand, is this.
    pub(crate) fn says(&self, line: &str, within: std::time::Duration) {
        let mut last = String::new();
        let begun = std::time::Instant::now();
        while last != line {
            last = self.menu().first().map(|it| it.1.clone()).unwrap_or_default();
            assert!(begun.elapsed() < within, "the tray says “{last}”, not “{line}”");
            std::thread::sleep(super::PAUSE);
        }
    }

    /// Chooses a line of its menu.
    pub(crate) fn choose(&self, line: &str) {
        let menu = self.menu();
        let (id, _) = menu.iter().find(|it| it.1 == line).unwrap_or_else(|| panic!("no “{line}” in {menu:?}"));
        let _: () = self.dbusmenu().call("Event", &(*id, "clicked", Value::from(""), 0_u32)).unwrap();
    }

    fn dbusmenu(&self) -> Proxy<'_> {
        let path = format!("{}/Menu", self.path);
        Proxy::new(&self.bus.asks, self.name.clone(), path, "com.canonical.dbusmenu").unwrap()
    }
}

fn label(about: &HashMap<String, OwnedValue>) -> String {
    about.get("label").and_then(|it| String::try_from(it.clone()).ok()).unwrap_or_default()
}
