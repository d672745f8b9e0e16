//! What can be exported.

use super::super::{
    super::{Export, ExportColumn, PartOf},
    document::{Node, quoted},
    values::{column, existing, names, table as table_name, words},
};

pub(super) fn export(node: &Node<'_>) -> Option<Export> {
    let table = node.table()?;
    let entity = table.required("entity", "entity = \"customers\"", words);
    let store = table.optional("store", database);
    let source = table.required("table", "table = \"customers\"", table_name);
    let columns = table.list("columns", export_column);
    let leave_out = table.list("leave_out", column);
    let part_of = table.optional("part_of", part_of);
    table.finish();
    contradictions(node);
    Some(Export { entity: entity?, store, table: source?, columns, leave_out, part_of })
}

/// A store with tables, or a source.
fn database(node: &Node<'_>) -> Option<String> {
    let is_source = |it: &String| names(node.document(), "sources", "name").iter().any(|(_, source)| source == it);
    node.quiet_text().filter(is_source).or_else(|| existing(node, "stores", &["postgres", "sqlite"]))
}

/// A column that is exported and left out, or exported twice.
fn contradictions(node: &Node<'_>) {
    let Some(table) = node.table() else { return };
    let texts = |key| table.node(key).map(|it| it.quiet_members()).unwrap_or_default();
    let left_out: Vec<String> = texts("leave_out").iter().filter_map(Node::quiet_text).collect();
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

fn export_column(node: &Node<'_>) -> Option<ExportColumn> {
    let table = node.table()?;
    let name = table.required("column", "column = \"name\"", column);
    let label = table.optional("label", words);
    table.finish();
    Some(ExportColumn { column: name?, label })
}
