//! The posterior variance of the bits of one class, by conjugate gradients, with certain bounds on both sides.
//!
//! Unknown is the number of true bits in each class, x, with prior variance P (the size of the class times that of one bit). A
//! named cell is the sum of its classes, A x, plus noise; t is the information of its answers. In the linear Gaussian model the
//! posterior covariance of x is the inverse of K = P^-1 + t A'A (Rasmussen and Williams 2006, chapter 2), which is the error of
//! the best linear estimate without that model as well. Its entry of one class is e' K^-1 e.
//!
//! Conjugate gradients (Hestenes and Stiefel 1952) from zero reach e' K^-1 e from below, since their error in the norm of K
//! falls. From the residual r it is missed by r' K^-1 r, which is at most r' P r, as K is at least P^-1. So every step ends in an
//! interval, and the end that is worse for the person is a bound even where the steps are too few.

use super::tables::CellValues;
use super::tables::Tables;

/// The system of one opening at one deviation.
pub(super) struct System<'a> {
    tables: &'a Tables,
    /// Information of the answers of each named cell; t above.
    information: f64,
    /// Prior variance of each class; P above.
    prior: Vec<f64>,
    /// The diagonal of K, by which residuals are scaled.
    diagonal: Vec<f64>,
    cells: CellValues,
}

/// An interval that holds the posterior variance of a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) least: f64,
    pub(super) most: f64,
}

impl<'a> System<'a> {
    /// The system in which each named cell has so much information, and each bit that prior variance.
    pub(super) fn new(tables: &'a Tables, information: f64, of_bit: f64) -> Self {
        let sizes = &tables.classes.sizes;
        let prior: Vec<f64> = sizes.iter().map(|size| f64::from(*size) * of_bit).collect();
        let mut cells = tables.values(|_| information);
        let mut diagonal = vec![0.0; prior.len()];
        tables.spread(&mut cells, &mut diagonal);
        for (entry, prior) in diagonal.iter_mut().zip(&prior) {
            *entry += prior.recip();
        }
        System { tables, information, prior, diagonal, cells }
    }

    /// The posterior variance of the number of true bits of a class: steps end when `is_enough` says so of the bounds, or after
    /// so many.
    pub(super) fn variance(
        &mut self,
        class: usize,
        steps_max: u32,
        is_enough: impl Fn(Bounds) -> bool,
    ) -> Bounds {
        let most = self.prior.get(class).copied().unwrap_or(0.0);
        let mut bounds = Bounds { least: 0.0, most };
        let mut residual = vec![0.0; self.prior.len()];
        residual.iter_mut().skip(class).take(1).for_each(|entry| *entry = 1.0);
        let mut direction = self.scaled(&residual);
        let mut length = dot(&residual, &direction);
        let mut product = vec![0.0; self.prior.len()];
        let mut variance = 0.0;
        for _ in 0..steps_max {
            self.multiply(&direction, &mut product);
            let step = length / dot(&direction, &product);
            if !step.is_finite() {
                break;
            }
            variance += step * direction.get(class).copied().unwrap_or(0.0);
            add_scaled(&mut residual, -step, &product);
            bounds.least = bounds.least.max(variance.min(most));
            let missed: f64 =
                residual.iter().zip(&self.prior).map(|(entry, prior)| entry * entry * prior).sum();
            bounds.most = bounds.most.min(variance + missed).max(bounds.least);
            if is_enough(bounds) {
                break;
            }
            let scaled = self.scaled(&residual);
            let next = dot(&residual, &scaled);
            for (entry, scaled) in direction.iter_mut().zip(&scaled) {
                *entry = scaled + next / length * *entry;
            }
            length = next;
        }
        bounds
    }

    /// Multiplies by K.
    fn multiply(&mut self, direction: &[f64], product: &mut [f64]) {
        self.tables.square(direction, &mut self.cells, product);
        for ((entry, value), prior) in product.iter_mut().zip(direction).zip(&self.prior) {
            *entry = *entry * self.information + value / prior;
        }
    }

    fn scaled(&self, residual: &[f64]) -> Vec<f64> {
        residual.iter().zip(&self.diagonal).map(|(entry, diagonal)| entry / diagonal).collect()
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn add_scaled(sum: &mut [f64], factor: f64, added: &[f64]) {
    for (entry, added) in sum.iter_mut().zip(added) {
        *entry += factor * added;
    }
}
