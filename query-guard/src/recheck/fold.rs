//! The end of a stage: a fold that counts every class of subjects, clamps every number and keeps the statistics that the controls
//! of the policy need; and the controls themselves, which are at least those of the policy.

use datafusion_expr::Aggregate;
use datafusion_expr::Expr;
use datafusion_expr::LogicalPlan;
use datafusion_expr::expr::AggregateFunction;
use obscura_policies::effective::Controls;
use obscura_policies::fixed::Fixed;

use super::Breach;
use super::expression::Leaves;
use super::expression::written_out;
use super::homogeneity;
use super::privacy::Private;
use super::range::conditional;
use super::range::range_of;
use super::relation::Leaf;
use super::relation::Read;
use super::relation::Relation;
use super::relation::Subject;
use super::relation::bare;
use super::walk::Walk;
use crate::at_least::least_of;
use crate::cell::AtomSpec;
use crate::cell::CellFold;
use crate::cell::MeasureSpec;
use crate::cell::Subjects;
use crate::cell::fold_of;
use crate::plan::Formula;
use crate::plan::GuardedPlan;
use crate::plan::Stage;
use crate::plan::StageAtom;
use crate::plan::StageClass;

/// Holds a stage's plan and its controls to the terms.
///
/// # Errors
/// The first breach.
pub(super) fn stage(
    walk: &mut Walk<'_>,
    guarded: &GuardedPlan,
    stage: &Stage,
    plan: &LogicalPlan,
) -> Result<(), Breach> {
    let Some(aggregate) = root(stage, plan)? else { return Ok(()) };
    // A further key that no column shows would divide groups.
    if aggregate.group_expr.len() > stage.keys.len() {
        return Err(Breach::Fold);
    }
    let relation = walk.settled(&aggregate.input)?;
    let inputs = [(aggregate.input.as_ref(), &relation)];
    let mut read = relation.read.clone();
    // The engine leaves out keys that are constant.
    let mut keys = vec![false; stage.keys.len()];
    for key in &aggregate.group_expr {
        let written = written_out(key, &inputs)?;
        walk.leaves.used(&written, &mut read)?;
        let name = key.schema_name().to_string();
        let at = stage.keys.iter().position(|known| known.name == name);
        if walk.leaves.reads_sensitive(&written) {
            *at.and_then(|at| keys.get_mut(at)).ok_or(Breach::Homogeneity)? = true;
        }
    }
    let mut folds = Vec::with_capacity(aggregate.aggr_expr.len());
    for call in &aggregate.aggr_expr {
        match written_out(call, &inputs)? {
            Expr::AggregateFunction(call) => folds.push(call),
            _ => return Err(Breach::Fold),
        }
    }
    if folds.len() != stage.classes.len() || folds.is_empty() {
        return Err(Breach::Subjects);
    }
    let private = Private::of(walk.leaves.terms, stage, &relation.read.datasets)?;
    if relation.empty {
        // The engine has found that there is no row, whatever the data is: nothing is folded, and the threshold withholds it.
        return controls(&walk.leaves, stage, &read, private.as_ref()).map(|_strictest| ());
    }
    if !relation.is_individual() || relation.subjects.len() > folds.len() {
        return Err(Breach::Subjects);
    }
    if let Some(private) = &private {
        private.rows(&aggregate.input)?;
    }
    // Each class has a fold of its own, which was admitted for its kind.
    let mut left: Vec<usize> = (0..folds.len()).collect();
    for subject in &relation.subjects {
        let counts = |at: &usize| {
            let class = stage.classes.get(*at).filter(|class| class.unit == subject.kind);
            let of = folds.get(*at).and_then(|call| call.params.args.first());
            class.is_some() && of.is_some_and(|of| tells_apart(of, subject, &relation))
        };
        let found = left.iter().position(counts).ok_or(Breach::SubjectsMode)?;
        let at = left.remove(found);
        let (Some(class), Some(call)) = (stage.classes.get(at), folds.get(at)) else {
            return Err(Breach::Subjects);
        };
        let fold = Fold { stage, class, subject, relation: &relation, private: private.as_ref() };
        let conditions = fold.check(&walk.leaves, call, &mut read)?;
        if private.is_none() {
            homogeneity::bases(guarded, stage, &relation, &keys, &conditions)?;
        }
    }
    if !left.is_empty() {
        return Err(Breach::Subjects);
    }
    let due = controls(&walk.leaves, stage, &read, private.as_ref())?;
    match (&private, folds.as_slice()) {
        (None, _) => Ok(()),
        (Some(private), [call]) => {
            let fold = fold_of(&call.func).ok_or(Breach::Fold)?;
            private.bounds(guarded, fold, aggregate.group_expr.len(), due)
        }
        (Some(_), _) => Err(Breach::Subjects),
    }
}

