//! Resolves the forms that documents write to the values that rules compute with: masks, controls, floors, terms.
//! A form that cannot be resolved gives nothing, and the caller denies.

use std::collections::BTreeMap;

use crate::combine::ColumnTerms;
use crate::combine::GROUPS_PER_SUBJECT_CEILING;
use crate::combine::GROUPS_PER_SUBJECT_MAX;
use crate::combine::ROWS_PER_SUBJECT_CEILING;
use crate::combine::ROWS_PER_SUBJECT_MAX;
use crate::combine::Terms;
use crate::document::Column;
use crate::document::ColumnMatch;
use crate::document::ControlsForm;
use crate::document::CubesForm;
use crate::document::Dataset;
use crate::document::FormatWord;
use crate::document::GradeScheme;
use crate::document::MaskForm;
use crate::document::PerturbationForm;
use crate::document::Policy;
use crate::document::SubjectsMin;
use crate::effective::Controls;
use crate::effective::Cubes;
use crate::effective::DEVIATIONS;
use crate::effective::Dominance;
use crate::effective::Floor;
use crate::effective::RowFilter;
use crate::fixed::Fixed;
use crate::library::Library;
use crate::library::lowering;
use crate::mask::FORMAT_DOMAIN_MIN;
use crate::mask::FormatKind;
use crate::mask::Mask;
use crate::vocabulary::ColumnName;
use crate::vocabulary::Level;
use crate::vocabulary::Review;
use crate::vocabulary::Text;
use crate::vocabulary::Use;

/// A mask that means nothing, and what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaskProblem {
    pub(crate) code: &'static str,
    pub(crate) message: Text,
    pub(crate) help: Text,
}

impl MaskProblem {
    /// A problem with its stable code.
    const fn new(code: &'static str, message: Text, help: Text) -> Self {
        Self { code, message, help }
    }
}

/// Resolves the controls of a document; what this build does not have is named as unavailable.
pub(crate) fn controls_of(form: &ControlsForm) -> Controls {
    let (subjects_min, subjects_min_by_unit) = match &form.subjects_min {
        None => (0, BTreeMap::new()),
        Some(SubjectsMin::All(subjects)) => (*subjects, BTreeMap::new()),
        // A kind that the map does not name has the largest threshold of those it does.
        Some(SubjectsMin::ByUnit(by_unit)) => {
            (by_unit.values().copied().max().unwrap_or(u32::MAX), by_unit.clone())
        }
    };
    let dominance = form.dominance.as_ref().map(|rule| Dominance {
        n: rule.n,
        share_max_permille: permille(rule.share_max).unwrap_or(0),
        p_percent: rule.p_percent,
    });
    let (perturbation, missing) = match form.perturbation {
        None => (None, None),
        Some(PerturbationForm::Deviation(deviation)) if DEVIATIONS.contains(&deviation) => {
            (Some(deviation), None)
        }
        // Between two rungs there is no noise that shares its draws with theirs.
        Some(PerturbationForm::Deviation(deviation)) => (None, Some(format!("perturbation: {deviation}"))),
        Some(PerturbationForm::Auto) => (None, Some("perturbation: auto".to_owned())),
    };
    Controls {
        subjects_min,
        subjects_min_by_unit,
        dominance,
        rounding: form.rounding.as_ref().map(|rounding| rounding.base),
        perturbation,
        cubes: form.cubes.as_ref().map_or_else(Cubes::default, cubes_of),
        epoch: form.epoch,
        cells_max: form.cells_max,
        review: Review::None,
        unavailable: missing.into_iter().collect(),
    }
}

fn cubes_of(form: &CubesForm) -> Cubes {
    let set = |names: &Vec<ColumnName>| names.iter().map(ToString::to_string).collect();
    Cubes::new(form.columns_max, form.sets.as_ref().map(|sets| sets.iter().map(set).collect()))
}

