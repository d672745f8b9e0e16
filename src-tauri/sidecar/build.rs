//! What the linker is told for the program that is shipped.
//!
//! A panic ends it at once (`panic = "abort"`), so nobody ever reads the tables by which a stack is unwound. The compiler
//! writes them all the same, and they are an eighth of the program, which is copied for every update.

use std::env;

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=without-unwinding.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        // One copy of functions and tables that came out alike: for types of the same shape, and for processors of several
        // kinds. Nothing here tells two of them apart by their address; `--print-icf-sections` lists what is folded.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all,--ignore-data-address-equality,-O2");
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/without-unwinding.ld");
    }
}
