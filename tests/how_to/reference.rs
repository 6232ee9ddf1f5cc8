//! The reference pages against the program: every field of every kind of document, and every setting.
//! `sandbox/docs/documents.md` is made from the schemas, and `cargo xtask bless` writes it anew; settings are written by
//! hand in `sandbox/docs/how-to/run-it-for-real.md` and compared.

use std::fs;
use std::process::Command;

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use obscura_policies::document::Kind;
use obscura_tests::environment;
use serde_json::Value;

const HEAD: &str = "\
# Documents

Every field of every kind of document, made from the schemas by which they are read: `cargo xtask bless` writes this page anew.
`obscura policy template KIND` prints a document of a kind with comments, `obscura policy schema KIND` the same as here for an editor.
A field that is not needed may be left out; `[]` is an entry of a list.
[Your first dataset](how-to/your-first-dataset.md) shows them at work, and the [glossary](glossary.md) explains the words.
";

/// Compares `documents.md` with the schemas that the program prints.
pub(crate) fn documents() -> anyhow::Result<()> {
    let mut page = HEAD.to_owned();
    for kind in Kind::ALL {
        let schema: Value = serde_json::from_str(&program(&["policy", "schema", kind.as_str()])?)?;
        let description = schema["description"].as_str().unwrap_or_default();
        page.push_str(&format!(
            "\n## {kind}\n\n{description}\n\n| field | form | needed | meaning |\n|---|---|---|---|\n"
        ));
        let mut rows = Rows { root: &schema, text: String::new(), count: 0 };
        rows.fields(&schema, "")?;
        ensure!(rows.count > 5, "{kind} has only {} fields", rows.count);
        page.push_str(&rows.text);
    }
    let file = environment::tests_folder().join("..").join("sandbox").join("docs").join("documents.md");
    if environment::bless() {
        return fs::write(&file, page).context("cannot write documents.md");
    }
    ensure!(
        fs::read_to_string(&file).context("cannot read documents.md")? == page,
        "documents.md is not what the schemas say; `cargo xtask bless` writes it anew"
    );
    Ok(())
}

/// The fields of one kind as rows of a table.
struct Rows<'a> {
    root: &'a Value,
    text: String,
    count: usize,
}

