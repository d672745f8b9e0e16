//! Packs what the worker carries as text: the published schema of profiles.

use std::{env, fs, io, path::Path};

use flate2::{Compression, write::GzEncoder};

const SCHEMA: &str = "../../docs/schema/profile.schema.json";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SCHEMA}");
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    let packed = fs::File::create(Path::new(&out).join("profile.schema.json.gz"))?;
    let mut packed = GzEncoder::new(packed, Compression::best());
    io::copy(&mut fs::File::open(SCHEMA)?, &mut packed)?;
    packed.finish()?.sync_all()
}
