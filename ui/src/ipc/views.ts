// Made by `cargo xtask bindings` out of the engine's views. Not to be changed by hand.

export type State = "pending" | "checking" | "backing_up" | "downloading" | "rehearsing" | "applying" | "migrating" | "restarting" | "verifying" | "complete" | "rolling_back" | "rolled_back" | "failed" | "needs_attention";

export type Severity = "note" | "warning" | "stop";

export type Quiet = "busy" | "skipped" | "staying" | "paused" | "reminded" | "hidden";

export type Outcome = "success" | "rolled_back" | "rollback_failed" | "failed" | "refused" | "aborted_by_user";

export type BackupKind = "manual" | "pre_update" | "scheduled";

export type Kept = "pinned" | "needed" | "last_proven" | "newest" | "calendar" | "nothing_better";

export type StoreKind = "postgres" | "sqlite" | "files";

export type Globals = { 
/**
 * Name of the file in the folder of the backup; a plain name, never a path.
 */
file: string, 
/**
 * SHA-256 of the file, in hexadecimal.
 */
sha256: string, 
/**
 * Size of the file in bytes.
 */
bytes: number, };

export type Grade = "taken" | "readable" | "proven";

export type Trust = "none" | "checksum" | "signed_tag" | "attestation" | "signed_manifest";

export type ErrorView = { 
/**
 * Stable name, for programs.
 */
class: string, 
/**
 * The exit code that goes with it.
 */
code: number, 
/**
 * What happened.
 */
message: string, 
/**
 * What to do next.
 */
remedy: string, 
/**
 * Causes, outermost first.
 */
details: Array<string>, };

export type ProbeView = { 
/**
 * Its name in the profile.
 */
name: string, 
/**
 * Whether the installation counts as unhealthy without it.
 */
required: boolean, 
/**
 * Whether it is up.
 */
up: boolean, 
/**
 * How long the answer took, in milliseconds.
 */
latency_ms: number, 
/**
 * Why it is down.
 */
error: ErrorView | null, };

export type HoleView = { 
/**
 * Its name.
 */
id: string, 
/**
 * How bad it is, in a word.
 */
severity: string, 
/**
 * What it is.
 */
summary: string, 
/**
 * Where it is described.
 */
url: string | null, 
/**
 * The first version without it.
 */
fixed_in: string | null, };

export type UpdateOffer = { 
/**
 * The version.
 */
to: string, 
/**
 * How loud it is to be, 1–4.
 */
level: 1 | 2 | 3 | 4, 
/**
 * Whole days since the first release that the installation is behind.
 */
days_behind: number, 
/**
 * How many releases it is behind.
 */
versions_behind: number, 
/**
 * Whether it starts with empty data.
 */
breaking: boolean, 
/**
 * Why, in sentences.
 */
reasons: Array<string>, 
/**
 * The published hole in what runs that it closes.
 */
security: HoleView | null, 
/**
 * Whether its notes, or those on the way, speak of closed holes.
 */
closes_holes: boolean, 
/**
 * The first thing that its notes say.
 */
headline: string | null, 
/**
 * When it was published.
 */
published_at: string | null, 
/**
 * Why it is not shown now.
 */
quiet: Quiet | null, 
/**
 * Quiet until then: hidden, reminded, paused.
 */
quiet_until: string | null, 
/**
 * Whether this version was skipped.
 */
skipped: boolean, 
/**
 * Whether a choice to hear nothing ended because a hole became known since.
 */
ended_by_security: boolean, 
/**
 * Whether the daily question is due.
 */
asks: boolean, 
/**
 * The line of releases that [Stay on …] names, where the offer is breaking.
 */
line: string | null, 
/**
 * The versions on the way, the last of them the one that is offered.
 */
path: Array<string>, };

export type SettingView = { 
/**
 * Its name.
 */
key: string, 
/**
 * What holds.
 */
value: string, 
/**
 * What holds where nothing is chosen.
 */
default: string, 
/**
 * What it does.
 */
about: string, };

export type AppView = { 
/**
 * Version of Liftlock.
 */
version: string, 
/**
 * Its home.
 */
home: string, 
/**
 * Why Liftlock itself cannot work: its data is of a newer one, its home cannot be written, a part is missing.
 */
problem: ErrorView | null, 
/**
 * Whether the desktop has a tray to close into.
 */
has_tray: boolean, 
/**
 * What was chosen about the window.
 */
preferences: Preferences, 
/**
 * The administrator lock.
 */
lock: LockView, 
/**
 * The disk with the backups, where it is getting full.
 */
disk: DiskView | null, 
/**
 * Every application, by name.
 */
installations: Array<InstallationCard>, };

export type Preferences = { 
/**
 * `system`, `light` or `dark`.
 */
theme: 'system' | 'light' | 'dark', 
/**
 * `system` or `more`.
 */
contrast: 'system' | 'more', 
/**
 * Size of the text in percent, 80–200.
 */
text_percent: number, 
/**
 * The language of the texts, as a tag.
 */
language: string, 
/**
 * Whether Liftlock starts with the session.
 */
autostart: boolean, 
/**
 * Whether it was said once that closing the window leaves Liftlock in the tray.
 */
first_close_explained: boolean, };

export type LockView = { 
/**
 * Whether one is set.
 */
set: boolean, 
/**
 * Whether this process has to enter the passphrase before it changes anything.
 */
locked: boolean, 
/**
 * After a wrong passphrase: no other is looked at before then.
 */
next_try_at: string | null, };

