//! `history.jsonl`: one line for each terminal outcome, in a chain of hashes.
//!
//! The state database is the truth and hands its records here; a line that was lost is written again at the
//! next start. A line is the record as a JSON object, with `seq` before it and `prev_hash` and `hash` behind:
//! `hash` is the SHA-256 of the line's bytes without its last member (`,"hash":"…"`), `prev_hash` the hash of
//! the line before, 64 zeros in the first. One `write` a line, then `fdatasync`; readers drop a torn tail.
//! Lines are never rewritten: what was tampered with stays, and [`verify`] says where. That the *end* of
//! the file was cut off cannot be seen in a chain: [`is_complete`] asks for the truth's last record.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest;
use crate::durable;
use crate::error::{Error, Kind, Result};

/// `prev_hash` of the first line.
const BEFORE_THE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How long a second writer waits for the first; a line takes a thousandth of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A whole line of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub seq: u64,
    /// The record as the state database handed it over.
    pub record: Map<String, Value>,
    /// Whether its own hash holds. One that does not was changed.
    pub is_intact: bool,
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// Every line is as it was written.
    Intact {
        /// Number of lines.
        lines: u64,
        /// Hash of the last line, to be kept elsewhere by who wants to; 64 zeros where there is none.
        head: String,
        /// Whether a line that was cut short at the end was left out.
        torn_tail: bool,
    },
    /// Something was changed, added or taken out.
    Broken {
        /// The first line that is not as it was written, from 1.
        line: u64,
        /// In what way.
        why: String,
    },
}

/// Appends those of `records` (all terminal outcomes in order) that the file does not have, and answers how many.
/// A record is known by its `upgrade_id` and `result`. Creates the file, private to its user.
///
/// # Errors
/// `busy` where another writer holds it for too long, `disk_full`, and what else the disk answers.
pub fn append_missing(path: &Path, records: &[Map<String, Value>]) -> Result<usize> {
    let _lock = lock(path)?;
    let (mut file, text) = open_for_append(path)?;
    let lines = parse(&text);
    let there: HashSet<_> = lines.iter().map(|line| identity(&line.record)).collect();
    let mut seq = lines.iter().map(|line| line.seq).max().unwrap_or(0).max(text.lines().count() as u64);
    let mut prev_hash = text.lines().last().map_or_else(|| BEFORE_THE_FIRST.to_owned(), link);
    let mut end = text.len() as u64;
    let mut appended = 0;
    for record in records.iter().filter(|record| !there.contains(&identity(record))) {
        seq += 1;
        let (line, hash) = render(seq, record, &prev_hash)?;
        append(&mut file, end, &line).map_err(|cause| Error::io("write", path, &cause))?;
        end += line.len() as u64;
        prev_hash = hash;
        appended += 1;
    }
    Ok(appended)
}

/// Whether the file ends with the outcome (`upgrade_id`, `result`) as its line number `count`: then nothing is
/// missing. Reads the end only, so it can be asked at every start. A file that cannot be read is not complete.
pub fn is_complete(path: &Path, count: u64, last: Option<(&str, &str)>) -> bool {
    let tail = match tail(path) {
        Ok(tail) => tail,
        Err(cause) => return cause.kind() == io::ErrorKind::NotFound && count == 0,
    };
    match (tail.lines().last().and_then(read_line), last) {
        (None, None) => count == 0 && tail.is_empty(),
        (Some(line), Some((upgrade, result))) => {
            let (its_upgrade, its_result) = identity(&line.record);
            line.is_intact
                && line.seq == count
                && its_upgrade == upgrade
                && its_result == result
                && tail.ends_with('\n')
        }
        _ => false,
    }
}

/// All readable lines, oldest first; a torn tail and lines that are no records are left out. No file is no lines.
///
/// # Errors
/// What the disk answered.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    Ok(parse(whole_lines(&text_of(path)?)))
}

