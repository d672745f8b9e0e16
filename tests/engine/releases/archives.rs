//! Archives as they should be, and a corpus of those that should not.
//!
//! Every hostile archive is unpacked beside a canary: a file and a folder outside that must stay as they are.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use liftlock_engine::{
    archive::{Limits, Unpacked, unpack},
    error::Error,
};
use proptest::prelude::*;
use rstest::rstest;
use tar::{EntryType, Header};

use crate::server::Ear;

/// An entry with exactly the bytes given, whatever the library thinks of them.
fn entry(name: &[u8], kind: u8, link: &[u8], mode: u32, body: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(mode);
    header.set_mtime(1_600_000_000);
    header.set_size(body.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, body: &str) -> Vec<u8> {
    entry(name.as_bytes(), b'0', b"", 0o644, body.as_bytes())
}
fn folder(name: &str) -> Vec<u8> {
    entry(name.as_bytes(), b'5', b"", 0o755, b"")
}
fn link(name: &str, target: &str) -> Vec<u8> {
    entry(name.as_bytes(), b'2', target.as_bytes(), 0o777, b"")
}
fn special(name: &str, kind: u8, target: &str) -> Vec<u8> {
    entry(name.as_bytes(), kind, target.as_bytes(), 0o644, b"")
}
/// A header that speaks about the next entry: `x` and `g` (PAX), `L` and `K` (GNU).
fn about_next(kind: u8, body: &[u8]) -> Vec<u8> {
    entry(b"about-next", kind, b"", 0o644, body)
}
fn record(key: &str, value: &str) -> Vec<u8> {
    // The length counts its own digits.
    let rest = format!(" {key}={value}\n");
    let length = (1..).find(|n| n.to_string().len() + rest.len() == *n).unwrap();
    format!("{length}{rest}").into_bytes()
}
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("canary"), "untouched").unwrap();
        fs::create_dir(dir.path().join("aviary")).unwrap();
        Self { dir }
    }
    fn root(&self) -> PathBuf {
        self.dir.path().join("into")
    }
    fn unpack_raw(&self, packed: &[u8], limits: &Limits) -> Result<Unpacked, Error> {
        let path = self.dir.path().join("a.tar.gz");
        fs::write(&path, packed).unwrap();
        let done = unpack(&path, &self.root(), limits, &Ear::default());
        let mut left: Vec<_> =
            fs::read_dir(self.dir.path()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        left.retain(|it| it != "into");
        left.sort();
        assert_eq!(left, ["a.tar.gz", "aviary", "canary"], "nothing else appears outside");
        assert_eq!(fs::read_to_string(self.dir.path().join("canary")).unwrap(), "untouched");
        assert_eq!(fs::read_dir(self.dir.path().join("aviary")).unwrap().count(), 0);
        assert_eq!(self.root().exists(), done.is_ok(), "it is there whole, or not at all");
        done
    }
    fn unpack(&self, entries: &[Vec<u8>]) -> Result<Unpacked, Error> {
        let mut tar = entries.concat();
        tar.extend_from_slice(&[0; 1024]);
        self.unpack_raw(&gzip(&tar), &Limits::default())
    }
    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }
}

#[test]
fn a_release_is_unpacked_without_its_top_folder() {
    let place = Place::new();
    let done = place
        .unpack(&[folder("shop-1.0.0/"), file("shop-1.0.0/bin/shop", "run"), file("shop-1.0.0/README", "read me")])
        .unwrap();
    assert_eq!((done.root.clone(), done.bytes, done.entries), (place.root(), 10, 4));
    assert_eq!((place.read("bin/shop"), place.read("README")), ("run".into(), "read me".into()));
}

#[test]
fn without_a_common_top_folder_everything_stays_where_it_is() {
    let place = Place::new();
    place.unpack(&[folder("./"), file("./bin/shop", "run"), file("README", "read me")]).unwrap();
    assert_eq!((place.read("bin/shop"), place.read("README")), ("run".into(), "read me".into()));
    let place = Place::new();
    place.unpack(&[file("only", "one")]).unwrap();
    assert_eq!(place.read("only"), "one");
}