export type InstallationCard = { 
/**
 * Its name, which every command takes.
 */
name: string, 
/**
 * What people call it.
 */
title: string, 
/**
 * What kind of application it is.
 */
application: string, 
/**
 * Its folder.
 */
folder: string, 
/**
 * Where people open it.
 */
url: string | null, 
/**
 * The version last observed to run.
 */
version: string | null, 
/**
 * Since when it is looked after.
 */
added_at: string, 
/**
 * How it is.
 */
health: HealthView, 
/**
 * The newest proven backup, else the newest.
 */
last_backup: BackupView | null, 
/**
 * The newest backups, five at most.
 */
newest_backups: Array<BackupView>, 
/**
 * What is offered.
 */
update: UpdateOffer | null, 
/**
 * How the search for releases stands.
 */
releases: ReleasesView, 
/**
 * The upgrade that runs, or whose end nobody has acknowledged.
 */
upgrade: UpgradeView | null, 
/**
 * The update that is set for a time.
 */
scheduled: ScheduledView | null, 
/**
 * One that was set for a time and not begun.
 */
missed: MissedView | null, 
/**
 * The update that comes by itself, where a person allowed that.
 */
by_itself: PlannedUpdate | null, 
/**
 * Why the last one that was due by itself was put off.
 */
put_off: string | null, 
/**
 * Leaving for a version that begins empty, where that is under way.
 */
leaving: LeavingLine | null, 
/**
 * The installation that took its place, where this one is set aside.
 */
set_aside_for: string | null, 
/**
 * A result that no window has shown yet.
 */
unseen: OutcomeLine | null, 
/**
 * Originals that updates kept.
 */
originals: Array<OriginalView>, };

export type DiskView = { 
/**
 * Bytes that are left.
 */
free: number, 
/**
 * Bytes that the next backup takes, as far as the ones before tell.
 */
need: number | null, 
/**
 * Whether nothing can be begun any more.
 */
is_full: boolean, };

export type HealthView = { 
/**
 * In a word.
 */
state: HealthState, 
/**
 * When it was asked.
 */
checked_at: string | null, 
/**
 * Every check.
 */
probes: Array<ProbeView>, };

export type HealthState = "unknown" | "well" | "not_answering" | "not_well";

export type ReleasesView = { 
/**
 * When the server last answered.
 */
checked_at: string | null, 
/**
 * When it is asked next.
 */
next_check_at: string | null, 
/**
 * Why the last question brought no answer.
 */
problem: ErrorView | null, 
/**
 * Whether somebody has to mend that: a key that is missing does not come back by itself, as a connection does.
 */
needs_someone: boolean, };

export type OriginalView = { 
/**
 * The database, folder or file.
 */
what: string, 
/**
 * The version that it belongs to, where known.
 */
version: string | null, 
/**
 * `original`, `failed_copy` or `final_dump`.
 */
kept: 'original' | 'failed_copy' | 'final_dump', 
/**
 * Its size in bytes, where known.
 */
bytes: number | null, 
/**
 * Since when.
 */
kept_since: string, };

export type OutcomeLine = { 
/**
 * Which upgrade.
 */
upgrade_id: string, 
/**
 * What it was about; nothing in lines of the history, which do not tell.
 */
kind: UpgradeKind | null, 
/**
 * How it ended, in the words of the history.
 */
result: Outcome, 
/**
 * The version before.
 */
from: string | null, 
/**
 * The version asked for.
 */
to: string, 
/**
 * When.
 */
finished_at: string | null, };

export type ScheduledView = { 
/**
 * The version.
 */
to: string, 
/**
 * When it begins.
 */
at: string, };

export type MissedView = { 
/**
 * The version.
 */
to: string, 
/**
 * When it was to begin.
 */
at: string, 
/**
 * Why it was not.
 */
problem: ErrorView, };

export type PlannedUpdate = { 
/**
 * The version.
 */
to: string, 
/**
 * When, at the earliest.
 */
at: string, };

export type UnattendedUpdate = { 
/**
 * Which.
 */
upgrade_id: string, 
/**
 * The version.
 */
to: string, 
/**
 * When it was begun.
 */
at: string, 
/**
 * Where it stands.
 */
state: State, 
/**
 * How it ended, or what happens, in a sentence.
 */
message: string, };

export type UnattendedView = { 
/**
 * Whose.
 */
installation: string, 
/**
 * The maintenance window, in the time of the people here: `Sunday 02:00-05:00`.
 */
during: string, 
/**
 * How far.
 */
reach: Reach, 
/**
 * When the window opens next, or opened.
 */
opens_at: string | null, 
/**
 * What will happen by itself, and when at the earliest.
 */
planned: PlannedUpdate | null, 
/**
 * When one was postponed last; nothing since one was begun or announced.
 */
postponed_at: string | null, 
/**
 * Why, in a sentence.
 */
postponed_why: string | null, 
/**
 * The last one that happened by itself.
 */
last: UnattendedUpdate | null, };

export type Reach = "patch" | "minor";

export type ApplicationSettingsView = { 
/**
 * Whose.
 */
installation: string, 
/**
 * What people call it.
 */
title: string, 
/**
 * What must vouch for a release.
 */
trust: TrustRule, 
/**
 * Which releases are offered.
 */
channel: ChannelRule, 
/**
 * When it is updated by itself; nothing where it is not.
 */
unattended: UnattendedView | null, };

