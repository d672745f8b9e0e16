//! Setting aside, swapping, putting back.

use std::time::{Duration, Instant};

use liftlock_engine::process::Silent;
use liftlock_engine::stores::postgres::aside::{self, Aside, AsideState, Strategy};
use liftlock_engine::stores::postgres::facts;
use serde::Deserialize;

use crate::cluster;
use crate::postgres_support::{admin, client_on, run_all, shop};

#[derive(Deserialize)]
struct N {
    n: i64,
}

#[test]
fn a_database_is_set_aside_swapped_and_put_back_by_its_owner() {
    let admin = admin();
    let (name, owner) = shop(&admin);
    let mut outside = admin.connect("postgres").unwrap();
    run_all(
        &mut outside,
        &[
            &format!("CREATE ROLE {name}_reader"),
            &format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
            &format!("GRANT CONNECT ON DATABASE {name} TO {name}_reader WITH GRANT OPTION"),
            &format!("ALTER DATABASE {name} CONNECTION LIMIT 20"),
            &format!("ALTER DATABASE {name} SET search_path = \"Odd schema\", public"),
            &format!("ALTER DATABASE {name} SET work_mem = '7MB'"),
            &format!("ALTER ROLE {owner} IN DATABASE {name} SET statement_timeout = '77s'"),
            &format!("COMMENT ON DATABASE {name} IS 'it''s a shop'"),
        ],
    );
    let client = client_on(cluster::shared(), &owner, "pw").unwrap();
    let facts = facts::facts(&client, &name).unwrap();
    assert!(facts::obstacles(&facts).is_empty(), "{:?}", facts::obstacles(&facts));
    let mut it = Aside::plan(&client, &name, "1f3a").unwrap();
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Untouched);

    // The application is still connected.
    let mut application = client.connect(&name).unwrap();
    application.run("SET application_name = 'shop'").unwrap();
    let error = aside::close(&client, &it, &|_| false).unwrap_err();
    assert_eq!(error.class, "foreign_sessions");
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Untouched, "a refusal changes nothing");
    aside::close(&client, &it, &|who| who.user == owner).unwrap();
    drop(application);
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Closed);
    assert_eq!(client.connect(&name).unwrap_err().class, "database_closed");

    let next_oid = aside::copy(&client, &it, Strategy::Files, &Silent).unwrap();
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Copied { next_oid });
    assert_eq!(aside::copy(&client, &it, Strategy::Files, &Silent).unwrap(), next_oid, "a whole copy stays");
    it.next_oid = Some(next_oid);
    assert_eq!(aside::carried_over(&client, &it).unwrap(), Vec::<String>::new());

    client.connect(&it.next_name).unwrap().run("ALTER TABLE public.item ADD COLUMN colour text").unwrap();
    // One of Liftlock's own sessions is over only when the server has noticed: that is waited for.
    let ours = client.connect(&it.next_name).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let closed = format!("SELECT count(*) AS n FROM pg_database WHERE oid = {next_oid} AND NOT datallowconn");
            let mut outside = admin.connect("postgres").unwrap();
            let until = Instant::now() + Duration::from_secs(15);
            while outside.one::<N>(&closed).unwrap().n == 0 && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            drop(ours);
        });
        aside::swap(&client, std::slice::from_ref(&it), &|_| false).unwrap();
    });
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Swapped { next_oid });
    aside::swap(&client, std::slice::from_ref(&it), &|_| false).unwrap();
    assert_eq!(aside::carried_over(&client, &it).unwrap(), Vec::<String>::new(), "with the comment now");
    let mut inside = client.connect(&name).unwrap();
    assert_eq!(inside.one::<N>("SELECT count(colour) + count(*) AS n FROM public.item").unwrap().n, 500);
    drop(inside);
    assert_eq!(client.connect(&it.aside_name).unwrap_err().class, "database_closed", "the original is untouched");

    aside::put_back(&client, std::slice::from_ref(&it), &|_| false).unwrap();
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::PutBack { failed_oid: next_oid });
    aside::put_back(&client, std::slice::from_ref(&it), &|_| false).unwrap();
    let after = facts::facts(&client, &name).unwrap();
    assert_eq!((after.oid, &after.owner, after.connection_limit), (facts.oid, &facts.owner, 20));
    let mut inside = client.connect(&name).unwrap();
    assert_eq!(inside.run("SELECT colour FROM public.item").unwrap_err().class, "table_gone");
    drop(inside);

    aside::discard(&client, &it).unwrap();
    assert_eq!(aside::observe(&client, &it).unwrap(), AsideState::Untouched);
}
