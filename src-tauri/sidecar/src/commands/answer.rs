//! `answer`, and what `upgrade` takes of it: settings that a new version asks for.

use liftlock_engine::engine::Say;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::seal::KeyPlace;
use liftlock_engine::secrets::Secret;
use liftlock_engine::state::upgrades::Options;
use liftlock_engine::view::AskedSettingView;
use liftlock_engine::{Engine, Error, Result};
use serde_json::json;

use crate::args::Saying;
use crate::commands::{lock, plan};
use crate::screen::Screen;

/// The exit code where something is still asked for.
const REFUSED: u8 = 3;

pub(crate) fn answer(
    engine: &Engine,
    screen: &Screen,
    name: &InstallationName,
    to: Option<&str>,
    saying: Saying,
    forget: Vec<String>,
) -> Result<u8> {
    let only_asks = !say(engine, name, saying)? && forget.is_empty();
    for key in &forget {
        engine.say_of_setting(name, key, &Say::Nothing)?;
    }
    let look = || engine.plan(name, to, &Options::default());
    let mut view = look()?;
    if only_asks && screen.can_ask() && ask_for_all(engine, screen, name, &view.asked)? {
        view = look()?;
    }
    if screen.json {
        screen.document(&json!({ "asked": view.asked }));
    } else if view.asked.is_empty() {
        screen.note("Nothing is asked for now.");
    } else {
        plan::print_lines(screen, &view.lines);
        let open: Vec<_> = view.findings.into_iter().filter(|it| it.class == "setting_asked").collect();
        super::doctor::print_findings(screen, &open);
    }
    Ok(if view.asked.iter().all(|it| it.answered) { 0 } else { REFUSED })
}

/// Whether anything was said on the command line.
pub(crate) fn say(engine: &Engine, name: &InstallationName, saying: Saying) -> Result<bool> {
    let mut all = Vec::new();
    for it in &saying.set {
        let (key, value) = split(it)?;
        all.push((key, Say::Openly(value.to_owned())));
    }
    for it in &saying.set_from {
        let (key, place) = split(it)?;
        let known = "Say where it is: file:/path/to/it, keychain:NAME, env:NAME or fd:NUMBER.";
        let kept = KeyPlace::parse(place).and_then(|it| it.read());
        all.push((
            key,
            Say::Kept(kept.map_err(|it| if it.class == "key_not_private" { it } else { it.remedy(known) })?),
        ));
    }
    all.extend(saying.generate.iter().map(|it| (it.as_str(), Say::Generate)));
    all.iter().try_for_each(|(key, it)| engine.say_of_setting(name, key, it))?;
    Ok(!all.is_empty())
}

/// What was given may be a secret in the wrong place, so it is not said again.
fn split(given: &str) -> Result<(&str, &str)> {
    given.split_once('=').ok_or_else(|| {
        Error::usage("bad_setting_name", "What was said of a setting names none.")
            .remedy("Write KEY=VALUE after --set, and KEY=file:/path/to/it after --set-from.")
    })
}

/// Asks for each that nothing was said of. Answers whether anything was said.
pub(crate) fn ask_for_all(
    engine: &Engine,
    screen: &Screen,
    name: &InstallationName,
    asked: &[AskedSettingView],
) -> Result<bool> {
    let mut is_said = false;
    for it in asked.iter().filter(|it| !it.answered) {
        if let Some(say) = ask(screen, it)? {
            engine.say_of_setting(name, &it.key, &say)?;
            is_said = true;
        }
    }
    Ok(is_said)
}

fn ask(screen: &Screen, asked: &AskedSettingView) -> Result<Option<Say>> {
    let named = asked.name.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
    let why = asked.why.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
    let otherwise = match &asked.default {
        _ if asked.can_generate => " Nothing lets one be made up.".to_owned(),
        Some(default) => format!(" Nothing takes {default}."),
        None => String::new(),
    };
    let question = format!("The new version needs {}{named}.{why}{otherwise}", asked.key);
    let said = if asked.secret {
        let typed = lock::ask(&format!("{question}\n> "))?;
        Some(Secret::new(typed.as_str())).filter(|it| !it.is_empty())
    } else {
        screen.type_in(&question).map(Secret::new)
    };
    Ok(match (said, &asked.default) {
        (Some(said), _) => Some(Say::Kept(said)),
        (None, _) if asked.can_generate => Some(Say::Generate),
        (None, default) => default.clone().map(|it| Say::Kept(Secret::new(it))),
    })
}
