//! What a copy to storage takes of memory, there and read back, however large it is: told by the process that makes it, of
//! itself. A quarter of a gigabyte here, two with `LIFTLOCK_LONG=1`.

use std::{env, fs};

use liftlock_engine::Engine;
use liftlock_engine::process::Silent;
use liftlock_engine::state::home::Home;

use crate::alone;
use crate::storage::{Away, noise};

/// Set in the process that copies: the home of its Liftlock.
const COPIER: &str = "LIFTLOCK_TEST_COPIER";
const MOST_KB: u64 = 64 << 10;

#[test]
fn a_copy_of_any_size_goes_to_storage_and_is_read_back_in_less_memory_than_64_mb() {
    if let Ok(home) = env::var(COPIER) {
        return copy_as(&home);
    }
    let megabytes = if env::var("LIFTLOCK_LONG").is_ok_and(|it| it == "1") { 2048 } else { 256 };
    let away = Away::chosen();
    // Nothing packs what comes again only after a megabyte.
    let all = noise(1 << 20).repeat(megabytes);
    fs::write(away.bench.root.path().join("shop/data/uploads/big"), all).unwrap();
    let made = away.back_up();
    assert!(made.bytes > (megabytes as u64) << 20, "{made:?}");
    let name = "memory::a_copy_of_any_size_goes_to_storage_and_is_read_back_in_less_memory_than_64_mb";
    let home = away.bench.root.path().join("home");
    let said = alone::run(name, (COPIER, home.to_str().unwrap()));
    assert!(said.figure("written") > (megabytes as u64) << 20);
    let peak = said.figure("peak_kb");
    println!("{megabytes} MB in {peak} kB");
    assert!(peak < MOST_KB, "{peak} kB for {megabytes} MB");
}

fn copy_as(home: &str) {
    let engine = Engine::at(Home::at(home));
    let copied = engine.copy_backup(&"shop".parse().unwrap(), None, &Silent).unwrap();
    println!("written: {}", copied[0].bytes_written);
    alone::tell_peak();
}