/// The controls of a floor under an exception: what the exception names takes the place of the floor's, and what it leaves out
/// stays. Somebody who lowers a threshold and forgets the dominance rule does not lift the dominance rule.
pub(crate) fn excepted(exception: &ControlsForm, floor: &Controls) -> Controls {
    let named = controls_of(exception);
    let (subjects_min, subjects_min_by_unit) = match &exception.subjects_min {
        None => (floor.subjects_min, floor.subjects_min_by_unit.clone()),
        Some(SubjectsMin::All(subjects)) => (*subjects, BTreeMap::new()),
        Some(SubjectsMin::ByUnit(by_unit)) => {
            let mut kept = floor.subjects_min_by_unit.clone();
            kept.extend(by_unit.clone());
            (floor.subjects_min, kept)
        }
    };
    Controls {
        subjects_min,
        subjects_min_by_unit,
        dominance: named.dominance.or(floor.dominance),
        rounding: named.rounding.or(floor.rounding),
        cubes: floor.cubes.stricter(&named.cubes),
        epoch: floor.epoch.max(named.epoch),
        // Noise is lowered by no exception, and neither is a mechanism that the floor needs.
        perturbation: named.perturbation.max(floor.perturbation),
        cells_max: named.cells_max.or(floor.cells_max),
        // No exception takes a reviewer away: it names no number of them.
        review: floor.review,
        unavailable: named.unavailable.union(&floor.unavailable).cloned().collect(),
    }
}

/// A share in thousandths, if it is one between 0 and 1 with at most three places.
pub(crate) fn permille(share: Fixed) -> Option<u16> {
    let permille = share.checked_mul_i64(1_000)?.to_i64()?;
    u16::try_from(permille).ok().filter(|permille| *permille <= 1_000)
}

/// The level from which on a result waits for one person at the least, whatever its scheme says.
const REVIEWED_FROM: Level = Level(4);

/// The floors of a scheme on the common ladder; grades that share a level share the stricter floor.
pub(crate) fn floors_of(scheme: &GradeScheme) -> BTreeMap<Level, Floor> {
    let mut floors: BTreeMap<Level, Floor> = BTreeMap::new();
    for level in &scheme.levels {
        let mut controls = controls_of(&level.floor.controls);
        controls.review = level.floor.review;
        if level.level >= REVIEWED_FROM {
            controls.review = controls.review.max(Review::One);
        }
        controls.unavailable.extend(level.floor.needs.iter().map(ToString::to_string));
        let floor = Floor { release: level.floor.release, controls };
        let joined = floors.get(&level.level).map_or_else(|| floor.clone(), |other| other.stricter(&floor));
        floors.insert(level.level, joined);
    }
    floors
}

impl Library {
    /// Resolves a mask.
    pub(crate) fn mask(&self, form: &MaskForm) -> Result<Mask, MaskProblem> {
        let positive = |value: Fixed, what: Text| {
            if value.is_positive() {
                Ok(value)
            } else {
                let message =
                    Text::new(format!("{} must be positive", what.en), format!("{}须为正数", what.zh));
                let help = Text::new("accepted: a number above zero", "可用：大于零的数");
                Err(MaskProblem::new("mask-parameter", message, help))
            }
        };
        match form {
            MaskForm::Redact => Ok(Mask::Redact),
            MaskForm::Partial(form) => {
                Ok(Mask::Partial { keep_first: form.keep_first, keep_last: form.keep_last })
            }
            MaskForm::Token(domain) => Ok(Mask::Token { domain: domain.to_string() }),
            MaskForm::Bin(width) => {
                positive(*width, Text::new("the width of a bin", "区间宽度")).map(|width| Mask::Bin { width })
            }
            MaskForm::Round(step) => positive(*step, Text::new("the step of rounding", "取整步长"))
                .map(|step| Mask::Round { step }),
            MaskForm::BinYears { years: 0, .. } => {
                let message = Text::new("a band needs at least one year", "年龄段至少为一年");
                let help = Text::new("accepted: bin_years from 1 to 255", "可用：bin_years 为 1 至 255");
                Err(MaskProblem::new("mask-parameter", message, help))
            }
            MaskForm::BinYears { years, top } => Ok(Mask::BinYears { years: *years, top: *top }),
            MaskForm::DateTrunc(part) => Ok(Mask::DateTrunc { part: *part }),
            MaskForm::DateShift(form) if form.days_max == 0 => {
                let message = Text::new("a shift of no days hides nothing", "平移零天不能隐藏日期");
                let help = Text::new("accepted: days_max from 1", "可用：days_max 从 1 起");
                Err(MaskProblem::new("mask-parameter", message, help))
            }
            MaskForm::DateShift(form) => {
                Ok(Mask::DateShift { per: form.per.clone(), days_max: form.days_max })
            }
            MaskForm::TopBottom(form) => match (form.bottom, form.top) {
                (None, None) => {
                    let message = Text::new("a limit is missing", "缺少上限或下限");
                    let help = Text::new("accepted: bottom, top or both", "可用：bottom、top 或两者皆有");
                    Err(MaskProblem::new("mask-parameter", message, help))
                }
                (Some(bottom), Some(top)) if bottom >= top => {
                    let message = Text::new("the bottom is not below the top", "下限不小于上限");
                    let help = Text::new("accepted: a bottom below the top", "可用：小于上限的下限");
                    Err(MaskProblem::new("range-reversed", message, help))
                }
                (bottom, top) => Ok(Mask::TopBottom { bottom, top }),
            },
            MaskForm::Hierarchy { name, level } => self.hierarchy_mask(name.as_str(), level.as_str()),
            MaskForm::FormatPreserving(form) => format_mask(form.form, form.length, form.domain.as_str()),
        }
    }

