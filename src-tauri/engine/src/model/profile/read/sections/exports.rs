//! What can be exported.

use super::super::{
    super::{DeletedBy, Export, ExportColumn, Fill, PartOf, Shows},
    document::{Node, quoted},
    values::{column, existing, literal, names, table as table_name, words},
};
use super::api::entity_api;

pub(super) fn export(node: &Node<'_>) -> Option<Export> {
    let table = node.table()?;
    let entity = table.required("entity", "entity = \"customers\"", words);
    let store = table.optional("store", database);
    let source = table.required("table", "table = \"customers\"", table_name);
    let columns = table.list("columns", export_column);
    let leave_out = table.list("leave_out", column);
    let fill = table.list("fill", fill);
    let part_of = table.optional("part_of", part_of);
    let shows = table.list("shows", shows);
    let deleted = table.optional("deleted", deleted);
    let api = table.optional("api", entity_api);
    table.finish();
    contradictions(node);
    Some(Export { entity: entity?, store, table: source?, columns, leave_out, fill, part_of, shows, deleted, api })
}

/// A store with tables, or a source.
fn database(node: &Node<'_>) -> Option<String> {
    let is_source = |it: &String| names(node.document(), "sources", "name").iter().any(|(_, source)| source == it);
    node.quiet_text().filter(is_source).or_else(|| existing(node, "stores", &["postgres", "sqlite"]))
}

/// A column that is exported and left out, or exported twice; one that is left out and needed; one that is not left out and
/// filled in.
fn contradictions(node: &Node<'_>) {
    let Some(table) = node.table() else { return };
    let texts = |key| table.node(key).map(|it| it.quiet_members()).unwrap_or_default();
    let left_out: Vec<String> = texts("leave_out").iter().filter_map(Node::quiet_text).collect();
    let said = |of: &Node<'_>, key: &'static str| {
        of.is_table().then(|| of.table()).flatten().and_then(|it| it.node(key)).and_then(|it| it.quiet_text())
    };
    let needed = texts("shows").into_iter().filter_map(|it| Some((said(&it, "by")?, it)));
    let needed = needed.chain(table.node("deleted").and_then(|it| Some((said(&it, "column")?, it))));
    for (name, node) in needed.filter(|(name, _)| left_out.contains(name)) {
        node.mistake(format!("{} is needed here and left out", quoted(&name)), "take it out of “leave_out”");
    }
    let filled = texts("fill").into_iter().filter_map(|it| Some((said(&it, "column")?, it)));
    for (name, node) in filled.filter(|(name, _)| !left_out.contains(name)) {
        node.mistake(format!("{} is filled in and not left out", quoted(&name)), "add it to “leave_out”");
    }
    let mut seen = Vec::new();
    for entry in texts("columns").iter().filter(|it| it.is_table()) {
        let Some((node, name)) =
            entry.table().and_then(|it| it.node("column")).and_then(|it| Some((it.clone(), it.quiet_text()?)))
        else {
            continue;
        };
        if left_out.contains(&name) {
            node.mistake(
                format!("{} is exported and left out", quoted(&name)),
                "take it out of “columns” or of “leave_out”",
            );
        }
        if seen.contains(&name) {
            node.mistake(format!("{} stands there twice", quoted(&name)), "take one of the two out");
        }
        seen.push(name);
    }
}

fn part_of(node: &Node<'_>) -> Option<PartOf> {
    let table = node.table()?;
    let entity = table.required("entity", "entity = \"orders\"", words);
    let by = table.required("by", "by = \"order_id\"", column);
    let member = table.required("as", "as = \"lines\"", words);
    table.finish();
    Some(PartOf { entity: entity?, by: by?, member: member? })
}

fn fill(node: &Node<'_>) -> Option<Fill> {
    let table = node.table()?;
    let name = table.required("column", "column = \"password_hash\"", column);
    let value = table.required("value", "value = \"*\"", literal);
    let means = table.optional("means", words);
    table.finish();
    Some(Fill { column: name?, value: value?, means })
}

fn shows(node: &Node<'_>) -> Option<Shows> {
    let table = node.table()?;
    let by = table.required("by", "by = \"customer_id\"", column);
    let entity = table.required("entity", "entity = \"customers\"", words);
    let shown = table.required("column", "column = \"name\"", column);
    let label = table.required("as", "as = \"Customer\"", words);
    table.finish();
    Some(Shows { by: by?, entity: entity?, column: shown?, label: label? })
}

fn deleted(node: &Node<'_>) -> Option<DeletedBy> {
    let table = node.table()?;
    let name = table.required("column", "column = \"deleted_at\"", column);
    let values = table.list("values", words);
    let label = table.optional("as", words);
    table.finish();
    Some(DeletedBy { column: name?, values, label })
}

fn export_column(node: &Node<'_>) -> Option<ExportColumn> {
    let table = node.table()?;
    let name = table.required("column", "column = \"name\"", column);
    let label = table.optional("label", words);
    table.finish();
    Some(ExportColumn { column: name?, label })
}
