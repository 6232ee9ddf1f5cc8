//! The places where literals may stand: on the edges of masks and bins, nowhere between.
//! A literal between two edges would cut a bin in two and single out who is in the difference.
//!
//! A comparison means what it says of the raw value. It is admitted where the mask shows that exactly, and refused where
//! the mask does not.

use arrow::datatypes::DataType as ArrowType;
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Cut;
use obscura_policies::mask::MICROS_PER_DAY;
use obscura_policies::mask::Mask;
use obscura_policies::mask::MaskContext;

use crate::column_facts::ColumnFacts;
use crate::column_facts::ColumnKind;
use crate::constant::exact_number;
use crate::finding::Code;
use crate::finding::Finding;
use crate::reason::Reason;

use super::ShapeCheck;
use super::generaliser::Form;
use super::generaliser::Generalised;

/// Bins of so many values and more are cut at an edge rather than beside it.
const FINE: i64 = 100;

/// An operator and a literal, as they stand in the plan.
pub(super) type Compared = (Operator, ScalarValue);

impl ShapeCheck<'_> {
    /// Accepts `column op literal` when the plan's column answers it as the raw value would, and gives what the plan then
    /// compares with: `age > 19`, known in tens, is `age >= 20`.
    ///
    /// A literal between two edges splits a bin or a mask: `age >= 60` less `age > 60` shows who is exactly sixty. Other
    /// literals would be answered of what the mask made of the value, and be a wrong number
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    ///
    /// # Errors
    /// `literal-off-edge` with the nearest edges, or `predicate-not-allowed` for a measure without bins, and for a form
    /// that the mask leaves nothing of.
    pub(super) fn on_edge(
        &self,
        generalised: &Generalised<'_>,
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<Compared, Finding> {
        let as_asked = (op, literal.clone());
        if literal.is_null() {
            return Ok(as_asked);
        }
        self.shown(generalised)?;
        self.check_step(generalised)?;
        match generalised.form {
            Form::Truncated | Form::Part | Form::PartStep(_) => Ok(as_asked),
            Form::Step(_) if limits(generalised.base).is_none() && cap(generalised.base).is_none() => {
                Ok(as_asked)
            }
            Form::Step(_) => Err(self.not_shown(generalised)),
            Form::Floor(own) => {
                self.within_cap(generalised, own, op, literal)?;
                self.on_step_edge(generalised, own, op, literal).map(|()| as_asked)
            }
            Form::Worded { .. } => self.on_text(generalised, op, literal).map(|()| as_asked),
            Form::Bare if generalised.base.data_type.is_temporal() => {
                self.on_time_edge(generalised, op, literal)
            }
            Form::Bare if generalised.base.data_type.is_numeric() => {
                self.on_number_edge(generalised, op, literal)
            }
            Form::Bare => self.on_text(generalised, op, literal).map(|()| as_asked),
        }
    }

    /// As [`Self::on_edge`], and goes on after a literal that is off its edges, which is noted and refuses the whole in
    /// the end.
    ///
    /// The literal stays as it was asked; [`ShapeCheck::with_off_edge`] refuses the expression that it stands in
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    ///
    /// # Errors
    /// As [`Self::on_edge`], but for `literal-off-edge`.
    pub(super) fn on_edge_or_noted(
        &mut self,
        generalised: &Generalised<'_>,
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<Compared, Finding> {
        match self.on_edge(generalised, op, literal) {
            Err(finding) if finding.code == Code::LiteralOffEdge => {
                if !self.off_edge.contains(&finding) {
                    self.off_edge.push(finding);
                }
                Ok((op, literal.clone()))
            }
            judged => judged,
        }
    }

    /// Refuses a coarser form that the mask does not leave as it is: weekdays of what is known by month.
    ///
    /// Every date known by month is the first of it, so that `extract(dow FROM hire) = 1` would count months that begin
    /// on a Monday under the name of people hired on one (`sandbox/docs/disclosure-model.md`, section 4.4).
    ///
    /// # Errors
    /// `predicate-not-allowed`, with the mask.
    pub(super) fn shown(&self, generalised: &Generalised<'_>) -> Result<(), Finding> {
        if generalised.is_shown { Ok(()) } else { Err(self.not_shown(generalised)) }
    }

    /// The refusal of a form, a step or a literal that a mask does not show.
    ///
    /// The answer would be one about the masked value, and mean something else than the question says
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    pub(super) fn not_shown(&self, generalised: &Generalised<'_>) -> Finding {
        let mask = generalised.base.mask.as_ref().map_or("none", Mask::name);
        self.not_allowed(Reason::MaskHidesForm, &generalised.expr).with("mask", mask).help(
            format!("the column is known under a mask ({mask}) that does not show this: use the column itself, or coarser steps"),
            format!("该字段已脱敏（{mask}），无法给出该结果：请直接使用该字段，或采用更粗的区间"),
        )
    }

    /// Accepts a literal beside `floor(col / 10) * 10` where `col` itself could be cut at it.
    ///
    /// A literal that is no multiple of the step equals no step, and is refused with its nearest ones. Under a mask with
    /// limits each cut is held to them: above the limit all values look alike, and a cut there would be answered of the
    /// limit (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn on_step_edge(
        &self,
        generalised: &Generalised<'_>,
        own: Fixed,
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<(), Finding> {
        let refused = || self.not_exact(generalised);
        let number = exact_number(literal).ok_or_else(refused)?;
        if !number.is_multiple_of(own) {
            let (below, above) = obscura_policies::mask::nearest_multiples(number, own);
            return Err(self.off_edge_between(generalised, number, below, above));
        }
        let Some(mask) = limits(generalised.base) else { return Ok(()) };
        let next = number.checked_add(own).ok_or_else(refused)?;
        let cuts = cuts(op, number).ok_or_else(refused)?;
        for cut in cuts {
            let cut = match cut {
                Cut::Below(_) => cut,
                Cut::Above(_) => Cut::Below(next),
            };
            self.number_cut(generalised, mask, cut)?;
        }
        Ok(())
    }

    /// Accepts a literal beside a number on the edges of its bins, and where its mask shows the cut; a mask and bins bind
    /// together.
    ///
    /// `salary >= 20000` less `salary >= 20001` is who has exactly 20000. `age = 65.5` equals no whole number, and
    /// rounded to an edge of the mask it would be answered as if it stood there
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn on_number_edge(
        &self,
        generalised: &Generalised<'_>,
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<Compared, Finding> {
        let base = generalised.base;
        let is_binned = base.is_measure() || base.bins.is_some();
        if base.mask.is_none() && !is_binned {
            self.within_cap(generalised, Fixed::ONE, op, literal)?;
            return Ok((op, literal.clone()));
        }
        let refused = || self.not_exact(generalised);
        let number = exact_number(literal).ok_or_else(refused)?;
        let cuts = cuts(op, number).ok_or_else(refused)?;
        if is_binned {
            let bins = base.bins.ok_or_else(|| self.not_binned(generalised))?;
            self.on_bin_edges(generalised, op, (number, &cuts), bins)?;
        }
        let Some(mask) = &base.mask else { return Ok((op, literal.clone())) };
        // What is equal to no value of the column is no cut of it.
        if cuts.len() > 1 && grain(&base.data_type).is_some_and(|grain| !number.is_multiple_of(grain)) {
            return Err(self.not_allowed(Reason::NoSuchValue, &generalised.expr));
        }
        let shown = all_shown(cuts, |cut| self.number_cut(generalised, mask, cut))?;
        let (op, value) = compared(op, shown.ok_or_else(refused)?);
        let literal = number_as(value, literal).ok_or_else(refused)?;
        Ok((op, literal))
    }

    /// Refuses a cut above the cap of a count of a subject's own rows.
    ///
    /// The cap stands for itself and for every larger number: `n > 20` would find nobody, and `n <= 20` everybody, under a cap of 20. The
    /// answer would be a wrong number (`sandbox/docs/disclosure-model.md`, sections 4.4 and 4.9).
    fn within_cap(
        &self,
        generalised: &Generalised<'_>,
        step: Fixed,
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<(), Finding> {
        let base = generalised.base;
        let Some(cap) = cap(base) else { return Ok(()) };
        let refused = || self.not_exact(generalised);
        let number = exact_number(literal).ok_or_else(refused)?;
        let cuts = cuts(op, number).ok_or_else(refused)?;
        if cuts.iter().all(|cut| cut.first_above(step).is_some_and(|first| first <= cap)) {
            return Ok(());
        }
        Err(Finding::of(Reason::CountBeyondCap)
            .at(self.place(&generalised.expr))
            .with("column", base.name.clone())
            .with("literal", number.to_string())
            .help(
                format!("a subject's rows are counted up to {cap}, which stands for every larger number: compare with `>= {cap}`, or with what is below"),
                format!("每个主体的行数最多计到 {cap}，{cap} 代表 {cap} 及以上：请使用 `>= {cap}` 或更小的数"),
            ))
    }

    /// Refuses a cut of a binned number that is not the first value of a bin.
    ///
    /// `> 20000` leaves out who has exactly 20000, and the difference to `>= 20000` shows them. So every cut, both of an
    /// equality included, must fall on an edge, counted from the low end of the declared range
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn on_bin_edges(
        &self,
        generalised: &Generalised<'_>,
        op: Operator,
        (number, cuts): (Fixed, &[Cut<Fixed>]),
        bins: Fixed,
    ) -> Result<(), Finding> {
        let base = generalised.base;
        let origin = base.range.map_or(Fixed::ZERO, |(low, _)| low);
        let grain = grain(&base.data_type);
        let is_edge = |cut: &Cut<Fixed>| {
            let first = match (cut, grain) {
                (_, Some(grain)) => cut.first_above(grain),
                (Cut::Below(value), None) => Some(*value),
                (Cut::Above(_), None) => None,
            };
            first
                .and_then(|first| first.checked_sub(origin))
                .is_some_and(|distance| distance.is_multiple_of(bins))
        };
        if cuts.iter().all(is_edge) {
            return Ok(());
        }
        let relative = number.checked_sub(origin).unwrap_or(number);
        if matches!(op, Operator::Lt | Operator::GtEq) || !relative.is_multiple_of(bins) {
            let (below, above) = obscura_policies::mask::nearest_multiples(relative, bins);
            let [below, above] = [below, above].map(|edge| edge.checked_add(origin).unwrap_or(edge));
            return Err(self.off_edge_between(generalised, number, below, above));
        }
        let finding = self.not_allowed(Reason::MeasureCutBesideEdge, &generalised.expr);
        let finding = finding.with("column", base.name.clone()).help(
            "a measure is cut at its bin edges with < and >=",
            "度量字段只能在分箱边界上用 < 与 >= 划分",
        );
        // Where values are far finer than bins, one more value at the edge is the nearest question.
        let is_fine = grain.is_none_or(|grain| grain.checked_mul_i64(FINE).is_some_and(|fine| fine <= bins));
        let finding = if is_fine { finding.with("cut", "edge") } else { finding };
        // Of the smallest value, `>=` would be everybody: the next edge is meant.
        Err(match number.checked_add(bins).filter(|_| number == origin) {
            Some(next) => finding.with("next", next.to_string()),
            None => finding,
        })
    }

    /// The place where a mask shows the cut of a number; a cut that it does not show is refused.
    ///
    /// Between two edges nothing is shown, and pseudonyms of numbers have no order, so that no literal cuts them where
    /// the raw values lie (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn number_cut(
        &self,
        generalised: &Generalised<'_>,
        mask: &Mask,
        cut: Cut<Fixed>,
    ) -> Result<Cut<Fixed>, Finding> {
        let grain = grain(&generalised.base.data_type);
        mask.number_cut(cut, grain).ok_or_else(|| {
            let (Cut::Below(value) | Cut::Above(value)) = cut;
            match mask.number_edges(value, grain) {
                Some((below, above)) => self.off_edge_between(generalised, value, below, above),
                None => self.not_allowed(Reason::MaskWithoutEdges, &generalised.expr),
            }
        })
    }

    /// Accepts a literal beside a date or a point in time where its mask shows the cut.
    ///
    /// `hire > DATE '2020-03-15'`, known by month, would be answered as of the first of the month: a wrong number
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn on_time_edge(
        &self,
        generalised: &Generalised<'_>,
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<Compared, Finding> {
        let base = generalised.base;
        let Some(mask) = &base.mask else { return Ok((op, literal.clone())) };
        let refused = || self.not_shown(generalised);
        let micros = micros_of(literal).ok_or_else(refused)?;
        let grain = if base.data_type == ArrowType::Date32 { MICROS_PER_DAY } else { 1 };
        let today = self.review.constants.today;
        let cuts = cuts(op, micros).ok_or_else(refused)?;
        // What is equal to no value of the column is no cut of it.
        if cuts.len() > 1 && micros.rem_euclid(grain) != 0 {
            return Err(refused());
        }
        let shown = all_shown(cuts, |cut| {
            mask.time_cut(cut, grain, today).ok_or_else(|| match mask.time_edges(micros, today) {
                Some((below, above)) => {
                    let [asked, below, above] = [micros, below, above].map(time_text);
                    self.off_edge_between(generalised, asked, below, above)
                }
                None => refused(),
            })
        })?;
        let (op, micros) = compared(op, shown.ok_or_else(refused)?);
        let literal = time_as(micros, literal).ok_or_else(refused)?;
        Ok((op, literal))
    }

    /// Accepts a masked text that is equal to a name of the mask's, and a prefix that the mask keeps.
    ///
    /// `zip = '310106'`, known by three characters, is true of no masked value and of some raw ones, and a masked text
    /// has not the order of the raw one: either would be answered as something else than it says
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn on_text(
        &self,
        generalised: &Generalised<'_>,
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<(), Finding> {
        let Some(mask) = &generalised.base.mask else { return Ok(()) };
        let is_equality = matches!(
            op,
            Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom
        );
        let is_prefix =
            matches!(generalised.form, Form::Worded { prefix: Some(length) } if length <= mask.kept_prefix());
        let text = literal.try_as_str().flatten();
        let is_name = generalised.form == Form::Bare
            && text.is_some_and(|text| mask.names(text, self.review.constants.today));
        if is_equality && (is_name || is_prefix) {
            return Ok(());
        }
        let finding = self.not_allowed(Reason::MaskedTextCompared, &generalised.expr);
        let finding = finding.with("mask", mask.name()).help(
            "the column is known in a coarser form only: compare with what the mask leaves of the value",
            "该字段仅以较粗的形式提供：请与脱敏后的取值比较",
        );
        let context = MaskContext::keyless(self.review.constants.today);
        let shown = text.filter(|_| is_equality && generalised.form == Form::Bare);
        let shown = shown.and_then(|text| Some((text, mask.apply_text(text, &context)?)));
        Err(match shown {
            Some((asked, shown)) => finding.with("asked", asked).with("shown", shown),
            None => finding,
        })
    }

    /// Refuses a step of a generaliser that is no multiple of the steps that the column is known in.
    ///
    /// Steps of 15 over bins of 10 cut bins in two, and so do steps that start at zero over bins that start elsewhere;
    /// the difference of two groupings then shows who lies between. Rounded values lie half a step off, and what the type
    /// cannot show is missing. `col - col % 10` and whole numbers that are divided round towards zero, so that the step around
    /// it is twice as wide: less the bin from zero and the bin below it, it shows who has exactly -10. Steps finer than one are groups of single values of columns with decimal places
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn check_step(&self, generalised: &Generalised<'_>) -> Result<(), Finding> {
        let base = generalised.base;
        let own = match generalised.form {
            Form::Floor(own) | Form::Step(own) => own,
            Form::Bare | Form::Truncated | Form::Part | Form::PartStep(_) | Form::Worded { .. } => {
                return Ok(());
            }
        };
        if has_unshown_steps(base) {
            return Err(self.not_shown(generalised));
        }
        let step = base.mask.as_ref().and_then(Mask::step);
        // Rounded values lie half a step off what any step of the raw ones begins with.
        if matches!(base.mask, Some(Mask::Round { .. })) {
            return Err(self.not_shown(generalised));
        }
        if base.is_measure() && base.bins.is_none() {
            return Err(self.not_binned(generalised));
        }
        let is_stepped = base.bins.is_some() || step.is_some();
        // A mask has made multiples of its step before: without a declared range they are taken for ages and amounts.
        let may_be_negative = base.range.map_or(base.bins.is_some(), |(low, _)| low < Fixed::ZERO);
        if is_stepped && may_be_negative && generalised.is_cut_off {
            return Err(self.not_allowed(Reason::StepAroundZero, &generalised.expr).help(
                "below zero this form cuts off what is left over: use floor(column / 10.0) * 10, which rounds down",
                "对负数，该写法向零取整：请用 floor(字段 / 10.0) * 10，它向下取整",
            ));
        }
        let origin = base.bins.and(base.range).map(|(low, _)| low);
        for step in [base.bins, step].into_iter().flatten() {
            // Bins that do not start at a multiple of their width would be cut by steps that do.
            if origin.is_some_and(|origin| !origin.is_multiple_of(step)) {
                return Err(self.not_allowed(Reason::BinsOffMultiples, &generalised.expr).help(
                    "the column's bins do not start at a multiple of their width: compare with their edges by < and >=",
                    "该字段的分箱起点不是箱宽的整数倍：请用 < 与 >= 与分箱边界比较",
                ));
            }
            if !own.is_multiple_of(step) {
                let (below, above) = obscura_policies::mask::nearest_multiples(own, step);
                let edges = (below.max(step), above);
                return Err(self.between_edges(Reason::StepOffEdges, generalised, own, edges));
            }
        }
        if base.is_measure() || own.is_multiple_of(Fixed::ONE) {
            Ok(())
        } else {
            Err(self.not_allowed(Reason::StepNotWhole, &generalised.expr))
        }
    }

    /// Refuses a measure, or a column with bins, that is grouped by its single values, and a step that its edges do not
    /// admit.
    ///
    /// `GROUP BY salary` makes groups of one exact salary, which are nearly as telling as names; in multiples of the bins
    /// a group says no more than a condition may ask (`sandbox/docs/disclosure-model.md`, section 4.4).
    pub(super) fn key_step(&self, generalised: &Generalised<'_>) -> Result<(), Finding> {
        let base = generalised.base;
        if generalised.form == Form::Bare && (base.is_measure() || base.bins.is_some()) {
            return Err(Finding::of(Reason::MeasureGroupedBare)
                .at(self.place(&generalised.expr))
                .with("column", base.name.clone())
                .help(
                    "group a measure by floor(column / step) * step, with a multiple of its bin width",
                    "度量字段请按 floor(字段/步长)*步长 分组，步长为分箱宽度的整数倍",
                ));
        }
        self.shown(generalised)?;
        self.check_step(generalised)
    }

    /// The refusal of a literal that cannot be told from its neighbours.
    ///
    /// Nothing says on which side of an edge `20000.00000001` lies, once it is more precise than the column's numbers are
    /// read (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn not_exact(&self, generalised: &Generalised<'_>) -> Finding {
        self.not_allowed(Reason::LiteralNotExact, &generalised.expr)
    }

    /// The refusal of a cut of a measure without bins.
    ///
    /// Without bins nothing says where the measure may be cut, and `salary >= x` for many x tells everybody's salary
    /// (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn not_binned(&self, generalised: &Generalised<'_>) -> Finding {
        self.not_allowed(Reason::MeasureWithoutBins, &generalised.expr)
    }

    /// The refusal of a literal between two edges, with its neighbours that are edges.
    ///
    /// Two questions whose literals lie in one bin differ by the people between them, whose values are then known more
    /// closely than the bin says (`sandbox/docs/disclosure-model.md`, section 4.4).
    fn off_edge_between<T: ToString>(
        &self,
        generalised: &Generalised<'_>,
        asked: T,
        below: T,
        above: T,
    ) -> Finding {
        self.between_edges(Reason::LiteralOffEdge, generalised, asked, (below, above))
    }

    /// A literal or a step that was asked for, between its neighbours that are edges.
    fn between_edges<T: ToString>(
        &self,
        reason: Reason,
        generalised: &Generalised<'_>,
        asked: T,
        (below, above): (T, T),
    ) -> Finding {
        let [asked, below, above] = [asked, below, above].map(|edge| edge.to_string());
        Finding::of(reason)
            .at(self.place(&generalised.expr))
            .with("column", generalised.base.name.clone())
            .help(
                format!("instead of {asked} use {below} or {above}"),
                format!("请将 {asked} 改为 {below} 或 {above}"),
            )
            .with("literal", asked)
            .with("below", below)
            .with("above", above)
    }
}

/// True if the steps of a column's mask lie between the values of its type, such as steps of 2.5 of whole numbers: what the
/// type cannot show becomes missing.
pub(super) fn has_unshown_steps(base: &ColumnFacts) -> bool {
    let step = base.mask.as_ref().and_then(Mask::step);
    step.zip(grain(&base.data_type)).is_some_and(|(step, grain)| !step.is_multiple_of(grain))
}

/// The limits that a number's mask has.
///
/// Beyond a limit all values look alike, so that the number of a step there is not the raw one's
/// (`sandbox/docs/disclosure-model.md`, section 4.4).
fn limits(base: &ColumnFacts) -> Option<&Mask> {
    base.mask.as_ref().filter(|mask| matches!(mask, Mask::TopBottom { .. }))
}

/// The number that a count of a subject's own rows is cut off at; none for any other column.
fn cap(base: &ColumnFacts) -> Option<Fixed> {
    base.range.filter(|_| base.kind == ColumnKind::SubjectCount).map(|(_, cap)| cap)
}

/// The distance of neighbouring values of a type; none for floating point, and for what is no number.
///
/// It makes `age > 59` and `age >= 60` one cut of whole numbers. A type that is not known to have a grain has none, so
/// that `>` is then no cut at an edge (`sandbox/docs/disclosure-model.md`, section 4.4).
pub(crate) fn grain(data_type: &ArrowType) -> Option<Fixed> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever is not known to be on a grid is on none")]
    match data_type {
        ArrowType::Decimal128(_, scale) => Fixed::from_scaled(1, u8::try_from(*scale).ok()?),
        _ if data_type.is_integer() => Some(Fixed::ONE),
        _ => None,
    }
}

/// The places where an operator cuts the values; nothing for one that does not compare.
///
/// An equality cuts twice, below and above its literal, and both places must be edges: `age = 60` otherwise asks who is
/// exactly sixty (`sandbox/docs/disclosure-model.md`, section 4.4).
fn cuts<T: Copy>(op: Operator, value: T) -> Option<Vec<Cut<T>>> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the wildcard denies")]
    match op {
        Operator::Lt | Operator::GtEq => Some(vec![Cut::Below(value)]),
        Operator::Gt | Operator::LtEq => Some(vec![Cut::Above(value)]),
        Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => {
            Some(vec![Cut::Below(value), Cut::Above(value)])
        }
        _ => None,
    }
}

