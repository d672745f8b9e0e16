//! The JSON Schema of profiles, for editors.
//!
//! It is made from the types and tells keys and shapes; what only [`Profile::check`] can tell stays there.

use std::io::Read;

use flate2::read::GzDecoder;
use schemars::{
    Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::Value;

use super::Profile;
use crate::error::{Error, Result};

impl Profile {
    /// The JSON Schema (draft 7, which editors of TOML understand) as it is published, ending in a newline. A test holds it
    /// to the types; the worker carries this text alone, packed by `build.rs`, not what makes it.
    ///
    /// # Errors
    /// A defect of the program alone.
    pub fn published_schema() -> Result<String> {
        let packed: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/profile.schema.json.gz"));
        let mut text = String::new();
        GzDecoder::new(packed).read_to_string(&mut text).map_err(|cause| {
            Error::bug("no_schema", "The schema of profiles that this program carries cannot be read.").because(&cause)
        })?;
        Ok(text)
    }

    /// The JSON Schema of the types, which is to be published.
    pub fn json_schema() -> String {
        let settings = SchemaSettings::draft07().for_deserialize().with_transform(WithoutNull);
        let schema = settings.into_generator().into_root_schema_for::<Self>();
        format!("{:#}\n", schema.as_value())
    }
}

/// TOML has no null: what may be left out is never there as nothing.
#[derive(Debug, Clone)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|it| it != "null");
            if let [single] = types.as_slice() {
                let single = single.clone();
                schema.insert("type".to_owned(), single);
            }
        }
        if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
            choices.retain(|it| it.get("type").is_none_or(|kind| kind != "null"));
            if choices.len() == 1
                && let Some(choices) = schema.remove("anyOf")
            {
                // Beside a description a bare reference would hide it in draft 7.
                schema.insert("allOf".to_owned(), choices);
            }
        }
    }
}
