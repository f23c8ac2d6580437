//! The contract of [`weir_app::Store`].

mod commits;
mod looks;
mod lookups;
mod stages;

use std::future::Future;
use std::sync::Arc;

use weir_app::Store;

/// A store as the suite is given it.
pub type Fresh = Arc<dyn Store>;

/// Runs every case on a store of its own. A case that does not hold panics with what was expected.
pub async fn suite<F, M>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Fresh>,
{
    macro_rules! cases {
        ($($module:ident :: $case:ident),* $(,)?) => {$(
            eprintln!("store: {}", stringify!($case));
            $module::$case(make().await).await;
        )*};
    }
    cases![
        commits::what_was_committed_is_read_back,
        commits::a_run_is_committed_at_its_expected_version_only,
        commits::a_run_that_exists_cannot_begin_again,
        commits::a_lane_is_committed_at_its_expected_version_only,
        commits::a_pool_is_committed_at_its_expected_version_only,
        commits::a_number_is_given_once_per_pipeline,
        commits::a_push_starts_a_pipeline_once,
        commits::a_commit_that_conflicts_stores_nothing,
        commits::of_many_commits_at_one_version_exactly_one_wins,
        commits::runs_that_race_for_a_lane_lose_whole,
        stages::closed_stages_are_read_as_they_stand,
        stages::what_was_scraped_in_a_closed_stage_is_forgotten,
        lookups::an_approval_is_found_by_its_token,
        lookups::numbers_are_counted_per_pipeline,
        lookups::entries_come_in_order_and_as_they_were,
        lookups::runs_come_newest_first,
        lookups::a_scrape_is_replaced_per_step,
        lookups::lanes_come_as_asked_for,
        lookups::what_is_not_there_is_nothing,
        looks::effects_come_in_the_order_they_were_decided,
        looks::a_settled_effect_is_gone_for_good,
        looks::a_postponed_effect_counts_its_tries,
        looks::due_comes_longest_due_first_and_once_per_duty,
        looks::a_commit_replaces_both_looks,
        looks::waking_makes_due_earlier_and_never_later,
        looks::the_next_due_is_the_earliest_of_looks_and_effects,
    ];
}
