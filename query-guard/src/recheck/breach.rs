//! The faults that the second look finds, each with the text for the operator's log. No text holds data or names of the analyst.

/// A difference between a plan and its terms: a bug of the guard or of the engine, for which nothing may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Breach {
    /// The plan or its controls are not those that were admitted.
    NotAsAdmitted,
    /// A table that the plan may not read.
    Table,
    /// A column that the job may not use.
    Column,
    /// A value that is used without its mask or outside of its domain.
    RawValue,
    /// A mask or domain that is not the one of the policy.
    OtherTreatment,
    /// Rows without a row filter of the policy, or rows without a subject.
    RowFilter,
    /// A unit key that is used for anything but telling subjects apart.
    UnitKey,
    /// A count of a subject's own rows that is not cut off.
    UncappedCount,
    /// A step of the plan that may not stand over individuals, or not at all.
    Node,
    /// A function that may not run at all.
    Function,
    /// A join of individuals that is not on their unit key, or meets several rows.
    Join,
    /// An aggregation over a subject's own rows or a window that is not by the unit key.
    PerSubject,
    /// Individuals that do not end in the fold of their stage.
    Fold,
    /// A class of subjects that no fold counts.
    Subjects,
    /// A fold that counts rows in the place of subjects, or relies on an order that is not there.
    SubjectsMode,
    /// A number that is not clamped to the declared range.
    Clamp,
    /// Statistics of cells that are less exact than their controls need.
    Statistics,
    /// A threshold below that of the policy.
    Threshold,
    /// Another control that is laxer than the policy.
    Controls,
    /// A stage that chooses by sensitive columns and has no bases for that.
    Homogeneity,
    /// A stage without its differential privacy, or with wider bounds than the policy's.
    Privacy,
    /// Noise for less than a question tells, or a price above the budget.
    Charge,
    /// The physical plan is not the one that was looked at.
    Physical,
}

impl Breach {
    /// The text for the operator's log.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Breach::NotAsAdmitted => "not the admitted plan",
            Breach::Table => "table off the list",
            Breach::Column => "column off the list",
            Breach::RawValue => "raw value used",
            Breach::OtherTreatment => "another mask or domain",
            Breach::RowFilter => "row filter missing",
            Breach::UnitKey => "unit key used",
            Breach::UncappedCount => "count not cut off",
            Breach::Node => "step off the list",
            Breach::Function => "unknown function",
            Breach::Join => "join not on the unit key",
            Breach::PerSubject => "rows of several subjects together",
            Breach::Fold => "stage without fold",
            Breach::Subjects => "subjects not counted",
            Breach::SubjectsMode => "rows counted as subjects",
            Breach::Clamp => "clamp missing",
            Breach::Statistics => "statistics not kept",
            Breach::Threshold => "threshold too low",
            Breach::Controls => "controls too lax",
            Breach::Homogeneity => "cells without their bases",
            Breach::Privacy => "differential privacy too lax",
            Breach::Charge => "noise not worth the price",
            Breach::Physical => "another physical plan",
        }
    }
}
