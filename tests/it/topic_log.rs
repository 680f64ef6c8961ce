//! What both topic logs must keep, rule by rule: each runs on the embedded log and, where `WHARF_TEST_KAFKA` names one, on a
//! real Kafka. What only Kafka can get wrong stands in `kafka.rs` and `aborted.rs`.

mod aborted;
mod append;
mod bench;
mod expiry;
mod hold;
mod kafka;
mod lost;
mod members;
mod places;
mod reader;
mod redrive;
mod sink;
mod source;
mod wire;

/// Makes of each rule, an async function of a `Bench`, a test on one log.
macro_rules! rules {
    ($log:ident, $open:path; $($module:ident: $($rule:ident),+ $(,)?;)+) => {
        mod $log {
            $($(
                #[tokio::test(flavor = "multi_thread")]
                async fn $rule() {
                    if let Some(bench) = $open(stringify!($rule)) {
                        super::$module::$rule(bench).await;
                    }
                }
            )+)+
        }
    };
}

macro_rules! on_both_logs {
    ($($rules:tt)+) => {
        rules! { on_the_embedded_log, super::bench::Bench::embedded; $($rules)+ }
        rules! { on_kafka, super::bench::Bench::kafka; $($rules)+ }
    };
}

/// What a group's protocol has a say in: on the embedded log, by the classic protocol, and by that of KIP-848.
macro_rules! by_each_protocol {
    ($($rules:tt)+) => {
        rules! { group_on_the_embedded_log, super::bench::Bench::embedded; $($rules)+ }
        rules! { group_by_the_classic_protocol, super::bench::Bench::kafka; $($rules)+ }
        rules! { group_by_the_consumer_protocol, super::bench::Bench::kafka_848; $($rules)+ }
    };
}

/// Of several members, which only Kafka has.
macro_rules! by_both_protocols {
    ($($rules:tt)+) => {
        rules! { members_by_the_classic_protocol, super::bench::Bench::kafka; $($rules)+ }
        rules! { members_by_the_consumer_protocol, super::bench::Bench::kafka_848; $($rules)+ }
    };
}

on_both_logs! {
    append:
        records_arrive_byte_for_byte,
        keys_go_where_the_java_client_puts_them,
        records_without_a_key_reach_every_partition,
        an_oversize_record_is_refused_and_the_others_are_written,
        a_topic_that_is_not_there_is_named,
        a_topic_that_exists_is_left_as_it_is,
        a_topic_has_an_id_of_its_own_and_tells_its_ends,
        of_topics_asked_for_by_name_those_that_exist_are_told;
    source:
        records_and_positions_appear_together,
        positions_survive_reopening,
        an_empty_place_forgets_its_slice,
        positions_of_another_source_are_not_seen,
        a_second_owner_fences_the_first,
        every_task_reads_the_positions_of_the_whole_source,
        an_oversize_record_is_refused_and_nothing_is_written,
        a_source_that_is_not_exactly_once_keeps_its_positions;
    places:
        a_sink_goes_on_where_an_operator_put_its_offsets,
        offsets_of_a_group_in_use_are_not_moved_and_the_member_is_named,
        forgetting_offsets_that_no_group_has_is_no_error,
        an_offset_of_a_topic_that_was_created_anew_is_never_the_own_one,
        a_start_means_an_offset_for_each_partition,
        positions_are_seen_without_taking_the_source_over;
    redrive:
        of_two_redrives_the_later_one_sends_and_nothing_goes_twice,
        a_place_in_a_topic_that_was_made_anew_is_none_in_the_one_that_is_there,
        what_was_sent_is_remembered_letter_by_letter_over_reopening,
        a_record_that_was_buried_twice_goes_back_once;
    reader:
        a_reader_sees_all_from_its_start,
        a_reader_of_a_missing_topic_is_told_what_there_is;
}

by_each_protocol! {
    sink:
        start_earliest_reads_all,
        start_latest_reads_what_comes_later,
        start_at_a_time_begins_with_the_first_record_of_that_time,
        nothing_is_delivered_before_begin,
        offsets_survive_reopening,
        limits_bound_a_batch,
        the_linger_closes_a_batch_that_is_not_full,
        a_dropped_call_loses_nothing,
        seek_reads_again,
        caught_up_becomes_true_at_the_end_and_false_with_a_new_record,
        two_lanes_split_the_partitions,
        order_is_kept_within_a_partition,
        a_lane_does_not_commit_what_it_never_owned,
        a_commit_is_refused_after_another_member_took_over,
        a_pattern_takes_up_a_new_topic,
        a_lane_knows_the_ends_of_its_partitions;
    members:
        what_comes_after_the_first_start_of_a_sink_that_starts_at_the_end_is_read_by_the_next;
    hold:
        a_held_partition_hands_out_nothing_while_the_others_flow_on,
        a_held_partition_goes_on_where_it_is_sought,
        a_place_that_is_not_there_is_told_once_its_partition_is_held_no_more;
    lost:
        a_place_that_retention_removed_is_out_of_range,
        a_place_past_the_end_is_out_of_range,
        a_partition_past_the_end_stays_stopped_when_the_log_has_grown_past_it_until_it_is_moved,
        that_a_partition_stopped_commits_nothing_before_its_sink_says_so,
        a_commit_of_what_was_read_before_it_leaves_a_partition_past_the_end_stopped,
        offsets_of_a_topic_that_was_created_anew_are_not_used;
}

by_both_protocols! {
    sink:
        a_batch_holds_a_share_of_each_partition_that_has_records;
    members:
        a_partition_is_handed_over_only_when_its_lane_lets_go,
        a_partition_is_given_back_at_the_deadline,
        dropping_lanes_leaves_the_group_even_with_a_revocation_pending,
        a_partition_that_is_added_at_run_time_is_taken_up,
        a_partition_that_nobody_has_yet_is_not_taken_for_read,
        a_topic_that_is_heard_of_a_moment_later_is_not_taken_for_read,
        what_comes_into_a_partition_while_a_sink_that_starts_at_the_end_is_away_is_read,
        what_comes_into_a_partition_or_topic_before_it_is_taken_up_is_read_by_a_sink_that_starts_at_the_end,
        a_topic_that_is_created_anew_while_it_is_read_comes_as_another_one,
        a_topic_that_is_created_anew_with_fewer_partitions_is_read,
        a_topic_that_is_created_anew_and_has_grown_past_the_old_offset_is_read_once_from_its_start,
        a_member_with_a_fixed_name_comes_back_to_its_partitions;
}