/// The place of the first of the cuts among the masked values, when the mask shows every one of them.
///
/// One cut that is not shown refuses the comparison, for an equality is as telling as the finer of its two cuts
/// (`sandbox/docs/disclosure-model.md`, section 4.4).
fn all_shown<T>(
    cuts: Vec<Cut<T>>,
    shown: impl Fn(Cut<T>) -> Result<Cut<T>, Finding>,
) -> Result<Option<Cut<T>>, Finding> {
    let shown = cuts.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    Ok(shown.into_iter().next())
}

/// The comparison of the masked values that cuts them at a place.
///
/// `age <= 59` cuts below 60 once the mask has moved it, and stays the same set of people only as `age < 60`
/// (`sandbox/docs/disclosure-model.md`, section 4.4).
fn compared<T>(op: Operator, cut: Cut<T>) -> (Operator, T) {
    match (op, cut) {
        (Operator::LtEq, Cut::Below(value)) => (Operator::Lt, value),
        (Operator::Gt, Cut::Below(value)) => (Operator::GtEq, value),
        (op, Cut::Below(value) | Cut::Above(value)) => (op, value),
    }
}

/// A number as a literal of the type of another; nothing where the type cannot hold it exactly.
///
/// A literal that was rounded on its way into the plan would lie beside its edge
/// (`sandbox/docs/disclosure-model.md`, section 4.4).
fn number_as(value: Fixed, like: &ScalarValue) -> Option<ScalarValue> {
    let exact = ScalarValue::Decimal128(Some(value.micros()), 38, 6);
    exact.cast_to(&like.data_type()).ok().filter(|literal| exact_number(literal) == Some(value))
}

