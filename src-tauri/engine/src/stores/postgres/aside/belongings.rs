//! What belongs to a database but not into it, and is therefore lost when it is copied: owner, privileges,
//! limits, settings, comment. Applied again, and compared.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Aside;
use crate::error::{Error, Result};
use crate::stores::postgres::client::Client;
use crate::stores::postgres::quote::{ident, literal};
use crate::stores::postgres::session::Session;

/// What belongs to one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Belongings {
    /// Who owns it.
    pub owner: String,
    /// Its tablespace.
    pub tablespace: String,
    /// Character set and locale.
    pub locale: String,
    /// How many connections it may have; -1 for no limit.
    pub connection_limit: i32,
    /// Whether anyone may copy it.
    pub is_template: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// Who may do what with it, in order.
    pub grants: Vec<Grant>,
    /// Settings of it, and of roles in it, in order.
    pub settings: Vec<Setting>,
    /// Its security labels, in order.
    pub labels: Vec<Label>,
}

/// One privilege on a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    /// Who gave it.
    pub grantor: String,
    /// Who has it; `None` for everybody.
    pub grantee: Option<String>,
    /// What it allows: `CONNECT`, `CREATE`, `TEMPORARY`.
    pub privilege: String,
    /// Whether it may be passed on.
    pub is_grantable: bool,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Of this role alone; `None` for everybody.
    pub role: Option<String>,
    /// Its name.
    pub name: String,
    /// Its value, as the server keeps it.
    pub value: String,
}

/// One security label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Label {
    /// Who reads it.
    pub provider: String,
    /// What it says.
    pub label: String,
}

impl Belongings {
    /// Asks for what belongs to the database with this object id.
    ///
    /// # Errors
    /// As [`Session::one`].
    pub fn of(session: &mut Session, oid: u32) -> Result<Self> {
        let major = session.major();
        let locale = match major {
            17.. => "concat_ws(' ', d.datlocprovider, d.datcollate, d.datctype, d.datlocale)",
            15 | 16 => "concat_ws(' ', d.datlocprovider, d.datcollate, d.datctype, d.daticulocale)",
            _ => "concat_ws(' ', d.datcollate, d.datctype)",
        };
        session.one(&format!(
            "SELECT o.rolname AS owner, t.spcname AS tablespace, \
             pg_encoding_to_char(d.encoding) || ' ' || {locale} AS locale, \
             d.datconnlimit AS connection_limit, d.datistemplate AS is_template, \
             shobj_description(d.oid, 'pg_database') AS comment, \
             (SELECT coalesce(json_agg(json_build_object('grantor', g.rolname, 'grantee', r.rolname, 'privilege', \
             a.privilege_type, 'is_grantable', a.is_grantable) ORDER BY g.rolname <> o.rolname, g.rolname, \
             r.rolname NULLS FIRST, a.privilege_type), '[]') \
             FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a \
             LEFT JOIN pg_roles g ON g.oid = a.grantor LEFT JOIN pg_roles r ON r.oid = a.grantee) AS grants, \
             (SELECT coalesce(json_agg(json_build_object('role', r.rolname, 'name', split_part(c, '=', 1), 'value', \
             substr(c, strpos(c, '=') + 1)) ORDER BY r.rolname NULLS FIRST, c), '[]') \
             FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c \
             WHERE s.setdatabase = d.oid) AS settings, \
             (SELECT coalesce(json_agg(json_build_object('provider', l.provider, 'label', l.label) \
             ORDER BY l.provider), '[]') FROM pg_shseclabel l \
             WHERE l.classoid = 'pg_database'::regclass AND l.objoid = d.oid) AS labels \
             FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba JOIN pg_tablespace t ON t.oid = d.dattablespace \
             WHERE d.oid = {oid}"
        ))
    }

    /// The same with the comment, for a database on another server.
    pub(in crate::stores::postgres) fn given_to(&self, now: &Self, name: &str) -> Vec<String> {
        let mut all = self.statements(now, name);
        if let Some(comment) = &self.comment {
            all.push(format!("COMMENT ON DATABASE {} IS {}", ident(name), literal(comment)));
        }
        all
    }

