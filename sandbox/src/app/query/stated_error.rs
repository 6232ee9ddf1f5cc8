//! The error of each column of a result, as every door states it: in verdicts, release records and files of results.
//! A format we keep; the guard computes the numbers, and nothing here reads data.

use obscura_policies::Text;
use obscura_query_guard::stated_error::Inaccuracy;
use obscura_query_guard::stated_error::Noise;
use obscura_query_guard::stated_error::StatedError;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// The error of a column of released numbers, known without the data. Contributions beyond the declared range of a measure count as
/// its end besides.
///
/// A count or a sum states `number`; a mean, a variance or a correlation its digits, its sums and its number of rows; a quantile its
/// step, and the numbers of rows that the step is read off.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = StatedError)]
pub struct StatedErrorView {
    /// The released number itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<InaccuracyView>,
    /// Significant digits that it is rounded to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub significant_digits: Option<u8>,
    /// The sum that it is computed from; of several the largest inaccuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<InaccuracyView>,
    /// The number of rows that it is computed from; of several the largest inaccuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<InaccuracyView>,
    /// Half the width of the step whose middle it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_step: Option<f64>,
}

/// The distance that a number may have from the exact one, in its own units, to three significant digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Inaccuracy)]
pub struct InaccuracyView {
    /// Most that rounding moves it.
    pub rounding: f64,
    /// Standard deviation of its noise, the largest of all groups. Absent without noise, and where it differs from group to group and
    /// there are too many of them to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// The distance within which 95 of 100 numbers are, or all where there is no noise. Absent where it differs from group to group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<f64>,
}

impl StatedErrorView {
    pub(super) fn of(error: StatedError) -> Self {
        let view = |inaccuracy| Some(InaccuracyView::of(inaccuracy));
        match error {
            StatedError::Number(number) => Self { number: view(number), ..Self::default() },
            StatedError::Mean { significant_digits, sum, count }
            | StatedError::Moment { significant_digits, sums: sum, count } => Self {
                significant_digits: Some(significant_digits),
                sum: view(sum),
                count: view(count),
                ..Self::default()
            },
            StatedError::Quantile { half_step, count } => {
                Self { half_step: Some(upwards(half_step)), count: view(count), ..Self::default() }
            }
        }
    }

    /// The error in words; nothing where the numbers are exact.
    pub(crate) fn told(&self) -> Option<Text> {
        let told = |inaccuracy: &Option<InaccuracyView>| inaccuracy.as_ref().and_then(InaccuracyView::told);
        let (sum, count) = (told(&self.sum), told(&self.count));
        if let Some(digits) = self.significant_digits {
            let mut told = Text::new(format!("{digits} significant digits"), format!("{digits} 位有效数字"));
            if let (Some(sum), Some(count)) = (sum, count) {
                told.en.push_str(&format!(", its sum {}, its number of rows {}", sum.en, count.en));
                told.zh.push_str(&format!("，其和{}，其行数{}", sum.zh, count.zh));
            }
            return Some(told);
        }
        if let Some(half_step) = self.half_step {
            let mut told = Text::new(
                format!("the middle of a step of ± {half_step}"),
                format!("为区间中点，区间半宽 ±{half_step}"),
            );
            if let Some(count) = count {
                told.en.push_str(&format!(", found by numbers of rows {}", count.en));
                told.zh.push_str(&format!("，所依据的行数{}", count.zh));
            }
            return Some(told);
        }
        told(&self.number)
    }
}

impl InaccuracyView {
    fn of(inaccuracy: Inaccuracy) -> Self {
        let deviation = match inaccuracy.noise {
            Noise::Deviation(deviation) => Some(upwards(deviation)),
            Noise::None | Noise::ByGroup => None,
        };
        Self { rounding: upwards(inaccuracy.rounding), deviation, within: inaccuracy.within().map(upwards) }
    }

    fn told(&self) -> Option<Text> {
        match (self.deviation, self.within) {
            (Some(_), Some(within)) => Some(Text::new(
                format!("± {within} in 95 of 100 cases"),
                format!("95% 的情况下误差不超过 ±{within}"),
            )),
            (None, Some(within)) if within > 0.0 => {
                Some(Text::new(format!("± {within}"), format!("误差不超过 ±{within}")))
            }
            (None, Some(_)) => None,
            (_, None) => Some(Text::new(
                "with noise that differs from group to group".to_owned(),
                "噪声因分组而异".to_owned(),
            )),
        }
    }
}

/// To three significant digits, never below: a stated error that is smaller than the true one would be a false promise.
fn upwards(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return value;
    }
    let nearest: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    if nearest >= value {
        return nearest;
    }
    // The nearest is below: one more in the last of its three digits.
    let next = value + 10_f64.powf(value.log10().floor()) / 200.0;
    format!("{next:.2e}").parse().unwrap_or(value).max(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_stated_to_three_digits_and_never_too_small() {
        for (value, stated) in
            [(0.0, 0.0), (2.5, 2.5), (17.888_543, 17.9), (17.81, 17.9), (1_000.0, 1_000.0), (53.62, 53.7)]
        {
            assert!((upwards(value) - stated).abs() < 1e-9, "{value}: {}", upwards(value));
        }
        let mut value = 0.001;
        while value < 1e9 {
            let stated = upwards(value);
            assert!(stated >= value && stated <= value * 1.01 + 1e-12, "{value}: {stated}");
            value *= 1.037;
        }
    }

    #[test]
    fn errors_are_told_in_words() {
        let told = |error: StatedError| StatedErrorView::of(error).told().map(|text| text.en);
        let rounded = Inaccuracy { rounding: 2.5, noise: Noise::None };
        let noisy = Inaccuracy { rounding: 2.5, noise: Noise::Deviation(10.0) };
        let by_group = Inaccuracy { rounding: 2.5, noise: Noise::ByGroup };
        assert_eq!(told(StatedError::Number(Inaccuracy::default())), None);
        assert_eq!(told(StatedError::Number(rounded)).as_deref(), Some("± 2.5"));
        assert_eq!(told(StatedError::Number(noisy)).as_deref(), Some("± 22.1 in 95 of 100 cases"));
        assert_eq!(
            told(StatedError::Number(by_group)).as_deref(),
            Some("with noise that differs from group to group")
        );
        let mean = |sum, count| StatedError::Mean { significant_digits: 3, sum, count };
        let exact = Inaccuracy::default();
        assert_eq!(told(mean(exact, exact)).as_deref(), Some("3 significant digits"));
        assert_eq!(
            told(mean(noisy, rounded)).as_deref(),
            Some("3 significant digits, its sum ± 22.1 in 95 of 100 cases, its number of rows ± 2.5")
        );
    }

    #[test]
    fn the_form_is_kept() {
        let number = StatedErrorView::of(StatedError::Number(Inaccuracy {
            rounding: 2.5,
            noise: Noise::Deviation(10.0),
        }));
        let text = serde_json::to_string(&number).unwrap_or_default();
        assert_eq!(text, r#"{"number":{"rounding":2.5,"deviation":10.0,"within":22.1}}"#);
        assert_eq!(serde_json::from_str::<StatedErrorView>(&text).ok(), Some(number));
    }
}
