//! The terms on which a dataset may be queried, by purpose, as the interface describes them.

use obscura_policies::vocabulary::UnitKind;
use obscura_query_guard::dictionary::GradeControls;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::closed_words::ColumnUseWord;
use crate::app::data::dictionary::ColumnTerms;
use crate::app::data::dictionary::DatasetTerms;
use crate::app::data::dictionary::EdgeTerms;
use crate::app::data::dictionary::PurposeTerms;
use crate::app::query::verdict::TextView;

/// The terms on which you may query a dataset for one purpose.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Terms)]
pub(crate) struct TermsView {
    /// Code of the purpose.
    pub(crate) purpose: String,
    /// Its title.
    pub(crate) title: TextView,
    /// Your grant that applies.
    pub(crate) grant: Option<String>,
    /// The last day of the grant.
    pub(crate) until: Option<String>,
    /// The reason why every question is refused now; nothing where questions are answered.
    pub(crate) refusal: Option<TermsRefusal>,
    /// The questions that may be asked; nothing where every question is refused.
    pub(crate) allows: Option<AllowedView>,
}

/// The reason why every question for a purpose is refused now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct TermsRefusal {
    /// Stable code.
    pub(crate) code: String,
    /// The reason in words.
    pub(crate) message: TextView,
    /// Advice on how to get an answer, where there is any.
    pub(crate) help: Option<TextView>,
}

/// The questions that may be asked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Allowed)]
pub(crate) struct AllowedView {
    /// The form in which results leave: `rows_open`, `aggregates` or `none`.
    pub(crate) release: String,
    /// The columns that may be used, in order.
    pub(crate) columns: Vec<ColumnTermsView>,
    /// Aggregate functions.
    pub(crate) functions: Vec<String>,
    /// Datasets that may be joined.
    pub(crate) joins: Vec<JoinView>,
    /// Controls, by the strictest grade that a question reads; none where rows may leave as they are.
    pub(crate) controls: Vec<GradeControlsView>,
    /// Counts over one subject's own rows stop at this; nothing where there are no subjects.
    pub(crate) rows_per_subject_max: Option<u32>,
    /// Your grant or a policy leaves out some of the rows.
    pub(crate) filtered: bool,
}

/// The permitted uses of a column.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = ColumnTerms)]
pub(crate) struct ColumnTermsView {
    /// Name in SQL.
    pub(crate) name: String,
    /// The uses.
    #[schema(value_type = Vec<ColumnUseWord>)]
    pub(crate) uses: Vec<String>,
    /// The mask that values are seen through, if there is one.
    pub(crate) mask: Option<MaskView>,
    /// The values that it may be compared with; nothing where any may, or none because it may not be filtered.
    pub(crate) edges: Option<EdgesView>,
    /// All values that it shows, where its department declares them.
    pub(crate) values: Option<Vec<String>>,
    /// Smallest and largest contribution to a sum; what lies beyond counts as these.
    pub(crate) range: Option<RangeView>,
}

/// A mask.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Mask)]
pub(crate) struct MaskView {
    /// Its name, as policies write it.
    pub(crate) name: String,
    /// A description of the values that are seen through it.
    pub(crate) text: TextView,
}

/// Values that a column may be compared with. Numbers are written out, so that none is rounded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Edges)]
pub(crate) struct EdgesView {
    /// Distance of neighbouring edges of a number.
    pub(crate) step: Option<String>,
    /// The first edge of a number.
    pub(crate) from: Option<String>,
    /// The last value of a number.
    pub(crate) to: Option<String>,
    /// The same in words.
    pub(crate) text: TextView,
}

/// Smallest and largest value.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Range)]
pub(crate) struct RangeView {
    /// The smallest.
    pub(crate) low: String,
    /// The largest.
    pub(crate) high: String,
}

/// A dataset that may be joined.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = JoinPartner)]
pub(crate) struct JoinView {
    /// The dataset.
    pub(crate) dataset: String,
    /// The kind of subject whose keys are equated.
    pub(crate) unit: String,
}

