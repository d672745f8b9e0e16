//! The window in our hands: found by what a test calls each part, looked at as a person looks.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::screen::photograph;
use super::{Desktop, Ends, SOON, pictures, seen_within, tied, until};

/// The program, and the driver that holds its page.
pub(crate) struct Window {
    pub(crate) program: Ends,
    client: Client,
    hands: Runtime,
    /// `:99`
    screen: String,
    _driver: Ends,
}

impl Window {
    /// Starts the program and attaches to its page.
    pub(crate) fn attach(desktop: &Desktop, program: Command) -> Self {
        let (program, inspected) = start(program);
        Self::hold(desktop, program, inspected)
    }

    fn hold(desktop: &Desktop, program: Child, inspected: u16) -> Self {
        let program = Ends(program);
        desktop.screen.window();
        let port = free_port();
        let mut driver = tied("WebKitWebDriver");
        driver.arg(format!("--port={port}")).arg(format!("--target=127.0.0.1:{inspected}"));
        let driver = Ends(driver.stdin(Stdio::null()).stderr(desktop.shop.log("driver.log")).spawn().unwrap());
        let hands = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = until("a session with the window", SOON, || {
            let asked = ClientBuilder::new(HttpConnector::new());
            let answer = hands.block_on(async {
                tokio::time::timeout(SOON, asked.connect(&format!("http://127.0.0.1:{port}"))).await
            });
            match answer {
                Ok(Ok(client)) => Some(client),
                Ok(Err(why)) if format!("{why:?}").contains("ConnectionRefused") => None,
                other => panic!("no session with the window: {other:?}"),
            }
        });
        Self { program, client, hands, screen: desktop.screen.name.clone(), _driver: driver }
    }

    /// Waits for the part of this name.
    pub(crate) fn part(&self, name: &str) -> Part<'_> {
        self.part_within(name, SOON)
    }

    /// The same with another patience.
    pub(crate) fn part_within(&self, name: &str, within: Duration) -> Part<'_> {
        self.sees(&format!("`{name}`"), within, || self.find(name))
    }

    /// The part of this name if it is there now.
    pub(crate) fn find(&self, name: &str) -> Option<Part<'_>> {
        let wanted = format!("[data-testid='{name}']");
        let found = self.hands.block_on(self.client.find_all(Locator::Css(&wanted))).ok()?;
        let element = found.into_iter().next()?;
        Some(Part { window: self, element })
    }

    /// Waits for something on the page; where it does not come, tells what stands there instead.
    pub(crate) fn sees<T>(&self, what: &str, within: Duration, look: impl FnMut() -> Option<T>) -> T {
        seen_within(within, look)
            .unwrap_or_else(|| panic!("not seen within {within:?}: {what}, on the page that says\n{}", self.text()))
    }

    /// Waits until the page says this.
    pub(crate) fn says(&self, text: &str) {
        self.sees(&format!("“{text}”"), SOON, || self.text().contains(text).then_some(()));
    }

    /// Clicks the part of this name.
    pub(crate) fn click(&self, name: &str) {
        self.sees(&format!("a click on `{name}`"), SOON, || {
            let part = self.find(name)?;
            // What moves while it is aimed at is aimed at again.
            self.hands.block_on(part.element.click()).ok()
        });
    }

    /// Clicks what ends the program, which is gone before the driver hears of the click.
    pub(crate) fn click_last(&self, name: &str) {
        let part = self.part(name);
        let _ = self.hands.block_on(part.element.click());
    }

    /// Types into the part of this name.
    pub(crate) fn type_into(&self, name: &str, text: &str) {
        let part = self.part(name);
        self.hands.block_on(part.element.send_keys(text)).unwrap();
    }

    /// Waits until the page's title is this.
    pub(crate) fn is_at(&self, title: &str, within: Duration) {
        self.sees(&format!("the page “{title}”"), within, || {
            // Some pages have theirs for screen readers only.
            (self.find("page-title")?.property("textContent").trim() == title).then_some(())
        });
    }

    /// All that can be read.
    pub(crate) fn text(&self) -> String {
        match self.run("return document.body.innerText") {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// Runs a script in the page, for what cannot be seen.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.hands.block_on(self.client.execute(script, Vec::new())).unwrap_or_default()
    }

    /// Loads the page again, which no person can: the most that a crash of it could do.
    pub(crate) fn reload(&self) {
        self.hands.block_on(self.client.refresh()).unwrap();
    }

    /// Keeps a picture of it, once it stands still.
    pub(crate) fn picture(&self, name: &str) {
        const STILL: &str = "return document.getAnimations().every(it => \
            it.playState !== 'running' || it.effect.getComputedTiming().iterations === Infinity)";
        self.sees("a page that stands still", SOON, || (self.run(STILL) == true).then_some(()));
        // The driver waits for ever for a picture of what the graphics card did not draw.
        fs::write(pictures().join(format!("{name}.png")), photograph(&self.screen)).unwrap();
    }

    /// Ends the program as a crash or an impatient person does.
    pub(crate) fn kill(mut self) {
        self.program.0.kill().unwrap();
        self.program.0.wait().unwrap();
    }

    /// Waits for the end of a program that ends by itself.
    pub(crate) fn ended(mut self) {
        until("the end of the program", SOON, || self.program.0.try_wait().unwrap());
    }
}

/// Something on the page.
pub(crate) struct Part<'a> {
    window: &'a Window,
    element: Element,
}

impl Part<'_> {
    /// What can be read of it. The driver's own answer leaves out lines that are cut to fit.
    pub(crate) fn text(&self) -> String {
        self.property("innerText")
    }

    /// What stands in it.
    pub(crate) fn property(&self, name: &str) -> String {
        self.window.hands.block_on(self.element.prop(name)).ok().flatten().unwrap_or_default()
    }

    /// An attribute of it.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        self.window.hands.block_on(self.element.attr(name)).ok().flatten()
    }
}

/// Starts the program so that it can be driven; answers where it listens for that.
fn start(mut program: Command) -> (Child, u16) {
    let port = free_port();
    program
        .env("WEBKIT_INSPECTOR_SERVER", format!("127.0.0.1:{port}"))
        .env("TAURI_AUTOMATION", "true")
        .env("TAURI_WEBVIEW_AUTOMATION", "true");
    (program.spawn().unwrap(), port)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
