use std::fs;
use std::net::TcpListener;

use tempfile::TempDir;

use super::*;
use crate::state::home::Home;
use crate::view::window::AskedKind;

struct World {
    engine: Engine,
    dir: TempDir,
}

impl World {
    /// A folder that looks like Corner Shop's, without its settings.
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let shop = dir.path().join("shop");
        fs::create_dir_all(shop.join("releases/1.0.0")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("releases/1.0.0", shop.join("current")).unwrap();
        #[cfg(not(unix))]
        fs::create_dir_all(shop.join("current")).unwrap();
        fs::write(shop.join("current/release.json"), "{}").unwrap();
        Self { engine: Engine::at(Home::at(dir.path().join("home"))), dir }
    }

    fn shop(&self) -> PathBuf {
        self.dir.path().join("shop")
    }

    /// Settings that lead to a port where nobody listens.
    fn settings(&self, name: &str) -> PathBuf {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = self.dir.path().join(name);
        fs::write(&file, format!("DATABASE_URL=postgres://shop:secret@127.0.0.1:{port}/shop\nSHOP_PORT={port}\n"))
            .unwrap();
        file
    }
}

fn keys(found: &Found) -> Vec<(AskedKind, &str)> {
    found.questions.iter().map(|it| (it.kind, it.key.as_str())).collect()
}

#[test]
fn a_folder_that_no_profile_knows_is_said_to_be_none() {
    let world = World::new();
    let error = world.engine.recognise(world.dir.path()).unwrap_err();
    assert_eq!(error.class, "not_recognised");
}

#[test]
fn what_the_settings_say_is_not_asked() {
    let world = World::new();
    fs::rename(world.settings("env"), world.shop().join(".env")).unwrap();
    let found = world.engine.recognise(&world.shop()).unwrap();
    // Its database does not answer, which a password would not change.
    assert_eq!(keys(&found), []);
    assert_eq!((found.title.as_str(), found.reason.as_str()), ("Corner Shop", "current/release.json"));
}

#[test]
fn settings_that_stand_elsewhere_are_asked_for_and_tried_at_once() {
    let world = World::new();
    let found = world.engine.recognise(&world.shop()).unwrap();
    assert_eq!(keys(&found), [(AskedKind::File, "file:.env")]);

    let error = world.engine.try_answer(&found, "file:.env", "/nowhere/settings").unwrap_err();
    assert_eq!(error.class, "file_missing");
    let wrong = world.dir.path().join("other.env");
    fs::write(&wrong, "COLOUR=blue\n").unwrap();
    let error = world.engine.try_answer(&found, "file:.env", &wrong.display().to_string()).unwrap_err();
    assert_eq!(error.class, "setting_missing");

    let right = world.settings("shop.env").display().to_string();
    let answered = world.engine.try_answer(&found, "file:.env", &right).unwrap();
    assert_eq!(keys(&answered), []);
    let added = world.engine.add_found(&answered, Some("Ева’s shop 🛒")).unwrap();
    assert_eq!(added.name.as_str(), "corner-shop");
    let view = world.engine.app(&crate::engine::Face::default());
    assert_eq!(view.installations[0].title, "Ева’s shop 🛒");
    assert!(world.engine.find_applications().unwrap().found.iter().all(|it| it.folder != world.shop()));
}

#[test]
fn a_second_one_of_the_same_kind_gets_the_next_free_name() {
    let world = World::new();
    fs::rename(world.settings("env"), world.shop().join(".env")).unwrap();
    world.engine.add_found(&world.engine.recognise(&world.shop()).unwrap(), None).unwrap();
    assert_eq!(world.engine.free_name("corner-shop").unwrap().as_str(), "corner-shop-2");
}

#[test]
fn a_password_is_kept_where_only_its_owner_reads_it_and_the_profile_names_it() {
    let world = World::new();
    fs::rename(world.settings("env"), world.shop().join(".env")).unwrap();
    let mut found = world.engine.recognise(&world.shop()).unwrap();
    found.passwords.push(("database".to_owned(), Zeroizing::new(r"a:b\c".to_owned())));
    world.engine.add_found(&found, None).unwrap();
    let file = world.dir.path().join("home/credentials/corner-shop-database.pgpass");
    assert_eq!(fs::read_to_string(&file).unwrap(), "*:*:*:*:a\\:b\\\\c\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let kept = world.engine.db().unwrap().installation(&"corner-shop".parse().unwrap()).unwrap();
    assert!(!kept.profile.contains(r"a:b"));
    let profile = Profile::parse(&kept.profile).unwrap();
    let Some(crate::model::profile::Store::Postgres(store)) = profile.store("database") else { panic!("no database") };
    let endpoint = store.endpoint(&crate::drivers::command::reader(&world.shop())).unwrap();
    assert_eq!(endpoint.password.as_deref(), Some(r"a:b\c"));
}

#[test]
fn what_was_not_asked_takes_no_answer() {
    let world = World::new();
    let found = world.engine.recognise(&world.shop()).unwrap();
    for key in ["", "file", "password:", "password:nothing", "profile"] {
        assert!(world.engine.try_answer(&found, key, "x").is_err(), "{key}");
    }
}

#[test]
fn a_file_without_a_password_is_refused_as_one() {
    let world = World::new();
    fs::rename(world.settings("env"), world.shop().join(".env")).unwrap();
    let found = world.engine.recognise(&world.shop()).unwrap();
    let file = world.dir.path().join("picture.png");
    for content in [b"\x89PNG\r\n\xff\xfe".as_slice(), b"HOST=here\nPORT=1\n"] {
        fs::write(&file, content).unwrap();
        let answer = world.engine.try_answer(&found, "passwordfile:main", file.to_str().unwrap());
        assert_eq!(answer.unwrap_err().class, "no_password_in_file");
    }
}

#[test]
fn a_checkout_that_is_run_without_docker_is_told_from_one_with() {
    let world = World::new();
    let checkout = world.dir.path().join("filaops");
    let make = |name: &str, text: &str| {
        let path = checkout.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for name in ["docker-compose.yml", "backend/Dockerfile", "frontend/Dockerfile", "backend/requirements.txt"] {
        make(name, "");
    }
    make("backend/alembic.ini", "");
    assert_eq!(world.engine.recognise(&checkout).unwrap().application, "filaops");
    make("backend/.env", "DB_HOST=127.0.0.1\nDB_PORT=1\nDB_NAME=filaops\nDB_USER=filaops\nDB_PASSWORD=x\n");
    make("backend/venv/bin/uvicorn", "");
    let found = world.engine.recognise(&checkout).unwrap();
    assert_eq!((found.application.as_str(), found.title.as_str()), ("filaops-native", "FilaOps"));
}
