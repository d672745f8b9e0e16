//! The shopper: places orders without pause and never repeats one, then proves what became of each.
//!
//! An order is *acknowledged* when the shop answered 201, *turned away* when it surely was not taken
//! (nobody listened, or 503), and else *unknown*: it may be there or not, and is never sent again.

mod judge;
mod watch;

use std::{
    cell::RefCell,
    fs,
    io::Write,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use chrono::Utc;
use hyper::Method;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::detached::{self, Identity};
use crate::http::{self, Ended};
use crate::place::{self, Facts, Place};
use judge::Placed;
use watch::Watch;

/// An order without an answer after this long is unknown.
const PATIENCE: Duration = Duration::from_secs(15);
/// With more orders than this under way the shopper waits.
const MOST_UNDER_WAY: usize = 300;

/// How to shop.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// For how long; until told to stop where there is none.
    pub seconds: Option<u64>,
    /// Orders a second.
    pub rate: u32,
    /// Also stop when standard input is closed: by the caller, or because the caller is gone.
    pub with_caller: bool,
}

/// Shops until the time is up or a signal comes, then judges.
///
/// # Errors
/// Another shopper is at work, or the shop's database cannot be asked afterwards.
pub async fn shop(place: &Place, wanted: Wanted) -> Result<Value> {
    let facts = place.facts()?;
    let folder = place.root.join("shopper");
    fs::create_dir_all(&folder)?;
    ensure!(Identity::in_file(&process_file(place)).is_none(), "another shopper is at work here");
    let me = Identity::of(std::process::id()).context("no process of our own")?;
    place::write_private(&process_file(place), &serde_json::to_vec(&me)?)?;
    let _ = fs::remove_file(answer_file(place));

    let run = place::secret().split_off(24);
    let records = Rc::new(RefCell::new(Records::new(&folder.join(format!("{run}.jsonl")))?));
    let watch = Rc::new(RefCell::new(Watch::new()));
    let begun = Instant::now();
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            let poller = tokio::task::spawn_local(watch::poll(facts.shop_port, Rc::clone(&watch)));
            let placed = place_orders(&facts, &run, wanted, &records, &watch).await;
            poller.abort();
            placed
        })
        .await?;
    let seconds = begun.elapsed().as_secs_f64();
    watch.borrow_mut().close();

    let placed = std::mem::take(&mut records.borrow_mut().placed);
    let verdict = judge::judge(&facts, &run, &placed).await?;
    let mut answer = verdict.to_json();
    watch.borrow().describe(&mut answer);
    answer["seconds"] = json!((seconds * 1000.0).round() / 1000.0);
    answer["rate"] = json!(wanted.rate);
    answer["records"] = json!(records.borrow().path);
    place::write_private(&answer_file(place), &serde_json::to_vec_pretty(&answer)?)?;
    Ok(answer)
}

/// Starts a shopper that outlives this command, and waits for its first acknowledged order.
///
/// # Errors
/// It does not start, or the shop takes no order.
pub fn start(place: &Place, wanted: Wanted) -> Result<Value> {
    place.facts()?;
    let folder = place.root.join("shopper");
    fs::create_dir_all(&folder)?;
    let root = place.root.to_str().context("the folder's name is no text")?;
    let (seconds, rate) = (wanted.seconds.unwrap_or(0).to_string(), wanted.rate.to_string());
    let words = ["shop", "--dir", root, "--seconds", &seconds, "--rate", &rate];
    let before = Utc::now();
    let process = detached::start(&std::env::current_exe()?, &words, &place.root, &folder.join("log"))?;
    let acknowledged = || {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut fresh = entries.filter(|it| it.path().extension().is_some_and(|it| it == "jsonl"));
        fresh.any(|it| {
            it.metadata().is_ok_and(|meta| meta.len() > 0 && meta.modified().is_ok_and(|at| at >= before.into()))
        })
    };
    if !detached::wait_until(Duration::from_secs(20), || acknowledged() || !process.is_alive()) || !process.is_alive() {
        process.end(Duration::from_secs(1))?;
        bail!("the shopper got no order through; its log is {}", folder.join("log").display());
    }
    Ok(json!({ "shopping": true, "pid": process.pid }))
}

