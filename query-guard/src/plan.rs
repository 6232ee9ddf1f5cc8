//! The guard's answer as something that can be run: stages that end in cells, and what is done with released tables.
//! Only the guard makes a [`GuardedPlan`]; nothing else is executed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_expr::LogicalPlan;
use obscura_policies::effective::Dominance;
use obscura_policies::fixed::Fixed;
use obscura_policies::privacy::epsilon_of_nano;
use obscura_policies::vocabulary::DatasetId;
use obscura_policies::vocabulary::Level;
use obscura_policies::vocabulary::Review;
use obscura_policies::vocabulary::UnitKind;

use crate::cell_names::CellNames;
use crate::finding::Finding;
use crate::privacy::StagePrivacy;
use crate::recheck::terms::Terms;
use crate::rows::ReleasedRows;
use crate::rows::RowFacts;
use crate::stated_error::StatedError;

/// An admitted query: an ordered list of stages, then post-processing over their released tables.
///
/// INVARIANT(only-guarded-plans-run): fields are private and there is no public constructor.
#[derive(Debug, Clone)]
pub struct GuardedPlan {
    /// The question as it was planned, before the guard touched it.
    pub(crate) asked: LogicalPlan,
    pub(crate) stages: Vec<Stage>,
    pub(crate) post: LogicalPlan,
    pub(crate) scans: BTreeMap<DatasetId, BTreeSet<String>>,
    pub(crate) treatments: Vec<Treatment>,
    pub(crate) cost: Cost,
    pub(crate) review: Review,
    pub(crate) rows: RowFacts,
    pub(crate) charges: Vec<Charge>,
    pub(crate) admitted: Arc<Admitted>,
}

/// The plan as it was admitted, and the terms of the policy that it was admitted under: the second look holds what runs to both.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) stages: Vec<Stage>,
    pub(crate) post: LogicalPlan,
    pub(crate) terms: Terms,
}

impl GuardedPlan {
    /// The stages, in the order in which they run.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The plan over the released tables; it reads nothing else but open data.
    #[must_use]
    pub fn post(&self) -> &LogicalPlan {
        &self.post
    }

    /// Looks again at how many rows post-processing makes of released and open tables, now that it is known how many rows
    /// each stage has released, by its name. These numbers are released values themselves.
    ///
    /// # Errors
    /// The finding `query-too-large` when joins make more of them than [`crate::limits::JOINED_ROWS_MAX`].
    pub(crate) fn joins_released_rows(&self, released: &BTreeMap<String, u64>) -> Result<(), Finding> {
        let mut facts = self.rows.clone();
        for (stage, rows) in released {
            facts.released(stage, *rows);
        }
        facts.reduced(self.post.clone()).map(drop)
    }

    /// True if some of its cells have noise, whose source the execution must then have.
    #[must_use]
    pub fn needs_noise(&self) -> bool {
        self.stages.iter().any(|stage| stage.controls.perturbation.is_some())
    }

    /// The datasets read, and the columns of each: the keys a job asks for are those of these columns.
    #[must_use]
    pub fn scans(&self) -> &BTreeMap<DatasetId, BTreeSet<String>> {
        &self.scans
    }

    /// The treatment of each output column.
    #[must_use]
    pub fn treatments(&self) -> &[Treatment] {
        &self.treatments
    }

    /// The price of the question, one for each dataset that is answered by differential privacy; empty where none is.
    ///
    /// It is reserved before the plan runs, and spent whatever becomes of the run: noise is drawn anew for each
    /// (`sandbox/docs/disclosure-model.md`, section 5.9).
    #[must_use]
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// The epsilon that each charge comes to, with half of the budget's delta.
    #[must_use]
    pub fn epsilons(&self) -> Vec<(DatasetId, f64)> {
        let privacies = || self.stages.iter().filter_map(|stage| stage.controls.privacy.as_ref());
        let epsilon = |charge: &Charge| {
            let privacy = privacies().find(|privacy| privacy.dataset == charge.dataset)?;
            Some((charge.dataset.clone(), epsilon_of_nano(charge.nano_rho, privacy.budget.delta)))
        };
        self.charges.iter().filter_map(epsilon).collect()
    }

    /// True if some of its stages are answered by differential privacy, for which the execution must have randomness.
    #[must_use]
    pub fn needs_privacy(&self) -> bool {
        self.stages.iter().any(|stage| stage.controls.privacy.is_some())
    }

    /// Cost class.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The people who look at the result before it leaves: the most that any dataset of the question or any grade that it
    /// reads asks for (`sandbox/docs/disclosure-model.md`, section 5.10).
    #[must_use]
    pub fn review(&self) -> Review {
        self.review
    }
}

