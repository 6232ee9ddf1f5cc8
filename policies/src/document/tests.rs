//! Documents print to what reads back as the same document, in YAML and in canonical JSON.
//! Nothing here is used outside tests.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use proptest::collection::btree_map;
use proptest::collection::btree_set;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::BoxedStrategy;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prop_assert_eq;
use proptest::prop_oneof;
use proptest::proptest;
use proptest::sample::select;

use crate::day::DatePart;
use crate::day::Day;
use crate::document::AnyOr;
use crate::document::ApiVersion;
use crate::document::Application;
use crate::document::ApplicationKind;
use crate::document::Approver;
use crate::document::Column;
use crate::document::ColumnMatch;
use crate::document::ColumnOf;
use crate::document::ColumnRule;
use crate::document::Condition;
use crate::document::Content;
use crate::document::ContentDefault;
use crate::document::ControlsForm;
use crate::document::CubesForm;
use crate::document::Dataset;
use crate::document::DatasetKind;
use crate::document::DateShiftForm;
use crate::document::Department;
use crate::document::DepartmentKind;
use crate::document::DepartmentLevel;
use crate::document::Document;
use crate::document::DominanceForm;
use crate::document::Exception;
use crate::document::ExceptionKind;
use crate::document::Expectation;
use crate::document::FormatForm;
use crate::document::FormatWord;
use crate::document::Grant;
use crate::document::GrantKind;
use crate::document::GrantedDataset;
use crate::document::Hours;
use crate::document::JoinRule;
use crate::document::Layout;
use crate::document::LegalBasis;
use crate::document::MaskForm;
use crate::document::Metadata;
use crate::document::Method;
use crate::document::Object;
use crate::document::OnShort;
use crate::document::Opening;
use crate::document::Parameter;
use crate::document::PartialForm;
use crate::document::PerturbationForm;
use crate::document::Policy;
use crate::document::PolicyKind;
use crate::document::PolicyTest;
use crate::document::PrivacyBudget;
use crate::document::Purpose;
use crate::document::PurposeKind;
use crate::document::Quota;
use crate::document::Range;
use crate::document::Resources;
use crate::document::Retention;
use crate::document::RoundingForm;
use crate::document::Sharing;
use crate::document::Subjects;
use crate::document::SubjectsMin;
use crate::document::TestPerson;
use crate::document::TopBottomForm;
use crate::document::TypeWord;
use crate::document::Unit;
use crate::document::Units;
use crate::document::Update;
use crate::document::Validity;
use crate::fixed::Fixed;
use crate::parse::parse_documents;
use crate::vocabulary::Code;
use crate::vocabulary::ColumnName;
use crate::vocabulary::DatasetId;
use crate::vocabulary::Epoch;
use crate::vocabulary::Function;
use crate::vocabulary::PersonRole;
use crate::vocabulary::Release;
use crate::vocabulary::Review;
use crate::vocabulary::Role;
use crate::vocabulary::Text;
use crate::vocabulary::UnitKind;
use crate::vocabulary::Use;

/// Texts that YAML could mistake for something else, and ordinary ones.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "null",
            "~",
            "true",
            "no",
            "0x1f",
            "1e3",
            "012",
            "-",
            "- a",
            "a: b",
            "a #b",
            "'",
            "\"",
            "08:00-20:00",
            "2026-01-01",
            "{a: 1}",
            "[x]",
            "*a",
            "&a",
            "!t",
            "|",
            ">",
            "%",
            "@",
            "`",
            "a\nb",
            " a",
            "a ",
            "<<",
            "=",
            "?",
            "---",
            "...",
            "杭州：西湖",
        ])
        .prop_map(str::to_owned),
        "[ -~]{1,20}",
        "\\PC{1,12}",
    ]
}

fn code() -> impl Strategy<Value = Code> {
    "[a-z][a-z0-9]{0,6}(-[a-z0-9]{1,4})?".prop_map(|text| text.parse().unwrap())
}

fn column_name() -> impl Strategy<Value = ColumnName> {
    "[a-z][a-z0-9_]{0,8}".prop_map(|text| text.parse().unwrap())
}

fn dataset_id() -> impl Strategy<Value = DatasetId> {
    (code(), column_name()).prop_map(|(department, name)| format!("{department}.{name}").parse().unwrap())
}

fn unit() -> impl Strategy<Value = UnitKind> {
    select(vec!["resident", "enterprise", "null", "true"]).prop_map(|unit| UnitKind(unit.to_owned()))
}

fn metadata() -> impl Strategy<Value = Metadata> {
    (code(), any::<u32>(), text(), text()).prop_map(|(id, version, en, zh)| Metadata {
        id,
        version,
        title: Text { en, zh },
    })
}