    fn hierarchy_mask(&self, name: &str, level: &str) -> Result<Mask, MaskProblem> {
        let Some(hierarchy) = self.hierarchies.get(name) else {
            let known: Vec<&str> = self.hierarchies.keys().map(String::as_str).collect();
            let message =
                Text::new(format!("there is no hierarchy `{name}`"), format!("层级体系 `{name}` 不存在"));
            return Err(MaskProblem::new("hierarchy-not-found", message, all_of(&known)));
        };
        let Some(found) = hierarchy.level(level) else {
            let message = Text::new(
                format!("the hierarchy `{name}` has no level `{level}`"),
                format!("层级体系 `{name}` 没有层级 `{level}`"),
            );
            return Err(MaskProblem::new("hierarchy-not-found", message, all_of(&hierarchy.level_names())));
        };
        Ok(Mask::Hierarchy(found))
    }

    /// The terms of a policy for one of its datasets; nothing when a grade or mask cannot be resolved.
    pub(crate) fn terms(&self, policy: &Policy, dataset: &Dataset) -> Option<Terms> {
        let grade_max = match &policy.object.resources.grade_max {
            Some(grade) => Some(self.level(&dataset.scheme, grade)?),
            None => None,
        };
        let mut columns = BTreeMap::new();
        for column in &dataset.columns {
            let grade = self.column_level(dataset, column)?;
            let mut terms = self.column_terms(policy, dataset, column, grade)?;
            if grade_max.is_some_and(|max| grade > max) {
                terms.uses.clear();
            }
            columns.insert(column.name.to_string(), terms);
        }
        let row_filter = policy.content.row_filter.as_ref();
        let jurisdiction = policy.content.jurisdiction;
        let joins = policy.condition.join_with.iter().map(|join| (join.dataset.clone(), join.unit.clone()));
        let rows_max = policy.method.max_rows_per_subject.unwrap_or(ROWS_PER_SUBJECT_MAX);
        let rows_max = rows_max.min(ROWS_PER_SUBJECT_CEILING);
        let groups_max = policy.method.max_groups_per_subject.unwrap_or(GROUPS_PER_SUBJECT_MAX);
        let groups_max = groups_max.min(GROUPS_PER_SUBJECT_CEILING);
        Some(Terms {
            release: policy.method.release,
            functions: policy.method.functions.clone(),
            controls: Controls { review: policy.method.review, ..controls_of(&policy.method.controls) },
            join_with: joins.collect(),
            max_rows_per_subject: rows_max,
            max_groups_per_subject: groups_max,
            privacy_budget: policy.method.privacy_budget,
            all_ask_for_privacy: policy.method.privacy_budget.is_some(),
            row_filters: row_filter
                .map(|sql| RowFilter { sql: sql.clone(), jurisdiction })
                .into_iter()
                .collect(),
            columns,
        })
    }