/// The aggregate that a stage ends in; nothing where the engine has found that it has no row.
fn root<'p>(stage: &Stage, plan: &'p LogicalPlan) -> Result<Option<&'p Aggregate>, Breach> {
    let due = stage.keys.iter().map(|key| &key.name).chain(stage.classes.iter().map(|class| &class.cells));
    let fields = plan.schema().fields();
    if !fields.iter().map(|field| field.name()).eq(due) {
        return Err(Breach::Fold);
    }
    let mut node = plan;
    loop {
        match node {
            LogicalPlan::Aggregate(aggregate) => return Ok(Some(aggregate)),
            LogicalPlan::Projection(projection) => {
                let is_plain =
                    |expr: &Expr| matches!(expr.clone().unalias(), Expr::Column(_) | Expr::Literal(..));
                if !projection.expr.iter().all(is_plain) {
                    return Err(Breach::Fold);
                }
                node = &projection.input;
            }
            LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => return Ok(None),
            _ => return Err(Breach::Fold),
        }
    }
}

/// True if the first argument of a fold tells the subjects of a class apart: their key, or nothing where each has one row.
fn tells_apart(argument: &Expr, subject: &Subject, relation: &Relation) -> bool {
    match argument {
        Expr::Literal(..) => subject.one_row,
        key => relation
            .class_of(key)
            .and_then(|class| relation.subjects.get(class))
            .is_some_and(|class| class.keys == subject.keys && class.kind == subject.kind),
    }
}

/// One fold of a stage.
struct Fold<'s> {
    stage: &'s Stage,
    class: &'s StageClass,
    subject: &'s Subject,
    relation: &'s Relation,
    private: Option<&'s Private<'s>>,
}

