//! Every release Corner Shop ever had: what is in it, and what is wrong with it.
//!
//! All releases are the same program; `release.json` beside it tells it which one it is. A bad release's
//! migrations are never part of a later good one.

use serde::{Deserialize, Serialize};

/// One SQL file of a release, run in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// File name without `.sql`: a version, an underscore, a name.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        Migration { name: $name, sql: include_str!(concat!("../migrations/", $name, ".sql")) }
    };
}

const SHOP: Migration = migration!("0001_shop");
const NOTES: Migration = migration!("0002_notes");
const CHANNEL: Migration = migration!("0003_order_channel");
const DAILY_SALES: Migration = migration!("0004_daily_sales");

/// What a release does otherwise than a good one. This is its `release.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// Which release this is.
    pub version: String,
    /// The version it claims to be, where that is a lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports_version: Option<String>,
    /// Runs, but answers 503 for ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_healthy: bool,
    /// How long its long migration works, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration_seconds: Option<u32>,
    /// How long its image takes to be built, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_seconds: Option<u32>,
    /// Settings without which it does not start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Has the tables of the second shop, not of the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second_shop: bool,
}

/// A release as its makers have it.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its version; its tag is `v` and this.
    pub version: &'static str,
    /// The release notes, in Markdown.
    pub notes: &'static str,
    /// Its migrations, in order.
    pub migrations: Vec<Migration>,
    /// What it does otherwise.
    pub behaviour: Behaviour,
}

impl Release {
    /// Its tag in the repository.
    pub fn tag(&self) -> String {
        format!("v{}", self.version)
    }

    /// The settings it offers, as `.env.example`.
    pub fn example_settings(&self) -> String {
        let mut text = String::from(
            "SHOP_PORT=8080\nSHOP_BIND=127.0.0.1\nDATABASE_URL=postgres://corner_shop:PASSWORD@127.0.0.1:5432/corner_shop\nUPLOADS_DIR=data/uploads\n",
        );
        for name in &self.behaviour.needs {
            let example = if name == "SHOP_CURRENCY" { "EUR" } else { "" };
            text.push_str(&format!(
                "# New in {}: the shop does not start without it.\n{name}={example}\n",
                self.version
            ));
        }
        text
    }
}

/// All releases, oldest first.
pub fn all() -> Vec<Release> {
    let release = |version: &'static str, notes, more: &[Migration], behaviour: Behaviour| {
        let mut migrations = vec![SHOP, NOTES];
        migrations.extend_from_slice(more);
        Release { version, notes, migrations, behaviour: Behaviour { version: version.to_owned(), ..behaviour } }
    };
    let good = Behaviour::default();
    vec![
        release("1.0.0", "The first release of Corner Shop.\n", &[], good.clone()),
        release(
            "1.1.0",
            "## New\n\n- Every order now says through which channel it came.\n\nYour orders are updated by the migration.\n",
            &[CHANNEL],
            good.clone(),
        ),
        release(
            "1.2.0",
            "## New\n\n- A quicker start.\n",
            &[CHANNEL],
            Behaviour { never_healthy: true, ..good.clone() },
        ),
        release(
            "1.3.0",
            "## New\n\n- Deliveries, with their prices.\n",
            &[CHANNEL, migration!("0004_delivery"), migration!("0005_delivery_prices")],
            good.clone(),
        ),
        release("1.4.0", "## New\n\n- A tidier database.\n", &[CHANNEL, migration!("0004_tidy_up")], good.clone()),
        release(
            "1.5.0",
            "## New\n\n- A new version page.\n",
            &[CHANNEL],
            Behaviour { reports_version: Some("1.0.0".to_owned()), ..good.clone() },
        ),
        release("1.6.0", "## New\n\n- Patience.\n", &[CHANNEL, migration!("0004_wait")], good.clone()),
        release(
            "1.7.0",
            "## New\n\n- Sales figures for each day. The migration reads every order and takes its time.\n",
            &[CHANNEL, DAILY_SALES],
            Behaviour { migration_seconds: Some(20), ..good.clone() },
        ),
        release(
            "1.8.0",
            "## New\n\n- Currencies. Set `SHOP_CURRENCY` in `.env` before you update, for example `SHOP_CURRENCY=EUR`.\n",
            &[CHANNEL, DAILY_SALES, migration!("0005_currency")],
            Behaviour { needs: vec!["SHOP_CURRENCY".to_owned()], ..good.clone() },
        ),
        Release {
            version: "2.0.0",
            notes: "## BREAKING\n\nCorner Shop 2 keeps its data in another form and cannot read the database of 1.x. \
                    Export your data from 1.x, start 2.0.0 with an empty database, then import.\n\n\
                    ## New\n\n- Prices with decimals.\n",
            migrations: vec![migration!("2000_second_shop")],
            behaviour: Behaviour { version: "2.0.0".to_owned(), second_shop: true, ..good },
        },
    ]
}

/// The release with this version.
pub fn find(version: &str) -> Option<Release> {
    all().into_iter().find(|release| release.version == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_later_release_carries_a_migration_of_a_bad_one() {
        let bad = ["0004_delivery", "0005_delivery_prices", "0004_tidy_up", "0004_wait"];
        for release in all().iter().filter(|release| !["1.3.0", "1.4.0", "1.6.0"].contains(&release.version)) {
            for migration in &release.migrations {
                assert!(!bad.contains(&migration.name), "{} carries {}", release.version, migration.name);
            }
        }
    }

    #[test]
    fn the_breaking_release_says_so_first() {
        let breaking: Vec<_> = all().into_iter().filter(|it| it.notes.starts_with("## BREAKING")).collect();
        assert_eq!(breaking.iter().map(|it| it.version).collect::<Vec<_>>(), ["2.0.0"]);
    }

    #[test]
    fn a_setting_that_is_needed_is_offered_as_an_example() {
        assert!(find("1.8.0").unwrap().example_settings().contains("\nSHOP_CURRENCY=EUR\n"));
        assert!(!find("1.7.0").unwrap().example_settings().contains("SHOP_CURRENCY"));
    }
}
