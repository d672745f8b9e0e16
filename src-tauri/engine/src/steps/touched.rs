//! A mark in the folder of an upgrade from the moment on when something of the user's may be changed: it tells that
//! also where the state is lost.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::Result;
use crate::model::ids::UpgradeId;
use crate::state::home::{Home, make_private_dir};

/// From where to where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// The version that ran.
    pub from: String,
    /// The version to reach.
    pub to: String,
}

fn file(home: &Home, id: UpgradeId) -> PathBuf {
    home.upgrade(id).join("touched.json")
}

/// Leaves the mark, once, on disk before the answer.
///
/// # Errors
/// What the disk answered.
pub fn mark(home: &Home, id: UpgradeId, touched: &Touched) -> Result<()> {
    let path = file(home, id);
    if path.is_file() {
        return Ok(());
    }
    make_private_dir(&home.upgrade(id))?;
    durable::write(&path, &serde_json::to_vec(touched).unwrap_or_default())
}

/// The mark, where there is one.
pub fn read(home: &Home, id: UpgradeId) -> Option<Touched> {
    serde_json::from_slice(&fs::read(file(home, id)).ok()?).ok()
}