impl Fold<'_> {
    /// Looks at the fold; says of each atom whether its condition reads a sensitive column.
    fn check(
        &self,
        leaves: &Leaves<'_>,
        call: &AggregateFunction,
        read: &mut Read,
    ) -> Result<Vec<bool>, Breach> {
        let params = &call.params;
        if params.distinct || params.filter.is_some() || !params.order_by.is_empty() {
            return Err(Breach::Fold);
        }
        let [subject, arguments @ ..] = params.args.as_slice() else { return Err(Breach::Fold) };
        let controls = &self.stage.controls;
        if let Some(least) = least_of(&call.func) {
            // It keeps no number but that of subjects, and stops at the threshold.
            let asks_for_more = !self.stage.columns.is_empty()
                || controls.perturbation.is_some()
                || self.private.is_some()
                || self.is_compared()
                || !arguments.is_empty()
                || !leaves.is_key(subject);
            let is_enough = least >= self.class.subjects_min;
            return if is_enough && !asks_for_more { Ok(Vec::new()) } else { Err(Breach::Statistics) };
        }
        let fold = fold_of(&call.func).ok_or(Breach::Fold)?;
        self.mode(leaves, fold, subject)?;
        match self.private {
            Some(private) => private.fold(fold)?,
            None if fold.is_by_subject() => return Err(Breach::SubjectsMode),
            None => {}
        }
        let counts_subjects = self.stage.columns.iter().any(|column| is_of_subjects(&column.formula));
        let asks_for_all = controls.dominance.is_some()
            || controls.perturbation.is_some()
            || counts_subjects
            || self.is_compared()
            || self.private.is_some();
        let is_enough = match fold.enough() {
            None => true,
            Some(enough) => !asks_for_all && enough >= u64::from(self.class.subjects_min),
        };
        if !is_enough || fold.atoms().len() != self.stage.atoms.len() {
            return Err(Breach::Statistics);
        }
        let mut rest = arguments.iter();
        let mut conditions = Vec::with_capacity(self.stage.atoms.len());
        for (spec, atom) in fold.atoms().iter().zip(&self.stage.atoms) {
            conditions.push(rest.as_slice().first().is_some_and(|argument| chooses(leaves, spec, argument)));
            self.atom(leaves, spec, atom, &mut rest, read)?;
        }
        if rest.next().is_some() { Err(Breach::Statistics) } else { Ok(conditions) }
    }

    /// Its numbers of subjects are compared with those of other cells, and none of them may be cut off.
    fn is_compared(&self) -> bool {
        self.stage.is_base || self.stage.controls.homogeneity
    }

    /// The way of telling subjects apart fits what is known of the rows.
    fn mode(&self, leaves: &Leaves<'_>, fold: &CellFold, subject: &Expr) -> Result<(), Breach> {
        let is_key = leaves.is_key(subject);
        let fits = match fold.subjects() {
            Subjects::EachRow => self.subject.one_row,
            Subjects::Mapped => is_key,
            Subjects::Clustered => {
                is_key && self.class.clustered && self.relation.clustered && self.relation.subjects.len() == 1
            }
        };
        if fits { Ok(()) } else { Err(Breach::SubjectsMode) }
    }

    fn atom<'a>(
        &self,
        leaves: &Leaves<'_>,
        spec: &AtomSpec,
        atom: &StageAtom,
        arguments: &mut impl Iterator<Item = &'a Expr>,
        read: &mut Read,
    ) -> Result<(), Breach> {
        let mut next = |read: &mut Read| -> Result<&'a Expr, Breach> {
            let argument = arguments.next().ok_or(Breach::Statistics)?;
            leaves.used(argument, read)?;
            Ok(argument)
        };
        match spec {
            AtomSpec::Rows { conditional } => {
                if *conditional {
                    next(read)?;
                }
                if atom.counts { Ok(()) } else { Err(Breach::Statistics) }
            }
            AtomSpec::Measure(spec) => {
                let argument = next(read)?;
                let value = conditional(argument).unwrap_or(argument);
                let range = range_of(leaves, value);
                clamped(leaves, spec, value, range)?;
                if atom.scale != spec.scale || (atom.counts && !leaves.is_count(value)) {
                    return Err(Breach::Statistics);
                }
                let width = range.and_then(|(low, high)| high.checked_sub(low));
                // Numbers of differential privacy are not rounded.
                let is_rounded = !atom.counts && self.private.is_none();
                let is_as_wide = !is_rounded || width.is_none_or(|width| atom.width >= width);
                if is_as_wide { Ok(()) } else { Err(Breach::Statistics) }
            }
            AtomSpec::Product(one, other) => {
                for spec in [one, other] {
                    let argument = next(read)?;
                    let value = conditional(argument).unwrap_or(argument);
                    clamped(leaves, spec, value, range_of(leaves, value))?;
                }
                let is_exact = !atom.counts && Some(atom.scale) == one.scale.checked_add(other.scale);
                if is_exact { Ok(()) } else { Err(Breach::Statistics) }
            }
        }
    }
}

/// True if an atom, whose first argument this is, has a condition that reads a sensitive column.
fn chooses(leaves: &Leaves<'_>, spec: &AtomSpec, argument: &Expr) -> bool {
    match (spec, argument) {
        (AtomSpec::Rows { conditional }, argument) => *conditional && leaves.reads_sensitive(argument),
        (AtomSpec::Measure(_) | AtomSpec::Product(..), Expr::Case(case)) => {
            case.when_then_expr.iter().any(|(when, _)| leaves.reads_sensitive(when))
        }
        (AtomSpec::Measure(_) | AtomSpec::Product(..), _) => false,
    }
}

