//! The schemas know the fields that the parser knows: no more and no fewer.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;

use super::schema;
use super::schema_of_any;
use crate::document;
use crate::document::Kind;
use crate::effective::DEVIATIONS;
use crate::vocabulary::Code;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Text;

type Fields = BTreeSet<String>;

/// The fields that the parser would accept, as it says itself when it meets another.
fn parsed<T: DeserializeOwned>() -> Fields {
    let error = match serde_json::from_value::<T>(json!({"no-such-field": 1})) {
        Ok(_) => panic!("every field is accepted"),
        Err(error) => error.to_string(),
    };
    let (_, expected) = error.split_once("expected").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

macro_rules! parsed_structs {
    ($($name:ty),+ $(,)?) => {
        BTreeMap::from([$( (<$name>::schema_name().into_owned(), parsed::<$name>()) ),+])
    };
}

fn fields_of_parser() -> BTreeMap<String, Fields> {
    parsed_structs![
        Text,
        document::Application,
        document::Approver,
        document::Column,
        document::ColumnMatch,
        document::ColumnOf,
        document::ColumnRule,
        document::Condition,
        document::Content,
        document::ControlsForm,
        document::Crosswalk,
        document::CubesForm,
        document::Dataset,
        document::DateShiftForm,
        document::Department,
        document::DominanceForm,
        document::Exception,
        document::FloorForm,
        document::FormatForm,
        document::GradeScheme,
        document::Grant,
        document::GrantedDataset,
        document::JoinRule,
        document::LegalBasis,
        document::MaskForm,
        document::Metadata<Code>,
        document::Metadata<DatasetId>,
        document::Method,
        crate::month::Months,
        document::Object,
        document::Parameter,
        document::PartialForm,
        document::PerturbationForm,
        document::Policy,
        document::PolicyTest,
        document::PrivacyBudget,
        document::Purpose,
        document::Quota,
        document::Resources,
        document::Retention,
        document::RoundingForm,
        document::SchemeLevel,
        document::Subjects,
        document::TestPerson,
        document::TopBottomForm,
        document::Unit,
        document::UsualRowsIn,
        document::Validity,
    ]
}

/// The fields of every object that a schema defines, by name.
fn fields_of_schema(root: &Value) -> BTreeMap<String, Fields> {
    let mut fields = BTreeMap::new();
    for (name, definition) in root["definitions"].as_object().unwrap() {
        let forms = definition["anyOf"].as_array().into_iter().flatten().chain([definition]);
        for properties in forms.filter_map(|form| form["properties"].as_object()) {
            fields.insert(name.clone(), properties.keys().cloned().collect());
        }
    }
    fields
}

#[test]
fn schema_has_the_fields_that_the_parser_accepts_and_no_others() {
    assert_eq!(fields_of_schema(&schema_of_any()), fields_of_parser());
}

#[test]
fn no_object_of_a_schema_accepts_other_fields() {
    fn look(value: &Value, found: &mut usize) {
        match value {
            Value::Object(map) => {
                if map.contains_key("properties") && map.get("type") == Some(&json!("object")) {
                    *found += 1;
                    assert_eq!(map.get("additionalProperties"), Some(&json!(false)), "{value}");
                }
                map.values().for_each(|value| look(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| look(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = 0;
    look(&schema_of_any(), &mut found);
    assert!(found >= fields_of_parser().len(), "{found}");
}

#[test]
fn the_schema_of_noise_names_the_rungs_and_auto() {
    let schema = schema(Kind::Policy);
    let [auto, stated] = schema["definitions"]["PerturbationForm"]["anyOf"].as_array().unwrap().as_slice()
    else {
        panic!("two forms")
    };
    assert_eq!(auto["const"], "auto");
    let deviation = &stated["properties"]["deviation"];
    assert_eq!(deviation["enum"], json!(DEVIATIONS));
    let told = deviation["description"].as_str().unwrap();
    assert!(DEVIATIONS.iter().all(|rung| told.contains(&rung.to_string())), "{told}");
}

#[test]
fn schema_of_a_kind_demands_this_kind() {
    for kind in Kind::ALL {
        let schema = schema(*kind);
        assert_eq!(schema["title"], kind.as_str());
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        assert!(schema["required"].as_array().unwrap().contains(&json!("kind")));
        let tag = schema["properties"]["kind"].to_string();
        let name = format!("{kind}Kind");
        assert!(tag.contains(&name), "{tag}");
        assert_eq!(schema["definitions"][&name]["const"], kind.as_str());
    }
}
