//! Copies in storage of objects: a server that speaks S3, behind a line that can be cut.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use liftlock_engine::Error;
use liftlock_engine::digest::sha256;
use liftlock_engine::objects::Address;
use liftlock_engine::process::Silent;
use liftlock_engine::view::{BackupView, CopyView, DueOutcome};

use crate::shop::Bench;
use crate::support::wait_until;

#[path = "../../support/objects.rs"]
mod objects;
#[path = "../../support/proxy.rs"]
mod proxy;

use objects::{BUCKET, Instead, KEY_ID, Objects, SECRET};
use proxy::Proxy;

const MEGABYTES: usize = 20;

pub(crate) struct Away {
    pub(crate) bench: Bench,
    server: Objects,
    line: Proxy,
}

impl Away {
    /// With an upload that goes in three parts.
    fn new() -> Self {
        let bench = Bench::new();
        fs::write(bench.root.path().join("shop/data/uploads/big"), noise(MEGABYTES << 20)).unwrap();
        let server = Objects::start();
        let line = Proxy::before(server.port);
        Self { bench, server, line }
    }

    pub(crate) fn chosen() -> Self {
        let away = Self::new();
        let key = away.key(SECRET, 0o600);
        away.choose(BUCKET, KEY_ID, &key).unwrap();
        away
    }

    fn key(&self, secret: &str, mode: u32) -> String {
        let path = self.bench.root.path().join("access key");
        fs::write(&path, format!("{secret}\n")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        format!("file:{}", path.display())
    }

    fn choose(&self, bucket: &str, key_id: &str, key_from: &str) -> Result<(), Error> {
        let (place, server) = (format!("s3://{bucket}/at/home"), format!("http://127.0.0.1:{}", self.line.port));
        let address = Address::new(&place, Some(&server), None, Some(key_id), Some(key_from))?;
        self.bench.engine.copy_backups_to_storage(&address, &Silent)
    }

    pub(crate) fn back_up(&self) -> BackupView {
        self.bench.engine.backup(&self.bench.shop, "", &Silent).unwrap()
    }

    fn copy(&self) -> Result<CopyView, Error> {
        Ok(self.bench.engine.copy_backup(&self.bench.shop, None, &Silent)?.pop().unwrap())
    }

    /// A copy that is cut in the middle of the second part of three. The line stays down, and nothing of what was sent
    /// is still on its way to the server, which may be slower to read than the copy is to fail.
    fn copy_cut(&self) -> Error {
        self.line.faults.cut_after.store(13 << 20, Ordering::SeqCst);
        let cut = self.copy().unwrap_err();
        wait_until("the server has read what was sent", || {
            self.server.ended() == self.line.faults.passed_on.load(Ordering::SeqCst)
        });
        cut
    }

    /// The refusal of a copy while the server answers something else.
    fn refusal(&self, to: &'static str, status: u16, code: &'static str) -> Error {
        self.server.answer(Instead { to, times: 99, status, code, date: None });
        let error = self.copy().unwrap_err();
        self.server.answer_as_it_is();
        error
    }

    fn finding(&self) -> Option<String> {
        let found = self.bench.engine.doctor().unwrap().findings;
        found.into_iter().find(|it| it.class == "copy_behind").map(|it| it.message)
    }
}

/// What cannot be made smaller.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        })
        .collect()
}