export type TrustRule = { 
/**
 * The least.
 */
needed: Trust, 
/**
 * What vouched for the last one that was looked at.
 */
seen: Trust | null, 
/**
 * The key of its makers, where one is known.
 */
key: string | null, };

export type ChannelRule = { 
/**
 * What is chosen.
 */
value: string, 
/**
 * What can be.
 */
options: Array<string>, };

export type GoBackView = { 
/**
 * Whose.
 */
installation: string, 
/**
 * What people call it.
 */
title: string, 
/**
 * The version that comes back.
 */
from: string, 
/**
 * The version that goes.
 */
to: string, 
/**
 * What is known to have been entered or removed since, in sentences.
 */
since: Array<string>, };

export type LeavingStep = "changes" | "choose" | "format" | "export" | "check" | "fresh" | "bring";

export type LeavingAct = "export" | "start_fresh" | "take_back" | "try" | "bring_in" | "undo";

export type Separator = "comma" | "semicolon";

export type BytesForm = "hex" | "base64" | "files";

export type FileFormat = "csv" | "json_lines" | "xlsx" | "json_documents";

export type FreshState = "backing_up" | "building" | "setting_aside" | "opening" | "complete" | "undoing" | "undone" | "removing" | "removed";

export type Duplicates = "ask" | "skip" | "update";

export type LeavingChoice = { 
/**
 * The things that come along, by their keys.
 */
entities: Array<string>, 
/**
 * Every other table too.
 */
everything: boolean, 
/**
 * The forms of files.
 */
formats: Array<FileFormat>, 
/**
 * What separates fields.
 */
separator: Separator, 
/**
 * How pictures and other bytes are written.
 */
bytes: BytesForm, 
/**
 * All of it in one zip.
 */
zip: boolean, };

export type LeavingView = { 
/**
 * Whose.
 */
installation: string, 
/**
 * What people call the application.
 */
title: string, 
/**
 * The version that is left.
 */
from: string, 
/**
 * The one that begins empty.
 */
to: string, 
/**
 * Where a person was last.
 */
step: LeavingStep, 
/**
 * Whether it is about what was entered in a version that was gone back from: only the last page is there.
 */
is_return: boolean, 
/**
 * Why the data cannot come along, in sentences.
 */
reasons: Array<string>, 
/**
 * Where to ask.
 */
help: Array<HelpLink>, 
/**
 * What is new in it.
 */
notes: NotesView, 
/**
 * What there is.
 */
entities: Array<LeavingEntity>, 
/**
 * What was chosen.
 */
choice: LeavingChoice, 
/**
 * What runs now.
 */
work: LeavingWork | null, 
/**
 * What kept the last act from its end.
 */
problem: LeavingProblem | null, 
/**
 * The export that was made.
 */
exported: LeavingExport | null, 
/**
 * The fresh start, once it has begun.
 */
fresh: LeavingFresh | null, 
/**
 * What came in, or would.
 */
imported: LeavingImport | null, 
/**
 * What was taken back last.
 */
taken_back: LeavingTakenBack | null, };

export type HelpLink = { 
/**
 * Whose place.
 */
label: string, 
/**
 * Where.
 */
url: string, };

export type LeavingEntity = { 
/**
 * What people call it.
 */
key: string, 
/**
 * How many there are, where that could be counted.
 */
rows: number | null, 
/**
 * Columns that never come along.
 */
left_out: Array<string>, };

export type EntityPreview = { 
/**
 * The headings.
 */
columns: Array<string>, 
/**
 * The first rows.
 */
rows: Array<Array<string | null>>, };

export type LeavingWork = { 
/**
 * What.
 */
act: LeavingAct, 
/**
 * What it is at, where it says so: a kind of thing, or the name of a file.
 */
at: string | null, 
/**
 * Where a fresh start stands.
 */
state: FreshState | null, 
/**
 * How much of it is done, where that can be measured.
 */
percent: number | null, 
/**
 * When it began.
 */
since: string, };

export type LeavingProblem = { 
/**
 * Which act.
 */
act: LeavingAct, 
/**
 * What happened.
 */
error: ErrorView, };

export type LeavingExport = { 
/**
 * Its folder.
 */
folder: string, 
/**
 * When it was made.
 */
made_at: string, 
/**
 * What a person must know of all of it, as sentences.
 */
notes: Array<string>, 
/**
 * What it holds.
 */
entities: Array<LeavingExported>, };

export type LeavingExported = { 
/**
 * What people call it.
 */
key: string, 
/**
 * Its rows.
 */
rows: number, 
/**
 * How many of them the application counts as deleted.
 */
deleted: number, 
/**
 * Its files.
 */
files: Array<string>, 
/**
 * Their size together.
 */
bytes: number, };

export type LeavingFresh = { 
/**
 * The new installation.
 */
installation: string, 
/**
 * Where it stands.
 */
state: FreshState, 
/**
 * Where people open the new one, once it is in use.
 */
url: string | null, 
/**
 * What happened, in sentences.
 */
says: Array<string>, };

export type LeavingImport = { 
/**
 * Whether it was only tried.
 */
is_dry_run: boolean, 
/**
 * Rows in the files.
 */
total: number, 
/**
 * Rows that came in, or were there.
 */
came_in: number, 
/**
 * What became of each kind of thing.
 */
entities: Array<LeavingImported>, 
/**
 * Where the rest is, each row with its reason.
 */
file: string | null, 
/**
 * Why rows did not come in, the most frequent first; of the first hundred of each kind.
 */
reasons: Array<RowsOut>, 
/**
 * What is worth knowing, in sentences.
 */
notes: Array<string>, 
/**
 * Whether anything that came in can be taken back.
 */
can_be_undone: boolean, 
/**
 * Rows that are there with other values, and that nobody said anything of.
 */
asked: number, 
/**
 * The first of these, side by side.
 */
pairs: Array<PairView>, };

