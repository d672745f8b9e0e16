//! The built-in profile of FilaOps without Docker, on a checkout of its shape.

use std::fs;

use crate::support::filaops::{Filaops, Kind};
use crate::support::{PATIENCE, wait_for};
use crate::tagged::git;

#[test]
fn filaops_without_docker_is_updated_beside_its_checkout_and_brought_back_to_it() {
    let world = Filaops::with(&[("3.9.0", Kind::Good), ("3.10.0", Kind::Good)]);
    let (plan, note) = world.plan("3.9.0", "checkout_stays");
    assert_eq!(plan["possible"], true, "{plan:#}");
    assert!(note.unwrap()["message"].as_str().unwrap().contains("stays as it is, at 3.8.0"));
    // What the usual address says is read from a checkout; nobody believes it.
    assert!(world.told_by_the_checkout().unwrap().contains("9.9.9"));
    assert_eq!(world.upgrade("3.9.0", &[]), ("complete".to_owned(), String::new()));
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r1");
    assert_eq!(world.sql("SELECT count(*) FROM products WHERE from_1 = 'new'"), "500");
    let release = world.app.join(".liftlock/releases/3.9.0");
    let pages = fs::read_to_string(release.join("frontend/dist/index.html")).unwrap();
    assert!(pages.contains("3.9.0"), "{pages}");
    assert_eq!(fs::read_to_string(release.join("backend/.env")).unwrap().lines().next(), Some("# FilaOps"));
    assert_eq!(world.changed(), "");

    // A picture that comes in is where it always was, and the next version has it too.
    world.add_picture("two.png");
    assert_eq!(world.upgrade("3.10.0", &[]).0, "complete");
    world.is_whole("3.10.0", ".liftlock/releases/3.10.0");
    for folder in [world.app.join("backend"), world.running_in()] {
        assert!(folder.join("static/uploads/products/two.png").is_file(), "{}", folder.display());
    }
    let back = |world: &Filaops| {
        let (_, ended) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
        assert_eq!(ended["state"], "rolled_back", "{ended:#}");
    };
    back(&world);
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");
    assert_eq!(world.changed(), "");
}

#[test]
fn going_back_from_the_first_update_of_filaops_leads_to_the_checkout() {
    let mut world = Filaops::with(&[("3.9.0", Kind::Good)]);
    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    let (_, ended) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
    assert_eq!(ended["state"], "rolled_back", "{ended:#}");
    world.is_whole("3.8.0", "");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
    assert_eq!(world.changed(), "");
    // And forward again, from the same folder.
    assert_eq!(world.upgrade("3.9.0", &[]).0, "complete");
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");

    // Who starts the old checkout by habit is told.
    assert_eq!(world.plan("3.9.0", "runs_elsewhere").1, None);
    world.end();
    world.start_by_hand();
    let (plan, found) = world.plan("3.9.0", "runs_elsewhere");
    assert_eq!((&plan["possible"], &plan["from"]), (&false.into(), &"3.8.0".into()), "{plan:#}");
    assert!(found.unwrap()["message"].as_str().unwrap().contains("3.9.0 is in place"));
}