#[test]
fn a_copy_in_storage_is_read_back_and_brought_back_where_its_backup_is_gone() {
    let away = Away::chosen();
    let made = away.back_up();
    assert!(away.finding().unwrap().contains("has no copy in s3://shop-backups/at/home"));
    let copied = away.copy().unwrap();
    assert_eq!(copied.path, format!("s3://{BUCKET}/at/home/shop/{}", made.id));
    assert!(copied.bytes_written > (MEGABYTES << 20) as u64 && copied.bytes_there_before == 0, "{copied:?}");
    assert_eq!((away.finding(), away.server.parts()), (None, 0));
    for name in ["manifest.json", "uploads.tar.gz", "RESTORE.html", "SHA256SUMS"] {
        let there = fs::read(away.server.bucket().join(format!("at/home/shop/{}/{name}", made.id))).unwrap();
        assert_eq!(sha256(&there), sha256(&fs::read(Path::new(&made.path).join(name)).unwrap()), "{name}");
    }
    away.server.asked();
    assert_eq!(away.copy().unwrap().bytes_written, 0);
    assert!(away.server.asked().iter().all(|it| !it.starts_with("PUT")), "one that is whole is only read");
    // The computer lost its backups.
    fs::remove_dir_all(&made.path).unwrap();
    let lying = away.bench.engine.lying_copies(&away.bench.shop, &Silent).unwrap();
    assert_eq!((lying.len(), lying[0].here, lying[0].grade.as_str()), (1, false, "proven"));
    let back = away.bench.engine.fetch_backup(&away.bench.shop, &lying[0].id, &Silent).unwrap();
    assert_eq!((back.id.as_str(), back.path.as_str(), back.bytes), (made.id.as_str(), made.path.as_str(), made.bytes));
    let proven = away.bench.engine.verify_backup(Path::new(&back.id), &Silent).unwrap();
    assert_eq!(proven.grade, "proven");
    // No secret stands in what is kept.
    for file in ["home/liftlock.db", "home/liftlock.db-wal"] {
        let bytes = fs::read(away.bench.root.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(SECRET.len()).any(|it| it == SECRET.as_bytes()), "{file}");
    }
}

#[test]
fn a_copy_that_was_cut_goes_on_without_sending_what_is_there() {
    let away = Away::chosen();
    let made = away.back_up();
    let cut = away.copy_cut();
    assert!(["storage_cut", "storage_unreachable"].contains(&cut.class.as_ref()), "{cut:?}");
    assert!(cut.remedy.contains("opy"), "{cut:?}");
    assert!(away.finding().unwrap().contains(&cut.message), "{:?}", away.finding());
    assert!(away.server.names("at/home/shop").iter().all(|it| !it.ends_with(".whole")));
    away.line.faults.down.store(false, Ordering::SeqCst);
    away.server.asked();
    let whole = away.copy().unwrap();
    assert!(whole.bytes_there_before >= 8 << 20, "{whole:?}");
    assert!(whole.bytes_written < 13 << 20, "{whole:?}");
    let asked = away.server.asked();
    let parts = |number: &str| asked.iter().filter(|it| it.starts_with("PUT") && it.contains(number)).count();
    assert_eq!((parts("partNumber=1&"), parts("partNumber=3&")), (0, 1), "{asked:#?}");
    let there = fs::read(away.server.bucket().join(format!("at/home/shop/{}/uploads.tar.gz", made.id))).unwrap();
    assert_eq!(sha256(&there), sha256(&fs::read(Path::new(&made.path).join("uploads.tar.gz")).unwrap()));
    assert_eq!((away.finding(), away.server.parts()), (None, 0));
}

#[test]
fn a_server_that_forgot_the_parts_gets_them_anew_and_a_short_outage_is_waited_for() {
    let away = Away::chosen();
    away.back_up();
    away.copy_cut();
    away.line.faults.down.store(false, Ordering::SeqCst);
    away.server.answer(Instead { to: "partNumber=2&", times: 1, status: 404, code: "NoSuchUpload", date: None });
    away.server.answer(Instead { to: "partNumber=3&", times: 2, status: 503, code: "SlowDown", date: None });
    let whole = away.copy().unwrap();
    assert!(whole.bytes_written > (MEGABYTES << 20) as u64, "{whole:?}");
    assert_eq!(away.finding(), None);
}

