//! Use case: draft a dataset's document from an unlabelled file, for a steward to read, correct and publish.
//! Nothing is sealed or stored; values are looked at in memory and appear nowhere.

use std::collections::BTreeSet;

use obscura_policies::Text;
use obscura_policies::document::ApiVersion;
use obscura_policies::document::Column;
use obscura_policies::document::Dataset;
use obscura_policies::document::DatasetKind;
use obscura_policies::document::Document;
use obscura_policies::document::Metadata;
use obscura_policies::document::Opening;
use obscura_policies::document::Range;
use obscura_policies::document::Sharing;
use obscura_policies::document::Unit;
use obscura_policies::document::Units;
use obscura_policies::document::Update;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::PersonRole;

use crate::app::data::suggest_dataset::detect::Guess;
use crate::app::data::suggest_dataset::detect::guess;
use crate::app::data::suggest_dataset::names::Names;
use crate::app::data::suggest_dataset::sample::Sample;
use crate::app::data::suggest_dataset::sample::SampleColumn;
use crate::app::data::suggest_dataset::sample::percent;
use crate::app::people::authorise::must_be;
use crate::context::Caller;
use crate::error::AppError;
use crate::error::Class;
use crate::error::During as _;
use crate::error::PublicError;
use crate::installation::sealed::storage_failure;
use crate::storage::Encoding;
use crate::storage::Input;
use crate::storage::StorageError;

mod detect;
mod names;
mod sample;

/// The scheme whose words a draft uses.
const SCHEME: &str = "db33t2351-2021";

/// A drafted document.
#[derive(Debug, Clone, PartialEq)]
pub struct SuggestedDataset {
    /// The document as YAML.
    pub yaml: String,
    /// The drafted columns, each with its reason.
    pub columns: Vec<SuggestedColumn>,
}

/// One column of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestedColumn {
    /// Name in SQL.
    pub name: String,
    /// Type.
    pub data_type: String,
    /// Meaning, if one was found.
    pub semantic: Option<String>,
    /// Role.
    pub role: String,
    /// Grade.
    pub grade: String,
    /// The reason for this draft.
    pub reason: Text,
}

/// Drafts a document from the beginning of a file.
///
/// # Errors
/// Forbidden for all but stewards; usage when the file cannot be read or its columns have no usable names.
pub fn suggest_dataset(
    caller: &Caller,
    input: Input,
    encoding: Option<Encoding>,
    id: DatasetId,
) -> Result<SuggestedDataset, AppError> {
    must_be(caller, PersonRole::Steward)?;
    let sample = Sample::read(input, encoding).map_err(|error| match error {
        StorageError::Disk { .. } | StorageError::Input { .. } => unreadable(),
        other => storage_failure(&other),
    })?;
    let mut names = Names::default();
    let mut columns = Vec::new();
    let mut units: Vec<Unit> = Vec::new();
    let mut typed = BTreeSet::new();
    let mut reasons = Vec::new();
    for (number, column) in sample.columns.iter().enumerate() {
        let guess = guess(column);
        let drafted = draft(&column.name, names.name(&column.name, number), &guess)?;
        if let Some(kind) = guess.unit {
            let column = drafted.name.clone();
            let is_better = guess.semantic.is_some() && !typed.contains(kind);
            match units.iter_mut().find(|unit| unit.kind.as_str() == kind) {
                // A key with check digits is the better one: it is written in one way, and joins with others.
                Some(unit) if is_better => unit.column = column,
                Some(_) => {}
                None => {
                    let kind = kind.parse().during("name a unit")?;
                    units.push(Unit { kind, column, protects: true, reason: None });
                }
            }
            if guess.semantic.is_some() {
                typed.insert(kind);
            }
        }
        reasons.push(SuggestedColumn {
            name: drafted.name.to_string(),
            data_type: drafted.data_type.to_string(),
            semantic: guess.semantic.map(str::to_owned),
            role: drafted.role.to_string(),
            grade: format!("L{}", guess.level),
            reason: with_missing(&guess.reason, column),
        });
        columns.push(drafted);
    }
    demote_second_keys(&mut columns, &units);
    let dataset = Dataset {
        api_version: ApiVersion,
        kind: DatasetKind,
        metadata: Metadata { title: Text::new(id.name(), id.name()), id: id.clone(), version: 1 },
        department: id.department().parse().during("name a department")?,
        scheme: SCHEME.parse().during("name a scheme")?,
        membership: None,
        units: Units::Listed(units),
        units_reason: None,
        layout: None,
        usual_rows: None,
        opening: Opening::Limited,
        sharing: Sharing::Conditional,
        update: Update::Irregular,
        covers: None,
        collection: None,
        tags: Vec::new(),
        description: None,
        columns,
    };
    let yaml = Document::Dataset(Box::new(dataset)).to_yaml().during("write a draft")?;
    Ok(SuggestedDataset { yaml, columns: reasons })
}