#[test]
fn a_migration_of_filaops_without_docker_that_breaks_off_and_a_version_that_lies_are_brought_back() {
    let world = Filaops::with(&[("3.9.0", Kind::Breaks), ("3.10.0", Kind::Lies)]);
    assert_eq!(world.upgrade("3.9.0", &[]), ("rolled_back".to_owned(), "migration_failed".to_owned()));
    world.is_whole("3.8.0", "");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
    assert_eq!(world.upgrade("3.10.0", &[]), ("rolled_back".to_owned(), "wrong_version".to_owned()));
    world.is_whole("3.8.0", "");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
    assert_eq!(world.sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'made_in%'"), "0");
    assert_eq!(world.changed(), "");
}

#[test]
fn migrations_of_filaops_without_docker_that_did_nothing_are_found_though_the_backend_calls_itself_healthy() {
    let world = Filaops::with(&[("3.9.0", Kind::MigratesNothing)]);
    assert_eq!(world.upgrade("3.9.0", &[]), ("rolled_back".to_owned(), "not_migrated".to_owned()));
    world.is_whole("3.8.0", "");
    assert_eq!(world.sql("SELECT version_num FROM alembic_version"), "r0");
}

/// Tables with the columns of FilaOps that the profile names, and those that need care.
const TABLES: &str = "
    CREATE TABLE customers (id serial PRIMARY KEY, company_name text);
    CREATE TABLE users (id serial PRIMARY KEY, email text NOT NULL UNIQUE, password_hash text NOT NULL, account_type text NOT NULL,
        customer_id int REFERENCES customers);
    CREATE TABLE sales_orders (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users, customer_id int REFERENCES users,
        order_number text NOT NULL);
    CREATE TABLE sales_order_lines (id serial PRIMARY KEY, sales_order_id int NOT NULL REFERENCES sales_orders,
        product_id int NOT NULL REFERENCES products, quantity numeric(10, 2) NOT NULL);
    CREATE TABLE inventory (id serial PRIMARY KEY, product_id int NOT NULL REFERENCES products, on_hand_quantity numeric(10, 2) NOT NULL,
        allocated_quantity numeric(10, 2) NOT NULL,
        available_quantity numeric(10, 2) GENERATED ALWAYS AS (on_hand_quantity - allocated_quantity) STORED);
    CREATE TABLE boms (id serial PRIMARY KEY, product_id int NOT NULL REFERENCES products);
    CREATE TABLE bom_lines (id serial PRIMARY KEY, bom_id int NOT NULL REFERENCES boms, component_id int NOT NULL REFERENCES products,
        quantity numeric(18, 4) NOT NULL);
    INSERT INTO customers (company_name) VALUES ('Prints & Sons');
    INSERT INTO users (email, password_hash, account_type, customer_id)
        VALUES ('ann@example.org', 'hash-of-ann', 'customer', 1), ('boss@example.org', 'hash-of-boss', 'admin', NULL);
    INSERT INTO sales_orders (user_id, customer_id, order_number) VALUES (1, 1, 'SO-2026-001');
    INSERT INTO sales_order_lines (sales_order_id, product_id, quantity) VALUES (1, 7, 2.50), (1, 8, 1);
    INSERT INTO inventory (product_id, on_hand_quantity, allocated_quantity) VALUES (7, 10, 2.50);
    INSERT INTO boms (product_id) VALUES (7);
    INSERT INTO bom_lines (bom_id, component_id, quantity) VALUES (1, 9, 0.1250)";

#[test]
fn what_filaops_holds_is_exported_without_the_hashes_of_passwords_and_comes_in_again() {
    let world = Filaops::with(&[]);
    world.sql(TABLES);
    let folder = world.dir.join("taken-out");
    let to = folder.to_str().unwrap();
    let (code, made) = world.liftlock(&["export", "--to", to]);
    assert_eq!(code, 0, "{made:#}");
    let rows: Vec<_> =
        made["entities"].as_array().unwrap().iter().map(|it| (it["entity"].clone(), it["rows"].clone())).collect();
    let expected = [
        ("customers", 1),
        ("accounts", 2),
        ("items", 500),
        ("orders", 1),
        ("order lines", 2),
        ("inventory", 1),
        ("boms", 1),
        ("bom lines", 1),
    ];
    assert_eq!(rows, expected.map(|(entity, rows)| (entity.into(), rows.into())));
    let files = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path());
    let all: String = files.map(|it| String::from_utf8_lossy(&fs::read(it).unwrap()).into_owned()).collect();
    assert!(!all.contains("hash-of"), "nobody needs them but FilaOps");
    assert!(all.contains("boss@example.org") && all.contains("7.50"), "who works there, and what is generated");
    // Whom and what an order is about is read without looking numbers up.
    let orders = fs::read_to_string(folder.join("orders.csv")).unwrap();
    assert!(orders.contains("SO-2026-001") && orders.contains("ann@example.org"), "{orders}");
    assert!(fs::read_to_string(folder.join("order-lines.csv")).unwrap().contains("SKU-7"));

    // What is there already is not doubled, and what is generated is not written.
    world.sql("DELETE FROM bom_lines; DELETE FROM boms; DELETE FROM inventory; DELETE FROM sales_order_lines");
    let (code, came) = world.liftlock(&["import", to, "--yes", "--same-rows", "--duplicates", "skip"]);
    assert_eq!(code, 0, "{came:#}");
    assert_eq!(world.sql("SELECT available_quantity FROM inventory"), "7.50");
    assert_eq!(world.sql("SELECT count(*) FROM sales_order_lines"), "2");
    assert_eq!(world.sql("SELECT count(*) FROM users"), "2");

    // Into a new one, whose owner has made an account already: that keeps its password, and nobody gets in by what stands
    // in for the others'.
    world.sql("TRUNCATE bom_lines, boms, inventory, sales_order_lines, sales_orders, users, customers, products");
    world
        .sql("INSERT INTO users (email, password_hash, account_type) VALUES ('boss@example.org', 'hash-of-today', '')");
    let (code, came) = world.liftlock(&["import", to, "--yes", "--duplicates", "update"]);
    assert_eq!(code, 0, "{came:#}");
    let said = "“password_hash” of accounts is in no export: whoever it belongs to sets a new password.";
    assert!(came["notes"].as_array().unwrap().contains(&said.into()), "{came:#}");
    let accounts = "SELECT string_agg(email || ' ' || account_type || ' ' || left(password_hash, 13), ', ' ORDER BY email) FROM users";
    let expected = "ann@example.org customer $2b$12$......, boss@example.org admin hash-of-today";
    assert_eq!(world.sql(accounts), expected);
    let orders = "SELECT email || ' ' || order_number || ' ' || sum(quantity) FROM sales_order_lines l \
                  JOIN sales_orders o ON o.id = l.sales_order_id JOIN users u ON u.id = o.user_id GROUP BY email, order_number";
    assert_eq!(world.sql(orders), "ann@example.org SO-2026-001 3.50");
}

