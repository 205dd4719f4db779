//! Gradient boosting, as the limit of what the figures allow: fitted on the kind that it is judged on.

use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::xgboost::{XGRegressor, XGRegressorParameters};

/// A fitted learner.
pub struct Boosted(XGRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>);

/// Fits to rows of figures and what became of them.
pub fn fit(rows: &[Vec<f64>], targets: &[f64]) -> Boosted {
    let x = DenseMatrix::from_2d_vec(&rows.to_vec()).expect("rows of one length");
    let parameters = XGRegressorParameters::default()
        .with_n_estimators(80)
        .with_max_depth(4)
        .with_learning_rate(0.08)
        .with_min_child_weight(30)
        .with_subsample(0.8)
        .with_seed(1);
    Boosted(XGRegressor::fit(&x, &targets.to_vec(), parameters).expect("enough rows"))
}

impl Boosted {
    /// What it foretells of rows.
    pub fn predict(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        let x = DenseMatrix::from_2d_vec(&rows.to_vec()).expect("rows of one length");
        self.0.predict(&x).expect("the figures it was fitted on")
    }
}
