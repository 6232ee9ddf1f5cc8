//! Questions: asked, judged, run, and released or ended otherwise.

pub(crate) mod end;
pub mod judge;
pub mod outcome;
pub mod pending;
pub mod question;
mod released;
pub mod run;
pub mod submit;
