//! What can be exported, declared in words that people understand.

use schemars::JsonSchema;
use serde::Serialize;

use super::EntityApi;

/// A kind of thing that people may take out of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// What people call it: `customers`.
    #[schemars(length(min = 1, max = 64))]
    pub entity: String,
    /// The store that holds it. May be left out where there is one database only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The table, with its schema where it is not the usual one: `customers`, `sales.customers`.
    pub table: String,
    /// The columns, in this order. None means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ExportColumn>,
    /// Columns that are never exported, such as hashes of passwords.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leave_out: Vec<String>,
    /// What is put in their place where a row comes in anew that cannot do without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fill: Vec<Fill>,
    /// What its rows belong to: the lines of an order to the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<PartOf>,
    /// What rows that it names are called, to be shown beside: the name of the customer of an order. Only to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<Shows>,
    /// What tells that a row counts as deleted, where the application keeps such rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<DeletedBy>,
    /// How it comes in through the application's own interface, `[api]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<EntityApi>,
}

impl Export {
    /// What stands in for a column that is left out.
    pub fn fill_of(&self, column: &str) -> Option<&Fill> {
        self.fill.iter().find(|it| it.column == column)
    }
}

/// What stands in for a value that is never exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// The column that is left out: `password_hash`.
    pub column: String,
    /// The value: a hash that no password has.
    pub value: String,
    /// What that means for people, after a colon: `whoever it belongs to sets a new password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<String>,
}

/// What a row of another entity is called, beside the column that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shows {
    /// The column that names it: `customer_id`.
    pub by: String,
    /// The entity that it is one of: `customers`.
    #[schemars(length(min = 1, max = 64))]
    pub entity: String,
    /// The column there that people know it by: `name`.
    pub column: String,
    /// The heading: `Customer`.
    #[serde(rename = "as")]
    #[schemars(length(min = 1, max = 64))]
    pub label: String,
}

/// What tells that a row counts as deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletedBy {
    /// The column: `deleted_at`.
    pub column: String,
    /// The values that say so. Without any, every value but false and 0 does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The heading that people read; `Deleted` without.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub label: Option<String>,
}

/// An entity that the rows of another belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartOf {
    /// The entity, which belongs to no other itself: `orders`.
    #[schemars(length(min = 1, max = 64))]
    pub entity: String,
    /// The column that names it, a foreign key: `order_id`.
    pub by: String,
    /// What they are called in a document of it: `lines`.
    #[serde(rename = "as")]
    #[schemars(length(min = 1, max = 64))]
    pub member: String,
}

/// A column and the heading it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportColumn {
    /// Its name in the table.
    pub column: String,
    /// The heading that people read. Without one, the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}