/// Walks the chain.
///
/// # Errors
/// What the disk answered; what it found is a [`Verdict`].
pub fn verify(path: &Path) -> Result<Verdict> {
    let text = text_of(path)?;
    let whole = whole_lines(&text);
    let mut prev_hash = BEFORE_THE_FIRST.to_owned();
    let mut count = 0;
    for (number, raw) in (1..).zip(whole.split_terminator('\n')) {
        let broken = |why: &str| Ok(Verdict::Broken { line: number, why: why.to_owned() });
        let Some(line) = read_line(raw) else { return broken("This line is not a record.") };
        if !line.is_intact {
            return broken("This line was changed after it was written.");
        }
        if stated(raw, "prev_hash").as_deref() != Some(prev_hash.as_str()) {
            return broken(if number == 1 {
                "Lines before this one were taken out."
            } else {
                "Between this line and the one before, lines were taken out, added or changed places."
            });
        }
        if line.seq != number {
            return broken("Its number does not follow the one before.");
        }
        prev_hash = link(raw);
        count = number;
    }
    Ok(Verdict::Intact { lines: count, head: prev_hash, torn_tail: whole.len() < text.len() })
}

/// As [`verify`], and compares each line with `records`, the truth: a chain that was computed anew, or cut off
/// at the end, shows here.
///
/// # Errors
/// What the disk answered.
pub fn verify_against(path: &Path, records: &[Map<String, Value>]) -> Result<Verdict> {
    let verdict = verify(path)?;
    let Verdict::Intact { lines: count, .. } = &verdict else { return Ok(verdict) };
    let lines = read(path)?;
    for line in &lines {
        let truth = records.iter().find(|record| identity(record) == identity(&line.record));
        let why = match truth {
            Some(truth) if *truth == line.record => continue,
            Some(_) => "This line says something else than Liftlock's own records.",
            None => "Liftlock's own records know nothing of this line.",
        };
        return Ok(Verdict::Broken { line: line.seq, why: why.to_owned() });
    }
    let there: HashSet<_> = lines.iter().map(|line| identity(&line.record)).collect();
    if records.iter().any(|record| !there.contains(&identity(record))) {
        let why = "A line is missing that Liftlock's own records have.".to_owned();
        return Ok(Verdict::Broken { line: count + 1, why });
    }
    Ok(verdict)
}

/// What a record is known by.
fn identity(record: &Map<String, Value>) -> (&str, &str) {
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    (text("upgrade_id"), text("result"))
}

/// A line with its newline, and its hash.
fn render(seq: u64, record: &Map<String, Value>, prev_hash: &str) -> Result<(String, String)> {
    let mut line = Map::new();
    line.insert("seq".into(), seq.into());
    // Ours are set last, so a record cannot bring its own.
    let ours = ["seq", "prev_hash", "hash"];
    line.extend(record.iter().filter(|(key, _)| !ours.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())));
    line.insert("prev_hash".into(), prev_hash.into());
    let body = serde_json::to_string(&line)
        .map_err(|cause| Error::bug("history_line", "A line of the history could not be written.").because(&cause))?;
    let hash = digest::sha256(body.as_bytes());
    Ok((format!("{},\"hash\":\"{hash}\"}}\n", &body[..body.len() - 1]), hash))
}

/// The hash that the next line must state: the one a line states, else that of its bytes.
fn link(raw: &str) -> String {
    stated(raw, "hash").unwrap_or_else(|| digest::sha256(raw.as_bytes()))
}

fn stated(raw: &str, key: &str) -> Option<String> {
    serde_json::from_str::<Map<String, Value>>(raw).ok()?.get(key)?.as_str().map(str::to_owned)
}

fn read_line(raw: &str) -> Option<Line> {
    let mut record: Map<String, Value> = serde_json::from_str(raw).ok()?;
    let seq = record.shift_remove("seq")?.as_u64()?;
    record.shift_remove("prev_hash");
    let hash = record.shift_remove("hash");
    let ending = hash.as_ref().and_then(Value::as_str).map(|hash| format!(",\"hash\":\"{hash}\"}}"));
    let body = ending.and_then(|ending| raw.strip_suffix(&ending)).map(|body| format!("{body}}}"));
    let is_intact =
        body.is_some_and(|body| hash.as_ref().and_then(Value::as_str) == Some(&digest::sha256(body.as_bytes())));
    Some(Line { seq, record, is_intact })
}

fn parse(text: &str) -> Vec<Line> {
    text.lines().filter_map(read_line).collect()
}

/// `text` up to its last newline.
fn whole_lines(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..=end])
}

fn text_of(path: &Path) -> Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(cause) => Err(Error::io("read", path, &cause)),
    }
}