impl Rows<'_> {
    /// Adds the fields of an object, and below each those of what it holds.
    fn fields(&mut self, object: &Value, path: &str) -> anyhow::Result<()> {
        let needed: Vec<&Value> = object["required"].as_array().into_iter().flatten().collect();
        for (name, field) in object["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let is_needed = if needed.iter().any(|needed| *needed == name) { "yes" } else { "" };
            let form = self.form(field)?;
            let description = self.description(field);
            ensure!(!description.is_empty(), "`{path}` has no description");
            self.text.push_str(&format!("| `{path}` | {form} | {is_needed} | {description} |\n"));
            self.count += 1;
            self.below(field, &path)?;
        }
        Ok(())
    }

    /// Adds the fields of objects that a field holds, by itself or in a list.
    fn below(&mut self, field: &Value, path: &str) -> anyhow::Result<()> {
        let field = self.resolved(field);
        if field["title"] == "Text" {
            return Ok(());
        }
        // A mask is a word or an object; the fields are those of the object. Units are a word or a list.
        let forms = || field["anyOf"].as_array().into_iter().flatten().chain([&field]);
        if let Some(object) = forms().find(|form| form.get("properties").is_some()) {
            return self.fields(object, path);
        }
        if let Some(items) = forms().find_map(|form| form.get("items").filter(|items| items.is_object())) {
            return self.below(items, &format!("{path}[]"));
        }
        Ok(())
    }

    /// The schema behind references, and behind the choice of `null`.
    fn resolved(&self, schema: &Value) -> Value {
        if let Some(target) = schema["$ref"].as_str() {
            let name = target.rsplit('/').next().unwrap_or_default();
            let mut found = self.resolved(&self.root["definitions"][name]);
            if let Some(found) = found.as_object_mut() {
                found.insert("title".to_owned(), Value::from(name));
            }
            return found;
        }
        for combined in ["allOf", "anyOf"] {
            let others: Vec<&Value> = schema[combined]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|one| one["type"] != "null")
                .collect();
            if let [one] = others.as_slice() {
                return self.resolved(one);
            }
        }
        schema.clone()
    }

    /// The form of a value, in words.
    fn form(&self, schema: &Value) -> anyhow::Result<String> {
        let found = self.resolved(schema);
        let name = found["title"].as_str().unwrap_or_default();
        let named = match name {
            "Code" => "code",
            "ColumnName" => "column",
            "DatasetId" => "`department.name`",
            "Day" => "day",
            "Fixed" => "decimal",
            "Hours" => "`08:00-20:00`",
            "Level" => "`L1` to `L9`",
            "Mask" => "`redact`, or one mask",
            "PerturbationForm" => "`auto`, or a deviation",
            "Semantic" => "word",
            "SubjectsMin" => "number, or numbers by unit",
            "Text" => "`zh`, `en` or both",
            "UnitKind" => "kind of subject",
            "Units" => "`none`, or a list",
            "Range" => "`[0, 50000]`",
            _ if name.starts_with("AnyOr") => "`any`, or a list of codes",
            _ => "",
        };
        if !named.is_empty() {
            return Ok(named.to_owned());
        }
        if let Some(word) = found["const"].as_str() {
            return Ok(format!("`{word}`"));
        }
        let words: Vec<String> = found["oneOf"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["const"].as_str())
            .map(|word| format!("`{word}`"))
            .collect();
        if !words.is_empty() {
            return Ok(words.join(", "));
        }
        let types: Vec<&str> = match &found["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => {
                several.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect()
            }
            _ => bail!("a field of no type: {schema}"),
        };
        Ok(match types.as_slice() {
            ["string"] => "text".to_owned(),
            ["integer" | "number"] => "number".to_owned(),
            ["boolean"] => "`true` or `false`".to_owned(),
            ["object"] => "fields below".to_owned(),
            ["array"] => {
                let inner = self.form(&found["items"])?;
                if inner == "fields below" { "list".to_owned() } else { format!("list: {inner}") }
            }
            _ => bail!("a form that has no words: {schema}"),
        })
    }

    /// The meaning: that of the field, else that of what it holds.
    fn description(&self, field: &Value) -> String {
        let own = field["description"].as_str().map(str::to_owned);
        own.or_else(|| self.resolved(field)["description"].as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// Compares the table of settings with what the program knows, in order and with the defaults.
pub(crate) fn settings(page: &str) -> anyhow::Result<()> {
    let known: Vec<Value> = serde_json::from_str(&program(&["config", "check", "--output", "json"])?)?;
    let known: Vec<(&str, &str)> = known
        .iter()
        .filter_map(|setting| Some((setting["key"].as_str()?, setting["value"].as_str()?)))
        .collect();
    ensure!(known.len() > 20, "the program knows only {} settings", known.len());
    let rows: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|line| !line.starts_with("| setting |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let told: Vec<String> =
        rows.iter().map(|row| row.first().unwrap_or(&"").trim_matches('`').to_owned()).collect();
    let keys: Vec<&str> = known.iter().map(|(key, _)| *key).collect();
    ensure!(told == keys, "the page names {told:?}, the program {keys:?}");
    for ((key, value), row) in known.iter().zip(&rows) {
        let default = row.get(1).unwrap_or(&"");
        // A default in prose depends on the machine or on another setting.
        let is_prose = default.starts_with("that of")
            || default.starts_with("those of")
            || default.starts_with("beside");
        ensure!(
            is_prose || default.trim_matches('`') == *value,
            "`{key}`: the page says {default}, the program {value}"
        );
    }
    Ok(())
}

/// The output of the program, with nothing of the surroundings.
fn program(arguments: &[&str]) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let printed = Command::new(environment::product()?)
        .args(arguments)
        .env_clear()
        .current_dir(folder.path())
        .output()?;
    ensure!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    Ok(String::from_utf8(printed.stdout)?)
}