/// The price of a question to one dataset that is answered by differential privacy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The dataset.
    pub dataset: DatasetId,
    /// The rho of zCDP in units of 1e-9, as `obscura_policies::privacy` reckons: whole, so that sums are exact.
    pub nano_rho: u64,
}

/// The cost class of a plan, from its shape alone: never from statistics of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// One scan, one boundary at the most.
    S,
    /// Two boundaries and three scans at the most.
    M,
    /// More of them.
    L,
}

/// The treatment of one output column: the controls behind it, and what a missing value of it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Treatment {
    /// Name of the output column.
    pub column: String,
    /// Arrow type.
    pub data_type: DataType,
    /// Controls applied, in order.
    pub controls: Vec<&'static str>,
    /// Its role, which says what a missing value of it means.
    pub role: OutputRole,
    /// In counts of a subject's own rows: the number that stands for itself and for every larger one.
    pub top_coded_at: Option<u32>,
    /// The error of its numbers; nothing for keys, for open data, and for what is computed from other columns.
    pub error: Option<StatedError>,
}

/// The role of an output column, which says what a missing value of it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputRole {
    /// A group key: what is missing is missing in the data, or GROUPING() says that the row is a total.
    Key,
    /// A released figure as it is: what is missing was withheld.
    Cell,
    /// Computed from released values, or met by an outer join: what is missing may be either, or have no value.
    Computed,
}

impl OutputRole {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            OutputRole::Key => "key",
            OutputRole::Cell => "cell",
            OutputRole::Computed => "computed",
        }
    }
}

/// One boundary: an ordinary plan that ends in cells, and the controls its cells must pass.
#[derive(Debug, Clone)]
pub struct Stage {
    pub(crate) name: String,
    pub(crate) plan: LogicalPlan,
    pub(crate) keys: Vec<KeyColumn>,
    pub(crate) classes: Vec<StageClass>,
    pub(crate) atoms: Vec<StageAtom>,
    /// The atom of all rows: its contributors are the group's subjects.
    pub(crate) rows_atom: usize,
    pub(crate) columns: Vec<ReleasedColumn>,
    pub(crate) controls: StageControls,
    /// The names of its cells, where its policy asks for noise.
    pub(crate) names: Option<Arc<CellNames>>,
    /// Its place among several sets of keys over the same rows (GROUPING SETS, ROLLUP, CUBE).
    pub(crate) set: Option<KeySet>,
    /// The earlier stage whose groups are the bases of its own; nothing where its bases are among its own atoms, or it has none.
    pub(crate) base: Option<Base>,
    /// Its groups are the bases of a later stage's, and nothing of them leaves.
    pub(crate) is_base: bool,
}

impl Stage {
    /// Name under which later plans read the released table.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plan that computes the cells.
    #[must_use]
    pub fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// The rows of its released table, as far as they are known before it has run.
    pub(crate) fn released_rows(&self) -> ReleasedRows {
        ReleasedRows {
            name: self.name.clone(),
            keys: self.keys.iter().map(|key| key.name.clone()).collect(),
            rows_max: self.rows_max(),
        }
    }

    /// Most rows of its released table, where the policy bounds its cells.
    fn rows_max(&self) -> Option<u64> {
        if self.keys.is_empty() {
            return Some(1);
        }
        let columns = u64::try_from(self.columns.len().max(1)).unwrap_or(u64::MAX);
        self.controls.cells_max.map(|cells| u64::from(cells) / columns)
    }

    /// True if no result reads it.
    pub(crate) fn is_hidden(&self) -> bool {
        self.is_base || self.set.as_ref().is_some_and(|set| set.is_hidden)
    }

    /// True if its cells are released, with those that have waited for it.
    pub(crate) fn is_last(&self) -> bool {
        !self.is_base && self.set.as_ref().is_none_or(|set| set.is_last)
    }

    /// The controls its cells must pass.
    #[must_use]
    pub fn controls(&self) -> &StageControls {
        &self.controls
    }

    /// The classes of subjects, and how many each cell needs.
    #[must_use]
    pub fn classes(&self) -> &[StageClass] {
        &self.classes
    }

    /// True when the plan relies on every subject's rows standing together at the scan.
    #[must_use]
    pub fn needs_clustered_input(&self) -> bool {
        self.classes.iter().any(|class| class.clustered)
    }
}

/// A group key of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
}

/// One of several sets of keys by which a statement groups the same rows; their stages follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySet {
    /// Its keys, by their places among the keys of all the sets.
    pub(crate) keys: Vec<usize>,
    /// No result reads it: the control step reads off it how the other sets hang together.
    pub(crate) is_hidden: bool,
    /// The last of the sets: all of them are released at once.
    pub(crate) is_last: bool,
}

/// The stage whose groups are the bases of another one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// Its name.
    pub(crate) stage: String,
    /// Its keys, by their places among the keys of the other: those that tell of no sensitive column.
    pub(crate) keys: Vec<usize>,
}

