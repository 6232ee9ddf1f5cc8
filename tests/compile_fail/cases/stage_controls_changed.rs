//! error[E0616]: A stage whose controls are changed after review would withhold less.

use obscura_query_guard::plan::Stage;

pub fn weakened(stage: &mut Stage) {
    stage.controls.dominance = None;
}