/// The last 64 KiB, from the beginning of a line on.
fn tail(path: &Path) -> io::Result<String> {
    const TAIL: u64 = 1 << 16;
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL * 2).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens the file and answers its whole lines; what a cut-off write left behind is cleared away first, because
/// the next line would stick to it. A last line that lacks nothing but its newline gets that.
fn open_for_append(path: &Path) -> Result<(File, String)> {
    let failed = |doing: &str, cause: io::Error| Error::io(doing, path, &cause);
    let is_new = fs::symlink_metadata(path).is_err();
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    }
    let mut file = options.open(path).map_err(|cause| failed("open", cause))?;
    if is_new {
        durable::fsync_dir(durable::parent(path)?)?;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|cause| failed("read", cause))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let torn = String::from_utf8_lossy(&bytes[whole..]);
    if read_line(&torn).is_some_and(|line| line.is_intact) {
        append(&mut file, bytes.len() as u64, "\n").map_err(|cause| failed("write", cause))?;
        bytes.push(b'\n');
    } else if whole < bytes.len() {
        file.set_len(whole as u64).and_then(|()| file.sync_data()).map_err(|cause| failed("write", cause))?;
        bytes.truncate(whole);
    }
    // Lossy only where somebody wrote bytes that are no text; such a line is found by `verify`.
    Ok((file, String::from_utf8_lossy(&bytes).into_owned()))
}

/// One write, then `fdatasync`. After a failure the file ends where it did, as far as the disk lets us.
fn append(file: &mut File, end: u64, line: &str) -> io::Result<()> {
    let written = file.write(line.as_bytes()).and_then(|written| {
        if written == line.len() { file.sync_data() } else { Err(io::ErrorKind::StorageFull.into()) }
    });
    if written.is_err() {
        // Its own failure adds nothing: a torn tail is left out by every reader.
        let _ = file.set_len(end);
    }
    written
}