#[test]
fn an_archive_made_by_the_library_with_long_names_is_read() {
    let long = format!("top/{}/{}/file", "a".repeat(120), "b".repeat(120));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    builder.append_data(&mut header, &long, b"ok".as_slice()).unwrap();
    let place = Place::new();
    place.unpack_raw(&gzip(&builder.into_inner().unwrap()), &Limits::default()).unwrap();
    assert_eq!(place.read(long.strip_prefix("top/").unwrap()), "ok");
}

#[test]
fn names_from_pax_headers_count() {
    let place = Place::new();
    let pax = [record("path", "top/größe"), record("mtime", "1.5")].concat();
    let global = about_next(b'g', &record("comment", "0123456789abcdef"));
    place.unpack(&[global, about_next(b'x', &pax), file("short", "ok"), file("top/b", "b")]).unwrap();
    assert_eq!(place.read("größe"), "ok");
}

#[cfg(unix)]
#[test]
fn permissions_are_reduced_to_what_a_release_needs() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place
        .unpack(&[
            entry(b"run", b'0', b"", 0o6777, b"x"),
            entry(b"read", b'0', b"", 0o666, b"x"),
            entry(b"shut", b'0', b"", 0, b"x"),
            entry(b"dir/", b'5', b"", 0o1777, b""),
            entry(b"shutdir/", b'5', b"", 0, b""),
        ])
        .unwrap();
    let mode = |name: &str| fs::metadata(place.root().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!([mode("run"), mode("read"), mode("shut")], [0o755, 0o644, 0o600]);
    assert_eq!([mode("dir"), mode("shutdir")], [0o755, 0o700]);
    let modified = fs::metadata(place.root().join("run")).unwrap().modified().unwrap();
    assert_eq!(modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1_600_000_000);
}

#[cfg(unix)]
#[test]
fn links_within_the_release_are_kept() {
    let place = Place::new();
    place
        .unpack(&[
            file("top/lib/libx.so.1", "code"),
            link("top/lib/libx.so", "libx.so.1"),
            link("top/bin/x", "../lib/libx.so"),
        ])
        .unwrap();
    assert_eq!(place.read("bin/x"), "code");
}

#[test]
fn many_files_are_unpacked_and_made_durable_at_once() {
    let place = Place::new();
    let files: Vec<Vec<u8>> = (0..600).map(|n| file(&format!("top/{}/{n}", n % 7), "x")).collect();
    assert_eq!(place.unpack(&files).unwrap().entries, 608);
}

