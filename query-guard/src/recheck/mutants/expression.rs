//! Mutants of one expression: masks, domains, functions, and the caps of counts.

use std::sync::Arc;

use datafusion_common::ScalarValue;
use datafusion_common::tree_node::Transformed;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::BinaryExpr;
use datafusion_expr::Expr;
use datafusion_expr::Operator;
use datafusion_expr::ScalarUDF;
use datafusion_expr::expr::ScalarFunction;
use obscura_policies::effective::EffectivePolicy;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;

use super::kind::Kind;
use crate::domain::DOMAIN_NAME;
use crate::domain::in_domain;
use crate::mask::MASK_NAME;
use crate::mask::mask_of;
use crate::mask::masked;

/// Changes of one expression.
pub(super) fn of_expression(expr: &Expr, policy: &EffectivePolicy) -> Vec<(Kind, Expr)> {
    let mut all = Vec::new();
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == MASK_NAME => {
            all.push((Kind::MaskDropped, call.args[0].clone()));
            if let Some(finer) = finer(&call.func, &call.args[0], policy) {
                all.push((Kind::MaskFiner, finer));
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == DOMAIN_NAME => {
            all.push((Kind::DomainDropped, call.args[0].clone()));
            if let Some(wider) = wider(&call.args[0], policy) {
                all.push((Kind::DomainWider, wider));
            }
        }
        Expr::ScalarFunction(call) => {
            let other = match call.func.name() {
                "floor" => Some(datafusion_functions::math::ceil()),
                "lower" => Some(datafusion_functions::string::upper()),
                _ => None,
            };
            let with =
                |func: Arc<ScalarUDF>| Expr::ScalarFunction(ScalarFunction { func, args: call.args.clone() });
            all.extend(other.map(|other| (Kind::FunctionReplaced, with(other))));
            if matches!(call.func.name(), "floor" | "lower") {
                let off = if call.func.name() == "floor" {
                    datafusion_functions::math::cot()
                } else {
                    datafusion_functions::unicode::reverse()
                };
                all.push((Kind::FunctionOffList, with(off)));
            }
        }
        Expr::Case(case) => {
            if case.when_then_expr.len() == 1 && case.else_expr.is_some() {
                let otherwise = case.else_expr.as_deref().unwrap();
                let (when, then) = &case.when_then_expr[0];
                let is_cap = matches!(when.as_ref(), Expr::BinaryExpr(BinaryExpr { op: Operator::Gt, .. }))
                    && matches!(then.as_ref(), Expr::Literal(ScalarValue::Int64(Some(20)), _))
                    && (otherwise.to_string().contains("_count") || otherwise.to_string().contains("_value"));
                if is_cap {
                    all.push((Kind::CapDropped, otherwise.clone()));
                    let raised = expr.clone().transform_up(|inner| match inner {
                        Expr::Literal(ScalarValue::Int64(Some(20)), meta) => {
                            Ok(Transformed::yes(Expr::Literal(ScalarValue::Int64(Some(2000)), meta)))
                        }
                        Expr::Literal(ScalarValue::UInt64(Some(20)), meta) => {
                            Ok(Transformed::yes(Expr::Literal(ScalarValue::UInt64(Some(2000)), meta)))
                        }
                        other => Ok(Transformed::no(other)),
                    });
                    all.push((Kind::CapRaised, raised.unwrap().data));
                }
            } else if case.when_then_expr.len() > 1 {
                let mut fewer = case.clone();
                fewer.when_then_expr.remove(0);
                all.push((Kind::BranchDropped, Expr::Case(fewer)));
            }
        }
        _ => {}
    }
    all
}

/// The mask of a column, one step finer.
fn finer(function: &ScalarUDF, raw: &Expr, policy: &EffectivePolicy) -> Option<Expr> {
    let (mask, today) = mask_of(function)?;
    let finer = match mask {
        Mask::Bin { .. } => Mask::Bin { width: Fixed::from_i64(1) },
        Mask::Partial { keep_first, keep_last } => {
            Mask::Partial { keep_first: keep_first + 1, keep_last: *keep_last }
        }
        _ => return None,
    };
    policy.datasets.values().find_map(|dataset| {
        let column = dataset.columns.iter().find(|column| column.mask.as_ref() == Some(mask))?;
        let mut column = column.clone();
        column.mask = Some(finer.clone());
        Some(masked(raw.clone(), &column, dataset, today))
    })
}

/// The domain of a column, with one value more.
fn wider(raw: &Expr, policy: &EffectivePolicy) -> Option<Expr> {
    let Expr::Column(name) = raw else { return None };
    let table = name.relation.as_ref()?.to_string();
    let dataset = policy.datasets.values().find(|dataset| dataset.id.sql_name() == table)?;
    let mut column = dataset.columns.iter().find(|column| column.name == name.name)?.clone();
    match (&mut column.domain, &mut column.range) {
        (Some(domain), _) => domain.push("zzz".to_owned()),
        (None, Some((_, high))) => *high = high.checked_add(Fixed::from_i64(1))?,
        (None, None) => return None,
    }
    Some(in_domain(raw.clone(), &column, dataset, policy))
}