    /// All rules that match a column intersect; without any the column is denied.
    fn column_terms(
        &self,
        policy: &Policy,
        dataset: &Dataset,
        column: &Column,
        grade: Level,
    ) -> Option<ColumnTerms> {
        let declared = ColumnTerms {
            uses: Use::ALL.iter().copied().collect(),
            mask: None,
            grade_after: Level(0),
            range: column.range.map(|range| (range.0, range.1)),
            bins: column.bins,
        };
        let rules = || policy.content.columns.iter().filter(|rule| rule.matches.covers(dataset, column));
        let mut terms = declared;
        if rules().next().is_none() {
            terms.uses.clear();
        }
        // Among the rules of one policy only those that mask speak of the grade after the mask.
        let mut grade_after: Option<Level> = None;
        for rule in rules() {
            let mask = match &rule.mask {
                Some(form) => Some(self.mask(form).ok()?),
                None => None,
            };
            if let Some(mask) = &mask {
                let asked = match &rule.grade_after {
                    Some(word) => self.level(&dataset.scheme, word)?,
                    None => grade,
                };
                // Documents published before the rule was made are judged by it too: the column's own grade counts.
                let is_fit = lowering::judge(dataset, column, mask, grade, asked).is_ok();
                grade_after = grade_after.max(Some(if is_fit { asked } else { grade }));
            }
            terms = terms.stricter(&ColumnTerms {
                uses: rule.uses.clone(),
                mask,
                grade_after: Level(0),
                range: rule.range.map(|range| (range.0, range.1)),
                bins: rule.bins,
            });
        }
        terms.grade_after = grade_after.unwrap_or(grade);
        Some(terms)
    }
}

impl ColumnMatch {
    /// True if every given field matches the column; no field at all matches nothing.
    pub(crate) fn covers(&self, dataset: &Dataset, column: &Column) -> bool {
        let is_empty = *self == Self::default();
        !is_empty
            && self.role.is_none_or(|role| dataset.role_of(column) == role)
            && self.semantic.as_ref().is_none_or(|semantic| column.semantic.as_ref() == Some(semantic))
            && self.name.as_ref().is_none_or(|name| column.name == *name)
            && self.grade.as_ref().is_none_or(|grade| column.grade.as_ref() == Some(grade))
    }
}

/// A help line that lists every name.
fn all_of(names: &[&str]) -> Text {
    Text::new(format!("accepted: {}", names.join(", ")), format!("可用：{}", names.join("、")))
}

/// Resolves a format-preserving mask.
fn format_mask(form: FormatWord, length: Option<u8>, domain: &str) -> Result<Mask, MaskProblem> {
    let kind = match (form, length) {
        (FormatWord::Digits, Some(length)) => FormatKind::Digits { length },
        (FormatWord::Digits, None) => {
            let message = Text::new("`digits` needs its `length`", "`digits` 须写明 `length`（位数）");
            let help = Text::new(
                "accepted: {form: digits, length: 6} and more",
                "可用：{form: digits, length: 6} 及更多位数",
            );
            return Err(MaskProblem::new("mask-parameter", message, help));
        }
        (_, Some(_)) => {
            let message = Text::new("this form has its own length", "此形式的长度是固定的");
            let help = Text::new(
                "accepted: `length` with `form: digits` only",
                "可用：`length` 只与 `form: digits` 同时写",
            );
            return Err(MaskProblem::new("mask-parameter", message, help));
        }
        (FormatWord::Mobile, None) => FormatKind::Mobile,
        (FormatWord::BankCard, None) => FormatKind::BankCard,
        (FormatWord::ResidentId, None) => FormatKind::ResidentId,
        (FormatWord::Uscc, None) => FormatKind::Uscc,
    };
    if kind.domain_size() < FORMAT_DOMAIN_MIN {
        let message = Text::new(
            "the domain is small enough for a table of all pseudonyms",
            "取值太少，足以列出全部假名的对照表",
        );
        let help = Text::new(
            "accepted: a form with at least one million values, such as six digits",
            "可用：至少一百万种取值的形式，例如六位数字",
        );
        return Err(MaskProblem::new("format-domain-too-small", message, help));
    }
    Ok(Mask::FormatPreserving { kind, domain: domain.to_owned() })
}