#[rstest]
#[case::climbing(vec![file("../canary", "x")])]
#[case::climbing_inside(vec![file("a/../../canary", "x")])]
#[case::climbing_that_comes_back(vec![file("a/../b", "x")])]
#[case::absolute(vec![file("/tmp/liftlock-canary", "x")])]
#[case::backslashes(vec![file("..\\canary", "x")])]
#[case::newline(vec![file("a\nb", "x")])]
#[case::escape(vec![file("\u{1b}[2Jb", "x")])]
#[case::right_to_left(vec![file("a\u{202e}gpj.exe", "x")])]
#[case::zero_width(vec![file("a\u{200b}", "x")])]
#[case::not_utf8(vec![entry(b"a\xff", b'0', b"", 0o644, b"x")])]
#[case::nameless(vec![file("", "x")])]
#[case::root_as_file(vec![file("./", "x")])]
#[case::file_named_as_folder(vec![file("a/", "x")])]
#[case::twice(vec![file("a", "x"), file("a", "y")])]
#[case::file_over_folder(vec![file("a/b", "x"), file("a", "y")])]
#[case::folder_over_file(vec![file("a", "x"), file("a/b", "y")])]
#[case::case_collision(vec![file("a", "x"), file("A", "y")])]
#[case::case_collision_of_folders(vec![file("dir/a", "x"), file("Dir/b", "y")])]
#[case::case_collision_beyond_ascii(vec![file("ä", "x"), file("Ä", "y")])]
#[case::hard_link(vec![file("a", "x"), special("b", b'1', "a")])]
#[case::hard_link_outside(vec![special("b", b'1', "../canary"), file("b", "x")])]
#[case::character_device(vec![special("a", b'3', "")])]
#[case::block_device(vec![special("a", b'4', "")])]
#[case::pipe(vec![special("a", b'6', "")])]
#[case::contiguous(vec![special("a", b'7', "")])]
#[case::sparse(vec![special("a", b'S', "")])]
#[case::unknown_kind(vec![special("a", b'Z', "")])]
#[case::link_outside(vec![link("a", "../canary")])]
#[case::link_absolute(vec![link("a", "/etc/passwd")])]
#[case::link_to_nothing(vec![link("a", "")])]
#[case::link_with_newline(vec![link("a", "b\nc")])]
#[case::link_through_links(vec![link("x/y/l", "../.."), link("m", "x/y/l/..")])]
#[case::link_in_a_circle(vec![link("a", "b"), link("b", "a")])]
#[case::file_through_a_link(vec![link("a", "aviary"), file("a/b", "x")])]
#[case::file_through_a_link_outside(vec![link("a", "../aviary"), file("a/b", "x")])]
#[case::file_over_a_link(vec![link("a", "../canary"), file("a", "x")])]
#[case::link_over_a_folder(vec![folder("a/"), link("a", "../aviary")])]
#[case::link_over_a_folder_in_other_case(vec![folder("a/"), link("A", "../aviary"), file("a/x", "x")])]
#[case::long_name_that_climbs(vec![about_next(b'L', b"../canary\0"), file("fine", "x")])]
#[case::long_link_that_climbs(vec![about_next(b'K', b"../canary\0"), link("a", "fine")])]
#[case::pax_name_that_climbs(vec![about_next(b'x', &record("path", "../canary")), file("fine", "x")])]
#[case::pax_link_that_climbs(vec![about_next(b'x', &record("linkpath", "../canary")), link("a", "fine")])]
#[case::pax_name_with_nul(vec![about_next(b'x', &record("path", "a\0b")), file("fine", "x")])]
#[case::pax_global_name(vec![about_next(b'g', &record("path", "../canary")), file("fine", "x")])]
#[case::pax_other_size(vec![about_next(b'x', &record("size", "1024")), file("fine", "x")])]
#[case::pax_size_that_is_no_number(vec![about_next(b'x', &record("size", "-1")), file("fine", "x")])]
#[case::pax_sparse(vec![about_next(b'x', &record("GNU.sparse.major", "1")), file("fine", "x")])]
#[case::header_without_end(vec![about_next(b'L', &vec![b'a'; 100_000]), file("fine", "x")])]
#[case::path_too_long(vec![about_next(b'L', "a/".repeat(600).as_bytes()), file("fine", "x")])]
#[case::part_too_long(vec![about_next(b'L', "a".repeat(300).as_bytes()), file("fine", "x")])]
#[case::too_deep(vec![about_next(b'L', "a/".repeat(60).as_bytes()), folder("fine/")])]
fn hostile_archives_are_refused_whole(#[case] entries: Vec<Vec<u8>>) {
    // Something harmless first: it must not stay behind either.
    let entries: Vec<Vec<u8>> = [file("aaa-first", "x")].into_iter().chain(entries).collect();
    let place = Place::new();
    let error = place.unpack(&entries).unwrap_err();
    assert_eq!((&*error.class, error.exit_code()), ("archive_hostile", 3), "{error:?}");
    assert!(!error.message.chars().any(char::is_control), "{:?}", error.message);
}

#[test]
fn a_link_above_the_top_is_refused_where_the_top_becomes_the_root() {
    let error = Place::new().unpack(&[file("top/x", "x"), link("top/a", "../aviary")]).unwrap_err();
    assert_eq!(error.class, "archive_hostile");
}

#[test]
fn bombs_are_refused_before_they_fill_the_disk() {
    let zeros = [entry(b"big", b'0', b"", 0o644, &vec![0; 64 << 20]), vec![0; 1024]].concat();
    let packed = gzip(&zeros);
    let class = |limits: Limits, packed: &[u8]| Place::new().unpack_raw(packed, &limits).unwrap_err().class;
    assert_eq!(class(Limits { bytes: 1 << 20, ..Limits::default() }, &packed), "archive_too_large");
    assert_eq!(class(Limits { ratio: 50, ..Limits::default() }, &packed), "archive_too_large");
    let many = [(0..20).flat_map(|n| file(&format!("d/{n}"), "")).collect(), vec![0; 1024]].concat();
    assert_eq!(class(Limits { entries: 20, ..Limits::default() }, &gzip(&many)), "archive_too_large");
    // Hidden behind the end of the archive, where no entry counts it.
    let behind = [file("a", "x"), vec![0; 1024], vec![0; 64 << 20]].concat();
    assert_eq!(class(Limits { bytes: 1 << 20, ..Limits::default() }, &gzip(&behind)), "archive_too_large");
    // A header that claims more than any disk holds.
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..3].copy_from_slice(b"big");
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(u64::MAX / 2);
    header.set_cksum();
    assert_eq!(class(Limits::default(), &gzip(header.as_bytes())), "archive_damaged");
}