/// Controls of questions of one grade.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = GradeControls)]
pub(crate) struct GradeControlsView {
    /// The strictest grade that the question reads.
    pub(crate) grade: String,
    /// Such questions are answered; otherwise a control that they need is missing in this version.
    pub(crate) available: bool,
    /// Fewest subjects of each kind that a cell rests on; rows where there are no subjects.
    pub(crate) subjects: Vec<SubjectsMinView>,
    /// Largest share of the largest contributors to a sum, in thousandths.
    pub(crate) dominance_share_max_permille: Option<u16>,
    /// The p% rule.
    pub(crate) dominance_p_percent: Option<u16>,
    /// Counts are rounded to multiples of this.
    pub(crate) rounding: Option<u32>,
    /// Standard deviation of one draw of the noise of counts and sums, in subjects. Absent where they have no noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) perturbation: Option<u32>,
    /// Most columns of this dataset in one number with noise, beside one measure or sensitive column. Absent where no policy says fewer
    /// than all may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) columns_max: Option<u32>,
    /// Columns that may meet in one number with noise, beside one measure or sensitive column: all of a number are in one of these
    /// sets. Absent where any may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cubes: Option<Vec<Vec<String>>>,
    /// Most cells of one statement.
    pub(crate) cells_max: Option<u32>,
    /// The number of people who look at results before they leave. Absent where they leave at once.
    #[serde(default, skip_serializing_if = "is_none")]
    #[schema(required = false)]
    pub(crate) reviewers: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields on by reference")]
fn is_none(reviewers: &u8) -> bool {
    *reviewers == 0
}

/// Fewest subjects of one kind.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = SubjectsMin)]
pub(crate) struct SubjectsMinView {
    /// Kind of subject; nothing where each row is its own.
    pub(crate) unit: Option<String>,
    /// Fewest of them.
    pub(crate) min: u32,
}

impl TermsView {
    pub(crate) fn of(told: PurposeTerms) -> Self {
        let (allows, refusal) = match told.terms {
            Ok(terms) => (Some(AllowedView::of(terms)), None),
            Err(refusal) => {
                let (message, help) = (refusal.message.into(), refusal.help.map(TextView::from));
                (None, Some(TermsRefusal { code: refusal.code.to_string(), message, help }))
            }
        };
        Self {
            purpose: told.purpose,
            title: told.title.into(),
            grant: told.grant,
            until: told.until.map(|until| until.to_string()),
            refusal,
            allows,
        }
    }
}

impl AllowedView {
    fn of(terms: DatasetTerms) -> Self {
        let units = terms.units;
        Self {
            release: terms.release.to_owned(),
            columns: terms.columns.into_iter().map(ColumnTermsView::of).collect(),
            functions: terms.functions.into_iter().map(str::to_owned).collect(),
            joins: terms
                .joins
                .into_iter()
                .map(|(dataset, unit)| JoinView { dataset: dataset.to_string(), unit: unit.to_string() })
                .collect(),
            controls: terms.controls.iter().map(|known| GradeControlsView::of(known, &units)).collect(),
            rows_per_subject_max: terms.rows_per_subject_max,
            filtered: terms.filtered,
        }
    }
}

impl ColumnTermsView {
    fn of(column: ColumnTerms) -> Self {
        Self {
            name: column.name,
            uses: column.uses.into_iter().map(str::to_owned).collect(),
            mask: column.mask.map(|(name, text)| MaskView { name: name.to_owned(), text: text.into() }),
            edges: column.edges.map(EdgesView::of),
            values: column.values,
            range: column.range.map(|(low, high)| RangeView { low: low.to_string(), high: high.to_string() }),
        }
    }
}

impl EdgesView {
    fn of(edges: EdgeTerms) -> Self {
        Self {
            step: edges.step.map(|step| step.to_string()),
            from: edges.from.map(|from| from.to_string()),
            to: edges.to.map(|to| to.to_string()),
            text: edges.text.into(),
        }
    }
}

impl GradeControlsView {
    fn of(known: &GradeControls, units: &[UnitKind]) -> Self {
        let controls = known.controls.as_ref();
        let min = |unit: Option<&UnitKind>| {
            let min = controls.map(|controls| {
                unit.map_or(controls.subjects_min.max(1), |unit| controls.subjects_min(unit))
            });
            min.map(|min| SubjectsMinView { unit: unit.map(ToString::to_string), min })
        };
        let subjects = match units {
            [] => min(None).into_iter().collect(),
            units => units.iter().filter_map(|unit| min(Some(unit))).collect(),
        };
        let dominance = controls.and_then(|controls| controls.dominance);
        Self {
            grade: known.grade.to_string(),
            available: controls.is_some(),
            subjects,
            dominance_share_max_permille: dominance.map(|rule| rule.share_max_permille),
            dominance_p_percent: dominance.map(|rule| rule.p_percent),
            rounding: controls.and_then(|controls| controls.rounding),
            perturbation: controls.and_then(|controls| controls.perturbation),
            columns_max: controls.and_then(|controls| controls.cubes.columns_max()),
            cubes: controls
                .and_then(|controls| controls.cubes.sets())
                .map(|sets| sets.iter().map(|set| set.iter().cloned().collect()).collect()),
            cells_max: controls.and_then(|controls| controls.cells_max),
            reviewers: controls.map_or(0, |controls| controls.review.reviewers()),
        }
    }
}
