//! The folder that backups are kept in, where a person chose one.

use std::fs;
use std::path::{Path, PathBuf};

use liftlock_engine::process::Silent;

use crate::shop::Bench;

impl Bench {
    fn keep_in(&self, folder: &Path) -> Result<(), String> {
        self.engine.choose("backup_folder", folder.to_str()).map_err(|it| it.class.into_owned())
    }

    /// The folders of all that is listed, newest first.
    fn listed(&self) -> Vec<PathBuf> {
        let all = self.engine.backups(Some(&self.shop)).unwrap().0;
        all.into_iter().map(|it| Path::new(&it.path).parent().unwrap().to_owned()).collect()
    }

    fn classes(&self) -> Vec<String> {
        self.engine.doctor().unwrap().findings.into_iter().map(|it| it.class).collect()
    }

    fn back_up(&self) -> Result<String, String> {
        self.pass(chrono::TimeDelta::hours(1));
        self.engine.backup(&self.shop, "", &Silent).map(|it| it.id).map_err(|it| it.class.into_owned())
    }
}

#[test]
fn backups_go_to_the_chosen_folder_and_older_ones_are_kept_by_the_same_rule_where_they_are() {
    let bench = Bench::new();
    let (own, disk) = (bench.root.path().join("home/backups/shop"), bench.root.path().join("disk"));
    let first = bench.back_up().unwrap();
    fs::create_dir(&disk).unwrap();
    bench.keep_in(&disk).unwrap();
    let chosen = bench.engine.settings().unwrap().into_iter().find(|it| it.key == "backup_folder").unwrap();
    assert_eq!(Path::new(&chosen.value), disk);
    let second = bench.back_up().unwrap();
    assert_eq!(bench.listed(), [disk.join("shop"), own.clone()]);
    for id in [&first, &second] {
        assert_eq!(bench.engine.verify_backup(Path::new(id), &Silent).unwrap().grade, "proven", "{id}");
    }
    bench.engine.choose("keep_backups", Some("2")).unwrap();
    bench.back_up().unwrap();
    let pruned = bench.engine.prune(&bench.shop).unwrap();
    assert_eq!(pruned.goes.into_iter().map(|it| it.id).collect::<Vec<_>>(), [first], "the oldest, wherever it is");
    assert_eq!(bench.listed(), [disk.join("shop"), disk.join("shop")]);
    // Back in its own folder; what is on the disk stays known.
    bench.engine.choose("backup_folder", None).unwrap();
    bench.back_up().unwrap();
    assert_eq!(bench.listed(), [own, disk.join("shop"), disk.join("shop")]);
}

#[test]
fn while_the_disk_is_away_no_backup_is_made_and_it_is_said() {
    let bench = Bench::new();
    let (disk, away) = (bench.root.path().join("disk"), bench.root.path().join("in a drawer"));
    fs::create_dir(&disk).unwrap();
    bench.keep_in(&disk).unwrap();
    bench.back_up().unwrap();
    fs::rename(&disk, &away).unwrap();
    fs::create_dir(&disk).unwrap();
    assert_eq!(bench.back_up().unwrap_err(), "backup_folder_gone");
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 0, "nothing is put into the mount point");
    assert!(bench.classes().contains(&"backup_folder_gone".to_owned()));
    assert_eq!(bench.listed(), Vec::<PathBuf>::new());
    fs::remove_dir(&disk).unwrap();
    fs::rename(&away, &disk).unwrap();
    bench.back_up().unwrap();
    assert_eq!(bench.listed().len(), 2);
    assert!(!bench.classes().contains(&"backup_folder_gone".to_owned()));
}

#[test]
fn a_folder_that_cannot_hold_backups_is_refused_when_it_is_chosen() {
    let bench = Bench::new();
    let root = bench.root.path();
    let copies = root.join("usb");
    fs::create_dir(&copies).unwrap();
    bench.engine.copy_backups_to(Some(&copies)).unwrap();
    for (folder, class) in [
        (PathBuf::from("beside"), "bad_setting"),
        (root.join("not there"), "backup_folder_gone"),
        (root.join("home/upgrades"), "backup_folder_taken"),
        (root.to_owned(), "backup_folder_taken"),
        (root.join("shop/data"), "backup_folder_taken"),
        (copies, "backup_folder_taken"),
    ] {
        assert_eq!(bench.keep_in(&folder).unwrap_err(), class, "{}", folder.display());
    }
    assert_eq!(bench.engine.settings().unwrap().into_iter().find(|it| it.key == "backup_folder").unwrap().value, "");
    bench.back_up().unwrap();
}