fn fixed() -> impl Strategy<Value = Fixed> {
    prop_oneof![
        any::<i32>().prop_map(|n| Fixed::from_i64(n.into())),
        any::<i64>().prop_map(|n| Fixed::from_micros(n.into()))
    ]
}

fn range() -> impl Strategy<Value = Range> {
    (fixed(), fixed()).prop_map(|(low, high)| Range(low, high))
}

fn day() -> impl Strategy<Value = Day> {
    (-100_000_i32..100_000).prop_map(Day::from_epoch_days)
}

fn mask() -> impl Strategy<Value = MaskForm> {
    prop_oneof![
        Just(MaskForm::Redact),
        (any::<u8>(), any::<u8>()).prop_map(|(keep_first, keep_last)| {
            MaskForm::Partial(PartialForm { keep_first, keep_last, on_short: OnShort::Redact })
        }),
        code().prop_map(MaskForm::Token),
        fixed().prop_map(MaskForm::Bin),
        (any::<u8>(), option::of(any::<u8>())).prop_map(|(years, top)| MaskForm::BinYears { years, top }),
        select(DatePart::ALL).prop_map(MaskForm::DateTrunc),
        (unit(), any::<u16>())
            .prop_map(|(per, days_max)| MaskForm::DateShift(DateShiftForm { per, days_max })),
        (code(), code()).prop_map(|(name, level)| MaskForm::Hierarchy { name, level }),
        (option::of(fixed()), option::of(fixed()))
            .prop_map(|(bottom, top)| MaskForm::TopBottom(TopBottomForm { bottom, top })),
        fixed().prop_map(MaskForm::Round),
        (select(FormatWord::ALL), option::of(any::<u8>()), code()).prop_map(|(form, length, domain)| {
            MaskForm::FormatPreserving(FormatForm { form, length, domain })
        }),
    ]
}

fn controls() -> impl Strategy<Value = ControlsForm> {
    let by_unit = btree_map(unit(), any::<u32>(), 0..3).prop_map(SubjectsMin::ByUnit);
    let subjects_min = prop_oneof![any::<u32>().prop_map(SubjectsMin::All), by_unit];
    let perturbation =
        prop_oneof![any::<u32>().prop_map(PerturbationForm::Deviation), Just(PerturbationForm::Auto)];
    let set = vec(column_name().prop_map(|name| name.as_str().parse().unwrap()), 0..3);
    let cubes = (option::of(any::<u32>()), option::of(vec(set, 0..3)))
        .prop_map(|(columns_max, sets)| CubesForm { columns_max, sets });
    let dominance = (any::<u8>(), fixed(), any::<u16>())
        .prop_map(|(n, share_max, p_percent)| DominanceForm { n, share_max, p_percent });
    (
        option::of(subjects_min),
        option::of(dominance),
        option::of(any::<u32>().prop_map(|base| RoundingForm { base })),
        option::of(perturbation),
        option::of(cubes),
        option::of(select(Epoch::ALL)),
        option::of(fixed()),
        option::of(any::<u32>()),
    )
        .prop_map(
            |(subjects_min, dominance, rounding, perturbation, cubes, epoch, tolerance, cells_max)| {
                ControlsForm {
                    subjects_min,
                    dominance,
                    rounding,
                    perturbation,
                    cubes,
                    epoch,
                    tolerance,
                    cells_max,
                }
            },
        )
}

fn rule() -> impl Strategy<Value = ColumnRule> {
    let matches = (
        option::of(select(Role::ALL)),
        option::of(column_name().prop_map(|name| name.as_str().parse().unwrap())),
        option::of(column_name()),
        option::of(text()),
    )
        .prop_map(|(role, semantic, name, grade)| ColumnMatch { role, semantic, name, grade });
    (
        matches,
        btree_set(select(Use::ALL), 0..4),
        option::of(mask()),
        option::of(text()),
        option::of(range()),
        option::of(fixed()),
    )
        .prop_map(|(matches, uses, mask, grade_after, range, bins)| ColumnRule {
            matches,
            uses,
            mask,
            grade_after,
            range,
            bins,
        })
}

fn any_or() -> impl Strategy<Value = AnyOr<Code>> {
    prop_oneof![Just(AnyOr::Any), vec(code(), 0..3).prop_map(AnyOr::Only)]
}

fn method() -> impl Strategy<Value = Method> {
    let budget = (0.0_f64..10.0, 1e-12_f64..1e-3, 0.0_f64..1.0, any::<u32>()).prop_map(
        |(epsilon, delta, per_query_max, period_days)| PrivacyBudget {
            epsilon,
            delta,
            per_query_max,
            period_days,
        },
    );
    let quota = (option::of(fixed()), option::of(any::<u32>()))
        .prop_map(|(cells_share, queries_per_day)| Quota { cells_share, queries_per_day });
    (
        select(Release::ALL),
        btree_set(select(Function::ALL), 0..4),
        controls(),
        (option::of(any::<u32>()), option::of(any::<u32>())),
        option::of(budget),
        option::of(quota),
        select(Review::ALL),
        option::of(any::<u32>().prop_map(|result_days| Retention { result_days })),
    )
        .prop_map(
            |(
                release,
                functions,
                controls,
                (max_rows_per_subject, max_groups_per_subject),
                privacy_budget,
                quota,
                review,
                retention,
            )| Method {
                release,
                functions,
                controls,
                max_rows_per_subject,
                max_groups_per_subject,
                privacy_budget,
                quota,
                review,
                retention,
            },
        )
}