fn unreadable() -> AppError {
    PublicError::new(Class::Usage, "input-unreadable", "the file cannot be read", "无法读取该文件")
        .with_help(
            "formats are csv, ndjson, json, parquet and arrow, also packed with gzip",
            "支持 csv、ndjson、json、parquet 和 arrow，也可用 gzip 压缩",
        )
        .into()
}

/// Adds to a reason how much of the column is missing.
fn with_missing(reason: &Text, column: &SampleColumn) -> Text {
    let (rows, missing) = (column.values.len(), column.values.iter().filter(|value| value.is_none()).count());
    if missing == 0 {
        return reason.clone();
    }
    let share = percent(missing, rows);
    Text::new(
        format!("{}; {share} of {rows} values are missing", reason.en),
        format!("{}；{rows} 个值中缺失 {share}", reason.zh),
    )
}

fn draft(name: &str, sql_name: String, guess: &Guess) -> Result<Column, AppError> {
    let title = (sql_name != name).then(|| Text::new(name, name));
    Ok(Column {
        name: sql_name.parse().during("name a column")?,
        title,
        data_type: guess.data_type,
        scale: guess.scale,
        role: guess.role,
        grade: Some(format!("L{}", guess.level)),
        semantic: guess.semantic.map(str::parse).transpose().during("name a meaning")?,
        range: guess.range.map(|(low, high)| Range(low, high)),
        bins: None,
        usual: None,
        usual_rows: None,
        domain: None,
        domain_of: None,
        coded: guess.coded,
    })
}