/// Held while writing; the file beside the history is never unlinked.
fn lock(path: &Path) -> Result<File> {
    let path = durable::beside(path, ".lock");
    let failed = |cause: io::Error| Error::io("lock", &path, &cause);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(failed)?;
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::Busy, "history_busy", "Another Liftlock is writing the history.")
                    .remedy("Nothing is lost: the missing line is written at the next start."));
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(number: u32) -> Map<String, Value> {
        let Value::Object(record) = json!({
            "ts": "2026-11-21T03:00:00Z", "upgrade_id": format!("0192-{number}"), "installation": "shop",
            "component": "app", "from": "1.0.0", "to": "1.1.0", "result": "success", "elapsed_seconds": 61.25,
            "message": "Everything that was there before is still there.", "error_class": null
        }) else {
            unreachable!("it is an object")
        };
        record
    }

    fn records(count: u32) -> Vec<Map<String, Value>> {
        (1..=count).map(record).collect()
    }

    struct Place {
        _dir: tempfile::TempDir,
        path: std::path::PathBuf,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        Place { _dir: dir, path }
    }

    fn written(count: u32) -> Place {
        let place = place();
        append_missing(&place.path, &records(count)).unwrap();
        place
    }

    fn broken_at(path: &Path) -> u64 {
        match verify(path).unwrap() {
            Verdict::Broken { line, .. } => line,
            intact => panic!("not found: {intact:?}"),
        }
    }

    #[test]
    fn each_outcome_is_one_line_however_often_it_is_handed_over() {
        let place = place();
        assert_eq!(append_missing(&place.path, &records(2)).unwrap(), 2);
        assert_eq!(append_missing(&place.path, &records(3)).unwrap(), 1);
        assert_eq!(append_missing(&place.path, &records(3)).unwrap(), 0);
        let lines = read(&place.path).unwrap();
        assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(lines.iter().all(|line| line.is_intact));
        assert_eq!(lines[2].record, record(3));
        assert!(matches!(verify(&place.path).unwrap(), Verdict::Intact { lines: 3, torn_tail: false, .. }));
        assert!(matches!(verify_against(&place.path, &records(3)).unwrap(), Verdict::Intact { lines: 3, .. }));
    }

    #[test]
    fn a_line_has_the_members_that_were_promised_in_their_order() {
        let place = written(1);
        insta::assert_snapshot!(fs::read_to_string(&place.path).unwrap(), @r#"{"seq":1,"ts":"2026-11-21T03:00:00Z","upgrade_id":"0192-1","installation":"shop","component":"app","from":"1.0.0","to":"1.1.0","result":"success","elapsed_seconds":61.25,"message":"Everything that was there before is still there.","error_class":null,"prev_hash":"0000000000000000000000000000000000000000000000000000000000000000","hash":"e3a978cf87eef6a30826d760a124bd3f3c5be2beb5011bd9a9de3585561c0823"}"#);
    }

    #[test]
    fn an_upgrade_that_first_failed_to_go_back_and_then_did_has_two_lines() {
        let place = place();
        let mut second = record(1);
        second.insert("result".into(), "rolled_back".into());
        assert_eq!(append_missing(&place.path, &[record(1), second]).unwrap(), 2);
    }

    #[test]
    fn every_cut_of_the_last_line_is_dropped_and_written_again() {
        let whole = written(3);
        let text = fs::read(&whole.path).unwrap();
        let second = whole_lines(std::str::from_utf8(&text[..text.len() - 1]).unwrap()).len();
        for cut in (second..text.len()).step_by(13).chain([text.len() - 1]) {
            let place = place();
            fs::write(&place.path, &text[..cut]).unwrap();
            assert_eq!(read(&place.path).unwrap().len(), 2, "cut at {cut}");
            assert!(!is_complete(&place.path, 3, Some(("0192-3", "success"))), "cut at {cut}");
            append_missing(&place.path, &records(3)).unwrap();
            assert!(fs::read(&place.path).unwrap() == text, "cut at {cut}");
        }
    }

    #[test]
    fn any_changed_byte_is_found_in_its_line() {
        let whole = written(3);
        let text = fs::read(&whole.path).unwrap();
        let second = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let third = second + text[second..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for at in second..third {
            let mut changed = text.clone();
            changed[at] ^= 1;
            fs::write(&whole.path, &changed).unwrap();
            // A newline that goes glues two lines together; the fault then is in the first of them.
            assert!(broken_at(&whole.path) == 2, "byte {at}");
        }
    }

    #[test]
    fn lines_taken_out_added_or_exchanged_are_found() {
        let whole = written(4);
        let text = fs::read_to_string(&whole.path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        for (order, at) in [([0, 2, 3].as_slice(), 2), (&[1, 2, 3], 1), (&[0, 2, 1, 3], 2), (&[0, 1, 1, 2, 3], 3)] {
            let changed: String = order.iter().map(|line| format!("{}\n", lines[*line])).collect();
            fs::write(&whole.path, changed).unwrap();
            assert_eq!(broken_at(&whole.path), at, "{order:?}");
        }
    }

    #[test]
    fn a_forged_chain_and_a_cut_off_end_are_found_by_the_truth() {
        let forged = place();
        let mut lie = record(2);
        lie.insert("result".into(), "rolled_back".into());
        append_missing(&forged.path, &[record(1), lie]).unwrap();
        assert!(matches!(verify(&forged.path).unwrap(), Verdict::Intact { .. }));
        assert!(matches!(verify_against(&forged.path, &records(2)).unwrap(), Verdict::Broken { line: 2, .. }));
        let cut = written(2);
        assert!(matches!(verify_against(&cut.path, &records(3)).unwrap(), Verdict::Broken { line: 3, .. }));
    }

    #[test]
    fn a_line_destroyed_in_the_middle_is_written_again_and_still_told() {
        let place = written(3);
        let text = fs::read_to_string(&place.path).unwrap().replace("0192-2\"", "0192-2");
        fs::write(&place.path, text).unwrap();
        assert_eq!(append_missing(&place.path, &records(3)).unwrap(), 1);
        assert_eq!(broken_at(&place.path), 2);
        assert_eq!(read(&place.path).unwrap().last().unwrap().record, record(2));
    }

    #[test]
    fn whether_something_is_missing_is_known_from_the_end_alone() {
        let place = place();
        assert!(is_complete(&place.path, 0, None));
        assert!(!is_complete(&place.path, 1, Some(("0192-1", "success"))));
        append_missing(&place.path, &records(500)).unwrap();
        assert!(is_complete(&place.path, 500, Some(("0192-500", "success"))));
        assert!(!is_complete(&place.path, 501, Some(("0192-501", "success"))));
        assert!(!is_complete(&place.path, 500, Some(("0192-500", "failed"))));
    }

    #[test]
    fn two_writers_at_once_leave_one_chain() {
        let place = place();
        thread::scope(|scope| {
            for writer in 0..4 {
                let path = &place.path;
                scope.spawn(move || {
                    for round in 0..10 {
                        append_missing(path, &[record(writer * 100 + round)]).unwrap();
                    }
                });
            }
        });
        assert!(matches!(verify(&place.path).unwrap(), Verdict::Intact { lines: 40, .. }));
    }
}