#[test]
fn a_checkout_of_filaops_without_docker_that_was_changed_is_found_and_its_changes_are_kept() {
    let world = Filaops::with(&[("3.9.0", Kind::Good)]);
    fs::write(world.app.join("README.md"), "mine\n").unwrap();
    let (_, found) = world.plan("3.9.0", "dirty_folder");
    assert!(found.unwrap()["message"].as_str().unwrap().contains("README.md"));
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "dirty_folder".to_owned()));
    world.is_whole("3.8.0", "");
    assert_eq!(world.upgrade("3.9.0", &["--leave-changes"]).0, "complete");
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");
    assert_eq!(fs::read_to_string(world.app.join("README.md")).unwrap(), "mine\n");
    git(&world.app, &["checkout", "--quiet", "README.md"]);
    git(&world.app, &["apply", ".liftlock/changes-3.8.0.patch"]);
    assert_eq!(fs::read_to_string(world.app.join("README.md")).unwrap(), "mine\n");
}

#[test]
fn a_password_that_filaops_without_docker_does_not_start_with_is_told_before_anything_stops() {
    let mut world = Filaops::with(&[("4.0.0", Kind::Good), ("4.1.0", Kind::Good)]);
    let password = |world: &mut Filaops, word: &str| {
        world.end();
        world.sql(&format!("ALTER ROLE filaops PASSWORD '{word}'"));
        world.set_password(word);
        world.start_by_hand();
    };
    password(&mut world, "changeme");
    assert_eq!(world.plan("4.0.0", "setting_refused").1, None);
    assert!(world.plan("4.1.0", "setting_refused").1.is_some());
    assert_eq!(world.upgrade("4.1.0", &[]), ("failed".to_owned(), "setting_refused".to_owned()));
    world.is_whole("3.8.0", "");
    password(&mut world, "another-of-the-owner");
    // The other way in which FilaOps takes them.
    world.end();
    world.set_address("another-of-the-owner");
    world.start_by_hand();
    assert_eq!(world.upgrade("4.1.0", &[]).0, "complete");
    world.is_whole("4.1.0", ".liftlock/releases/4.1.0");
}

