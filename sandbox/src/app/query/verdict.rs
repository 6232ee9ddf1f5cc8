//! The verdict: what the policies and the guard say of one question, as every door shows it.
//! A format we keep (HTTP API, job record, command line). It reads no data and holds no value, count or hidden name.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use obscura_policies::Text;
use obscura_policies::evaluate::PolicyRefusal;
use obscura_query_guard::finding::Code as Failed;
use obscura_query_guard::finding::Finding;
use obscura_query_guard::finding::SqlSpan;
use obscura_query_guard::plan::Cost;
use obscura_query_guard::plan::GuardedPlan;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::closed_words::CostWord;
use crate::app::closed_words::OutputRoleWord;
use crate::app::closed_words::VerdictWord;
use crate::app::query::budget_view::BudgetUseView;
use crate::app::query::stated_error::StatedErrorView;

/// The guard's verdict on one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// `admitted` or `refused`.
    #[schema(value_type = VerdictWord)]
    pub decision: String,
    /// Every reason for a refusal.
    pub findings: Vec<FindingView>,
    /// Questions that come close and would be admitted.
    pub rewrites: Vec<RewriteView>,
    /// The treatment of each output column.
    pub output: Vec<OutputView>,
    /// The controls that cells must pass.
    pub controls: Option<ControlsView>,
    /// The number of people who look at the result before it leaves. Absent where it leaves at once.
    #[serde(default, skip_serializing_if = "is_none")]
    #[schema(required = false)]
    pub reviewers: u8,
    /// Its cost to each budget of differential privacy, and what is left there; nothing where it draws on none.
    pub budget: Option<Vec<BudgetUseView>>,
    /// `S`, `M` or `L`, from the question's shape alone.
    #[schema(value_type = Option<CostWord>)]
    pub cost: Option<String>,
    /// The documents it rests on.
    pub policy: Vec<SourceView>,
    /// The grant that applies to each dataset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<GrantUseView>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields on by reference")]
fn is_none(reviewers: &u8) -> bool {
    *reviewers == 0
}

/// A sentence in both languages, as it is described to programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Text)]
pub struct TextView {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

impl From<Text> for TextView {
    fn from(text: Text) -> Self {
        Self { en: text.en, zh: text.zh }
    }
}

impl From<&TextView> for Text {
    fn from(text: &TextView) -> Self {
        Self::new(text.en.clone(), text.zh.clone())
    }
}

/// One reason for a refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// Stable code.
    pub code: String,
    /// The rule that refused, more finely than the code; absent in verdicts of older versions.
    #[serde(default)]
    #[schema(required)]
    pub reason: String,
    /// Always `error`.
    pub severity: String,
    /// The place in the SQL.
    pub span: Option<SpanView>,
    /// The rule, in one sentence.
    #[schema(value_type = TextView)]
    pub message: Text,
    /// Advice on what would be accepted.
    #[schema(value_type = Option<TextView>)]
    pub help: Option<Text>,
    /// Names the analyst wrote.
    pub params: BTreeMap<String, String>,
    /// The address of the page that explains the rule.
    #[schema(format = "uri-reference")]
    pub docs: String,
}

/// A place in the SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpanView {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A question that would be admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RewriteView {
    /// The question.
    pub sql: String,
    /// The change, in a sentence.
    #[schema(value_type = TextView)]
    pub title: Text,
    /// Always `admitted`: the same guard has said so.
    #[schema(value_type = VerdictWord)]
    pub decision: String,
}

/// One output column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputView {
    /// Name.
    pub name: String,
    /// Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Controls applied, in order.
    pub treatment: Vec<String>,
    /// `key`: what is missing is missing in the data; `cell`: what is missing was withheld; `computed`: either, or neither.
    #[serde(default)]
    #[schema(value_type = Option<OutputRoleWord>)]
    pub role: Option<String>,
    /// In counts of a subject's own rows: the number that stands for itself and for every larger one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_coded_at: Option<u32>,
    /// The error of its numbers. Absent for keys, open data, and what is computed from columns that state theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StatedErrorView>,
}

/// The controls of all stages, the strictest of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ControlsView {
    /// Fewest subjects a cell rests on.
    pub subjects_min: u32,
    /// Largest share of the largest contributors, in thousandths.
    pub dominance_share_max_permille: Option<u16>,
    /// The p% rule.
    pub dominance_p_percent: Option<u16>,
    /// Counts are rounded to multiples of this number.
    pub rounding: Option<u32>,
    /// Standard deviation of one draw of the noise of counts and sums, in subjects. Absent where they have no noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<u32>,
}

