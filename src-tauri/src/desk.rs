//! Whether whoever sits at this screen wants to be left alone.
//!
//! What is out can wait, and is said once they are done. Windows and macOS hold notifications back by themselves (Focus,
//! Do not disturb, a full screen) and tell a program nothing about it.

use liftlock_engine::ports::Desk;

/// The screen of this session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThisDesk;

impl Desk for ThisDesk {
    #[cfg(target_os = "linux")]
    fn wants_quiet(&self) -> bool {
        // The bus blocks on a runtime, and whoever asks may be part of one.
        std::thread::spawn(linux::wants_quiet).join().unwrap_or(false)
    }

    #[cfg(not(target_os = "linux"))]
    fn wants_quiet(&self) -> bool {
        false
    }
}

/// Whether notifications have buttons here. Where the service does not say that it shows them, they are left out.
#[cfg(target_os = "linux")]
pub(crate) fn notifications_have_buttons() -> bool {
    std::thread::spawn(linux::has_buttons).join().ok().flatten().unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn notifications_have_buttons() -> bool {
    true
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use gio::prelude::SettingsExt;
    use x11rb::connection::Connection as _;
    use x11rb::protocol::xproto::{AtomEnum, ConnectionExt, Window};
    use x11rb::rust_connection::RustConnection;
    use zbus::blocking::{Proxy, connection};

    /// A service that hangs must not hold anything up.
    const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

    pub(super) fn wants_quiet() -> bool {
        [is_inhibited, shows_no_banners, has_full_screen].iter().any(|told| told().unwrap_or(false))
    }

    /// What the notification service says of itself (KDE, Xfce, Cinnamon, MATE): do-not-disturb, or a presentation.
    fn is_inhibited() -> Option<bool> {
        notifications()?.get_property("Inhibited").ok()
    }

    /// What the notification service says that it can do.
    pub(super) fn has_buttons() -> Option<bool> {
        let can: Vec<String> = notifications()?.call("GetCapabilities", &()).ok()?;
        Some(can.iter().any(|it| it == "actions"))
    }

    fn notifications() -> Option<Proxy<'static>> {
        let bus = connection::Builder::session().ok()?.method_timeout(ANSWERS_WITHIN).build().ok()?;
        let (name, path) = ("org.freedesktop.Notifications", "/org/freedesktop/Notifications");
        Proxy::new(&bus, name, path, name).ok()
    }

    /// GNOME's "Do not disturb". Its shell holds notifications back over a full screen by itself.
    fn shows_no_banners() -> Option<bool> {
        const SCHEMA: &str = "org.gnome.desktop.notifications";
        // A schema that is not installed would end the program.
        gio::SettingsSchemaSource::default()?.lookup(SCHEMA, true)?;
        Some(!gio::Settings::new(SCHEMA).boolean("show-banners"))
    }

    /// Whether the active window fills the screen, where an X server tells that.
    fn has_full_screen() -> Option<bool> {
        let (x, screen) = x11rb::connect(None).ok()?;
        let root = x.setup().roots.get(screen)?.root;
        let active = *numbers(&x, root, "_NET_ACTIVE_WINDOW", AtomEnum::WINDOW.into())?.first()?;
        let states = numbers(&x, active, "_NET_WM_STATE", AtomEnum::ATOM.into())?;
        Some(states.contains(&atom(&x, "_NET_WM_STATE_FULLSCREEN")?))
    }

    fn numbers(x: &RustConnection, window: Window, property: &str, kind: u32) -> Option<Vec<u32>> {
        let answer = x.get_property(false, window, atom(x, property)?, kind, 0, 64).ok()?.reply().ok()?;
        Some(answer.value32()?.collect())
    }

    fn atom(x: &RustConnection, name: &str) -> Option<u32> {
        Some(x.intern_atom(true, name.as_bytes()).ok()?.reply().ok()?.atom)
    }
}
