//! A database on a scratch server, made ready for what is restored into it, and sealed afterwards.

use std::{collections::BTreeSet, time::Duration};

use serde::Deserialize;

use super::{Access, Restored, SUPERUSER, Scratch};
use crate::error::{Error, Result};
use crate::ports::Reporter;
use crate::secrets::Secret;
use crate::stores::postgres::dump::Dump;
use crate::stores::postgres::quote::{ident, literal};
use crate::stores::postgres::restore::schemas_of_extensions;
use crate::stores::postgres::session::Session;

impl Scratch {
    /// Makes roles, database and extensions, and says which entries of the dump are then left out.
    pub(super) fn prepare(
        &self,
        dump: &Dump,
        database: &str,
        owner: &str,
        password: &Secret,
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>> {
        let shape = &dump.shape;
        let mut session = self.client.connect("postgres")?;
        session.run(&format!("DROP DATABASE IF EXISTS {}", ident(database)))?;
        let others: BTreeSet<&str> = shape.roles.iter().map(String::as_str).filter(|it| *it != owner).collect();
        for role in [owner].into_iter().chain(others).filter(|it| !it.starts_with("pg_") && *it != SUPERUSER) {
            if !session.finds(&format!("SELECT 1 AS one FROM pg_roles WHERE rolname = {}", literal(role)))? {
                session.run(&format!("CREATE ROLE {} NOLOGIN", ident(role)))?;
            }
            // To give things to their owners one must be a member of them; taken back afterwards.
            if role != owner {
                session.run(&format!("GRANT {} TO {}", ident(role), ident(owner)))?;
            }
        }
        session.run(&format!("ALTER ROLE {} LOGIN PASSWORD {}", ident(owner), literal(password.expose())))?;
        self.create(&mut session, dump, database, owner, notes)?;
        drop(session);
        let mut inside = self.client.connect(database)?;
        if self.tools.major < 15 {
            inside.run(&format!("ALTER SCHEMA public OWNER TO {}", ident(owner)))?;
        }
        let schemas = schemas_of_extensions(dump);
        for schema in &schemas {
            inside.run(&format!("CREATE SCHEMA {} AUTHORIZATION {}", ident(schema), ident(owner)))?;
        }
        extend(&mut inside, dump, owner, notes)?;
        let mut without: Vec<String> = [
            "EXTENSION ",
            "COMMENT - EXTENSION ",
            "SUBSCRIPTION ",
            "COMMENT - SUBSCRIPTION ",
            "PUBLICATION ",
            "COMMENT - PUBLICATION ",
            "EVENT TRIGGER ",
            "COMMENT - EVENT TRIGGER ",
            "USER MAPPING ",
            "SECURITY LABEL ",
            "FOREIGN DATA WRAPPER ",
        ]
        .map(str::to_owned)
        .to_vec();
        without.extend(schemas.iter().map(|it| format!("SCHEMA - {it} ")));
        Ok(without)
    }

    fn create(
        &self,
        session: &mut Session,
        dump: &Dump,
        database: &str,
        owner: &str,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let like = &dump.shape.like;
        let made = session.run(&like.create(database, Some(owner), None));
        let Err(error) = made else { return Ok(()) };
        // A server elsewhere may know a locale that this machine does not.
        if !error.details.iter().any(|it| it.contains("locale") || it.contains("collation")) {
            return Err(error);
        }
        notes.push(format!("This machine does not know the locale {}; “C” was used instead.", like.locale.collate));
        session.run(&format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C' OWNER {}",
            ident(database),
            literal(&like.encoding),
            ident(owner)
        ))
    }

    /// Makes a restored database fit to be worked on: cuts the ways out of it, takes back what the owner was given for the
    /// restore, makes the settings, and gives it statistics.
    ///
    /// # Errors
    /// What the scratch server or `reporter` answered.
    pub fn seal(&self, dump: &Dump, restored: &mut Restored, reporter: &dyn Reporter) -> Result<()> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
        }
        let Restored { access: Access { database, user: owner, .. }, notes } = restored;
        let mut inside = self.client.connect(database)?;
        for row in inside.rows::<Row>("SELECT srvname AS name FROM pg_foreign_server")? {
            notes.push(format!("The connection to another server, {}, was removed from the copy.", row.name));
            inside.run(&format!("DROP SERVER {} CASCADE", ident(&row.name)))?;
        }
        for role in
            dump.shape.roles.iter().filter(|it| !it.starts_with("pg_") && *it != owner.as_str() && *it != SUPERUSER)
        {
            inside.run(&format!("REVOKE {} FROM {}", ident(role), ident(owner)))?;
        }
        for setting in &dump.shape.settings {
            let given = inside.transact(|it| setting.statements(database).iter().try_for_each(|sql| it.run(sql)));
            if given.is_err() {
                notes.push(format!("The setting {} could not be made on the copy.", setting.name));
            }
        }
        // A migration without statistics takes ways that it would never take on the real database.
        inside.run_watched("ANALYZE", Duration::from_secs(3600), &mut || reporter.check())
    }
}

/// Extensions need a superuser, so they are there before the owner restores the rest.
fn extend(inside: &mut Session, dump: &Dump, owner: &str, notes: &mut Vec<String>) -> Result<()> {
    for it in dump.shape.extensions.iter().filter(|it| it.name != "plpgsql") {
        let known = format!(
            "SELECT name FROM pg_available_extension_versions WHERE name = {} AND version = {}",
            literal(&it.name),
            literal(&it.version)
        );
        let version = if inside.finds(&known)? {
            format!(" VERSION {}", literal(&it.version))
        } else {
            notes.push(format!(
                "The extension {} {} is not on this machine; another version was used.",
                it.name, it.version
            ));
            String::new()
        };
        let sql = format!("CREATE EXTENSION {} SCHEMA {}{version} CASCADE", ident(&it.name), ident(&it.schema));
        inside.run(&sql).map_err(|cause| {
            let error =
                Error::refused("extension_missing", format!("The extension {} is not on this machine.", it.name))
                    .remedy(format!("Install the extension {} for PostgreSQL {}.", it.name, inside.major()));
            cause.details.into_iter().fold(error, Error::detail)
        })?;
    }
    // Rows of the user's in tables of an extension are restored too, and servers need the right to their wrapper.
    inside.run(&format!(
        "DO {}",
        literal(&format!(
            "DECLARE it record; BEGIN \
             FOR it IN SELECT unnest(extconfig)::regclass AS name FROM pg_extension LOOP \
             EXECUTE format('GRANT ALL ON %s TO %I', it.name, {owner}); END LOOP; \
             FOR it IN SELECT fdwname AS name FROM pg_foreign_data_wrapper LOOP \
             EXECUTE format('GRANT USAGE ON FOREIGN DATA WRAPPER %I TO %I', it.name, {owner}); END LOOP; END",
            owner = literal(owner)
        ))
    ))
}
