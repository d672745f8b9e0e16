//! Real files in every place in which an interruption can leave them.

use super::*;

struct World {
    _dir: tempfile::TempDir,
    beside: Beside,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("data");
        fs::write(&live, "original").unwrap();
        let beside = Beside::plan(&live, "1f3a").unwrap();
        Self { _dir: dir, beside }
    }
    fn copied() -> Self {
        let world = Self::new();
        world.beside.make_next(|next| fs::write(next, "copy").map_err(|it| Error::io("write", next, &it))).unwrap();
        world
    }
    fn read(&self, path: &Path) -> Option<String> {
        fs::read_to_string(path).ok()
    }
    /// Live, next, aside, failed.
    fn all(&self) -> [Option<String>; 4] {
        let it = &self.beside;
        [self.read(&it.live), self.read(&it.next()), self.read(&it.aside()), self.read(&it.failed())]
    }
    fn names(&self) -> usize {
        fs::read_dir(self.beside.live.parent().unwrap()).unwrap().count()
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.into())
}

#[test]
fn a_copy_takes_the_place_and_the_original_comes_back() {
    let world = World::copied();
    assert_eq!(world.beside.observe().unwrap(), AsideState::Copied);
    world.beside.swap().unwrap();
    assert_eq!(world.all(), [some("copy"), None, some("original"), None]);
    assert_eq!(world.beside.copy().unwrap(), world.beside.live);
    world.beside.swap().unwrap();
    world.beside.put_back().unwrap();
    assert_eq!(world.all(), [some("original"), None, None, some("copy")]);
    world.beside.put_back().unwrap();
    assert_eq!(world.beside.observe().unwrap(), AsideState::PutBack);
    assert_eq!(world.names(), 2);
}

/// Every place in which an interruption can leave the two, as (live, next, aside, failed).
const HALF_WAYS: [(&str, [&str; 4]); 6] = [
    ("exchanged", ["copy", "original", "", ""]),
    ("original renamed away", ["", "copy", "original", ""]),
    ("swapped", ["copy", "", "original", ""]),
    ("copy renamed away on the way back", ["", "", "original", "copy"]),
    ("exchanged back", ["original", "", "copy", ""]),
    ("copied", ["original", "copy", "", ""]),
];

fn stand(world: &World, wanted: [&str; 4]) {
    let it = &world.beside;
    let places = [it.live.clone(), it.next(), it.aside(), it.failed()];
    let away = [it.live.with_file_name("x"), it.live.with_file_name("y")];
    fs::rename(&it.live, &away[0]).unwrap();
    fs::rename(it.next(), &away[1]).unwrap();
    for (place, who) in places.iter().zip(wanted) {
        match who {
            "original" => fs::rename(&away[0], place).unwrap(),
            "copy" => fs::rename(&away[1], place).unwrap(),
            _ => {}
        }
    }
}

#[test]
fn from_every_half_way_the_original_comes_back_and_the_copy_is_kept() {
    for (name, places) in HALF_WAYS {
        let world = World::copied();
        stand(&world, places);
        world.beside.put_back().unwrap_or_else(|it| panic!("{name}: {it:?}"));
        assert_eq!(world.all(), [some("original"), None, None, some("copy")], "{name}");
    }
}

#[test]
fn from_every_half_way_forward_the_copy_gets_its_place() {
    for (name, places) in HALF_WAYS.into_iter().filter(|(name, _)| !name.contains("back")) {
        let world = World::copied();
        stand(&world, places);
        world.beside.swap().unwrap_or_else(|it| panic!("{name}: {it:?}"));
        assert_eq!(world.all(), [some("copy"), None, some("original"), None], "{name}");
    }
}

