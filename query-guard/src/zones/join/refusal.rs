//! The refusals that several kinds of join share, and the place of each.

use datafusion_common::Column;
use datafusion_expr::Expr;
use obscura_policies::vocabulary::Use;

use crate::column_facts::ColumnFacts;
use crate::column_facts::use_not_granted;
use crate::finding::Finding;
use crate::finding::Refused;
use crate::finding::first_span;
use crate::finding::internal;
use crate::reason::Reason;
use crate::source_rows::SourceRows;
use crate::zones::ZonePass;

impl ZonePass<'_> {
    /// The refusal of a join by a column, for the rule that its caller names, with the place of the column
    /// (`sandbox/docs/disclosure-model.md`, section 4.5).
    pub(super) fn not_joinable(&self, reason: Reason, column: &Column) -> Refused {
        join_refusal(reason).at(first_span(self.review.sql, &Expr::Column(column.clone()))).into()
    }

    /// The refusal of a join by a column that the grant does not let be used so, with its place.
    ///
    /// A join compares its columns, so that a column without the use would be filtered through another table
    /// (`sandbox/docs/disclosure-model.md`, section 4.6).
    pub(super) fn use_not_granted(&self, column: &Column, base: &ColumnFacts, wanted: Use) -> Refused {
        let place = first_span(self.review.sql, &Expr::Column(column.clone()));
        use_not_granted(base, wanted).at(place).into()
    }
}

/// The refusal of a join for the rule that its caller names, with the joins that are accepted
/// (`sandbox/docs/disclosure-model.md`, section 4.5).
pub(super) fn join_refusal(reason: Reason) -> Finding {
    Finding::of(reason).help(
        "join on the unit key of both datasets, on the unique key of an open table, or on its intervals that do not overlap",
        "请按双方的主体标识关联，或按开放表的唯一键或互不重叠的区间关联",
    )
}

pub(super) fn known<'b>(source_rows: &'b SourceRows, column: &Column) -> Result<&'b ColumnFacts, Refused> {
    source_rows.base(column).ok_or_else(internal)
}