export type MappingTable = { 
/**
 * Kind by kind.
 */
entities: Array<MappedEntity>, 
/**
 * What is missing in it: as long as something is, it is not remembered.
 */
problem: string | null, 
/**
 * What nothing comes of, in sentences.
 */
left_behind: Array<string>, 
/**
 * Whether nobody has changed anything.
 */
is_suggestion: boolean, };

export type MappedEntity = { 
/**
 * What people call it.
 */
key: string, 
/**
 * The table, or nothing where the application takes it itself.
 */
into: string | null, 
/**
 * The columns there.
 */
columns: Array<MappedColumn>, 
/**
 * The columns of the file.
 */
sources: Array<MappedSource>, };

export type MappedSource = { 
/**
 * Its name.
 */
column: string, 
/**
 * Its heading.
 */
label: string, };

export type MappedColumn = { 
/**
 * Its name.
 */
column: string, 
/**
 * Its type.
 */
holds: string, 
/**
 * The column of the file that comes into it.
 */
from: string | null, 
/**
 * The text that always comes into it.
 */
value: string | null, 
/**
 * The kind of thing whose rows come into it as a list, where they do or could.
 */
list: string | null, 
/**
 * Whether they do.
 */
is_list: boolean, 
/**
 * By how much it is divided.
 */
divided_by: number | null, 
/**
 * The kind of thing that it names one of.
 */
names: string | null, 
/**
 * Columns of the file that suit it.
 */
suits: Array<string>, 
/**
 * Why it is so.
 */
reason: MappedReason | null, 
/**
 * What is wrong with it.
 */
warning: MappedWarning | null, };

export type MappedReason = "same_name" | "similar" | "divided" | "names" | "list" | "filled" | "chosen";

export type MappedWarning = "does_not_fit" | "missing";

export type MappedChange = { 
/**
 * The kind of thing.
 */
entity: string, 
/**
 * The column of the new version.
 */
column: string, 
/**
 * The column of the file.
 */
from: string | null, 
/**
 * Always this text.
 */
value: string | null, 
/**
 * The list that is suggested.
 */
list: boolean, };

export type PairView = { 
/**
 * What people call what it is.
 */
entity: string, 
/**
 * What the row of the export is known by.
 */
key: string, 
/**
 * The line of the file that it begins on.
 */
line: number | null, 
/**
 * Its values.
 */
fields: Array<PairField>, };

export type PairField = { 
/**
 * The column.
 */
column: string, 
/**
 * What is there.
 */
there: string | null, 
/**
 * What would come.
 */
comes: string | null, };

export type PairAnswer = { 
/**
 * What people call what it is.
 */
entity: string, 
/**
 * What the row of the export is known by.
 */
key: string, 
/**
 * Whether what is there gets the values of the export.
 */
takes: boolean, };

export type LeavingImported = { 
/**
 * What people call it.
 */
key: string, 
/**
 * Rows in the file.
 */
rows: number, 
/**
 * That came in, newly or with the values of the export.
 */
came_in: number, 
/**
 * That were there.
 */
there: number, 
/**
 * That were there with other values.
 */
changed: number, 
/**
 * That did not come in.
 */
out: number, };

export type RowsOut = { 
/**
 * Why, in the words of the database.
 */
reason: string, 
/**
 * How many.
 */
rows: number, };

export type LeavingTakenBack = { 
/**
 * Rows that are gone again, or as before.
 */
rows: number, 
/**
 * Rows that stay, because they were changed since or something else names them.
 */
stays: number, 
/**
 * Why, of the first of these.
 */
why: Array<string>, };

export type LeavingLine = { 
/**
 * The installation that is left: another card shows it too, once there is a new one.
 */
installation: string, 
/**
 * For which version.
 */
to: string, 
/**
 * Where a person was.
 */
step: LeavingStep, 
/**
 * Whether it is about what was entered in a version that was gone back from.
 */
is_return: boolean, 
/**
 * Whether something runs now.
 */
works: boolean, 
/**
 * Whether something was kept from its end.
 */
is_stuck: boolean, };

export type SetAsideView = { 
/**
 * Its name.
 */
installation: string, 
/**
 * For which one.
 */
successor: string, 
/**
 * Its version, where known.
 */
version: string | null, 
/**
 * Its folder.
 */
folder: string, 
/**
 * Since when.
 */
since: string, 
/**
 * What it takes, folder and databases.
 */
bytes: number | null, 
/**
 * Whether it runs.
 */
used: SetAsideUse, 
/**
 * Where it can be looked at, while it is.
 */
address: string | null, 
/**
 * Whether it has just been removed.
 */
removed: boolean, };

export type SetAsideUse = "stopped" | "looked" | "in_use";