/// Ends the shopper and passes on its answer; of one that has ended by itself too.
///
/// # Errors
/// Nobody shopped.
pub fn stop(place: &Place) -> Result<Value> {
    if let Some(process) = Identity::in_file(&process_file(place)) {
        process.signal(rustix::process::Signal::TERM);
        ensure!(process.is_gone_within(Duration::from_secs(90)), "the shopper does not come home");
    }
    place::read_json(&answer_file(place)).context("nobody has shopped here, or the shopper could not judge")
}

fn process_file(place: &Place) -> PathBuf {
    place.root.join("shopper/process.json")
}

fn answer_file(place: &Place) -> PathBuf {
    place.root.join("shopper/answer.json")
}

async fn place_orders(
    facts: &Facts,
    run: &str,
    wanted: Wanted,
    records: &Rc<RefCell<Records>>,
    watch: &Rc<RefCell<Watch>>,
) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut ticks = interval(Duration::from_secs(1) / wanted.rate.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let ends = async {
        match wanted.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(ends);
    let (mut gone, is_gone) = tokio::sync::oneshot::channel::<()>();
    if wanted.with_caller {
        // A thread, because a read of standard input cannot be called off; it ends with the process.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(is_gone);
        });
    }
    let mut under_way = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            biased;
            () = &mut ends => break,
            () = gone.closed(), if wanted.with_caller => break,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            Some(done) = under_way.join_next() => done??,
            _ = ticks.tick(), if under_way.len() < MOST_UNDER_WAY => {
                number += 1;
                let (key, body) = order(run, number, facts.seeded_orders);
                let (records, watch, port) = (Rc::clone(records), Rc::clone(watch), facts.shop_port);
                under_way.spawn_local(async move {
                    let body = body.to_string().into();
                    let ended = http::send(port, Method::POST, "/api/v1/orders", body, PATIENCE).await;
                    let placed = match ended {
                        Ended::Answered(201, answer) => {
                            watch.borrow_mut().good();
                            let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
                            Placed::Acknowledged { lines: lines(number), id: answer["id"].as_i64() }
                        }
                        // The shop says so itself: not stored. Whoever else says 503 has no shop behind it.
                        Ended::Answered(503, _) | Ended::NotSent(_) => Placed::TurnedAway,
                        Ended::Answered(..) | Ended::Unknown(_) => Placed::Unknown,
                    };
                    records.borrow_mut().add(key, placed)
                });
            }
        }
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(())
}

fn lines(number: i64) -> i64 {
    1 + number % 3
}

/// The order with this number: its key and its content.
fn order(run: &str, number: i64, seeded: i64) -> (String, Value) {
    let customers = (seeded / 20).max(10);
    let key = format!("shopper-{run}-{number}");
    let lines: Vec<Value> = (1..=lines(number))
        .map(|line| json!({ "item_id": 1 + (number * 17 + line * 5) % 200, "quantity": 1 + (number + line) % 5 }))
        .collect();
    let mut order = json!({
        "client_key": key, "customer_id": 1 + (number * 13) % customers, "channel": "web", "lines": lines,
    });
    if number % 5 == 0 {
        order["note"] = json!(format!("Order {number}, please wrap it"));
    }
    (key, order)
}

/// Every order that was placed; the acknowledged ones also in a file, before anybody hears of them.
#[derive(Debug)]
struct Records {
    path: PathBuf,
    file: fs::File,
    placed: Vec<(String, Placed)>,
}

impl Records {
    fn new(path: &std::path::Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), file: fs::File::create(path)?, placed: Vec::new() })
    }

    fn add(&mut self, key: String, placed: Placed) -> Result<()> {
        if let Placed::Acknowledged { id, .. } = placed {
            let line = json!({ "at": Utc::now(), "key": key, "id": id });
            self.file.write_all(format!("{line}\n").as_bytes())?;
        }
        self.placed.push((key, placed));
        Ok(())
    }
}