#[test]
fn a_copy_cut_short_is_no_copy_and_is_made_anew() {
    let world = World::new();
    let failed = world.beside.make_next(|next| {
        fs::write(next, "half").unwrap();
        Err(Error::failed("cancelled", "no"))
    });
    assert_eq!(failed.unwrap_err().class, "cancelled");
    assert_eq!(world.beside.observe().unwrap(), AsideState::Copying);
    assert_eq!(world.beside.swap().unwrap_err().class, "not_set_aside");
    world.beside.make_next(|next| fs::write(next, "copy").map_err(|it| Error::io("write", next, &it))).unwrap();
    assert_eq!(world.all(), [some("original"), some("copy"), None, None]);
    assert_eq!(world.names(), 2);
}

#[test]
fn going_back_in_the_middle_of_copying_leaves_the_original_alone() {
    let world = World::new();
    let _ = world.beside.make_next(|_| Err(Error::failed("cancelled", "no")));
    world.beside.put_back().unwrap();
    assert_eq!(world.beside.observe().unwrap(), AsideState::NotStarted);
    assert_eq!(world.names(), 1);
}

#[test]
fn a_stranger_under_our_names_is_unknown_and_nothing_is_renamed() {
    let world = World::copied();
    world.beside.swap().unwrap();
    let aside = world.beside.aside();
    // The original is kept under another name by somebody, and something else put where it stood.
    fs::rename(&aside, aside.with_extension("moved")).unwrap();
    fs::write(&aside, "stranger").unwrap();
    assert!(matches!(world.beside.observe().unwrap(), AsideState::Unknown(_)));
    assert_eq!(world.beside.put_back().unwrap_err().class, "not_set_aside");
    assert_eq!(world.beside.swap().unwrap_err().class, "not_set_aside");
    assert_eq!(world.all(), [some("copy"), None, some("stranger"), None]);
}

#[test]
fn what_the_new_version_put_in_its_place_is_kept_as_failed() {
    let world = World::copied();
    world.beside.swap().unwrap();
    let other = world.beside.live.with_extension("new");
    fs::write(&other, "replaced by the application").unwrap();
    fs::rename(&other, &world.beside.live).unwrap();
    world.beside.put_back().unwrap();
    assert_eq!(world.all(), [some("original"), None, None, some("replaced by the application")]);
}

#[test]
fn a_copy_that_vanished_does_not_keep_the_original_from_coming_back() {
    let world = World::copied();
    world.beside.swap().unwrap();
    fs::remove_file(&world.beside.live).unwrap();
    world.beside.put_back().unwrap();
    assert_eq!(world.all(), [some("original"), None, None, None]);
}

#[test]
fn it_survives_the_journal() {
    let world = World::new();
    assert_eq!(Beside::from_aside(&world.beside.to_aside()).unwrap(), world.beside);
    assert_eq!(Beside::from_aside(&Aside(serde_json::json!({"live": 3}))).unwrap_err().class, "journal");
}

#[test]
fn a_taken_name_refuses_before_anything_begins() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("data");
    fs::write(&live, "x").unwrap();
    fs::write(dir.path().join("data__aside_7"), "y").unwrap();
    assert_eq!(Beside::plan(&live, "7").unwrap_err().class, "already_there");
    assert_eq!(Beside::plan(&dir.path().join("none"), "7").unwrap_err().class, "not_found");
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_of_its_own_is_refused() {
    assert_eq!(Beside::plan(Path::new("/proc"), "7").unwrap_err().class, "mount_point");
}

#[test]
fn with_the_journal_lost_the_names_tell_what_they_can_and_no_more() {
    let by_name = |world: &World| observe_by_name(&world.beside.live, "1f3a").unwrap();
    assert_eq!(by_name(&World::new()), AsideState::NotStarted);
    let world = World::copied();
    // The one beside may be the original, on its way to its name.
    assert!(matches!(by_name(&world), AsideState::Unknown(_)));
    world.beside.swap().unwrap();
    assert_eq!(by_name(&world), AsideState::Swapped);
    world.beside.put_back().unwrap();
    assert_eq!(by_name(&world), AsideState::PutBack);
}
