//! Where literals may stand: on the edges of masks and bins, nowhere between.
//! A literal between two edges would cut a bin in two and single out who is in the difference.

use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use obscura_policies::day::Day;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::MaskContext;
use obscura_policies::mask::NoSecrets;

use crate::block::BaseKind;
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
        let base = generalised.base;
        let step = self.step(generalised)?;
        match generalised.form {
            Form::Truncated | Form::Part | Form::PartStep(_) | Form::Worded | Form::Step(_) => Ok(()),
            Form::Floor(own) => match exact_number(literal) {
                Some(number) if number.is_multiple_of(own) => Ok(()),
                Some(number) => Err(self.off_edge(generalised, number, own, Fixed::ZERO)),
                None => Err(self.not_allowed(&generalised.expr)),
            },
            Form::Bare if base.is_measure() && base.mask.is_none() => {
                let origin = base.range.map_or(Fixed::ZERO, |(low, _)| low);
                let Some(step) = step else { return Err(self.not_allowed(&generalised.expr)) };
                let Some(number) = exact_number(literal) else {
                    return Err(self.not_allowed(&generalised.expr));
                };
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
                let distance = number.checked_sub(origin);
                if distance.is_some_and(|distance| distance.is_multiple_of(step)) {
                    Ok(())
                } else {
                    Err(self.off_edge(generalised, number, step, origin))
                }
            }
            Form::Bare => self.on_mask_edge(generalised, literal),
        }
    }

    /// A masked column has only edges for values, so a literal between two of them would be another question.
    fn on_mask_edge(&self, generalised: &Generalised<'_>, literal: &ScalarValue) -> Result<(), Finding> {
        let base = generalised.base;
        let Some(mask) = &base.mask else { return Ok(()) };
        if let Some((day, is_whole)) = day_of(literal) {
            let today = self.constants.today;
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
                    &MaskContext { today: self.constants.today, subject: None, secrets: &NoSecrets },
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

    /// The step a numeric column is known in, and that a generaliser's own step is a multiple of it.
    fn step(&self, generalised: &Generalised<'_>) -> Result<Option<Fixed>, Finding> {
        let base = generalised.base;
        let declared = base.mask.as_ref().and_then(obscura_policies::mask::Mask::step).or(base.bins);
        let own = match generalised.form {
            Form::Floor(own) | Form::Step(own) => own,
            Form::Bare | Form::Truncated | Form::Part | Form::PartStep(_) | Form::Worded => {
                return Ok(declared);
            }
        };
        // Bins that do not start at a multiple of their width would be cut by steps that do.
        let origin = base.range.filter(|_| base.is_measure() && base.mask.is_none()).map(|(low, _)| low);
        if let (Some(origin), Some(step)) = (origin, declared)
            && !origin.is_multiple_of(step)
        {
            return Err(self.not_allowed(&generalised.expr).help(
                "the column's bins do not start at a multiple of their width: compare with their edges by < and >=",
                "该字段的分箱起点不是箱宽的整数倍：请用 < 与 >= 与分箱边界比较",
            ));
        }
        let unbinned =
            base.is_measure() && declared.is_none() && !matches!(base.kind, BaseKind::SubjectCount);
        match declared {
            Some(step) if own.is_multiple_of(step) => Ok(declared),
            None if !unbinned && own.is_multiple_of(Fixed::ONE) => Ok(None),
            Some(step) => {
                let (below, above) = obscura_policies::mask::nearest_multiples(own, step);
                Err(self.off_edge_between(generalised, below.max(step).to_string(), above.to_string()))
            }
            None => Err(self.not_allowed(&generalised.expr)),
        }
    }

    /// A group key's step must be a multiple of the declared one; a measure is grouped in steps only.
    pub(super) fn key_step(&self, generalised: &Generalised<'_>) -> Result<(), Finding> {
        let base = generalised.base;
        if generalised.form == Form::Bare && base.is_measure() && base.mask.is_none() {
            return Err(Finding::new(Code::GroupKeyNotAllowed)
                .at(self.place(&generalised.expr))
                .with("column", base.name.clone())
                .help(
                    "group a measure by floor(column / step) * step, with a multiple of its bin width",
                    "度量字段请按 floor(字段/步长)*步长 分组，步长为分箱宽度的整数倍",
                ));
        }
        self.step(generalised).map(|_| ())
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
