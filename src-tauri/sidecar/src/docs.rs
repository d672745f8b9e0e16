//! The reference pages, made from the definitions themselves so that they cannot go stale.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use liftlock_engine::model::profile::{Mistake, Warning};
use liftlock_engine::view;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

/// `docs/commands.md`: every command with its help, exactly as it prints it.
pub fn command_reference() -> String {
    let mut out = String::from(
        "# Commands\n\nThe same text as `liftlock <command> --help`; written by `cargo xtask docs`, not by hand. \
         The documents of `--json` are in [json.md](json.md).\n",
    );
    let mut command = crate::command().term_width(100).color(clap::ColorChoice::Never);
    command.build();
    section(&mut out, &mut command, 2);
    out
}

fn section(out: &mut String, command: &mut clap::Command, depth: usize) {
    let help = command.render_long_help().to_string();
    let title = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let body: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(out, "\n{} {title}\n\n```text\n{}\n```\n", "#".repeat(depth), body.join("\n").trim_end());
    for child in command.get_subcommands_mut() {
        if !child.is_hide_set() && child.get_name() != "help" {
            section(out, child, 3);
        }
    }
}

/// What a command prints with `--json`, beside an error.
struct Document {
    commands: &'static str,
    about: &'static str,
    /// The key under which the shape stands, where the document is an object made around it.
    under: Option<&'static str>,
    schema: fn(&mut SchemaGenerator) -> schemars::Schema,
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<T>()
}

const fn document(
    commands: &'static str,
    under: Option<&'static str>,
    schema: fn(&mut SchemaGenerator) -> schemars::Schema,
    about: &'static str,
) -> Document {
    Document { commands, about, under, schema }
}

const DOCUMENTS: &[Document] = &[
    document(
        "every command that did not work",
        Some("error"),
        shape::<view::ErrorView>,
        "The exit code is the one in `code`.",
    ),
    document("`add`", None, shape::<view::InstallationView>, ""),
    document("`list`", Some("installations"), shape::<Vec<view::InstallationView>>, ""),
    document("`remove`", Some("removed"), shape::<String>, ""),
    document("`check`", None, shape::<view::CheckView>, "Exit code 1 where `healthy` is false."),
    document(
        "`check --releases`",
        None,
        shape::<view::RoundView>,
        "A server that cannot be reached is a `problem` of its repository, and no failure of the command.",
    ),
    document("`tick`", None, shape::<view::TickView>, "Exit code 1 where something failed."),
    document(
        "`unattended`",
        Some("unattended"),
        shape::<Vec<view::UnattendedView>>,
        "Beside it a [TimerView](#timerview) as `timer`, where something was changed.",
    ),
    document("`find`", None, shape::<view::FindView>, ""),
    document("`releases`", None, shape::<view::ReleasesView>, ""),
    document("`releases --notes`", None, shape::<view::NewsView>, ""),
    document("`notice`", Some("notices"), shape::<Vec<view::NoticeView>>, ""),
    document("`notice dismiss`, `skip`, `remind`, `pause`, `stay`, `resume`", None, shape::<view::NoticeView>, ""),
    document("`plan`", None, shape::<view::PlanView>, "Exit code 3 where `possible` is false."),
    document(
        "`answer`",
        Some("asked"),
        shape::<Vec<view::AskedSettingView>>,
        "Exit code 3 where something is still asked for.",
    ),
    document(
        "`upgrade`, `retry`, `rollback`, `resume ID`, `backup restore`",
        None,
        shape::<view::UpgradeStatus>,
        "One a line for each change; the last one is the end, with `receipt`. With `--detach` only the first.",
    ),
    document(
        "`move-data`",
        None,
        shape::<view::MovedView>,
        "Where a database is moved, the lines of `upgrade` instead.",
    ),
    document(
        "`status`",
        None,
        shape::<view::StatusView>,
        "An [UpgradeStatus](#upgradestatus) while an update runs and until its end is known, else an \
         [IdleStatus](#idlestatus). With `--follow` one a line for each change.",
    ),
    document("`ack`, `cancel`, `settle`", None, shape::<view::UpgradeStatus>, ""),
    document("`resume`, `resume --all`, `resume ID --detach`", None, shape::<view::ResumeView>, ""),
    document(
        "`history`",
        None,
        shape::<view::HistoryView>,
        "Outcomes as in `history.jsonl`: `ts`, `upgrade_id`, `installation`, `component`, `from`, `to`, `result` \
         (`success`, `rolled_back`, `rollback_failed`, `failed`, `refused` or `aborted_by_user`), `elapsed_seconds`, \
         `message`, `error_class`.",
    ),
    document("`history --verify`", None, shape::<view::HistoryCheck>, "Exit code 1 where `intact` is false."),
    document("`doctor`", None, shape::<view::DoctorView>, "Exit code 1 where a finding is a `stop`."),
    document("`export`, `export --check`", None, shape::<view::ExportView>, "Every file was read back."),
    document(
        "`import`",
        None,
        shape::<view::ImportView>,
        "Exit code 1 where nothing came in because some rows cannot.",
    ),
    document("`import --show-mapping`", None, shape::<view::MappingView>, ""),
    document("`import --undo`", None, shape::<view::UndoneView>, "Exit code 1 where rows stay."),
    document("`fresh-start`", None, shape::<view::FreshStartView>, "`null` with `--show` where there is none."),
    document("`aside list`", Some("set_aside"), shape::<Vec<view::SetAsideView>>, ""),
    document("`aside look`, `start`, `stop`, `remove`", None, shape::<view::SetAsideView>, ""),
    document("`backup create`, `backup adopt`, `backup verify`", None, shape::<view::BackupView>, ""),
    document("`backup compare`", None, shape::<view::CompareView>, ""),
    document("`backup pin`, `backup unpin`", None, shape::<view::BackupView>, ""),
    document("`backup remove`", Some("removed"), shape::<String>, ""),
    document(
        "`backup prune`",
        None,
        shape::<view::PruneView>,
        "With `--dry-run`, `removed` is false and nothing was touched.",
    ),
    document("`backup copy`", Some("copies"), shape::<Vec<view::CopyView>>, ""),
    document("`backup list --copies`", Some("copies"), shape::<Vec<view::LyingView>>, ""),
    document("`backup encrypt`", None, shape::<view::EncryptionView>, ""),
    document(
        "`backup look`",
        None,
        shape::<liftlock_engine::stores::look::TableLook>,
        "Without `--table`, `{ tables: […] }`; with `--list` or `--remove`, `{ looks: […] }`.",
    ),
    document("`backup inspect`", None, shape::<view::FileView>, ""),
    document(
        "`backup schedule`",
        Some("schedules"),
        shape::<Vec<view::ScheduleView>>,
        "Beside it a [TimerView](#timerview) as `timer`, where something was changed.",
    ),
    document("`backup run-due`", Some("due"), shape::<Vec<view::DueView>>, "Exit code 1 where one `failed`."),
    document(
        "`backup list`",
        Some("backups"),
        shape::<Vec<view::BackupView>>,
        "Beside it a list of [Finding](#finding) as `findings`: folders that cannot be read as backups.",
    ),
    document("`settings`", Some("settings"), shape::<Vec<view::SettingView>>, ""),
    document("`settings KEY`, `settings KEY VALUE`", None, shape::<view::SettingView>, ""),
    document("`lock show`, `lock remove`", None, shape::<view::LockView>, ""),
    document("`lock set`", Some("recovery_code"), shape::<String>, "It is not shown again."),
    document("`profile list`", Some("profiles"), shape::<Vec<String>>, ""),
    document(
        "`profile check`",
        Some("mistakes"),
        shape::<Vec<Mistake>>,
        "Beside it `profile`, `valid` and a list of [Warning](#warning) as `warnings`. Exit code 2 where there is a mistake.",
    ),
    document("`profile show`", Some("text"), shape::<String>, "Beside it `profile`."),
];