fn object() -> impl Strategy<Value = Object> {
    (
        btree_set(select(PersonRole::ALL), 0..3),
        any_or(),
        any_or(),
        vec(dataset_id(), 0..3),
        option::of(text()),
    )
        .prop_map(|(roles, departments, districts, datasets, grade_max)| Object {
            subjects: Subjects { roles, departments, districts },
            resources: Resources { datasets, grade_max },
        })
}

fn condition() -> impl Strategy<Value = Condition> {
    let join = (dataset_id(), unit()).prop_map(|(dataset, unit)| JoinRule { dataset, unit });
    let hours = (0_u16..720, 720_u16..=1_440).prop_map(|(from, until)| Hours::new(from, until).unwrap());
    (vec(code(), 0..3), option::of(hours), any::<u32>(), vec(join, 0..2)).prop_map(
        |(purposes, hours, approvals, join_with)| Condition { purposes, hours, approvals, join_with },
    )
}

fn policy() -> impl Strategy<Value = Document> {
    let content = (option::of(text()), any::<bool>(), vec(rule(), 0..4)).prop_map(
        |(row_filter, jurisdiction, columns)| Content {
            default: ContentDefault::Deny,
            row_filter,
            jurisdiction,
            columns,
        },
    );
    let test = (
        text(),
        select(PersonRole::ALL),
        code(),
        option::of(code()),
        code(),
        text(),
        select(Expectation::ALL),
        option::of(code()),
    )
        .prop_map(|(name, role, department, district, purpose, sql, expect, code)| PolicyTest {
            name,
            person: TestPerson { role, department, district, purpose },
            sql,
            expect,
            code,
        });
    let validity = (option::of(day()), option::of(day())).prop_map(|(from, until)| Validity { from, until });
    (metadata(), code(), validity, object(), condition(), content, method(), vec(test, 0..2)).prop_map(
        |(metadata, owner, effective, object, condition, content, method, tests)| {
            Document::Policy(Box::new(Policy {
                api_version: ApiVersion,
                kind: PolicyKind,
                metadata,
                owner,
                effective,
                legal_basis: Vec::new(),
                object,
                condition,
                content,
                method,
                tests,
            }))
        },
    )
}

fn dataset() -> impl Strategy<Value = Document> {
    let column = (
        column_name(),
        select(TypeWord::ALL),
        option::of(any::<u8>()),
        select(Role::ALL),
        option::of(text()),
        option::of(range()),
        option::of(fixed()),
        option::of(fixed()),
        (option::of(vec(text(), 0..3)), option::of((dataset_id(), column_name()))),
        any::<bool>(),
    )
        .prop_map(|(name, data_type, scale, role, grade, range, bins, usual, (domain, of), coded)| Column {
            name,
            title: None,
            data_type,
            scale,
            role,
            grade,
            semantic: None,
            range,
            bins,
            usual,
            usual_rows: None,
            domain,
            domain_of: of.map(|(dataset, column)| ColumnOf { dataset, column }),
            coded,
        });
    let unit = (unit(), column_name(), any::<bool>(), option::of(text()))
        .prop_map(|(kind, column, protects, reason)| Unit { kind, column, protects, reason });
    (
        metadata(),
        dataset_id(),
        prop_oneof![Just(Units::None), vec(unit, 0..3).prop_map(Units::Listed)],
        option::of(text()),
        option::of(select(Layout::ALL)),
        option::of(any::<u32>()),
        vec(text(), 0..3),
        vec(column, 0..4),
    )
        .prop_map(|(metadata, id, units, units_reason, layout, usual_rows, tags, columns)| {
            Document::Dataset(Box::new(Dataset {
                api_version: ApiVersion,
                kind: DatasetKind,
                department: metadata.id.clone(),
                scheme: metadata.id,
                metadata: Metadata { id, version: metadata.version, title: metadata.title },
                membership: None,
                units,
                units_reason,
                layout,
                usual_rows,
                opening: Opening::Limited,
                sharing: Sharing::None,
                update: Update::Daily,
                covers: None,
                collection: None,
                tags,
                description: None,
                columns,
            }))
        })
}