export type UpgradeView = { 
/**
 * Which.
 */
upgrade_id: string, 
/**
 * Whose.
 */
installation: string, 
/**
 * What people call the application.
 */
title: string, 
/**
 * What it is about.
 */
kind: UpgradeKind, 
/**
 * Where it stands.
 */
state: State, 
/**
 * Whether somebody works on it.
 */
active: boolean, 
/**
 * It has not ended, and nobody works on it.
 */
interrupted: boolean, 
/**
 * The version before.
 */
from: string | null, 
/**
 * The version asked for.
 */
to: string, 
/**
 * Why it was interrupted, in a sentence, where that was seen.
 */
interrupted_because: string | null, 
/**
 * Who works on it.
 */
holder: HolderView | null, 
/**
 * Percent of the way forward; never falls.
 */
progress: number, 
/**
 * What happens, in one sentence.
 */
message: string, 
/**
 * The eight phases, always all of them.
 */
phases: Array<PhaseView>, 
/**
 * The steps of the way back; empty as long as it goes forward.
 */
steps_back: Array<StepBack>, 
/**
 * Whether people can use the application now.
 */
people_can_use: boolean, 
/**
 * Since when they cannot.
 */
away_since: string | null, 
/**
 * For how many seconds they could not.
 */
away_seconds: number | null, 
/**
 * How fast it moves, in words, where that can be measured.
 */
rate: string | null, 
/**
 * How many seconds are left, where that can be told.
 */
seconds_left: number | null, 
/**
 * It takes longer than others, and still moves.
 */
slow: SlowView | null, 
/**
 * What a person may ask for now.
 */
way_out: WayOut, 
/**
 * What a person is asked, where the rehearsal took much longer than was said.
 */
question: Question | null, 
/**
 * What was observed of the data.
 */
data: DataState, 
/**
 * When a worker began.
 */
started_at: string | null, 
/**
 * When it ended.
 */
finished_at: string | null, 
/**
 * When a person said that they know.
 */
acknowledged_at: string | null, 
/**
 * When it stops being the current status by itself.
 */
expires_at: string | null, 
/**
 * Rises with every change; as text, because it may pass what a number of the window can hold.
 */
seq: string, 
/**
 * How it ended, in the words of the history.
 */
result: string | null, 
/**
 * Why it did not go on.
 */
error: ErrorView | null, 
/**
 * What a person has to enter where Liftlock could not bring it back, a command each.
 */
commands: Array<string>, 
/**
 * Whether the original was looked at and found whole; only where a person is needed.
 */
original_is_whole: boolean | null, 
/**
 * Where the original is; only where a person is needed.
 */
original_place: string | null, 
/**
 * The report.
 */
receipt: ReceiptView | null, };

export type UpgradeKind = "upgrade" | "restore" | "rehearsal" | "move";

export type HolderView = { 
/**
 * The user.
 */
user: string, 
/**
 * The computer.
 */
host: string, 
/**
 * The process.
 */
pid: number, 
/**
 * Since when.
 */
started_at: string, };

export type PhaseView = { 
/**
 * Which.
 */
phase: State, 
/**
 * How it stands.
 */
state: PhaseState, 
/**
 * What came out of it.
 */
outcome: PhaseOutcome | null, 
/**
 * For how many seconds its steps worked.
 */
seconds: number | null, };

export type PhaseOutcome = { 
/**
 * In a word.
 */
word: PhaseWord, 
/**
 * How large it is, where that is known.
 */
bytes: number | null, };

export type PhaseWord = "ready" | "proven" | "checked" | "passed" | "left_out";

export type PhaseState = "done" | "now" | "to_come" | "skipped" | "failed" | "stopped";

export type StepBack = { 
/**
 * Its name.
 */
name: string, 
/**
 * What it does.
 */
sentence: string, 
/**
 * How it stands.
 */
state: StepState, };

export type StepState = "done" | "now" | "to_come";

export type SlowView = { 
/**
 * What moved last.
 */
sign: string, 
/**
 * How many seconds ago.
 */
seconds: number, };

export type WayOut = "cancel" | "bring_back" | "none";

export type Question = { 
/**
 * Always `longer`: the rehearsal measured more than twice of what was confirmed.
 */
kind: 'longer', 
/**
 * Seconds that it measured.
 */
measured_seconds: number, 
/**
 * Seconds that were confirmed.
 */
confirmed_seconds: number, 
/**
 * Without an answer it is cancelled then.
 */
until: string, };

export type DataState = "untouched" | "new" | "restored" | "unknown";

export type ReceiptView = { 
/**
 * What happened and how the data stands, in a sentence.
 */
sentence: string, 
/**
 * Its backup.
 */
backup: BackupOfReceipt | null, 
/**
 * Rows before anything was touched.
 */
rows_before: number | null, 
/**
 * Rows before the new version started, or after going back.
 */
rows_after: number | null, 
/**
 * Rows that the release removed as announced or accepted.
 */
rows_removed: number | null, 
/**
 * For how many seconds people could not use the application.
 */
away_seconds: number | null, 
/**
 * The phase that took longest.
 */
longest: LongestPhase | null, 
/**
 * What is kept for the way back.
 */
way_back: WayBack | null, 
/**
 * What vouched for the release.
 */
trust: Trust | null, 
/**
 * Every step.
 */
steps: Array<StepOfReceipt>, 
/**
 * The report for people, on disk.
 */
html: string, 
/**
 * The report for programs, on disk.
 */
json: string, };

export type BackupOfReceipt = { 
/**
 * How far it is trusted.
 */
grade: string, 
/**
 * Its size in bytes.
 */
bytes: number, 
/**
 * How long it took to make and prove.
 */
seconds: number | null, 
/**
 * Its folder.
 */
path: string, };

export type LongestPhase = { 
/**
 * Which.
 */
phase: State, 
/**
 * Its seconds.
 */
seconds: number, };

