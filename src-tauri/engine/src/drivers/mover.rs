//! What a driver does where a database of another major version comes: a new server on a new volume, and the change of places.
//!
//! A volume that is there is never written to by another server and never removed; one that is made here bears the mark of its
//! update.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Result;
use crate::ports::Reporter;

/// A database that is to be moved, as it was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataMove {
    /// The version whose makers run it so.
    pub version: String,
    /// The service of the database.
    pub service: String,
    /// Its major version.
    pub from_major: u32,
    /// The one to come.
    pub to_major: u32,
    /// The new image, as compose files name it.
    pub image: String,
    /// Its digest in the registry that it comes from, where one tells it.
    pub digest: Option<String>,
    /// Its identity here, once it is here.
    pub id: Option<String>,
    /// The volume that holds the data.
    pub old_volume: String,
    /// The one to make.
    pub new_volume: String,
    /// Names that compose files give to the volume of the data: those of the user's and of the version's.
    pub keys: Vec<String>,
    /// What is mounted into the new server, where the folder of the data is another one; else only the volume is.
    pub mounts: Option<Vec<Value>>,
}

impl DataMove {
    /// The image as a compose file of ours names it: no other one can come by that name.
    pub fn pinned(&self) -> String {
        self.digest.as_ref().map_or_else(|| self.image.clone(), |digest| format!("{}@{digest}", self.image))
    }

    /// For the end, and for people.
    pub fn sentence(&self) -> String {
        format!(
            "Its database is PostgreSQL {} now, in the volume {}. The old one, of PostgreSQL {}, is kept as it was in the volume {}: \
             `docker volume rm {}` removes it for good, once you have seen that all is well.",
            self.to_major, self.new_volume, self.from_major, self.old_volume, self.old_volume
        )
    }
}

/// A driver that can do it. Every act may be done again.
pub trait DataMover: Send + Sync {
    /// What a version that lies here asks for; `None` where the database stays as it is.
    ///
    /// # Errors
    /// `release_not_here`, `volume_taken`; `cannot_move` with what is not as it must be.
    fn plan(&self, version: &str) -> Result<Option<DataMove>>;

    /// Gets the image, and answers with the plan that knows it.
    ///
    /// # Errors
    /// `image_missing`, `registry_unreachable`, ….
    fn prepare(&self, plan: &DataMove, reporter: &dyn Reporter) -> Result<DataMove>;

    /// Makes the volume and starts the new server on it, alone in a network without a way out; answers with its container.
    ///
    /// # Errors
    /// `volume_taken`, `disk_full`, ….
    fn begin(&self, plan: &DataMove, id: &str, reporter: &dyn Reporter) -> Result<String>;

    /// Stops that server gently and removes its container and network. The volume stays.
    ///
    /// # Errors
    /// `docker_down` and its kin.
    fn end(&self, plan: &DataMove, id: &str, reporter: &dyn Reporter) -> Result<()>;

    /// The same, and removes the volume if it bears the mark `id`.
    ///
    /// # Errors
    /// `docker_down` and its kin.
    fn discard(&self, plan: &DataMove, id: &str, reporter: &dyn Reporter) -> Result<()>;

    /// Whether there is a volume of this name.
    ///
    /// # Errors
    /// `docker_down` and its kin.
    fn is_volume(&self, name: &str) -> Result<bool>;

    /// What is said of places now, to go back to.
    ///
    /// # Errors
    /// It cannot be read.
    fn places(&self) -> Result<Value>;

    /// Says where the data is from now on, then `between`, then gives the service the new image and volume.
    ///
    /// # Errors
    /// What the disk and Docker answered.
    fn switch(&self, plan: &DataMove, between: &dyn Fn(), reporter: &dyn Reporter) -> Result<()>;

    /// The same to what was said `before`.
    ///
    /// # Errors
    /// As [`DataMover::switch`].
    fn switch_back(&self, plan: &DataMove, before: &Value, between: &dyn Fn(), reporter: &dyn Reporter) -> Result<()>;
}
