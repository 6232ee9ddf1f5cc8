//! Where literals may stand: on the edges of masks and bins, nowhere between.
//! A literal between two edges would cut a bin in two and single out who is in the difference.

use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use obscura_policies::day::Day;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_policies::mask::MaskContext;
use obscura_policies::mask::NoSecrets;

use crate::constant::exact_number;
use crate::finding::Code;
use crate::finding::Finding;

use super::ShapeCheck;
use super::generaliser::Form;
use super::generaliser::Generalised;

impl ShapeCheck<'_> {
    /// Accepts `column op literal` when the literal lies on an edge.
    ///
    /// # Errors
    /// `literal-off-edge` with the nearest edges, or `predicate-not-allowed` for a measure without bins.
    pub(super) fn on_edge(
        &self,
        generalised: &Generalised<'_>,
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<(), Finding> {
        if literal.is_null() {
            return Ok(());
        }
        self.check_step(generalised)?;
        match generalised.form {
            Form::Truncated | Form::Part | Form::PartStep(_) | Form::Worded | Form::Step(_) => Ok(()),
            Form::Floor(own) => match exact_number(literal) {
                Some(number) if number.is_multiple_of(own) => Ok(()),
                Some(number) => Err(self.off_edge(generalised, number, own, Fixed::ZERO)),
                None => Err(self.not_allowed(&generalised.expr)),
            },
            Form::Bare => {
                self.on_bin_edge(generalised, op, literal)?;
                self.on_mask_edge(generalised, literal)
            }
        }
    }

    /// A measure, and whatever else has bins, is cut at their edges and nowhere else, whether or not it is masked as well.
    fn on_bin_edge(
        &self,
        generalised: &Generalised<'_>,
        op: Operator,
        literal: &ScalarValue,
    ) -> Result<(), Finding> {
        let base = generalised.base;
        if !base.is_measure() && base.bins.is_none() {
            return Ok(());
        }
        let Some(step) = base.bins else { return Err(self.not_allowed(&generalised.expr)) };
        let Some(number) = exact_number(literal) else {
            return Err(self.not_allowed(&generalised.expr));
        };
        let origin = base.range.map_or(Fixed::ZERO, |(low, _)| low);
        if !matches!(op, Operator::Lt | Operator::GtEq) {
            let finding = Finding::new(Code::PredicateNotAllowed)
                .at(self.place(&generalised.expr))
                .with("column", base.name.clone())
                .help(
                    "a measure is cut at its bin edges with < and >=",
                    "度量字段只能在分箱边界上用 < 与 >= 划分",
                );
            let whole = base.data_type.is_integer() && step == Fixed::ONE;
            let next = number.checked_add(step).filter(|_| whole || number == origin);
            return Err(match next {
                Some(next) => finding.with("next", next.to_string()),
                None => finding,
            });
        }
        // Rounded to the nearest step, a value reaches an edge half a step before it.
        let Some(cut) = cut_at(base.mask.as_ref(), number, base.range) else {
            return Err(self.not_allowed(&generalised.expr));
        };
        let distance = cut.checked_sub(origin);
        if distance.is_some_and(|distance| distance.is_multiple_of(step)) {
            Ok(())
        } else {
            Err(self.off_edge(generalised, number, step, origin))
        }
    }

    /// A masked column has only edges for values, so a literal between two of them would be another question.
    fn on_mask_edge(&self, generalised: &Generalised<'_>, literal: &ScalarValue) -> Result<(), Finding> {
        let base = generalised.base;
        let Some(mask) = &base.mask else { return Ok(()) };
        if let Some((day, is_whole)) = day_of(literal) {
            let today = self.review.constants.today;
            if is_whole && mask.is_date_edge(day, today) {
                return Ok(());
            }
            let (below, above) = mask.nearest_date_edges(day, today);
            return Err(self.off_edge_between(generalised, below.to_string(), above.to_string()));
        }
        // A masked text has only what the mask leaves for values: any other literal is equal to nothing.
        if let Some(text) = literal.try_as_str().flatten()
            && mask
                .apply_text(
                    text,
                    &MaskContext { today: self.review.constants.today, subject: None, secrets: &NoSecrets },
                )
                .is_some_and(|masked| masked != text)
        {
            return Err(self.not_allowed(&generalised.expr).help(
                "the column is known in a coarser form only: compare with what the mask leaves of the value",
                "该字段仅以较粗的形式提供：请与脱敏后的取值比较",
            ));
        }
        match exact_number(literal) {
            Some(number) if base.data_type.is_numeric() && !mask.is_edge(number) => {
                let (below, above) = mask.nearest_edges(number);
                Err(self.off_edge_between(generalised, below.to_string(), above.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The steps that a numeric column is known in, each of which a generaliser's own step is a multiple of.
    fn check_step(&self, generalised: &Generalised<'_>) -> Result<(), Finding> {
        let base = generalised.base;
        let own = match generalised.form {
            Form::Floor(own) | Form::Step(own) => own,
            Form::Bare | Form::Truncated | Form::Part | Form::PartStep(_) | Form::Worded => return Ok(()),
        };
        if base.is_measure() && base.bins.is_none() {
            return Err(self.not_allowed(&generalised.expr));
        }
        let origin = base.bins.and(base.range).map(|(low, _)| low);
        for step in [base.bins, base.mask.as_ref().and_then(Mask::step)].into_iter().flatten() {
            // Bins that do not start at a multiple of their width would be cut by steps that do.
            if origin.is_some_and(|origin| !origin.is_multiple_of(step)) {
                return Err(self.not_allowed(&generalised.expr).help(
                    "the column's bins do not start at a multiple of their width: compare with their edges by < and >=",
                    "该字段的分箱起点不是箱宽的整数倍：请用 < 与 >= 与分箱边界比较",
                ));
            }
            if !own.is_multiple_of(step) {
                let (below, above) = obscura_policies::mask::nearest_multiples(own, step);
                return Err(self.off_edge_between(
                    generalised,
                    below.max(step).to_string(),
                    above.to_string(),
                ));
            }
        }
        let cut = cut_at(base.mask.as_ref(), own, base.range);
        match base.bins {
            Some(bins) if !cut.is_some_and(|cut| cut.is_multiple_of(bins)) => {
                Err(self.not_allowed(&generalised.expr))
            }
            _ if base.is_measure() || own.is_multiple_of(Fixed::ONE) => Ok(()),
            _ => Err(self.not_allowed(&generalised.expr)),
        }
    }

    /// A group key's step must be a multiple of the declared one; a measure is grouped in steps only.
    pub(super) fn key_step(&self, generalised: &Generalised<'_>) -> Result<(), Finding> {
        let base = generalised.base;
        if generalised.form == Form::Bare && (base.is_measure() || base.bins.is_some()) {
            return Err(Finding::new(Code::GroupKeyNotAllowed)
                .at(self.place(&generalised.expr))
                .with("column", base.name.clone())
                .help(
                    "group a measure by floor(column / step) * step, with a multiple of its bin width",
                    "度量字段请按 floor(字段/步长)*步长 分组，步长为分箱宽度的整数倍",
                ));
        }
        self.check_step(generalised)
    }

    fn off_edge(&self, generalised: &Generalised<'_>, number: Fixed, step: Fixed, origin: Fixed) -> Finding {
        let relative = number.checked_sub(origin).unwrap_or(number);
        let (below, above) = obscura_policies::mask::nearest_multiples(relative, step);
        let below = below.checked_add(origin).unwrap_or(below);
        let above = above.checked_add(origin).unwrap_or(above);
        self.off_edge_between(generalised, below.to_string(), above.to_string())
    }

    fn off_edge_between(&self, generalised: &Generalised<'_>, below: String, above: String) -> Finding {
        Finding::new(Code::LiteralOffEdge)
            .at(self.place(&generalised.expr))
            .with("column", generalised.base.name.clone())
            .help(format!("use {below} or {above}"), format!("请使用 {below} 或 {above}"))
            .with("below", below)
            .with("above", above)
    }
}

/// Where an edge of a masked number cuts the raw values; `None` when it does not cut them at one place.
fn cut_at(mask: Option<&Mask>, edge: Fixed, range: Option<(Fixed, Fixed)>) -> Option<Fixed> {
    match mask {
        Some(Mask::Round { step }) => {
            // Halves go away from zero, so that an edge below zero leaves out the half that one above it takes in.
            let is_positive = range.is_some_and(|(low, _)| low >= Fixed::ZERO);
            edge.checked_sub(Fixed::from_micros(step.micros() / 2)).filter(|_| is_positive)
        }
        Some(
            Mask::Redact
            | Mask::Partial { .. }
            | Mask::Token { .. }
            | Mask::Bin { .. }
            | Mask::BinYears { .. }
            | Mask::DateTrunc { .. }
            | Mask::DateShift { .. }
            | Mask::Hierarchy(_)
            | Mask::TopBottom { .. }
            | Mask::FormatPreserving { .. },
        )
        | None => Some(edge),
    }
}

/// The day of a date or of a time without zone, and whether it is the day's beginning.
fn day_of(literal: &ScalarValue) -> Option<(Day, bool)> {
    const SECONDS: i64 = 86_400;
    let (ticks, ticks_per_day) = match literal {
        ScalarValue::Date32(Some(days)) => return Some((Day::from_epoch_days(*days), true)),
        ScalarValue::Date64(Some(ticks)) => (*ticks, SECONDS * 1000),
        ScalarValue::TimestampSecond(Some(ticks), _) => (*ticks, SECONDS),
        ScalarValue::TimestampMillisecond(Some(ticks), _) => (*ticks, SECONDS * 1000),
        ScalarValue::TimestampMicrosecond(Some(ticks), _) => (*ticks, SECONDS * 1_000_000),
        ScalarValue::TimestampNanosecond(Some(ticks), _) => (*ticks, SECONDS * 1_000_000_000),
        _ => return None,
    };
    let days = i32::try_from(ticks.div_euclid(ticks_per_day)).ok()?;
    Some((Day::from_epoch_days(days), ticks.rem_euclid(ticks_per_day) == 0))
}
