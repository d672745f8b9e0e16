//! A screen without a display, and what can be seen on it from outside.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt, CreateWindowAux, EventMask, ImageFormat,
    MapState, PropMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::{Ends, SOON, UPDATE, tied, until};

/// Xvfb on a number that it chose itself.
pub(crate) struct Screen {
    /// `:99`
    pub(crate) name: String,
    x: RustConnection,
    root: Window,
    _server: Ends,
}

impl Screen {
    pub(super) fn new(folder: &Path) -> Self {
        let mut command = tied("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"]);
        let log = File::create(folder.join("screen.log")).unwrap();
        let mut server = Ends(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap());
        let mut number = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let name = format!(":{}", number.trim());
        let (x, screen) = x11rb::connect(Some(&name)).unwrap();
        let root = x.setup().roots[screen].root;
        Self { name, x, root, _server: server }
    }

    /// Liftlock's windows that can be seen, from the one at the back to the one in front.
    pub(crate) fn windows(&self) -> Vec<Window> {
        let children = self.x.query_tree(self.root).unwrap().reply().unwrap().children;
        children.into_iter().filter(|it| self.is_visible(*it) && self.title(*it) == "Liftlock").collect()
    }

    /// The titles of everything that can be seen.
    pub(crate) fn titles(&self) -> Vec<String> {
        let children = self.x.query_tree(self.root).unwrap().reply().unwrap().children;
        children.into_iter().filter(|it| self.is_visible(*it)).map(|it| self.title(it)).collect()
    }

    /// Waits for the one window.
    pub(crate) fn window(&self) -> Window {
        until("Liftlock's window", UPDATE, || self.windows().first().copied())
    }

    /// Asks a window to close, as its frame's button does.
    pub(crate) fn close(&self, window: Window) {
        let data = [self.atom("WM_DELETE_WINDOW"), 0, 0, 0, 0];
        let message = ClientMessageEvent::new(32, window, self.atom("WM_PROTOCOLS"), data);
        self.x.send_event(false, window, EventMask::NO_EVENT, message).unwrap();
        self.x.flush().unwrap();
    }

    /// Gives a window another size, as somebody who pulls at its corner.
    pub(crate) fn resize(&self, window: Window, width: u16, height: u16) {
        let size = ConfigureWindowAux::new().width(u32::from(width)).height(u32::from(height));
        self.x.configure_window(window, &size).unwrap();
        self.x.sync_all();
    }

    /// The width and height of a window.
    pub(crate) fn size(&self, window: Window) -> (u16, u16) {
        let found = self.x.get_geometry(window).unwrap().reply().unwrap();
        (found.width, found.height)
    }

    /// Puts another program's window in front of everything.
    pub(crate) fn cover(&self) -> Window {
        let cover = self.x.generate_id().unwrap();
        let looks = CreateWindowAux::new().background_pixel(0x0080_4020);
        let (depth, visual) = (x11rb::COPY_DEPTH_FROM_PARENT, x11rb::COPY_FROM_PARENT);
        self.x
            .create_window(depth, cover, self.root, 0, 0, 1280, 900, 0, WindowClass::INPUT_OUTPUT, visual, &looks)
            .unwrap();
        self.x.map_window(cover).unwrap();
        self.x.sync_all();
        until("another window in front", SOON, || (self.front() == Some(cover)).then_some(()));
        cover
    }

    /// Makes a window the active one that fills the screen, as a window manager says it.
    pub(crate) fn fill_with(&self, window: Window) {
        let set = |of, property, kind, values: &[u32]| {
            self.x.change_property32(PropMode::REPLACE, of, self.atom(property), kind, values).unwrap();
        };
        set(window, "_NET_WM_STATE", AtomEnum::ATOM, &[self.atom("_NET_WM_STATE_FULLSCREEN")]);
        set(self.root, "_NET_ACTIVE_WINDOW", AtomEnum::WINDOW, &[window]);
        self.x.sync_all();
    }

    /// Ends a window that [`Screen::cover`] made.
    pub(crate) fn uncover(&self, window: Window) {
        self.x.delete_property(self.root, self.atom("_NET_ACTIVE_WINDOW")).unwrap();
        self.x.destroy_window(window).unwrap();
        self.x.sync_all();
    }

    /// The window in front.
    pub(crate) fn front(&self) -> Option<Window> {
        let children = self.x.query_tree(self.root).ok()?.reply().ok()?.children;
        children.into_iter().rev().find(|it| self.is_visible(*it))
    }

    fn is_visible(&self, window: Window) -> bool {
        let asked = self.x.get_window_attributes(window).ok().and_then(|it| it.reply().ok());
        asked.is_some_and(|it| it.map_state == MapState::VIEWABLE && it.class == WindowClass::INPUT_OUTPUT)
    }

    fn title(&self, window: Window) -> String {
        let asked = self.x.get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 256).ok();
        let said = asked.and_then(|it| it.reply().ok()).map(|it| it.value).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    fn atom(&self, name: &str) -> Atom {
        self.x.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom
    }
}

/// Waits until the server has done all that it was asked.
trait SyncAll {
    fn sync_all(&self);
}

impl SyncAll for RustConnection {
    fn sync_all(&self) {
        self.get_input_focus().unwrap().reply().unwrap();
    }
}

/// All of a screen as somebody in front of it sees it, as PNG.
pub(super) fn photograph(name: &str) -> Vec<u8> {
    let (x, screen) = x11rb::connect(Some(name)).unwrap();
    let screen = &x.setup().roots[screen];
    let (wide, high) = (screen.width_in_pixels, screen.height_in_pixels);
    let seen = x.get_image(ImageFormat::Z_PIXMAP, screen.root, 0, 0, wide, high, u32::MAX).unwrap().reply().unwrap();
    // Blue, green, red, and a byte that says nothing.
    let colours: Vec<u8> = seen.data.chunks_exact(4).flat_map(|it| [it[2], it[1], it[0]]).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, wide.into(), high.into());
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&colours).unwrap();
    file
}