export type WayBack = { 
/**
 * The version that it leads to.
 */
version: string, 
/**
 * Until when it is kept at least, where that is settled.
 */
until: string | null, 
/**
 * Its size, where known.
 */
bytes: number | null, };

export type StepOfReceipt = { 
/**
 * What it did.
 */
sentence: string, 
/**
 * Its seconds, where it came to its end.
 */
seconds: number | null, };

export type LogLine = { 
/**
 * Its number, as text.
 */
seq: string, 
/**
 * When.
 */
at: string, 
/**
 * What.
 */
line: string, };

export type ConfirmView = { 
/**
 * Whose.
 */
installation: string, 
/**
 * What people call the application.
 */
title: string, 
/**
 * What runs.
 */
from: string | null, 
/**
 * Where it would go.
 */
to: string | null, 
/**
 * Whether nothing stops it but settings of which nothing was said yet.
 */
possible: boolean, 
/**
 * How the release is trusted.
 */
trust: Trust | null, 
/**
 * How long the application would be away.
 */
estimate: Estimate | null, 
/**
 * `copy` or `in_place`.
 */
way: 'copy' | 'in_place', 
/**
 * Whether it can be rehearsed on a copy.
 */
rehearsal: boolean, 
/**
 * Whether it starts with empty data.
 */
breaking: boolean, 
/**
 * The versions on the way.
 */
path: Array<string>, 
/**
 * Settings that it asks for: it does not begin before something was said of each.
 */
asked: Array<AskedSettingView>, 
/**
 * Lines of the user's settings that are changed.
 */
lines: Array<ChangedLine>, 
/**
 * Everything else that was found, stops first.
 */
findings: Array<Finding>, 
/**
 * What is new.
 */
notes: NotesView, 
/**
 * When it is to begin by itself.
 */
scheduled_for: string | null, 
/**
 * What mends a finding and takes a while: it has begun under this id, and is followed like an update.
 */
begun: string | null, };

export type AskedSettingView = { 
/**
 * The file in which it will stand.
 */
file: string, 
/**
 * Its name in the file.
 */
key: string, 
/**
 * What people call it, where the profile says so.
 */
name: string | null, 
/**
 * Why it is needed.
 */
why: string | null, 
/**
 * What it may be.
 */
default: string | null, 
/**
 * Whether Liftlock can make it up.
 */
can_generate: boolean, 
/**
 * Whether it is hidden.
 */
secret: boolean, 
/**
 * Whether something was said.
 */
answered: boolean, 
/**
 * What was said, where it is no secret.
 */
value: string | null, };

export type ChangedLine = { 
/**
 * The file.
 */
file: string, 
/**
 * As it stands there now; `None` for one that is added.
 */
before: string | null, 
/**
 * As it will stand there. What is secret is not shown.
 */
after: string, };

export type Estimate = { 
/**
 * Seconds.
 */
seconds: number, 
/**
 * How it is known.
 */
source: EstimateSource, 
/**
 * When it was measured.
 */
made_at: string | null, };

export type EstimateSource = "rehearsed" | "last_time" | "size";

export type NotesView = { 
/**
 * A release each.
 */
releases: Array<NotesOfRelease>, 
/**
 * Whether there is more of it.
 */
cut: boolean, };

export type NotesOfRelease = { 
/**
 * Its version.
 */
version: string, 
/**
 * When it was published.
 */
published_at: string | null, 
/**
 * Where they are published.
 */
url: string | null, 
/**
 * As written; the window takes out what could do harm.
 */
markdown: string, };

export type BackupView = { 
/**
 * What every command takes: the name of its folder.
 */
id: string, 
/**
 * Whose.
 */
installation: string, 
/**
 * What people call the application.
 */
title: string, 
/**
 * `manual`, `pre_update` or `scheduled`.
 */
kind: BackupKind, 
/**
 * `taken`, `readable`, `proven` or `failed`.
 */
grade: Grade | 'failed', 
/**
 * Why its last test failed.
 */
reason: string | null, 
/**
 * The version that made the data.
 */
version: string | null, 
/**
 * Its size.
 */
bytes: number, 
/**
 * What a person wrote about it.
 */
note: string, 
/**
 * When it was made.
 */
made_at: string, 
/**
 * When it was last restored as a test.
 */
proven_at: string | null, 
/**
 * Its folder.
 */
path: string, 
/**
 * Whether it is never removed by rule.
 */
pinned: boolean, 
/**
 * Whether a copy of it lies in another place; nothing where none was chosen, or where that cannot be told now.
 */
copied: boolean | null, };

export type BackupDetailsView = { 
/**
 * Its line.
 */
backup: BackupView, 
/**
 * How long it took, in seconds.
 */
seconds: number, 
/**
 * Version of the Liftlock that made it.
 */
liftlock: string, 
/**
 * The file that it was made of, where somebody else made that.
 */
file: string | null, 
/**
 * What its last test found; nothing where nobody has tried it.
 */
test: BackupTestView | null, 
/**
 * What is in it.
 */
parts: Array<BackupPartView>, 
/**
 * Why the keeping rule does not remove it; nothing where it would, the next time.
 */
kept: Kept | null, 
/**
 * Why nobody removes it; nothing where a person may.
 */
held: Kept | null, };

export type BackupTestView = { 
/**
 * When.
 */
at: string, 
/**
 * How long it took, in seconds.
 */
seconds: number, 
/**
 * What was proven of each part, in sentences.
 */
proven: Array<PartProvenView>, 
/**
 * Why it failed.
 */
failed: ErrorView | null, 
/**
 * When it was proven before, where it has failed since.
 */
was_proven_at: string | null, };

