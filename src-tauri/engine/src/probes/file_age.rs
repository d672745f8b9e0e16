//! Asking a file when it was last written: an application that works leaves traces.

use std::{fs, io, path::Path, time::Duration};

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};

pub(super) fn probe(path: &Path, max_age: Duration, now: DateTime<Utc>) -> Result<()> {
    let modified = match fs::metadata(path).and_then(|meta| meta.modified()) {
        Ok(modified) => DateTime::<Utc>::from(modified),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(Error::failed("missing", format!("The file {} is not there.", path.display()))
                .remedy("Look at the log of the application: it should have written this file."));
        }
        Err(cause) => return Err(Error::io("read", path, &cause)),
    };
    // A time in the future is a clock that was set back; the file was written, and lately.
    let age = (now - modified).to_std().unwrap_or(Duration::ZERO);
    if age <= max_age {
        return Ok(());
    }
    let message = format!("The file {} was last written {} minutes ago.", path.display(), age.as_secs() / 60);
    Err(Error::failed("stale", message)
        .remedy("Look at the log of the application: it seems to have stopped doing what writes this file."))
}