/// One class of subjects of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageClass {
    /// Kind of subject; `None` when each row is its own.
    pub unit: Option<UnitKind>,
    /// Fewest subjects a cell must rest on.
    pub subjects_min: u32,
    pub(crate) cells: String,
    pub(crate) clustered: bool,
    /// Every subject has at most one of the rows, so that subjects of several groups add up.
    pub(crate) one_row: bool,
}

/// An atom as the control step knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StageAtom {
    /// Counts rows rather than adding up a measure.
    pub(crate) counts: bool,
    /// Decimal places of its whole-number values.
    pub(crate) scale: u8,
    /// Width of the declared range, for rounding sums.
    pub(crate) width: Fixed,
    /// The largest size of a value, where the declared range holds few: such a sum tells as much as a count.
    pub(crate) few: Option<Fixed>,
    /// The largest size of a value that may be the same in many rows: their sum is a count times a number.
    pub(crate) same: Option<Fixed>,
    /// The least and the largest part of one row, in units of the last place; zero lies between them.
    pub(crate) of_row: (i128, i128),
    /// The atom of its base, in the stage of the bases or else in its own; nothing where it chooses by no sensitive column.
    pub(crate) base: Option<usize>,
}

/// A released column: name, type, and how it is made from atoms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReleasedColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) formula: Formula,
}

/// The formula that makes a released column from protected atoms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Formula {
    /// Rows (or rows under a condition), rounded.
    Count {
        /// The atom.
        atom: usize,
    },
    /// Distinct subjects of one class, rounded.
    Subjects {
        /// The atom whose contributors are counted.
        atom: usize,
        /// Index into the stage's classes.
        class: usize,
    },
    /// A sum: every atom rounded by itself, then combined.
    Sum {
        /// The combination.
        terms: Vec<Term>,
    },
    /// A mean or share: three significant digits of each part, clamped.
    Mean {
        /// The numerator, in parts: quantities added up over the same rows are one mean, any other is one of its own.
        parts: Vec<Vec<Term>>,
        /// The denominator: rows whose argument is present.
        count: usize,
        /// Interval of the argument, from declared ranges.
        low: f64,
        /// Interval of the argument, from declared ranges.
        high: f64,
    },
    /// A variance, correlation or the like.
    Moment {
        /// The statistic.
        statistic: Statistic,
        /// Rows that have all columns.
        count: usize,
        /// Of each column its sum and that of its squares, and of two the sum of their products.
        sums: Vec<usize>,
    },
    /// A quantile: the middle of the step up to whose end there are so many rows.
    Quantile {
        /// The share of rows, in percent.
        percent: u8,
        /// Rows below each inner edge of the steps, in order.
        below: Vec<usize>,
        /// Rows from each inner edge on.
        from: Vec<usize>,
        /// Rows that have a value.
        count: usize,
        /// The middle of each step: one more than there are inner edges.
        middles: Vec<f64>,
        /// Half the width of a step.
        half_step: f64,
    },
}

/// The statistics of one or of two columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistic {
    /// Variance; of a sample it is divided by one row less.
    Variance {
        /// Of a sample.
        sample: bool,
    },
    /// Root of the variance.
    Deviation {
        /// Of a sample.
        sample: bool,
    },
    /// Covariance.
    Covariance {
        /// Of a sample.
        sample: bool,
    },
    /// Pearson's correlation.
    Correlation,
    /// Rise of the line that fits the first column by the second best.
    Slope,
    /// The first column where that line has zero of the second.
    Intercept,
    /// Share of the first column's variance that the line explains.
    Fit,
    /// Sum of squares of the second column about its mean.
    SquaresX,
    /// Sum of squares of the first column about its mean.
    SquaresY,
    /// Sum of products of both about their means.
    Products,
}

/// An atom, by index, times a factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Term {
    /// The factor, pulled above the boundary.
    pub(crate) factor: f64,
    /// Index into the stage's atoms.
    pub(crate) atom: usize,
}

/// The controls of one stage, all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct StageControls {
    /// Strictest grade read.
    pub grade: Level,
    /// Dominance rule, if one applies.
    pub dominance: Option<Dominance>,
    /// Base that counts are rounded to.
    pub rounding: Option<u32>,
    /// Deviation of the noise of each named cell.
    pub perturbation: Option<u32>,
    /// Most cells that leave.
    pub cells_max: Option<u32>,
    /// Some of its cells choose by sensitive columns, and are held to their bases.
    pub homogeneity: bool,
    /// Its groups stand beside their parts or totals in the same answer, without noise.
    pub complementary: bool,
    /// People who look at what leaves.
    pub review: Review,
    /// Differential privacy, where the dataset is answered by it; no other control then sees a cell.
    pub(crate) privacy: Option<StagePrivacy>,
}