fn grant() -> impl Strategy<Value = Document> {
    let granted = (
        dataset_id(),
        option::of(btree_set(column_name(), 0..3)),
        option::of(btree_set(select(Use::ALL), 0..3)),
        option::of(text()),
        any::<bool>(),
    )
        .prop_map(|(dataset, columns, uses, row_filter, jurisdiction)| GrantedDataset {
            dataset,
            columns,
            uses,
            row_filter,
            jurisdiction,
        });
    (metadata(), text(), code(), vec(granted, 0..3), option::of(day()), day(), btree_set(text(), 0..3))
        .prop_map(|(metadata, person, purpose, datasets, from, until, approved_by)| {
            Document::Grant(Grant {
                api_version: ApiVersion,
                kind: GrantKind,
                metadata,
                person,
                purpose,
                datasets,
                from,
                until,
                approved_by,
            })
        })
}

fn other() -> impl Strategy<Value = Document> {
    let exception = (metadata(), text(), vec(dataset_id(), 0..2), text(), controls(), text(), day(), day())
        .prop_map(|(metadata, reason, datasets, grade, controls, person, from, until)| {
            Document::Exception(Exception {
                api_version: ApiVersion,
                kind: ExceptionKind,
                purpose: metadata.id.clone(),
                approved_by: vec![Approver { person, department: metadata.id.clone() }],
                metadata,
                reason,
                datasets,
                grade,
                controls,
                from,
                until,
            })
        });
    let department = (metadata(), select(DepartmentLevel::ALL), option::of(code()), option::of(text()))
        .prop_map(|(metadata, level, parent, region)| {
            Document::Department(Department {
                api_version: ApiVersion,
                kind: DepartmentKind,
                metadata,
                level,
                parent,
                region,
            })
        });
    let application =
        (metadata(), text(), text(), option::of(text())).prop_map(|(metadata, author, sql, default)| {
            Document::Application(Application {
                api_version: ApiVersion,
                kind: ApplicationKind,
                author,
                purpose: metadata.id.clone(),
                datasets: Vec::new(),
                sql,
                parameters: vec![Parameter {
                    name: "since".parse().unwrap(),
                    data_type: TypeWord::Date,
                    title: metadata.title.clone(),
                    default,
                    domain: None,
                    range: None,
                }],
                approved_by: BTreeSet::new(),
                metadata,
            })
        });
    let purpose = (metadata(), text(), text()).prop_map(|(metadata, law, article)| {
        Document::Purpose(Purpose {
            api_version: ApiVersion,
            kind: PurposeKind,
            description: metadata.title.clone(),
            metadata,
            legal_basis: vec![LegalBasis { law, article }],
        })
    });
    prop_oneof![exception, department, application, purpose]
}

fn document() -> BoxedStrategy<Document> {
    prop_oneof![policy(), dataset(), grant(), other()].boxed()
}

#[test]
fn shipped_documents_read_back_and_have_distinct_hashes() {
    let mut hashes = BTreeMap::new();
    for located in crate::shipped::documents().unwrap() {
        let yaml = located.value.to_yaml().unwrap();
        assert_eq!(parse_documents("x", &yaml).unwrap().remove(0).value, located.value, "{yaml}");
        let source = located.value.source().unwrap();
        assert_eq!(source.sha256.len(), 64);
        assert!(hashes.insert(source.sha256, source.id).is_none());
    }
}

/// The form that hashes are made of must not change with the form that is kept, or the evidence of old decisions fails.
#[test]
fn controls_that_are_left_out_stay_in_the_form_of_the_hash_alone() {
    let (before, rest) = crate::parse::tests::POLICY.split_once("  controls:\n").unwrap();
    let (_, after) = rest.split_once("  privacy_budget").unwrap();
    let text = format!("{before}  privacy_budget{after}");
    let document = parse_documents("policy.yaml", &text).unwrap().remove(0).value;
    assert!(!document.to_yaml().unwrap().contains("controls"));
    assert!(document.to_canonical_json().unwrap().contains(r#""method":{"controls":{},"functions":"#));
    let written = format!("{before}  controls: {{}}\n  privacy_budget{after}");
    let written = parse_documents("policy.yaml", &written).unwrap().remove(0).value;
    assert_eq!(written.source().unwrap(), document.source().unwrap());
}

proptest! {
    #[test]
    fn parse_after_print_is_the_same_document(document in document()) {
        for text in [document.to_yaml().unwrap(), document.to_canonical_json().unwrap()] {
            match parse_documents("printed", &text) {
                Ok(mut read) => {
                    prop_assert_eq!(read.len(), 1);
                    let read = read.remove(0).value;
                    prop_assert_eq!(read.source().unwrap(), document.source().unwrap());
                    prop_assert_eq!(&read, &document, "{}", text);
                }
                Err(errors) => prop_assert_eq!(format!("{errors:?}\n{text}"), ""),
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _read = parse_documents("any", &text);
    }
}