    /// The statements that give all of it but owner, tablespace and locale to the database `name`, which has
    /// `now`. The comment is left to the caller.
    pub(super) fn statements(&self, now: &Self, name: &str) -> Vec<String> {
        let database = ident(name);
        let mut all = Vec::new();
        if self.connection_limit != now.connection_limit {
            all.push(format!("ALTER DATABASE {database} WITH CONNECTION LIMIT {}", self.connection_limit));
        }
        if self.is_template != now.is_template {
            all.push(format!("ALTER DATABASE {database} WITH IS_TEMPLATE {}", self.is_template));
        }
        if self.grants != now.grants {
            all.push(format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"));
            all.push(format!("REVOKE ALL ON DATABASE {database} FROM {}", ident(&self.owner)));
            for grant in &self.grants {
                let to = grant.grantee.as_deref().map_or_else(|| "PUBLIC".to_owned(), ident);
                let passing_on = if grant.is_grantable { " WITH GRANT OPTION" } else { "" };
                let give = format!("GRANT {} ON DATABASE {database} TO {to}{passing_on}", grant.privilege);
                if grant.grantor == self.owner {
                    all.push(give);
                } else {
                    all.push(format!("SET LOCAL ROLE {}", ident(&grant.grantor)));
                    all.push(give);
                    all.push("RESET ROLE".to_owned());
                }
            }
        }
        for setting in self.settings.iter().filter(|it| !now.settings.contains(it)) {
            all.extend(setting.statements(name));
        }
        for label in &self.labels {
            let (provider, label) = (ident(&label.provider), literal(&label.label));
            all.push(format!("SECURITY LABEL FOR {provider} ON DATABASE {database} IS {label}"));
        }
        all
    }
}

impl Setting {
    /// The statements that give it to the database `name`, for one transaction.
    pub(in crate::stores::postgres) fn statements(&self, name: &str) -> Vec<String> {
        let database = ident(name);
        let whose = match &self.role {
            None => format!("ALTER DATABASE {database}"),
            Some(role) => format!("ALTER ROLE {} IN DATABASE {database}", ident(role)),
        };
        if is_list(&self.name) {
            // A list of names is kept as one text, and only the server can take it apart again.
            let (name, value) = (literal(&self.name), literal(&self.value));
            return vec![
                format!("SELECT set_config({name}, {value}, true)"),
                format!("{whose} SET {} FROM CURRENT", ident(&self.name)),
            ];
        }
        vec![format!("{whose} SET {} TO {}", setting_name(&self.name), literal(&self.value))]
    }
}

/// The settings whose value is a list of names in quotes; the server has no others.
fn is_list(name: &str) -> bool {
    [
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    ]
    .contains(&name.to_ascii_lowercase().as_str())
}

/// `app.current_tenant` is two names with a dot between.
fn setting_name(name: &str) -> String {
    name.split('.').map(ident).collect::<Vec<_>>().join(".")
}

/// What the copy has not of what belongs to the original, each as a sentence. The comment of a copy that
/// has not taken the original's place yet is our mark, and is left out.
///
/// # Errors
/// `store_changed`, or why the server cannot be asked.
pub fn carried_over(client: &Client, aside: &Aside) -> Result<Vec<String>> {
    let mut session = aside.connect(client)?;
    let state = super::observe_in(&mut session, aside)?;
    let (next_oid, with_comment) = match state {
        super::AsideState::Copied { next_oid } => (next_oid, false),
        super::AsideState::Swapped { next_oid } => (next_oid, true),
        other => return Err(super::not_as_left(aside, &other)),
    };
    let mut original = Belongings::of(&mut session, aside.original_oid)?;
    let mut next = Belongings::of(&mut session, next_oid)?;
    if !with_comment {
        (original.comment, next.comment) = (None, None);
    }
    Ok(differences(&original, &next))
}

/// An error if anything of the original's is missing.
pub(super) fn expect_same(aside: &Aside, original: &Belongings, next: &Belongings) -> Result<()> {
    let missing = differences(original, next);
    if missing.is_empty() {
        return Ok(());
    }
    let error = Error::failed(
        "not_carried_over",
        format!("Not everything that belongs to the database {} could be given to its copy.", aside.name),
    )
    .remedy("Give Liftlock an administrator's connection to the database server, then try again.");
    Err(missing.into_iter().fold(error, Error::detail))
}

fn differences(original: &Belongings, next: &Belongings) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, is_same: bool, there: String, here: String| {
        if !is_same {
            found.push(format!("{what}: {here} instead of {there}"));
        }
    };
    let show = |it: &dyn std::fmt::Debug| format!("{it:?}");
    compare("owner", original.owner == next.owner, show(&original.owner), show(&next.owner));
    compare("tablespace", original.tablespace == next.tablespace, show(&original.tablespace), show(&next.tablespace));
    compare("locale", original.locale == next.locale, show(&original.locale), show(&next.locale));
    compare(
        "connection limit",
        original.connection_limit == next.connection_limit,
        show(&original.connection_limit),
        show(&next.connection_limit),
    );
    compare("template", original.is_template == next.is_template, show(&original.is_template), show(&next.is_template));
    compare("comment", original.comment == next.comment, show(&original.comment), show(&next.comment));
    compare("privileges", original.grants == next.grants, show(&original.grants), show(&next.grants));
    compare("settings", original.settings == next.settings, show(&original.settings), show(&next.settings));
    compare("labels", original.labels == next.labels, show(&original.labels), show(&next.labels));
    found
}
