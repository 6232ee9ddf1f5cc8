//! Grouping is a stable sort by token, whatever the budget and however the tokens fall.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::Int64Array;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use proptest::prelude::Just;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prelude::prop_oneof;
use proptest::proptest;

use crate::storage::StorageError;
use crate::storage::cluster::Grouping;
use crate::storage::cluster::GroupingPlan;
use crate::storage::cluster::bucket_of;

fn batch(rows: &[(Option<i64>, i64)]) -> RecordBatch {
    let tokens: Int64Array = rows.iter().map(|row| row.0).collect();
    let numbers: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("token", Arc::new(tokens) as ArrayRef, true),
        ("number", Arc::new(numbers) as ArrayRef, true),
    ])
    .unwrap()
}

fn group(rows: &[(Option<i64>, i64)], memory_bytes: usize) -> Vec<(Option<i64>, i64)> {
    let folder = tempfile::tempdir().unwrap();
    let mut grouping = Grouping::new(GroupingPlan {
        schema: batch(&[]).schema(),
        column: 0,
        memory_bytes,
        folder: folder.path().to_path_buf(),
        label: "test".to_owned(),
    });
    for chunk in rows.chunks(7) {
        grouping.push(batch(chunk)).unwrap();
    }
    let mut out = Vec::new();
    grouping
        .finish(&mut |batch: &RecordBatch| -> Result<(), StorageError> {
            let tokens = batch.column(0).as_primitive::<Int64Type>();
            let numbers = batch.column(1).as_primitive::<Int64Type>();
            out.extend(tokens.iter().zip(numbers.values().iter().copied()));
            Ok(())
        })
        .unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a temporary file was left");
    out
}

fn token() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        Just(None),
        any::<i64>().prop_map(Some),
        (0_i64..3).prop_map(Some),
        Just(Some(i64::MIN)),
        Just(Some(i64::MAX)),
        (-2_i64..2).prop_map(|low| Some(low << 62))
    ]
}

proptest! {
    #[test]
    fn grouping_is_a_stable_sort(tokens in proptest::collection::vec(token(), 0..200), memory in 100_usize..20_000) {
        let rows: Vec<_> = tokens.iter().copied().zip(0_i64..).collect();
        let mut sorted = rows.clone();
        sorted.sort_by_key(|row| row.0);
        assert_eq!(group(&rows, memory), sorted);
    }
}

#[test]
fn buckets_follow_the_order_of_tokens_at_every_depth() {
    let tokens = [i64::MIN, -5, -1, 0, 1, 5, i64::MAX];
    for shared in [0, 6, 12] {
        let same_prefix = |token: i64| (token.cast_unsigned() ^ (1 << 63)) & !(u64::MAX >> shared);
        for pair in tokens.windows(2) {
            let [a, b] = pair else { continue };
            if shared == 0 || same_prefix(*a) == same_prefix(*b) {
                assert!(bucket_of(*a, shared) <= bucket_of(*b, shared));
            }
        }
    }
    assert_ne!(bucket_of(0, 60), bucket_of(1, 60), "the last bits are told apart");
}