/// The grant that applies to a dataset of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = GrantUse)]
pub struct GrantUseView {
    /// The dataset.
    pub dataset: String,
    /// The grant.
    pub grant: String,
    /// Its last day.
    #[schema(format = Date)]
    pub until: String,
    /// Further grants of the asker that fit; the question may name one of them instead.
    pub others: Vec<String>,
}

/// A document that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceView {
    /// Identifier.
    pub id: String,
    /// Version.
    pub version: u32,
    /// SHA-256 of its canonical form.
    pub sha256: String,
}

impl Verdict {
    /// Says whether the question may run.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.decision == "admitted"
    }

    /// The codes of all findings, each once, for the audit log.
    #[must_use]
    pub fn codes(&self) -> BTreeSet<&str> {
        self.findings.iter().map(|finding| finding.code.as_str()).collect()
    }

    /// The guard's own failure among the findings: then nothing was decided about the question.
    pub(crate) fn failure(&self) -> Option<&str> {
        let failed = self.findings.iter().find(|finding| finding.code == Failed::InternalError.slug());
        failed.map(|finding| finding.reason.as_str())
    }

    /// A refusal with nothing but its reasons.
    #[must_use]
    pub(crate) fn refused(findings: Vec<FindingView>) -> Self {
        Self {
            decision: "refused".to_owned(),
            findings,
            rewrites: Vec::new(),
            output: Vec::new(),
            controls: None,
            reviewers: 0,
            budget: None,
            cost: None,
            policy: Vec::new(),
            grants: Vec::new(),
        }
    }

    pub(super) fn refused_by_policy(refusal: &PolicyRefusal) -> Self {
        Self::refused(vec![FindingView::plain(
            refusal.code.as_str(),
            refusal.message.clone(),
            refusal.help.clone(),
        )])
    }

    pub(super) fn admitted(plan: &GuardedPlan, policy: Vec<SourceView>) -> Self {
        let output = plan.treatments().iter().map(|treatment| OutputView {
            name: treatment.column.clone(),
            data_type: treatment.data_type.to_string(),
            treatment: treatment.controls.iter().map(|control| (*control).to_owned()).collect(),
            role: Some(treatment.role.name().to_owned()),
            top_coded_at: treatment.top_coded_at,
            error: treatment.error.map(StatedErrorView::of),
        });
        let cost = match plan.cost() {
            Cost::S => "S",
            Cost::M => "M",
            Cost::L => "L",
        };
        Self {
            decision: "admitted".to_owned(),
            findings: Vec::new(),
            rewrites: Vec::new(),
            output: output.collect(),
            controls: ControlsView::of(plan),
            reviewers: plan.review().reviewers(),
            budget: None,
            cost: Some(cost.to_owned()),
            policy,
            grants: Vec::new(),
        }
    }
}

impl FindingView {
    /// A finding without place or names, whose code is its reason.
    pub(crate) fn plain(code: &str, message: Text, help: Option<Text>) -> Self {
        Self {
            code: code.to_owned(),
            reason: code.to_owned(),
            severity: "error".to_owned(),
            span: None,
            message,
            help,
            params: BTreeMap::new(),
            docs: docs(code),
        }
    }

    pub(super) fn of(finding: &Finding) -> Self {
        let reason = finding.reason.slug();
        Self {
            code: finding.code.slug().to_owned(),
            span: finding.span.map(SpanView::of),
            params: finding.params.iter().map(|(role, name)| ((*role).to_owned(), name.clone())).collect(),
            ..Self::plain(reason, finding.code.rule(), finding.help.clone())
        }
    }
}

impl SpanView {
    fn of(span: SqlSpan) -> Self {
        Self { line: span.line, column: span.column, start: span.start, end: span.end }
    }
}

impl ControlsView {
    /// The strictest of each control over all stages; none when everything read is open.
    fn of(plan: &GuardedPlan) -> Option<Self> {
        let classes = plan.stages().iter().flat_map(|stage| stage.classes());
        let subjects_min = classes.map(|class| class.subjects_min).max()?;
        let dominance = plan.stages().iter().filter_map(|stage| stage.controls().dominance);
        let share = dominance.clone().map(|rule| rule.share_max_permille).min();
        Some(Self {
            subjects_min,
            dominance_share_max_permille: share,
            dominance_p_percent: dominance.map(|rule| rule.p_percent).max(),
            rounding: plan.stages().iter().filter_map(|stage| stage.controls().rounding).max(),
            perturbation: plan.stages().iter().filter_map(|stage| stage.controls().perturbation).max(),
        })
    }
}

/// The page of a reason, or of a code of a policy's refusal.
fn docs(reason: &str) -> String {
    format!("/docs/refusals/{reason}")
}
