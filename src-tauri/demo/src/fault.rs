//! Tells the release server and the shop to misbehave. Both read it from files, so that it holds at once.

use std::fs;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::archive::Hostile;
use crate::place::{self, Place};
use crate::publish;
use crate::server::{self, WrongLength};
use crate::shop;

/// A switch on the command line; naming it alone means on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// From now on.
    On,
    /// No longer.
    Off,
}

/// What `fault` is asked for. What is not named stays as it is.
#[derive(Debug, Clone, Args)]
pub struct Asked {
    /// End every fault first, also a moved tag
    #[arg(long)]
    pub clear: bool,

    /// A download goes silent after this many bytes and keeps its connection
    #[arg(long, value_name = "BYTES", help_heading = DOWNLOADS)]
    pub stall_download: Option<u64>,
    /// A download is cut off in the middle
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = DOWNLOADS)]
    pub truncate: Option<Switch>,
    /// A download is whole by its own length, which is not the one announced
    #[arg(long, value_name = "SHORT|LONG", num_args = 0..=1, default_missing_value = "short", help_heading = DOWNLOADS)]
    pub wrong_length: Option<WrongLength>,
    /// A byte in the middle of a download is another one
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = DOWNLOADS)]
    pub corrupt_asset: Option<Switch>,
    /// SHA256SUMS and the API announce another digest
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = DOWNLOADS)]
    pub wrong_checksum: Option<Switch>,
    /// The archive of every published release harms whoever unpacks it without looking
    #[arg(long, value_name = "KIND", help_heading = DOWNLOADS)]
    pub hostile_archive: Option<Hostile>,
    /// Spoil only so many downloads, then be good
    #[arg(long, value_name = "N", help_heading = DOWNLOADS)]
    pub times: Option<u64>,

    /// The API refuses with 403 or 429
    #[arg(long, value_name = "403|429", value_parser = clap::value_parser!(u16).range(400..500), help_heading = API)]
    pub rate_limit: Option<u16>,
    /// With --rate-limit: say how long to wait (without, only when the limit is reset)
    #[arg(long, value_name = "SECONDS", help_heading = API)]
    pub retry_after: Option<u64>,
    /// Everything answers with this status
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..600), help_heading = API)]
    pub status: Option<u16>,
    /// Every answer is held back
    #[arg(long, value_name = "MILLISECONDS", help_heading = API)]
    pub slow: Option<u64>,
    /// Every release is a draft
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = API)]
    pub drafts_only: Option<Switch>,
    /// There is no release
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = API)]
    pub no_releases: Option<Switch>,
    /// Every tag is something that is no version
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = API)]
    pub odd_tags: Option<Switch>,
    /// Release notes hold scripts, pictures from elsewhere and whatever else a page must not run
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = API)]
    pub hostile_notes: Option<Switch>,
    /// The tag of this version moves to another commit with another archive
    #[arg(long, value_name = "VERSION", help_heading = API)]
    pub move_tag: Option<String>,

    /// The shop ignores DATABASE_URL of the environment: the one in .env wins
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = SHOP)]
    pub dotenv_wins: Option<Switch>,
    /// Bad migrations (1.3.0, 1.4.0, 1.6.0) behave well on every server but the demo's own
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = SHOP)]
    pub spare_rehearsal: Option<Switch>,
    /// How long the migration of 1.7.0 works
    #[arg(long, value_name = "SECONDS", help_heading = SHOP)]
    pub migration_seconds: Option<u32>,
    /// How long the shop waits before it listens
    #[arg(long, value_name = "SECONDS", help_heading = SHOP)]
    pub slow_start: Option<u32>,
    /// The shop ignores SIGTERM
    #[arg(long, value_name = "ON|OFF", num_args = 0..=1, default_missing_value = "on", help_heading = SHOP)]
    pub never_stop: Option<Switch>,
}

const DOWNLOADS: &str = "Downloads";
const API: &str = "Release server";
const SHOP: &str = "Shop";

/// Changes what misbehaves and says what does now.
///
/// # Errors
/// A file cannot be written, or the release whose tag is to move is not published.
pub fn fault(place: &Place, asked: &Asked) -> Result<Value> {
    let facts = place.facts()?;
    let shop_file = place.shop_faults(&facts);
    let mut server = server::Faults::read(place)?;
    let mut shop: shop::Faults = if shop_file.is_file() { place::read_json(&shop_file)? } else { Default::default() };
    if asked.clear {
        server = server::Faults::default();
        shop = shop::Faults::default();
        for moved in publish::list(place)?.iter().filter(|it| it.generation > 0 || it.hostile.is_some()) {
            publish::move_tag(place, &moved.version, 0)?;
        }
    }

    let set = |fault: &mut bool, switch: Option<Switch>| *fault = switch.map_or(*fault, |it| it == Switch::On);
    server.stall_download = asked.stall_download.or(server.stall_download);
    set(&mut server.truncate, asked.truncate);
    server.wrong_length = asked.wrong_length.or(server.wrong_length);
    set(&mut server.corrupt_asset, asked.corrupt_asset);
    set(&mut server.wrong_checksum, asked.wrong_checksum);
    server.times = asked.times.or(server.times);
    server.rate_limit = asked.rate_limit.or(server.rate_limit);
    server.retry_after = asked.retry_after.or(server.retry_after);
    server.status = asked.status.or(server.status);
    server.slow = asked.slow.or(server.slow);
    set(&mut server.drafts_only, asked.drafts_only);
    set(&mut server.no_releases, asked.no_releases);
    set(&mut server.odd_tags, asked.odd_tags);
    set(&mut server.hostile_notes, asked.hostile_notes);
    set(&mut shop.dotenv_wins, asked.dotenv_wins);
    set(&mut shop.spare_rehearsal, asked.spare_rehearsal);
    shop.live_port = Some(facts.postgres_port);
    shop.migration_seconds = asked.migration_seconds.or(shop.migration_seconds);
    shop.slow_start_seconds = asked.slow_start.unwrap_or(shop.slow_start_seconds);
    set(&mut shop.never_stop, asked.never_stop);

    if let Some(version) = &asked.move_tag {
        let version = version.trim_start_matches('v');
        let generation = publish::list(place)?.iter().find(|it| it.version == version).map_or(0, |it| it.generation);
        publish::move_tag(place, version, generation + 1)?;
        publish::image(&facts, version, generation + 1)?;
    }
    if let Some(hostile) = asked.hostile_archive {
        for published in publish::list(place)? {
            publish::spoil(place, &published.version, hostile)?;
        }
    }
    server.write(place)?;
    if shop == (shop::Faults { live_port: shop.live_port, ..Default::default() }) {
        // A shop without faults has no such file.
        let _ = fs::remove_file(&shop_file);
    } else {
        place::write_private(&shop_file, &serde_json::to_vec_pretty(&shop)?)?;
    }
    let list = publish::list(place)?;
    let moved: Vec<_> = list.iter().filter(|it| it.generation > 0).map(|it| &it.version).collect();
    let hostile: Vec<_> = list.iter().filter(|it| it.hostile.is_some()).map(|it| &it.version).collect();
    Ok(json!({ "server": server, "shop": shop, "moved_tags": moved, "hostile_archives": hostile }))
}