#[test]
fn what_cannot_be_made_ready_ends_the_update_with_nothing_stopped_and_what_is_optional_may_be_missing() {
    let without_node = |it: String| it.replace("\"npm\"", "\"no-such-npm\"");
    let world = Filaops::with_profile(&[("3.9.0", Kind::CannotBeBuilt), ("3.10.0", Kind::Good)], without_node);
    let runs = world.running_in();
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "build_failed".to_owned()));
    assert_eq!(world.running_in(), runs);
    world.is_whole("3.8.0", "");
    assert_eq!(world.upgrade("3.10.0", &[]).0, "complete");
    world.is_whole("3.10.0", ".liftlock/releases/3.10.0");
    assert!(!world.running_in().join("../frontend/dist").exists());
}

#[test]
fn filaops_without_docker_survives_a_worker_that_is_killed() {
    for point in [
        "forward/make_ready/mid_effect",
        "forward/switch_release/mid_effect",
        "forward/stop:backend/mid_effect",
        "forward/hand_over/mid_effect",
    ] {
        let world = Filaops::with(&[("3.9.0", Kind::Good)]);
        world.liftlock_killed_at(point, &["upgrade", "--yes", "--to", "3.9.0"]);
        let log = fs::read_to_string(world.dir.join("crash.log")).unwrap();
        assert!(log.lines().any(|it| it == format!("died {point}")), "{log}");
        world.liftlock(&["resume", "--all"]);
        let ended = wait_for("the update ends", PATIENCE, || {
            let (_, history) = world.liftlock(&["history"]);
            history["outcomes"].as_array()?.iter().find_map(|it| it["result"].as_str()).map(str::to_owned)
        });
        match ended.as_str() {
            "success" => world.is_whole("3.9.0", ".liftlock/releases/3.9.0"),
            _ => world.is_whole("3.8.0", ""),
        }
    }
}

#[test]
fn a_backend_that_was_started_for_other_addresses_than_the_profiles_is_refused() {
    let loopback = |it: String| it.replace("\"0.0.0.0\"", "\"127.0.0.1\"");
    let world = Filaops::with_profile(&[("3.9.0", Kind::Good)], loopback);
    let (plan, found) = world.plan("3.9.0", "bound_otherwise");
    assert_eq!(plan["possible"], false, "{plan:#}");
    assert!(found.unwrap()["message"].as_str().unwrap().contains("answers for other computers too"));
    assert_eq!(world.upgrade("3.9.0", &[]), ("failed".to_owned(), "bound_otherwise".to_owned()));
    world.is_whole("3.8.0", "");
}

#[test]
fn an_environment_of_python_and_pages_of_node_are_made_in_the_folder_where_they_stay() {
    let world = Filaops::with_real_tools(&[("3.9.0", Kind::Good), ("3.10.0", Kind::Good)]);
    for version in ["3.9.0", "3.10.0"] {
        assert_eq!(world.upgrade(version, &[]), ("complete".to_owned(), String::new()));
        let folder = format!(".liftlock/releases/{version}");
        world.is_whole(version, &folder);
        let release = world.app.join(&folder);
        let pip = fs::read_to_string(release.join("backend/venv/bin/alembic")).unwrap();
        assert!(pip.starts_with(&format!("#!{}", release.join("backend/venv/bin/python").display())), "{pip}");
        assert!(fs::read_to_string(release.join("frontend/dist/index.html")).unwrap().contains(version));
        assert_eq!(world.changed(), "");
    }
    let (_, ended) = world.liftlock(&["rollback", "--accept-loss-of-new-work", "--yes"]);
    assert_eq!(ended["state"], "rolled_back", "{ended:#}");
    world.is_whole("3.9.0", ".liftlock/releases/3.9.0");
}
