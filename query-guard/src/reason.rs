//! The reasons of refusals: one for each rule of the guard, finer than a code, each with a page of its own.
//! A reason holds no text: the page of its name in `sandbox/docs/refusals/` says what it is for, with a statement that is
//! refused for it and a near miss that is admitted; what would be accepted is said where the finding is made.

use crate::code::Code;

/// Writes the reasons, each with its slug, its code, and the roles of the data that it carries.
macro_rules! reasons {
    ($($(#[doc = $rule:literal])+ $reason:ident = $slug:literal, $code:ident $(, [$($role:literal),+])?;)+) => {
        /// The rule that refused; one place of the guard emits it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $rule])+ $reason,)+
        }

        impl Reason {
            /// All of them, in the order of their codes.
            pub const ALL: &'static [Reason] = &[$(Reason::$reason,)+];

            /// Stable kebab-case slug: the name of its page.
            #[must_use]
            pub fn slug(self) -> &'static str {
                match self {
                    $(Reason::$reason => $slug,)+
                }
            }

            /// The roles of the data that a finding of this reason carries: names that the analyst wrote, and parts of
            /// the grant and policy that the analyst may know. Never a value and never a count.
            #[must_use]
            pub fn carries(self) -> &'static [&'static str] {
                match self {
                    $(Reason::$reason => &[$($($role),+)?],)+
                }
            }

            /// The kind of refusal that it is.
            #[must_use]
            pub fn code(self) -> Code {
                match self {
                    $(Reason::$reason => Code::$code,)+
                }
            }
        }
    };
}

