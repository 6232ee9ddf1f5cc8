//! The allow-list of SQL functions: what is not named here does not exist for an analyst.
//! Volatile, generating, hashing and environment functions are absent on purpose; so are those whose errors quote their arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion_expr::AggregateUDF;
use datafusion_expr::ScalarUDF;
use datafusion_expr::WindowUDF;

use crate::domain::DOMAIN_NAME;
use crate::mask::MASK_NAME;
use crate::scalar::AGE_YEARS;
use crate::scalar::THREE_DIGITS;
use crate::scalar::WIDTH_BUCKET;
use crate::scalar::own_functions;

/// Scalar functions that may stand above a boundary; a few of them are generalisers below it (see `shape`).
const SCALAR_NAMES: &[&str] = &[
    "abs",
    AGE_YEARS,
    "btrim",
    "ceil",
    "character_length",
    "coalesce",
    "concat",
    "current_date",
    "date_part",
    "date_trunc",
    "floor",
    "greatest",
    "least",
    "left",
    "ln",
    "log",
    "log10",
    "lower",
    "ltrim",
    "now",
    "nullif",
    "power",
    "right",
    "round",
    "rtrim",
    "signum",
    "sqrt",
    "strpos",
    "substr",
    "trunc",
    "upper",
    WIDTH_BUCKET,
];

/// Aggregates that are planned: released over individuals by the boundary, or answered with `control-not-available`, or free above a boundary.
const AGGREGATE_NAMES: &[&str] = &[
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "avg",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "grouping",
    "max",
    "median",
    "min",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
    "var_samp",
];

/// Window functions: over released rows all of them, over individuals some, over their own rows (`zones/window.rs`).
const WINDOW_NAMES: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// True for the scalar functions that may run at all: the second look asks it of every function of a physical plan.
///
/// The engine's optimiser rewrites what the guard admitted; a function that it brings in and that is on no list is
/// refused before it runs (`sandbox/docs/disclosure-model.md`, section 2).
#[must_use]
pub fn is_known_scalar(name: &str) -> bool {
    SCALAR_NAMES.contains(&name) || [MASK_NAME, DOMAIN_NAME, THREE_DIGITS].contains(&name)
}

/// The functions that exist for an analyst, by every name they answer to.
#[derive(Debug)]
pub(crate) struct Functions {
    scalar: BTreeMap<String, Arc<ScalarUDF>>,
    aggregate: BTreeMap<String, Arc<AggregateUDF>>,
    window: BTreeMap<String, Arc<WindowUDF>>,
}

impl Functions {
    /// The functions that exist for an analyst, taken from the engine's by name.
    ///
    /// A function on no list is not there: `random()` makes another answer each time, `md5(name)` a pseudo-random half,
    /// and functions whose errors quote their arguments show a value
    /// (`sandbox/docs/disclosure-model.md`, sections 3 and 8).
    pub(crate) fn allowed() -> Self {
        let mut scalar = BTreeMap::new();
        for function in datafusion_functions::all_default_functions().into_iter().chain(own_functions()) {
            if SCALAR_NAMES.contains(&function.name()) {
                for alias in function.aliases().iter().chain(std::iter::once(&function.name().to_owned())) {
                    scalar.insert(alias.clone(), Arc::clone(&function));
                }
            }
        }
        let mut aggregate = BTreeMap::new();
        for function in datafusion_functions_aggregate::all_default_aggregate_functions() {
            let names: Vec<String> = std::iter::once(function.name().to_owned())
                .chain(function.aliases().iter().cloned())
                .collect();
            if names.iter().any(|name| AGGREGATE_NAMES.contains(&name.as_str())) {
                for name in names {
                    aggregate.insert(name, Arc::clone(&function));
                }
            }
        }
        let mut window = BTreeMap::new();
        for function in datafusion_functions_window::all_default_window_functions() {
            if WINDOW_NAMES.contains(&function.name()) {
                window.insert(function.name().to_owned(), function);
            }
        }
        Functions { scalar, aggregate, window }
    }

    pub(crate) fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalar.get(name).map(Arc::clone)
    }

    pub(crate) fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregate.get(name).map(Arc::clone)
    }

    pub(crate) fn window(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.window.get(name).map(Arc::clone)
    }

    /// Every name that a function answers to.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let scalar = self.scalar.keys();
        scalar.chain(self.aggregate.keys()).chain(self.window.keys()).map(String::as_str)
    }

    /// Names that the allow-list mentions and this engine version does not have: must be empty.
    #[cfg(test)]
    fn missing(&self) -> Vec<&'static str> {
        let scalar = SCALAR_NAMES.iter().filter(|name| !self.scalar.contains_key(**name));
        let aggregate = AGGREGATE_NAMES.iter().filter(|name| !self.aggregate.contains_key(**name));
        let window = WINDOW_NAMES.iter().filter(|name| !self.window.contains_key(**name));
        scalar.chain(aggregate).chain(window).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_on_the_list_exists_in_the_engine() {
        assert_eq!(Functions::allowed().missing(), Vec::<&str>::new());
    }

    #[test]
    fn what_is_volatile_generates_or_hashes_does_not_exist() {
        let functions = Functions::allowed();
        for name in [
            "random",
            "uuid",
            "md5",
            "sha256",
            "digest",
            "version",
            "arrow_typeof",
            "arrow_cast",
            "repeat",
            "factorial",
            "chr",
            "encode",
            "decode",
            "to_timestamp",
            "make_date",
            "input_file_name",
            "named_struct",
            "regexp_like",
        ] {
            assert!(functions.scalar(name).is_none(), "{name}");
        }
        for name in [
            "array_agg",
            "string_agg",
            "first_value",
            "last_value",
            "nth_value",
            "any_value",
            "bit_and",
            "bit_or",
            "bit_xor",
            "approx_percentile_cont_with_weight",
        ] {
            assert!(functions.aggregate(name).is_none(), "{name}");
        }
    }
}