#[test]
fn what_comes_back_otherwise_than_it_was_sent_is_no_copy() {
    let away = Away::chosen();
    let made = away.back_up();
    away.copy().unwrap();
    let folder = away.server.bucket().join(format!("at/home/shop/{}", made.id));
    let dump = folder.join("uploads.tar.gz");
    let mut bytes = fs::read(&dump).unwrap();
    bytes[4000] ^= 1;
    fs::write(&dump, &bytes).unwrap();
    assert_eq!(away.copy().unwrap_err().class, "copy_differs");
    assert!(away.bench.engine.fetch_backup(&away.bench.shop, &made.id, &Silent).is_err(), "it is here");
    fs::remove_dir_all(&made.path).unwrap();
    let fetched = away.bench.engine.fetch_backup(&away.bench.shop, &made.id, &Silent);
    assert_eq!(fetched.unwrap_err().class, "backup_damaged");
    assert!(!Path::new(&made.path).exists());
    // One that does not count yet mends itself.
    let made = away.back_up();
    let folder = away.server.bucket().join(format!("at/home/shop/{}", made.id));
    fs::create_dir_all(&folder).unwrap();
    let own = fs::read(Path::new(&made.path).join("uploads.tar.gz")).unwrap();
    fs::write(folder.join("uploads.tar.gz"), vec![0; own.len()]).unwrap();
    assert_eq!(away.copy().unwrap_err().class, "copy_differs");
    assert!(away.copy().unwrap().bytes_written > (MEGABYTES << 20) as u64);
}

#[test]
fn what_storage_refuses_is_said_with_what_to_do() {
    let away = Away::new();
    let key = away.key(SECRET, 0o600);
    assert_eq!(away.choose("no-such-bucket", KEY_ID, &key).unwrap_err().class, "storage_no_bucket");
    assert_eq!(away.choose(BUCKET, "STRANGER", &key).unwrap_err().class, "storage_key");
    assert_eq!(away.choose(BUCKET, KEY_ID, &away.key("another secret", 0o600)).unwrap_err().class, "storage_key");
    assert_eq!(away.choose(BUCKET, KEY_ID, &away.key(SECRET, 0o644)).unwrap_err().class, "key_not_private");
    assert_eq!(away.choose(BUCKET, KEY_ID, "file:/no/such/key").unwrap_err().class, "key_unreadable");
    assert_eq!(away.choose(BUCKET, KEY_ID, SECRET).unwrap_err().class, "bad_key_place");
    assert_eq!(away.copy().unwrap_err().class, "no_copy_folder", "nothing of that was chosen");
    away.choose(BUCKET, KEY_ID, &away.key(SECRET, 0o600)).unwrap();
    away.back_up();
    assert_eq!(away.refusal("GET", 403, "AccessDenied").class, "storage_denied");
    assert_eq!(away.refusal("PUT", 507, "XMinioStorageFull").class, "storage_full");
    assert_eq!(away.refusal("PUT", 403, "QuotaExceeded").class, "storage_full");
    assert_eq!(away.refusal("GET", 403, "RequestTimeTooSkewed").class, "storage_clock");
    assert_eq!(away.refusal("GET", 301, "PermanentRedirect").class, "storage_elsewhere");
    assert_eq!(away.refusal("GET", 500, "InternalError").class, "storage_error");
    // Amazon says only that the request has expired: the server's own time tells why.
    let date = Some("Sun, 22 Nov 2020 00:00:00 GMT");
    away.server.answer(Instead { to: "GET", times: 99, status: 403, code: "AccessDenied", date });
    let error = away.copy().unwrap_err();
    assert_eq!(error.class, "storage_clock", "{error:?}");
    assert!(error.remedy.contains("date and time"), "{error:?}");
    away.server.answer_as_it_is();
    away.line.faults.down.store(true, Ordering::SeqCst);
    let error = away.copy().unwrap_err();
    assert!(["storage_cut", "storage_unreachable"].contains(&error.class.as_ref()), "{error:?}");
    for error in [&error, &away.refusal("GET", 403, "AccessDenied")] {
        let all = format!("{error:?}");
        assert!(!all.contains("X-Amz-Signature") && !all.contains(SECRET) && !error.remedy.is_empty(), "{all}");
    }
    away.line.faults.down.store(false, Ordering::SeqCst);
    fs::remove_file(away.server.bucket().join("at/home/.liftlock-copies")).unwrap();
    assert_eq!(away.copy().unwrap_err().class, "storage_not_chosen");
}