reasons! {
    /// The text cannot be read as SQL.
    NotSql = "not-sql", SqlSyntax;
    /// There is no statement, or more than one.
    NotOneStatement = "not-one-statement", StatementNotAllowed;
    /// The statement is another than a query.
    StatementIsNoQuery = "statement-is-no-query", StatementNotAllowed;
    /// A clause that the planner would ignore, or that multiplies work unseen.
    ClauseNotAllowed = "clause-not-allowed", StatementNotAllowed, ["clause"];
    /// WITH RECURSIVE, over anything.
    QueryRecurs = "query-recurs", StatementNotAllowed, ["clause"];
    /// A step of the plan that no rule looks at.
    PlanStepNotListed = "plan-step-not-listed", StatementNotAllowed;
    /// The text has too many bytes.
    TextTooLong = "text-too-long", QueryTooLarge, ["limit"];
    /// Brackets or CASE are nested too deeply.
    NestedTooDeeply = "nested-too-deeply", QueryTooLarge, ["limit"];
    /// The text has too many operators.
    TooManyOperators = "too-many-operators", QueryTooLarge, ["limit"];
    /// The text has too many tokens.
    TooManyTokens = "too-many-tokens", QueryTooLarge, ["limit"];
    /// Queries within queries are too deep.
    SubqueriesTooDeep = "subqueries-too-deep", QueryTooLarge, ["limit"];
    /// Functions, CASE, CAST and predicates within one another are too deep.
    FunctionsTooDeep = "functions-too-deep", QueryTooLarge, ["limit"];
    /// The text reads too many tables.
    TooManyTables = "too-many-tables", QueryTooLarge, ["limit"];
    /// Too many tables, once common table expressions are written out.
    TooManyTablesWrittenOut = "too-many-tables-written-out", QueryTooLarge, ["limit"];
    /// The plan has too many joins.
    TooManyJoins = "too-many-joins", QueryTooLarge, ["limit"];
    /// The plan has too many steps.
    TooManySteps = "too-many-steps", QueryTooLarge, ["limit"];
    /// An atom would be made of too many named cells.
    TooManyNames = "too-many-names", QueryTooLarge, ["limit"];
    /// More columns meet in a number with noise than a policy opens together.
    TooManyColumnsMeet = "too-many-columns-meet", QueryTooLarge, ["limit"];
    /// Columns meet in a number with noise that a policy does not open together.
    ColumnsNotOpenedTogether = "columns-not-opened-together", UseNotGranted, ["dataset"];
    /// More numbers are measured with noise than the price of a question buys.
    TooManyMeasured = "too-many-measured", QueryTooLarge, ["limit"];
    /// One GROUP BY stands for too many sets of keys.
    TooManyGroupingSets = "too-many-grouping-sets", QueryTooLarge, ["limit"];
    /// Texts are joined to one another too often.
    TextsGrowTooMuch = "texts-grow-too-much", QueryTooLarge, ["limit"];
    /// The result has too many columns.
    TooManyOutputColumns = "too-many-output-columns", QueryTooLarge, ["limit"];
    /// An expression has too many parts once names are written out.
    ExpressionTooLarge = "expression-too-large", QueryTooLarge, ["limit"];
    /// An expression over individuals has too many nodes.
    DefinedTooLarge = "defined-too-large", QueryTooLarge, ["limit"];
    /// The review has spent what it may spend.
    ReviewTooCostly = "review-too-costly", QueryTooLarge, ["limit"];
    /// Too many comparisons over individuals.
    TooManyComparisons = "too-many-comparisons", QueryTooLarge, ["limit"];
    /// Too many literals over individuals.
    TooManyLiterals = "too-many-literals", QueryTooLarge, ["limit"];
    /// Too many aggregations over individuals.
    TooManyAggregations = "too-many-aggregations", QueryTooLarge, ["limit"];
    /// Too many group keys over individuals.
    TooManyGroupKeys = "too-many-group-keys", QueryTooLarge, ["limit"];
    /// Open and released tables come to too many rows where they are joined.
    TooManyJoinedRows = "too-many-joined-rows", QueryTooLarge, ["limit"];
    /// No dataset of this name is in the job's scope.
    DatasetNotFound = "dataset-not-found", DatasetNotFound, ["dataset"];
    /// No column of this name is in the job's scope.
    ColumnNotInScope = "column-not-in-scope", ColumnNotInScope, ["column"];
    /// The grant does not let the column be used in this way.
    UseNotGranted = "use-not-granted", UseNotGranted, ["column", "use"];
    /// A column that may not be filtered is put into intervals of a table.
    IntervalWithoutFilter = "interval-without-filter", UseNotGranted, ["column", "use"];
    /// The column is no number of a subject that could be added up.
    NoQuantity = "no-quantity", UseNotGranted, ["column", "use"];
    /// The column has no declared range to protect its sum by.
    RangeNotDeclared = "range-not-declared", UseNotGranted, ["column", "use"];
    /// The function is not on the guard's list.
    FunctionNotListed = "function-not-listed", FunctionNotAllowed, ["function"];
    /// A dataset's policy does not allow the aggregate.
    FunctionNotInPolicy = "function-not-in-policy", FunctionNotAllowed, ["function"];
    /// The third argument of LAG or LEAD is no constant.
    ShiftDefaultNotConstant = "shift-default-not-constant", FunctionNotAllowed, ["function"];
    /// The engine does not estimate distinct values of this type.
    DistinctNotEstimated = "distinct-not-estimated", FunctionNotAllowed, ["function"];
    /// Several tables have a column of this name.
    ColumnAmbiguous = "column-ambiguous", QueryNotUnderstood, ["column"];
    /// The function takes other arguments.
    ArgumentsNotTaken = "arguments-not-taken", QueryNotUnderstood, ["function"];
    /// Two output columns are the same.
    OutputColumnTwice = "output-column-twice", QueryNotUnderstood;
    /// A column is neither grouped nor aggregated.
    ColumnNotGrouped = "column-not-grouped", QueryNotUnderstood;
    /// A ranking or shifting window function has a filter.
    WindowFiltered = "window-filtered", QueryNotUnderstood;
    /// The engine cannot plan the query, for a reason that it has no kind for.
    NotPlanned = "not-planned", QueryNotUnderstood;
    /// An output column holds lists or structures.
    OutputIsNested = "output-is-nested", QueryNotUnderstood;
    /// Two lists of one value are combined, which the engine answers wrongly.
    ListsOfOneValue = "lists-of-one-value", QueryNotUnderstood, ["operation"];
    /// A cast to fewer decimal places is compared, which the engine answers wrongly.
    CastToFewerPlaces = "cast-to-fewer-places", QueryNotUnderstood, ["operation"];
    /// There is no cast between the two types.
    NoSuchCast = "no-such-cast", QueryNotUnderstood, ["operation"];
    /// The value has no negative.
    NoSuchNegative = "no-such-negative", QueryNotUnderstood, ["operation"];
    /// Rows about individuals would be the result.
    RowsWouldLeave = "rows-would-leave", RowLevelOutput;
    /// A unit key is compared, computed with or grouped.
    UnitKeyCompared = "unit-key-compared", UnitKeyNotComparable, ["column"];
    /// An identifier is compared, computed with or grouped.
    IdentifierRead = "identifier-read", UnitKeyNotComparable, ["column"];
    /// The condition is of no listed kind.
    ConditionNotListed = "condition-not-listed", PredicateNotAllowed;
    /// The condition is neither true nor false.
    ConditionNotTruth = "condition-not-truth", PredicateNotAllowed;
    /// The operator is no comparison.
    OperatorNotListed = "operator-not-listed", PredicateNotAllowed;
    /// The expression is no column and no coarser form of one.
    FormNotListed = "form-not-listed", PredicateNotAllowed;
    /// A cast loses part of the value, which is a condition in disguise.
    NarrowingCast = "narrowing-cast", PredicateNotAllowed;
    /// The IN list has too many literals.
    ListTooLong = "list-too-long", PredicateNotAllowed;
    /// The IN list holds something that is no literal.
    ListNotConstant = "list-not-constant", PredicateNotAllowed;
    /// The pattern is no prefix on a coded column.
    PatternNotPrefix = "pattern-not-prefix", PredicateNotAllowed;
    /// The prefix is longer than what the mask keeps.
    PrefixNotKept = "prefix-not-kept", PredicateNotAllowed, ["mask"];
    /// A number is compared with a column of texts.
    NumberBesideText = "number-beside-text", PredicateNotAllowed, ["column", "quote"];
    /// A subject's own rows are ordered by what the analyst chose.
    OrderedByChoice = "ordered-by-choice", PredicateNotAllowed;
    /// Two sides are compared neither of which is a literal, and one is no column.
    ExpressionsCompared = "expressions-compared", PredicateNotAllowed;
    /// A label of the analyst's is compared with a column.
    LabelCompared = "label-compared", PredicateNotAllowed;
    /// A measure, or a column with bins, is compared with a column that may be pinned.
    MeasureComparedWithOther = "measure-compared-with-other", PredicateNotAllowed;
    /// A masked column is compared with another column.
    MaskedColumnsCompared = "masked-columns-compared", PredicateNotAllowed;
    /// A stepped column is compared with numbers that the analyst chooses.
    ChosenNumberCompared = "chosen-number-compared", PredicateNotAllowed;
    /// Columns of two subjects are compared.
    TwoSubjectsCompared = "two-subjects-compared", PredicateNotAllowed;
    /// The time lies between dates of two subjects, or between masked ones.
    TimeBetweenNotTold = "time-between-not-told", PredicateNotAllowed;
    /// A number computed of results stands in a condition on individuals.
    ComputedResultCompared = "computed-result-compared", PredicateNotAllowed;
    /// A computed value of individuals is compared with a result.
    ExpressionAgainstResult = "expression-against-result", PredicateNotAllowed;
    /// A measure is compared with a result that is not its own mean.
    ResultNotOwnMean = "result-not-own-mean", PredicateNotAllowed;
    /// A measure is tested for being equal to a result.
    EqualToMean = "equal-to-mean", PredicateNotAllowed;
    /// The mask does not show this form of the column.
    MaskHidesForm = "mask-hides-form", PredicateNotAllowed, ["mask"];
    /// The masked numbers have no edges to cut at.
    MaskWithoutEdges = "mask-without-edges", PredicateNotAllowed;
    /// A masked text is compared with what the mask does not leave.
    MaskedTextCompared = "masked-text-compared", PredicateNotAllowed, ["mask", "asked", "shown"];
    /// A redacted column is read.
    RedactedColumnRead = "redacted-column-read", PredicateNotAllowed;
    /// The literal equals no value of the masked column.
    NoSuchValue = "no-such-value", PredicateNotAllowed;
    /// The literal is no number that can be told from its neighbours.
    LiteralNotExact = "literal-not-exact", PredicateNotAllowed;
    /// A measure without bins is cut.
    MeasureWithoutBins = "measure-without-bins", PredicateNotAllowed;
    /// A measure is cut beside an edge of its bins.
    MeasureCutBesideEdge = "measure-cut-beside-edge", PredicateNotAllowed, ["column", "cut", "next"];
    /// Cells have no names where a condition or key is made of no nodes of single columns.
    ConditionWithoutNames = "condition-without-names", PredicateNotAllowed;
    /// The bins start beside a multiple of their width, so that steps would cut them.
    BinsOffMultiples = "bins-off-multiples", PredicateNotAllowed;
    /// The step is no whole number.
    StepNotWhole = "step-not-whole", PredicateNotAllowed;
    /// The group key is no column, no coarser form of one and no CASE over these.
    KeyNotListed = "key-not-listed", GroupKeyNotAllowed;
    /// A column with bins is grouped by its single values.
    MeasureGroupedBare = "measure-grouped-bare", GroupKeyNotAllowed, ["column"];
    /// The literal lies between two edges of a mask or of bins.
    LiteralOffEdge = "literal-off-edge", LiteralOffEdge, ["column", "literal", "below", "above"];
    /// A step around zero is twice as wide as the others, and cuts the bin below zero.
    StepAroundZero = "step-around-zero", PredicateNotAllowed;
    /// A condition or key tells values of one node apart.
    ConditionWithinNode = "condition-within-node", LiteralOffEdge, ["column"];
    /// A count of a subject's own rows is compared above its cap.
    CountBeyondCap = "count-beyond-cap", LiteralOffEdge, ["column", "literal"];
    /// The step is no multiple of the step that the column is known in.
    StepOffEdges = "step-off-edges", LiteralOffEdge, ["column", "literal", "below", "above"];
    /// An aggregate has an order, or leaves out missing values.
    AggregateOfSomeValues = "aggregate-of-some-values", AggregateNotAllowed, ["function"];
    /// An aggregate adds up distinct values, or has arguments that it is not released with.
    AggregateDistinct = "aggregate-distinct", AggregateNotAllowed, ["function"];
    /// COUNT(DISTINCT CASE ...) has several branches.
    DistinctOfSeveralCases = "distinct-of-several-cases", AggregateNotAllowed, ["function"];
    /// There is no control for the aggregate.
    AggregateNotBuilt = "aggregate-not-built", ControlNotAvailable, ["function"];
    /// A percentile at another level than those that are released.
    PercentileNotListed = "percentile-not-listed", ControlNotAvailable, ["function"];
    /// The quantile of a column that is not known in steps of its own.
    QuantileWithoutSteps = "quantile-without-steps", ControlNotAvailable, ["column", "function"];
    /// COUNT(DISTINCT) counts values and not subjects.
    ValuesCountedOnce = "values-counted-once", ControlNotAvailable, ["function"];
    /// ROLLUP, CUBE and GROUPING SETS, of which a set has the unit keys.
    SeveralGroupings = "several-groupings", ControlNotAvailable, ["function"];
    /// The policy releases nothing of the dataset.
    NothingReleased = "nothing-released", ControlNotAvailable, ["dataset"];
    /// A row filter of the policy or grant cannot be applied.
    RowFilterNotApplied = "row-filter-not-applied", ControlNotAvailable, ["control", "dataset"];
    /// No floor holds for the grade.
    GradeWithoutFloor = "grade-without-floor", ControlNotAvailable, ["grade"];
    /// The grade asks for a control that is not built.
    ControlNotBuilt = "control-not-built", ControlNotAvailable, ["grade", "control"];
    /// Rows of several relations, or of a subject's own statistics, have no bound under differential privacy.
    PrivacyOfOneTable = "privacy-of-one-table", ControlNotAvailable, ["dataset"];
    /// Differential privacy protects subjects of one kind.
    PrivacyOfOneUnit = "privacy-of-one-unit", ControlNotAvailable, ["dataset"];
    /// The aggregate has no form with the noise of differential privacy.
    AggregateWithoutPrivacy = "aggregate-without-privacy", ControlNotAvailable, ["dataset"];
    /// The cells of rows that were joined, united or folded first have no names yet.
    RowsWithoutNames = "rows-without-names", ControlNotAvailable;
    /// Conditions choose by sensitive columns together with others.
    SensitiveConditionsMixed = "sensitive-conditions-mixed", ControlNotAvailable;
    /// The rows that a subject is asked for are several nodes of a column.
    FoldedRowsNotOneNode = "folded-rows-not-one-node", ControlNotAvailable;
    /// The column has no published domain whose nodes could be named.
    DomainNotPublished = "domain-not-published", ControlNotAvailable, ["column"];
    /// Sums of a protected grade have no rule of dominance.
    SumsWithoutDominance = "sums-without-dominance", ControlNotAvailable, ["control"];
    /// Rows are added up that a join or union may repeat.
    CopiedRowsSummed = "copied-rows-summed", AggregateNotDecomposable;
    /// The argument is no linear combination of measures.
    NotLinear = "not-linear", AggregateNotDecomposable;
    /// A number in the argument is too large.
    NumberTooLarge = "number-too-large", AggregateNotDecomposable;
    /// The argument has too many terms once products are multiplied out.
    TooManyTerms = "too-many-terms", AggregateNotDecomposable;
    /// Three measures are multiplied.
    ProductOfThree = "product-of-three", AggregateNotDecomposable;
    /// A measure is multiplied by what was counted per subject.
    MeasureWeighted = "measure-weighted", AggregateNotDecomposable;
    /// The divisor is no constant.
    DivisorNotConstant = "divisor-not-constant", AggregateNotDecomposable;
    /// Whole numbers are divided in every row, which cuts off.
    WholeNumbersDivided = "whole-numbers-divided", AggregateNotDecomposable;
    /// A constant in the argument is no exact number.
    ConstantNotExact = "constant-not-exact", AggregateNotDecomposable;
    /// No branch of a CASE yields a value.
    CaseWithoutValue = "case-without-value", AggregateNotDecomposable;
    /// Individuals are counted by a value that was computed of results.
    ComputedResultCounted = "computed-result-counted", AggregateNotDecomposable;
    /// COUNT has an argument whose presence is a condition of its own.
    ExpressionCounted = "expression-counted", AggregateNotDecomposable;
    /// Numbers of an open table are added up over individuals.
    TableNumbersSummed = "table-numbers-summed", AggregateNotDecomposable;
    /// The time between two dates is added up.
    TimeBetweenSummed = "time-between-summed", AggregateNotDecomposable;
    /// The time between two dates is averaged over rows chosen by it.
    MeanOfChosenTimes = "mean-of-chosen-times", AggregateNotDecomposable, ["column"];
    /// The aggregate is none of those over a subject's own rows.
    NotOverOwnRows = "not-over-own-rows", AggregateNotDecomposable, ["function"];
    /// Two relations of individuals meet without an equal unit key.
    NoSharedUnitKey = "no-shared-unit-key", JoinNotAllowed;
    /// A unit key is equated with something other than a key of the same kind.
    UnitKeyMeetsOther = "unit-key-meets-other", JoinNotAllowed;
    /// A measure, an identifier or a label is equated beside the key.
    ColumnNotEquated = "column-not-equated", JoinNotAllowed;
    /// Columns of two subjects are equated beside the key.
    TwoSubjectsEquated = "two-subjects-equated", JoinNotAllowed;
    /// Missing values would match by an expression.
    MissingWouldMatch = "missing-would-match", JoinNotAllowed;
    /// Subjects of one side would no longer be counted.
    SubjectsWouldBeLost = "subjects-would-be-lost", JoinNotAllowed;
    /// A column made on the outer side of a join has no key that says where it is missing.
    OuterColumnMade = "outer-column-made", JoinNotAllowed;
    /// A row may meet several rows of an open or released table.
    MayMeetSeveralRows = "may-meet-several-rows", JoinNotAllowed;
    /// A unit key, an identifier, a label or a measure meets a table.
    ColumnMeetsNoTable = "column-meets-no-table", JoinNotAllowed;
    /// A table's numbers would cut a mask in two.
    TableWouldCutMask = "table-would-cut-mask", JoinNotAllowed;
    /// Rows of a table would be chosen by the individuals that they meet.
    TableChosenByIndividuals = "table-chosen-by-individuals", JoinNotAllowed;
    /// USING of a FULL or RIGHT JOIN, whose key the engine loses.
    OuterJoinUsing = "outer-join-using", JoinNotAllowed, ["operation"];
    /// The joins make too many rows of one subject's rows.
    TooManyRowsOfOne = "too-many-rows-of-one", JoinNotAllowed;
    /// The policies of both datasets do not name each other.
    PoliciesDoNotAgree = "policies-do-not-agree", JoinNotAgreed, ["left", "right"];
    /// LIMIT over individuals.
    RowsLimited = "rows-limited", OperationOverIndividuals, ["operation"];
    /// DISTINCT ON over individuals.
    DistinctOnRows = "distinct-on-rows", OperationOverIndividuals, ["operation"];
    /// UNNEST, over anything.
    ListsUnnested = "lists-unnested", OperationOverIndividuals, ["operation"];
    /// Individuals are united with rows of an open or released table.
    UnionWithTable = "union-with-table", OperationOverIndividuals, ["operation"];
    /// Individuals of other subjects are united.
    UnionOfOtherSubjects = "union-of-other-subjects", OperationOverIndividuals, ["operation"];
    /// Columns that are no bare ones of one kind are united.
    UnionOfOtherColumns = "union-of-other-columns", OperationOverIndividuals, ["operation"];
    /// A literal stands beside a column in a union.
    UnionWithLiteral = "union-with-literal", OperationOverIndividuals, ["operation"];
    /// A window holds rows of several subjects.
    WindowOverOthers = "window-over-others", OperationOverIndividuals, ["operation"];
    /// A frame reaches as far as a value.
    FrameByValue = "frame-by-value", OperationOverIndividuals, ["operation"];
    /// A frame reaches too far, or ends before it begins.
    FrameTooFar = "frame-too-far", OperationOverIndividuals, ["operation"];
    /// A window function leaves out repeated or missing values.
    WindowOfSomeValues = "window-of-some-values", OperationOverIndividuals, ["operation"];
    /// A value is carried between rows that is no column of the subject's.
    ValueNotCarried = "value-not-carried", OperationOverIndividuals, ["operation"];
    /// The window function, or its arguments, are on no list.
    WindowFunctionNotListed = "window-function-not-listed", OperationOverIndividuals, ["operation"];
    /// A subquery as a value is not one released value.
    SubqueryNotOneValue = "subquery-not-one-value", SubqueryNotAllowed;
    /// A subquery beside individuals is no mean of a measure.
    SubqueryNotOwnMean = "subquery-not-own-mean", SubqueryNotAllowed;
    /// NOT IN that the engine answers otherwise than the standard.
    NotInSubquery = "not-in-subquery", SubqueryNotAllowed, ["operation"];
    /// OFFSET within EXISTS or IN, which is forgotten.
    SubqueryWithOffset = "subquery-with-offset", SubqueryNotAllowed, ["operation"];
    /// An aggregate without keys within EXISTS or IN, whose row is lost.
    SubqueryOfOneRow = "subquery-of-one-row", SubqueryNotAllowed, ["operation"];
    /// A constant expression has no value.
    ConstantHasNoValue = "constant-has-no-value", ConstantNotEvaluated;
    /// A plan of the guard's own could not be put together.
    PlanNotBuilt = "plan-not-built", InternalError;
    /// A fact that the guard relies on is missing.
    FactMissing = "fact-missing", InternalError;
}

impl Reason {
    /// Says if it tells no more than that an expression is of no listed form, which is told otherwise of a group key.
    pub(crate) fn is_of_no_form(self) -> bool {
        matches!(
            self,
            Self::ComputedResultCompared
                | Self::ConditionNotListed
                | Self::ConditionNotTruth
                | Self::FormNotListed
                | Self::NarrowingCast
                | Self::OperatorNotListed
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_slug_is_the_name_of_its_reason() {
        for reason in Reason::ALL {
            let joined = reason.slug().replace('-', "");
            assert_eq!(joined, format!("{reason:?}").to_lowercase());
        }
        let slugs: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.slug()).collect();
        assert_eq!(slugs.len(), Reason::ALL.len());
    }
}