/// A second column of the same kind of key (a spouse, a guardian) identifies somebody else: it is no unit key of the row.
fn demote_second_keys(columns: &mut [Column], units: &[Unit]) {
    use obscura_policies::vocabulary::Role;
    for column in columns {
        if column.role == Role::UnitKey && units.iter().all(|unit| unit.column != column.name) {
            column.role = Role::Identifier;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use obscura_policies::library::Library;
    use obscura_policies::parse::parse_documents;

    use super::*;
    use crate::app::data::seal_dataset::spec_of;
    use crate::clock::SteppedClock;
    use crate::clock::SystemRandom;
    use crate::context::Credential;
    use crate::context::Door;
    use crate::context::Person;
    use crate::ids::PersonId;
    use crate::storage::SealMode;
    use crate::storage::testing::World;

    fn caller(role: PersonRole) -> Caller {
        let person = Person {
            id: PersonId::new(&SteppedClock::at_second(1), &SystemRandom).unwrap(),
            name: "shen".parse().unwrap(),
            department: Some("hz-health".to_owned()),
            district: None,
            roles: BTreeSet::from([role]),
        };
        Caller::authenticated(person, Door::CommandLine, Credential::Founding)
    }

    fn file() -> Input {
        let csv =
            "身份证号,Visit-Date,cost\n11010519491231002X,2021/2/3,1.50\n350627199711275419,2021/2/4,2.00\n";
        Input::Stream(Box::new(csv.as_bytes()))
    }

    #[test]
    fn draft_is_a_valid_document_and_holds_no_value() {
        let id: DatasetId = "hz-health.visits".parse().unwrap();
        let drafted = suggest_dataset(&caller(PersonRole::Steward), file(), None, id).unwrap();
        assert!(!drafted.yaml.contains("11010519491231002X"), "{}", drafted.yaml);
        let documents = parse_documents("draft", &drafted.yaml).unwrap();
        let department = "api_version: obscura/v1\nkind: Department\nmetadata: {id: hz-health, version: 1, title: {en: Health, zh: 卫健}}\nlevel: department\n";
        let mut all = parse_documents("department", department).unwrap();
        all.extend(documents);
        let library = Library::from_located(all).unwrap();
        let dataset = library.datasets().values().next().unwrap();
        assert_eq!(dataset.units.len(), 1);
        let names: Vec<String> = dataset.columns.iter().map(|column| column.name.to_string()).collect();
        assert_eq!(names, ["id_number", "visit_date", "cost"]);
    }

    #[test]
    fn whole_numbers_called_person_id_are_drafted_as_the_unit_s_key() {
        let mut csv = "person_id,visit_id,minutes\n".to_owned();
        for row in 0..300 {
            csv.push_str(&format!("{},{row},{}\n", 1000 + row / 3, row % 47));
        }
        let id: DatasetId = "hz-health.visits".parse().unwrap();
        let input = Input::Stream(Box::new(std::io::Cursor::new(csv)));
        let drafted = suggest_dataset(&caller(PersonRole::Steward), input, None, id).unwrap();
        let roles: Vec<&str> = drafted.columns.iter().map(|column| column.role.as_str()).collect();
        assert_eq!(roles, ["unit_key", "identifier", "measure"]);
        assert!(drafted.columns.iter().all(|column| column.grade == "L3"));
        assert!(drafted.yaml.contains("kind: resident"), "{}", drafted.yaml);
    }

    #[test]
    fn a_key_with_check_digits_is_preferred_to_one_by_its_name() {
        let csv = "person_id,身份证号\n1,11010519491231002X\n2,350627199711275419\n";
        let id: DatasetId = "hz-health.visits".parse().unwrap();
        let input = Input::Stream(Box::new(csv.as_bytes()));
        let drafted = suggest_dataset(&caller(PersonRole::Steward), input, None, id).unwrap();
        let documents = parse_documents("draft", &drafted.yaml).unwrap();
        let units: Vec<String> = match &documents.first().unwrap().value {
            Document::Dataset(dataset) => dataset.units.iter().map(|unit| unit.column.to_string()).collect(),
            _ => Vec::new(),
        };
        assert_eq!(units, ["id_number"]);
    }

    #[test]
    fn only_stewards_draft() {
        let id: DatasetId = "hz-health.visits".parse().unwrap();
        assert!(suggest_dataset(&caller(PersonRole::Analyst), file(), None, id).is_err());
    }

    /// Rows of a register as a Chinese spreadsheet saves them: several forms of dates, amounts in yuan, words for nothing.
    fn register() -> String {
        let mut csv = "身份证号,姓名,性别,出生\n日期,手机号,金额（元）,登记日期,备注\n"
            .replace("出生\n日期", "\"出生\n日期\"");
        let days = ["2021/2/3", "2021-02-03", "2021.2.3", "20210203", "2021年2月3日", "暂无"];
        for row in 0..60 {
            let body = format!("33010619{:02}0715{:03}", 40 + row, 100 + row);
            let check = obscura_policies::identifiers::resident_id_digit(&body).unwrap();
            let (day, sex) = (days[row % days.len()], ["男", "女"][row % 2]);
            let amount =
                ["\"1,234.50元\"".to_owned(), "￥80".to_owned(), format!("{row}.25"), "-".to_owned()];
            csv.push_str(&format!(
                "{body}{check},张三,{sex},19{}0715,139{row:08},{},{day},无\n",
                40 + row,
                amount[row % 4]
            ));
        }
        csv
    }

    #[test]
    fn a_draft_of_a_chinese_register_seals_the_same_file() {
        let bytes = encoding_rs::GB18030.encode(&register()).0.into_owned();
        let id: DatasetId = "hz-health.visits".parse().unwrap();
        let input = Input::Stream(Box::new(std::io::Cursor::new(bytes.clone())));
        let drafted = suggest_dataset(&caller(PersonRole::Steward), input, None, id).unwrap();
        let found: Vec<_> = drafted.columns.iter().map(|c| (c.name.as_str(), c.data_type.as_str())).collect();
        let expected = [
            ("id_number", "text"),
            ("full_name", "text"),
            ("sex", "text"),
            ("birth_date", "date"),
            ("mobile", "text"),
            ("amount", "decimal"),
            ("registered_on", "date"),
            ("remark", "text"),
        ];
        assert_eq!(found, expected);
        let semantics: Vec<_> = drafted.columns.iter().filter_map(|c| c.semantic.as_deref()).collect();
        assert_eq!(semantics, ["resident_id", "name", "birth_date", "mobile", "money", "free_text"]);
        assert!(drafted.columns[0].reason.en.contains("100.0 %"), "{:?}", drafted.columns[0].reason);
        assert!(drafted.columns[6].reason.en.contains("16.6 % of 60"), "{:?}", drafted.columns[6].reason);
        let department = "api_version: obscura/v1\nkind: Department\nmetadata: {id: hz-health, version: 1, title: {en: Health, zh: 卫健}}\nlevel: department\n";
        let mut all = parse_documents("department", department).unwrap();
        all.extend(parse_documents("draft", &drafted.yaml).unwrap());
        let library = Library::from_located(all).unwrap();
        let spec = spec_of(&library, library.datasets().values().next().unwrap()).unwrap();
        let world = World::new();
        let sealed = world.seal(&spec, SealMode::First, bytes).unwrap();
        assert_eq!((sealed.report.rows, sealed.report.columns_ignored), (60, 0));
        assert_eq!(sealed.version.manifest().unit("resident").unwrap().subjects, 60);
        let mended: Vec<_> =
            sealed.report.mended.iter().map(|((name, _), cells)| (name.as_str(), *cells)).collect();
        assert_eq!(mended, [("amount", 15), ("registered_on", 10)], "read as missing, and said");
    }
}