#[test]
fn damaged_archives_are_told_from_hostile_ones() {
    let whole = gzip(&[file("top/a", &"text ".repeat(5000)), file("top/b", "x"), vec![0; 1024]].concat());
    let class = |packed: &[u8]| Place::new().unpack_raw(packed, &Limits::default()).unwrap_err().class;
    for cut in [0, 1, 9, whole.len() / 2, whole.len() - 1] {
        assert_eq!(class(&whole[..cut]), "archive_damaged", "cut at {cut}");
    }
    for at in [whole.len() / 2, whole.len() - 6] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        assert_eq!(class(&flipped), "archive_damaged", "flipped at {at}");
    }
    assert_eq!(class(b"<html>not found</html>"), "archive_damaged");
    assert_eq!(class(&gzip(&[1; 2048])), "archive_damaged");
    assert_eq!(class(&gzip(&[0; 1024])), "archive_empty");
    assert_eq!(class(&gzip(b"")), "archive_empty");
}

#[test]
fn nothing_is_unpacked_over_something() {
    let dir = tempfile::tempdir().unwrap();
    let (packed, into) = (dir.path().join("a.tar.gz"), dir.path().join("into"));
    fs::write(&packed, gzip(&[file("a", "x"), vec![0; 1024]].concat())).unwrap();
    fs::create_dir(&into).unwrap();
    fs::write(into.join("mine"), "mine").unwrap();
    let unpacked = |path: &Path| unpack(path, &into, &Limits::default(), &Ear::default());
    assert_eq!(unpacked(&packed).unwrap_err().class, "already_there");
    assert_eq!(fs::read_to_string(into.join("mine")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
}

#[test]
fn what_a_killed_unpacking_left_is_cleared_and_what_is_not_ours_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (packed, into) = (dir.path().join("a.tar.gz"), dir.path().join("into"));
    fs::write(&packed, gzip(&[file("a", "x"), vec![0; 1024]].concat())).unwrap();
    let staging = dir.path().join(".into.unpacking");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("precious"), "x").unwrap();
    let error = unpack(&packed, &into, &Limits::default(), &Ear::default()).unwrap_err();
    assert_eq!((&*error.class, staging.join("precious").exists(), into.exists()), ("not_ours", true, false));
    fs::remove_dir_all(&staging).unwrap();

    liftlock_engine::durable::create_marked_dir(&staging, "unpacking").unwrap();
    fs::create_dir(staging.join("tree")).unwrap();
    fs::write(staging.join("tree/half"), "x").unwrap();
    unpack(&packed, &into, &Limits::default(), &Ear::default()).unwrap();
    assert!(into.join("a").exists() && !into.join("half").exists() && !staging.exists());
}

#[test]
fn a_reporter_that_says_stop_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (packed, into) = (dir.path().join("a.tar.gz"), dir.path().join("into"));
    fs::write(&packed, gzip(&[file("a", "x"), vec![0; 1024]].concat())).unwrap();
    let ear = Ear { stop_at: Some(1), ..Ear::default() };
    assert_eq!(unpack(&packed, &into, &Limits::default(), &ear).unwrap_err().class, "cancelled");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "only the archive itself");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_in_an_archive_nothing_happens_outside(
        entries in proptest::collection::vec(
            ("[aA./\\\\]{0,6}|\\PC{0,8}", proptest::sample::select(b"012356xgLKS".to_vec()), "[aA./]{0,8}", "[a-z0-9= \n]{0,40}"),
            1..8,
        )
    ) {
        let entries: Vec<Vec<u8>> = entries
            .iter()
            .map(|(name, kind, link, body)| entry(name.as_bytes(), *kind, link.as_bytes(), 0o777, body.as_bytes()))
            .collect();
        // The place looks after the canary, and after whole or nothing.
        let _ = Place::new().unpack(&entries);
    }
}