/// True if a number is cut at the ends of its declared range, or further within.
fn clamped(
    leaves: &Leaves<'_>,
    spec: &MeasureSpec,
    value: &Expr,
    range: Option<(Fixed, Fixed)>,
) -> Result<(), Breach> {
    let Some((low, high)) = range else {
        // A number that is computed has the range of its formula, which no document declares; one of a column must have one.
        return if bare(value).is_some_and(|column| matches!(leaves.get(&column.name), Some(Leaf::Raw { .. })))
        {
            Err(Breach::Clamp)
        } else {
            Ok(())
        };
    };
    let ends = low.to_scaled(spec.scale).zip(high.to_scaled(spec.scale));
    let (low, high) = ends.ok_or(Breach::Clamp)?;
    if spec.low >= low && spec.high <= high { Ok(()) } else { Err(Breach::Clamp) }
}

fn is_of_subjects(formula: &Formula) -> bool {
    match formula {
        Formula::Subjects { .. } => true,
        Formula::Count { .. }
        | Formula::Sum { .. }
        | Formula::Mean { .. }
        | Formula::Moment { .. }
        | Formula::Quantile { .. } => false,
    }
}

/// Holds the controls of a stage to those of the policy for what the stage reads; returns the strictest of its thresholds.
///
/// Differential privacy stands in the place of dominance, rounding and named noise.
fn controls(
    leaves: &Leaves<'_>,
    stage: &Stage,
    read: &Read,
    private: Option<&Private<'_>>,
) -> Result<u32, Breach> {
    let carries = stage.classes.iter().any(|class| class.unit.is_some());
    let own = &stage.controls;
    if own.grade < read.grade {
        return Err(Breach::Controls);
    }
    let due: Vec<&Controls> = leaves.terms.controls(&read.datasets, own.grade, carries);
    let mut strictest = 0;
    for class in &stage.classes {
        let least = |controls: &&Controls| match &class.unit {
            Some(kind) => controls.subjects_min(kind),
            None => controls.subjects_min.max(1),
        };
        let least = due.iter().map(least).max().filter(|least| class.subjects_min >= *least);
        strictest = strictest.max(least.ok_or(Breach::Threshold)?);
    }
    let is_as_strict = due.iter().all(|due| {
        let dominance = due.dominance.is_none_or(|due| {
            own.dominance.is_some_and(|own| {
                own.n >= due.n
                    && own.share_max_permille <= due.share_max_permille
                    && own.p_percent >= due.p_percent
            })
        });
        let at_least =
            |due: Option<u32>, own: Option<u32>| due.is_none_or(|due| own.is_some_and(|own| own >= due));
        let at_most =
            |due: Option<u32>, own: Option<u32>| due.is_none_or(|due| own.is_some_and(|own| own <= due));
        let of_cells = dominance
            && at_least(due.rounding, own.rounding)
            && at_least(due.perturbation, own.perturbation)
            && due.unavailable.is_empty();
        let of_privacy =
            private.is_some_and(|private| due.unavailable.iter().all(|name| private.is_control(name)));
        (of_cells || of_privacy) && at_most(due.cells_max, own.cells_max) && own.review >= due.review
    });
    let is_counted = stage.rows_atom < stage.atoms.len();
    if is_as_strict && is_named(stage, read) && is_counted { Ok(strictest) } else { Err(Breach::Controls) }
}

/// True if noise, where there is any, is drawn by names: without them there would be none.
///
/// Released values, and open data whose rows are not known at review, have no names: they would choose other rows than those of the
/// names.
fn is_named(stage: &Stage, read: &Read) -> bool {
    let has_noise = stage.controls.perturbation.is_some();
    match &stage.names {
        None => !has_noise,
        Some(names) => {
            let has_all = names.atoms.len() == stage.atoms.len() && names.keys.len() == stage.keys.len();
            let has_scale = names.atoms.iter().all(|atom| {
                atom.unit > 0 && atom.units_in.is_none_or(|units| units.month > 0 && units.day > 0)
            });
            has_noise
                && has_all
                && has_scale
                && !read.has_met_unknown
                && read.datasets.is_subset(&names.datasets)
        }
    }
}