export type PartProvenView = { 
/**
 * Which.
 */
store: string, 
/**
 * How, in a sentence.
 */
how: string, 
/**
 * How long that took, in seconds.
 */
seconds: number, };

export type BackupPartView = { 
/**
 * Its name.
 */
store: string, 
/**
 * What it was taken from.
 */
kind: StoreKind, 
/**
 * Its file in the folder of the backup.
 */
file: string, 
/**
 * Size of the file.
 */
bytes: number, 
/**
 * Size of what is in it.
 */
raw_bytes: number, 
/**
 * SHA-256 of the file.
 */
sha256: string, 
/**
 * How long it took, in seconds.
 */
seconds: number, 
/**
 * Whether it is encrypted.
 */
encrypted: boolean, 
/**
 * How a person opens it with standard tools.
 */
note: string, 
/**
 * Version of the server, or of the library, that it was read from.
 */
server_version: string | null, 
/**
 * Version of the tool that wrote it.
 */
tool_version: string | null, 
/**
 * Its character set.
 */
encoding: string | null, 
/**
 * Its extensions with their versions.
 */
extensions: Array<string>, 
/**
 * Rows of each table, or files of each folder.
 */
tables: Array<FileTable>, 
/**
 * The roles of the server that were kept beside it.
 */
globals: Globals | null, };

export type BackupCopyView = { 
/**
 * The place, as people call it.
 */
place: string, 
/**
 * How it stands.
 */
state: CopyState, 
/**
 * What is wrong, and what to do about it.
 */
problem: Finding | null, };

export type CopyState = "there" | "missing" | "away" | "damaged";

export type CompareView = { 
/**
 * The backup.
 */
backup: BackupView, 
/**
 * What runs now.
 */
version_now: string | null, 
/**
 * A line a table, those that differ first.
 */
rows: Array<TableRows>, 
/**
 * What would be lost, in sentences.
 */
loses: Array<string>, };

export type TableRows = { 
/**
 * Its name, or that of a folder.
 */
table: string, 
/**
 * Now; nothing where it could not be counted.
 */
now: number | null, 
/**
 * In the backup.
 */
then: number | null, };

export type HistoryLine = { 
/**
 * Whose.
 */
installation: string, 
/**
 * What people call the application.
 */
title: string, 
/**
 * How long it took.
 */
elapsed_seconds: number | null, 
/**
 * What happened, in a sentence.
 */
message: string, 
/**
 * Stable name of what went wrong.
 */
error_class: string | null, 
/**
 * Which upgrade.
 */
upgrade_id: string, 
/**
 * What it was about; nothing in lines of the history, which do not tell.
 */
kind: UpgradeKind | null, 
/**
 * How it ended, in the words of the history.
 */
result: Outcome, 
/**
 * The version before.
 */
from: string | null, 
/**
 * The version asked for.
 */
to: string, 
/**
 * When.
 */
finished_at: string | null, };

export type HistoryView = { 
/**
 * The file that holds it.
 */
file: string, 
/**
 * Newest first.
 */
lines: Array<HistoryLine>, 
/**
 * Whether the file is as it was written.
 */
intact: boolean, 
/**
 * The first line that is not.
 */
broken_line: number | null, };

export type Finding = { 
/**
 * Stable name.
 */
class: string, 
/**
 * How grave.
 */
severity: Severity, 
/**
 * What was found.
 */
message: string, 
/**
 * What to do.
 */
remedy: string, 
/**
 * Name of the act that mends it, where there is one.
 */
fix: string | null, 
/**
 * Causes, folded away.
 */
details: Array<string>, };

export type DiagnosticsView = { 
/**
 * When it was looked.
 */
checked_at: string, 
/**
 * Stops first.
 */
findings: Array<Finding>, 
/**
 * What a report would hold.
 */
report: Array<ReportFile>, };

export type ReportFile = { 
/**
 * Its name.
 */
name: string, 
/**
 * Its size.
 */
bytes: number, 
/**
 * Its text.
 */
preview: string, };

export type BackupJob = { 
/**
 * Which.
 */
id: string, 
/**
 * What is done.
 */
act: JobAct, 
/**
 * Whose.
 */
installation: string, 
/**
 * What it is about: the id of a backup, a table, the name of a file; nothing where that is the application itself.
 */
about: string | null, 
/**
 * Percent.
 */
progress: number, 
/**
 * What happens, in one sentence.
 */
message: string, 
/**
 * How fast, in words, where that can be measured.
 */
rate: string | null, 
/**
 * How many seconds are left, where that can be told.
 */
seconds_left: number | null, 
/**
 * Whether it is over.
 */
ended: boolean, 
/**
 * What was made.
 */
done: BackupView | null, 
/**
 * Why nothing was.
 */
error: ErrorView | null, };

export type JobAct = "back_up" | "prove" | "copy" | "inspect" | "adopt" | "look_at";

export type BackupCareView = { 
/**
 * Whose.
 */
installation: string, 
/**
 * What people call it.
 */
title: string, 
/**
 * At which times they are made; nothing where only people and updates make them.
 */
schedule: BackupScheduleView | null, 
/**
 * Why only the running app wakes backups, where the system's own timer does not.
 */
only_while_running: string | null, 
/**
 * How many are kept.
 */
rule: KeepingRule, 
/**
 * What that would remove, newest first.
 */
goes: Array<BackupView>, 
/**
 * What that would free.
 */
bytes_freed: number, 
/**
 * What is wrong with them.
 */
findings: Array<Finding>, };

