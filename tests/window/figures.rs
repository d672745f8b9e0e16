//! What the window costs: measured, never asserted, on the programs of the folder that `LIFTLOCK_PROGRAMS` names, beside
//! an empty window of Tauri in the same run. `cargo xtask bench desktop` runs it on the programs as they are shipped.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use liftlock_engine::Engine;
use liftlock_engine::state::home::Home;
use serde_json::{Value, json};

use crate::support::{Desktop, Ends, SOON, Window, built, tree, until};

/// How often a start and a change are measured.
const ROUNDS: usize = 7;
/// What settles after a start has settled.
const SETTLES: Duration = Duration::from_secs(5);
/// How long it is left alone, where `LIFTLOCK_IDLE_SECONDS` says nothing else.
const LEFT_ALONE: Duration = Duration::from_secs(300);

#[test]
#[ignore = "figures, not a test: `cargo xtask bench desktop`"]
fn figures_of_the_window() {
    // Its migrations can be made to take their time.
    let desktop = Desktop::with(&["1.7.0"]);
    fs::copy(built().join("examples/empty-window"), desktop.shop.app("empty-window")).unwrap();
    let mut starts = Vec::new();
    let mut delays = Vec::new();
    let mut with_window = BTreeMap::new();
    for round in 0..ROUNDS {
        let begun = now();
        let window = Window::attach(&desktop, desktop.program(&[]));
        window.part("act-update");
        starts.push(painted(&window) - begun);
        if round == 0 {
            sleep(SETTLES);
            with_window = pss_of_tree(window.program.0.id());
            delays = (0..ROUNDS).map(|turn| delay(&desktop, &window, turn)).collect();
        }
        window.kill();
    }

    let reopened = reopened(&desktop);

    let mut peers = Vec::new();
    let mut peer_pss = BTreeMap::new();
    for round in 0..ROUNDS {
        let begun = now();
        let window = Window::attach(&desktop, desktop.named("empty-window", &[]));
        peers.push(painted(&window) - begun);
        if round == 0 {
            sleep(SETTLES);
            peer_pss = pss_of_tree(window.program.0.id());
        }
        window.kill();
    }

    let tray = Ends(desktop.program(&["--tray"]).spawn().unwrap());
    desktop.bus.item();
    sleep(SETTLES);
    let in_tray = pss_of_tree(tray.0.id());
    let idle = std::env::var("LIFTLOCK_IDLE_SECONDS").ok().and_then(|it| it.parse().ok());
    let idle = idle.map_or(LEFT_ALONE, Duration::from_secs);
    let (before, begun) = (ticks_of_tree(tray.0.id()), Instant::now());
    sleep(idle);
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let cpu = (ticks_of_tree(tray.0.id()) - before) as f64 / begun.elapsed().as_secs_f64();
    let figures = json!({
        "start_to_first_paint_ms": spread(starts),
        "start_of_an_empty_window_ms": spread(peers),
        "reopened_to_its_update_ms": spread(reopened),
        "pss_with_window_mb": mb(&with_window),
        "pss_of_an_empty_window_mb": mb(&peer_pss),
        "pss_in_tray_mb": mb(&in_tray),
        "idle_cpu_percent": (cpu * 1000.0).round() / 1000.0,
        "idle_seconds": idle.as_secs(),
        "change_to_screen_ms": spread(delays),
    });
    fs::write(std::env::var_os("LIFTLOCK_FIGURES").expect("where to write them"), figures.to_string()).unwrap();
}

/// From a start while an update runs to the page of it, with what the driver takes to attach and to look.
fn reopened(desktop: &Desktop) -> Vec<f64> {
    desktop.shop.demo(&["fault", "--migration-seconds", "60"]);
    desktop.shop.liftlock(&["upgrade", "--yes", "--detach"]);
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let begun = now();
        let window = Window::attach(desktop, desktop.program(&[]));
        window.part("percent");
        all.push(now() - begun);
        window.kill();
    }
    desktop.shop.liftlock(&["cancel"]);
    all
}

/// From a change in the state to the page that shows it.
fn delay(desktop: &Desktop, window: &Window, turn: usize) -> f64 {
    let theme = if turn.is_multiple_of(2) { "dark" } else { "light" };
    window.run(
        "window.seenAt = 0; new MutationObserver((_, it) => { window.seenAt = Date.now(); it.disconnect(); })
            .observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })",
    );
    let engine = Engine::at(Home::at(desktop.shop.home()));
    let changed = now();
    engine.choose("theme", Some(theme)).unwrap();
    let seen = until("the change", SOON, || window.run("return window.seenAt").as_f64().filter(|it| *it > 0.0));
    seen - changed
}

/// When the page was painted first, as a clock tells it.
fn painted(window: &Window) -> f64 {
    let script = "const paint = performance.getEntriesByName('first-contentful-paint')[0] ?? performance.getEntriesByType('navigation')[0];
        return performance.timeOrigin + (paint.startTime || paint.domComplete)";
    until("the first paint", SOON, || window.run(script).as_f64())
}

fn now() -> f64 {
    UNIX_EPOCH.elapsed().unwrap().as_secs_f64() * 1000.0
}

fn spread(mut of: Vec<f64>) -> Value {
    of.sort_by(f64::total_cmp);
    json!({ "median": of[of.len() / 2].round(), "least": of[0].round(), "most": of[of.len() - 1].round() })
}

/// In megabytes: all of it, and each program.
fn mb(held: &BTreeMap<String, u64>) -> Value {
    let each: BTreeMap<&String, u64> = held.iter().map(|(name, it)| (name, it / 1000)).collect();
    json!({ "all": held.values().sum::<u64>() / 1000, "each": each })
}

/// What a process and everything that it started hold, in kilobytes, by the name of the program.
fn pss_of_tree(of: u32) -> BTreeMap<String, u64> {
    let pss = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        text.lines().find_map(|it| it.strip_prefix("Pss:")?.split_whitespace().next()?.parse::<u64>().ok())
    };
    let mut all = BTreeMap::new();
    for process in tree(of) {
        *all.entry(process.name).or_default() += pss(process.pid).unwrap_or_default();
    }
    all
}

/// Hundredths of seconds of processor time.
fn ticks_of_tree(of: u32) -> u64 {
    tree(of).iter().map(|it| it.ticks).sum()
}