/// `docs/json.md`: every document that `--json` prints, field by field, out of the types that are printed.
pub fn json_reference() -> String {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut out = String::from(
        "# Documents of `--json`\n\nEvery command prints one document on one line; those that follow an update print one a \
         line, and the last line is the final one. Instants are RFC 3339 in UTC. Fields are never left out: what is not \
         known is `null`. New fields may come, none goes. Written by `cargo xtask docs` from the types themselves.\n\n\
         | command | document |\n|---|---|\n",
    );
    for document in DOCUMENTS {
        let schema = (document.schema)(&mut generator).to_value();
        let kind = kind_of(&schema);
        let kind = document.under.map_or_else(|| kind.clone(), |key| format!("`{{\"{key}\": …}}` with {kind}"));
        let about = if document.about.is_empty() { String::new() } else { format!(". {}", document.about) };
        let _ = writeln!(out, "| {} | {kind}{about} |", document.commands);
    }
    generator.subschema_for::<Warning>();
    let shapes: BTreeMap<String, Value> = generator.take_definitions(true).into_iter().collect();
    for (name, schema) in &shapes {
        let _ = write!(out, "\n## {name}\n\n{}\n", about_of(schema));
        if let Some(fields) = schema["properties"].as_object() {
            let _ = write!(out, "\n| field | type | |\n|---|---|---|\n");
            for (field, schema) in fields {
                let _ = writeln!(out, "| `{field}` | {} | {} |", kind_of(schema), about_of(schema));
            }
        } else if let Some(words) = schema["oneOf"].as_array() {
            out.push('\n');
            for word in words {
                for value in word["enum"].as_array().into_iter().flatten().chain(word.get("const")) {
                    let _ = writeln!(out, "- `{}`: {}", value.as_str().unwrap_or("?"), about_of(word));
                }
            }
        } else {
            let _ = write!(out, "\n{}\n", kind_of(schema));
        }
    }
    out
}

fn about_of(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The type of a field in words, with a link where it is a shape of its own.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return any.iter().map(kind_of).collect::<Vec<_>>().join(" or ");
    }
    let of = |kind: &str| match kind {
        "array" => format!("list of {}", kind_of(&schema["items"])),
        "string" if schema["format"] == "date-time" => "instant".to_owned(),
        "integer" => "whole number".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => of(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).map(of).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    }
}
