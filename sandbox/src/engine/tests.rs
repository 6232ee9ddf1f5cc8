//! Tests of the engine: what cannot be opened, and what the second look refuses.