export type BackupScheduleView = { 
/**
 * As a person wrote it.
 */
when: string, 
/**
 * When the next one is made.
 */
next_at: string | null, 
/**
 * When the last one was tried.
 */
tried_at: string | null, 
/**
 * Why it was not made.
 */
problem: string | null, };

export type KeepingRule = { 
/**
 * The newest ones, of each kind.
 */
newest: number, 
/**
 * Of so many days the newest one each.
 */
daily: number, 
/**
 * Of so many weeks.
 */
weekly: number, 
/**
 * Of so many months.
 */
monthly: number, 
/**
 * Of so many years.
 */
yearly: number, };

export type SafekeepingView = { 
/**
 * The folder on another disk.
 */
folder: string | null, 
/**
 * The storage of objects.
 */
storage: string | null, 
/**
 * How the copies of each application stand.
 */
applications: Array<SafeApplicationView>, 
/**
 * How backups are encrypted.
 */
encryption: EncryptionView, };

export type SafeApplicationView = { 
/**
 * Whose.
 */
installation: string, 
/**
 * What people call it.
 */
title: string, 
/**
 * Whether there is a backup that could be copied.
 */
has_backup: boolean, 
/**
 * What its copies lack.
 */
behind: Array<Finding>, };

export type EncryptionView = { 
/**
 * Whether those that are made from now on are encrypted.
 */
encrypted: boolean, 
/**
 * With a passphrase.
 */
passphrase: boolean, 
/**
 * Or to these recipients of age.
 */
recipients: Array<string>, 
/**
 * Where the passphrase or the secret key is kept; never the key itself.
 */
key_from: string | null, 
/**
 * Whether they were encrypted before, and can be again with the key that is known.
 */
again: boolean, };

export type FileView = { 
/**
 * Whose it would be.
 */
installation: string, 
/**
 * Where it is.
 */
path: string, 
/**
 * The store that it is taken for.
 */
store: string, 
/**
 * What is worth knowing before it is brought in.
 */
findings: Array<{ class: string, severity: Severity, message: string, remedy: string }>, 
/**
 * Whether nothing of that stands in the way.
 */
fits: boolean, 
/**
 * The word that has to be typed, where the file is a program.
 */
word: string | null, 
/**
 * What it is.
 */
kind: FileKind, 
/**
 * Whether it is packed with gzip.
 */
packed: boolean, 
/**
 * Its size in bytes.
 */
bytes: number, 
/**
 * The size of what is in it, unpacked, in bytes.
 */
raw_bytes: number, 
/**
 * When it was made; when the file was last written where it does not say.
 */
made_at: string | null, 
/**
 * The database that it came from, where it says so.
 */
database: string | null, 
/**
 * The version of the server that it came from.
 */
server_version: string | null, 
/**
 * The version of the `pg_dump` that wrote it.
 */
tool_version: string | null, 
/**
 * Its tables, by name.
 */
tables: Array<FileTable>, 
/**
 * Extensions that it asks for.
 */
extensions: Array<string>, 
/**
 * What of it is left out, in sentences.
 */
left_out: Array<string>, };

export type FileKind = "archive" | "sql";

export type FileTable = { 
/**
 * Its name, as `schema.table`.
 */
name: string, 
/**
 * Its rows, as the file has them.
 */
rows: number, };

export type BackupTable = { 
/**
 * The store that it is in.
 */
store: string, 
/**
 * Its name.
 */
table: string, 
/**
 * Its rows.
 */
rows: number, };

export type TableLook = { 
/**
 * The database that was made for it.
 */
database: string, 
/**
 * The backup that it is from.
 */
backup: string, 
/**
 * When that was made.
 */
made_at: string, 
/**
 * The table.
 */
table: string, 
/**
 * Its size on the server, in bytes.
 */
bytes: number, 
/**
 * How a person connects to it by hand.
 */
connect: string, 
/**
 * Its rows; `null` in a list.
 */
rows: number | null, 
/**
 * Its first columns; none in a list.
 */
columns: Array<string>, 
/**
 * Its first rows, long values cut; none in a list.
 */
first_rows: Array<Array<string | null>>, };

export type Discovery = { 
/**
 * What could be looked after and is not yet.
 */
found: Array<Discovered>, 
/**
 * How many Docker Compose projects were looked at.
 */
projects: number, 
/**
 * How many folders were looked at.
 */
folders: number, };

export type Discovered = { 
/**
 * What commands take.
 */
token: string, 
/**
 * What has to be answered first, one at a time.
 */
questions: Array<AskedView>, 
/**
 * Id of its profile.
 */
application: string, 
/**
 * What people call it.
 */
title: string, 
/**
 * The version in its folder.
 */
version: string | null, 
/**
 * Why it was recognised: the files.
 */
reason: string, 
/**
 * Its folder.
 */
folder: string, 
/**
 * What an update stops, what runs on, what a backup holds, and where visitors come in.
 */
parts: Array<string>, };

export type AskedView = { 
/**
 * What commands take.
 */
key: string, 
/**
 * What kind of answer it wants.
 */
kind: AskedKind, 
/**
 * The question.
 */
label: string, 
/**
 * Why it is asked.
 */
why: string, 
/**
 * Where the answer usually stands.
 */
usual_place: string | null, 
/**
 * What is suggested.
 */
value: string | null, };

export type AskedKind = "file" | "password";