#[test]
fn scheduled_copies_are_caught_up_and_only_the_newest_few_stay() {
    let away = Away::chosen();
    fs::remove_file(away.bench.root.path().join("shop/data/uploads/big")).unwrap();
    let bench = &away.bench;
    bench.engine.choose("keep_copies", Some("2")).unwrap();
    bench.engine.schedule_backups(&bench.shop, "every hour").unwrap();
    let copies = || away.server.names("at/home/shop").iter().filter(|it| it.ends_with("/.whole")).count();
    bench.pass(TimeDelta::hours(1));
    assert_eq!((bench.outcomes(), copies()), (vec![DueOutcome::Made], 1));
    away.server.asked();
    assert!(bench.run().is_empty() && away.finding().is_none());
    assert_eq!(away.server.asked(), Vec::<String>::new(), "nobody is asked where nothing is to be copied");
    away.line.faults.down.store(true, Ordering::SeqCst);
    bench.pass(TimeDelta::hours(1));
    let made = bench.run().pop().unwrap();
    assert!(made.outcome == DueOutcome::Made && made.error.is_some(), "{made:?}");
    assert!(bench.run().is_empty(), "a line that is down is no failure of each quarter of an hour");
    assert!(away.finding().is_some());
    away.line.faults.down.store(false, Ordering::SeqCst);
    // What others keep there, and what was begun of a copy and never ended.
    let root = away.server.bucket().join("at/home/shop");
    fs::write(root.join("not ours"), "").unwrap();
    fs::create_dir_all(root.join("2026-01-01T00-00-00Z-abcdef")).unwrap();
    fs::write(root.join("2026-01-01T00-00-00Z-abcdef/database.gz"), "").unwrap();
    assert_eq!((bench.outcomes(), copies()), (vec![DueOutcome::Copied], 2));
    assert_eq!(away.finding(), None);
    bench.pass(TimeDelta::hours(1));
    assert_eq!((bench.outcomes(), copies()), (vec![DueOutcome::Made], 2), "no more than two copies");
    let names = away.server.names("at/home/shop");
    assert!(names.iter().any(|it| it.ends_with("not ours")), "{names:?}");
    assert!(!names.iter().any(|it| it.contains("abcdef")), "{names:?}");
    bench.engine.copy_backups_to(None).unwrap();
    bench.pass(TimeDelta::hours(1));
    away.server.asked();
    assert_eq!((bench.outcomes(), away.server.asked().len()), (vec![DueOutcome::Made], 0));
}

#[test]
fn parts_of_a_copy_that_nobody_goes_on_with_are_given_up() {
    let away = Away::chosen();
    away.back_up();
    away.copy_cut();
    away.line.faults.down.store(false, Ordering::SeqCst);
    assert!(away.server.parts() > 0);
    // A newer backup takes its place.
    fs::remove_file(away.bench.root.path().join("shop/data/uploads/big")).unwrap();
    away.bench.pass(TimeDelta::hours(1));
    away.back_up();
    away.copy().unwrap();
    assert_eq!(away.server.parts(), 0, "they take room that is paid for");
    let journals = fs::read_dir(away.bench.root.path().join("home/sent-parts")).unwrap().count();
    assert_eq!(journals, 0);
}

#[test]
fn a_folder_that_is_away_keeps_no_copy_from_storage() {
    let away = Away::chosen();
    let disk = away.bench.root.path().join("usb");
    fs::create_dir(&disk).unwrap();
    away.bench.engine.copy_backups_to(Some(&disk)).unwrap();
    away.back_up();
    fs::remove_dir_all(&disk).unwrap();
    assert_eq!(away.copy().unwrap_err().class, "copy_folder_gone");
    assert_eq!(away.server.names("at/home/shop").iter().filter(|it| it.ends_with("/.whole")).count(), 1);
}