/// A point in time as a literal of the type of another; nothing where the type cannot hold it exactly.
///
/// A literal that was rounded on its way into the plan would lie beside its edge
/// (`sandbox/docs/disclosure-model.md`, section 4.4).
fn time_as(micros: i64, like: &ScalarValue) -> Option<ScalarValue> {
    let exact = ScalarValue::TimestampMicrosecond(Some(micros), None);
    exact.cast_to(&like.data_type()).ok().filter(|literal| micros_of(literal) == Some(micros))
}

/// Microseconds of a date or of a time without zone; nothing where it has a finer part.
///
/// A finer part cannot be told from its neighbours, and lies on neither side of an edge
/// (`sandbox/docs/disclosure-model.md`, section 4.4).
fn micros_of(literal: &ScalarValue) -> Option<i64> {
    match literal {
        ScalarValue::Date32(Some(days)) => i64::from(*days).checked_mul(MICROS_PER_DAY),
        ScalarValue::Date64(Some(ticks)) | ScalarValue::TimestampMillisecond(Some(ticks), _) => {
            ticks.checked_mul(1000)
        }
        ScalarValue::TimestampSecond(Some(ticks), _) => ticks.checked_mul(1_000_000),
        ScalarValue::TimestampMicrosecond(Some(ticks), _) => Some(*ticks),
        ScalarValue::TimestampNanosecond(Some(ticks), _) => {
            (ticks.rem_euclid(1000) == 0).then(|| ticks.div_euclid(1000))
        }
        _ => None,
    }
}

/// A point in time as it is written in SQL: a day where it is the beginning of one.
fn time_text(micros: i64) -> String {
    match chrono::DateTime::from_timestamp_micros(micros) {
        Some(time) if micros.rem_euclid(MICROS_PER_DAY) == 0 => time.format("%Y-%m-%d").to_string(),
        Some(time) => time.format("%Y-%m-%d %H:%M:%S").to_string(),
        None => String::new(),
    }
}
