"""How systems of this kind broke elsewhere, and which test keeps each of these from happening here.

A row names the trap and the tests that would fail if it caught us; the test below fails when one of them is gone.
"""

# ruff: noqa: E501 (a row of a table is a line)

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
RECORD, CYCLE, QUEUE = "service/test_record.py", "service/test_cycle.py", "service/test_cycle_queue.py"

TRAPS = [
    # counting
    ("one response on many growing lines", "shell/test_claude_code.py", "growing_lines_of_one_response_become_one_event"),
    ("lines of a stream in any order", RECORD, "the_order_of_a_streams_lines_does_not_matter"),
    ("replays by resumed and sub-agent sessions", "core/ledger/test_deduplicate.py", "count_once"),
    ("a space after a colon in JSON", "shell/test_claude_code.py", "lines_worth_decoding"),
    ("an event belongs to its own time", RECORD, "an_event_belongs_to_the_window_of_its_own_time"),
    ("one run through two doors", "service/test_counted_once.py", "a_run_that_reports_and_leaves_a_transcript_counts_once"),
    ("an unknown model is not free", RECORD, "tokens_without_a_price_are_counted_and_corrected_once_priced"),
    ("an explicit price of 0 is a price", "core/test_pricing.py", "own_price_of_zero_is_a_price"),
    ("a price table that does not load", "shell/test_price_catalog.py", "a_table_that_does_not_load_says_so_and_makes_estimates"),
    ("one-hour cache writes cost more", "core/test_pricing.py", "cost"),
    # limits and resets
    ("a reset clears every copy and keeps what is spent meanwhile", QUEUE, "what_was_used_before_a_reset_stays_there"),
    ("a reset keeps what leases hold", QUEUE, "a_reset_carries_the_unspent_part_of_every_lease"),
    ("zones, clock changes, month ends, leap days", "core/limits/test_schedule.py", "calendar_windows"),
    ("a day that a country skipped", "core/limits/test_schedule.py", "a_day_that_a_country_skipped_is_no_window"),
    ("a time without a zone", "core/test_usage.py", "an_event_without_a_zone_is_refused"),
    ("windows that jitter or overlap", "core/limits/test_schedule.py", "sessions_cover_every_use_once_and_never_overlap"),
    ("several exhausted windows: the last one counts", CYCLE, "a_verdict_names_every_limit_that_holds_and_the_last_of_their_resets"),
    ("a short reset wakes whom a long window holds", QUEUE, "a_short_windows_reset_wakes_nobody_whom_a_longer_one_holds"),
    ("one full scope leaves the others usable", CYCLE, "each_instance_has_an_amount_of_its_own"),
    ("changed amounts reach what waits", QUEUE, "changed_amounts_take_effect_at_once_for_what_waits"),
    # admission
    ("concurrent admissions pass the limit", "system/test_queue.py", "many_runners_and_kills_between_never_admit_too_much_nor_lose_an_answer"),
    ("and in any interleaving", "service/test_machine.py", "a_few_hundred_steps"),
    ("a batch admits more than fits", "core/admission/test_decide.py", "each_admission_shrinks_what_the_next_one_sees"),
    ("a reservation released twice or never", CYCLE, "a_reservation_is_given_back_exactly_once"),
    ("a leaked reservation blocks for ever", "system/test_queue.py", "a_lease_that_nobody_renews_returns_what_it_held_and_its_key_starts_anew"),
    ("an offer nobody takes blocks for ever", QUEUE, "after_three_offers_a_ticket_is_abandoned_and_may_come_back"),
    ("the same key twice", CYCLE, "a_key_twice_in_one_batch_is_one_reservation"),
    ("a key with another body", CYCLE, "a_key_with_another_body_is_refused_and_changes_nothing"),
    ("retrying prolongs the wait", CYCLE, "a_waiting_ticket_keeps_its_place_however_often_it_asks"),
    ("a run that costs ten times its estimate", CYCLE, "an_overrun_without_room"),
    ("a fitting ticket behind ten thousand", "core/queue/test_wake.py", "a_fitting_ticket_behind_ten_thousand_is_found_in_one_slice"),
    ("small tickets starve a large one", QUEUE, "a_smaller_ticket_does_not_take_the_room_that_a_larger_one_ahead_will_get"),
    ("ageing overturns a limit", QUEUE, "age_lifts_in_order_only_never_over_a_limit"),
    ("a borrower keeps out the owner", "core/admission/test_decide.py", "a_member_of_a_pool_borrows"),
    ("a stampede at the reset", QUEUE, "starts_are_spread_after_a_reset_but_never_out_of_order"),
    ("more than the fresh allowance at the reset", QUEUE, "at_a_reset_who_waits_wakes_in_order_against_fresh_room"),
    ("work that was cancelled starts", QUEUE, "what_was_withdrawn_does_not_start"),
    ("work past its deadline starts", QUEUE, "what_comes_after_its_deadline_does_not_start"),
    # alerts
    ("an alert per tick, replica or restart", "store/test_alert_store.py", "trap_one_notification_per_condition_not_per_tick_replica_or_restart"),
    ("an old window's alert that never ends", "core/alerts/test_step.py", "trap_one_alert_per_window_and_a_new_window_ends_the_old_ones"),
    ("a dead exporter looks like an all-clear", "shell/test_prometheus_rules.py", "trap_a_dead_exporter_is_no_all_clear_and_replicas_are_not_added_up"),
    ("a dead receiver loses the message", "service/test_deliver.py", "trap_a_failing_receiver_keeps_its_message_and_only_it_is_tried_again"),
    ("a hanging receiver blocks the others", "service/test_deliver.py", "trap_a_hanging_receiver_delays_nobody_else"),
    ("99 % of next to nothing", "shell/test_alert_rules.py", "trap_usage_alerts_have_a_floor"),
    ("a cache alert from a handful of calls", "core/alerts/test_step.py", "trap_a_cache_drop_needs_an_absolute_and_a_relative_drop"),
    ("a baseline that the drop drags down", "core/efficiency/test_cache.py", "cache_baseline"),
    # metrics and storage
    ("invented label values fill a Prometheus", "shell/test_metrics.py", "invented_label_values_are_other"),
    ("a removed limit stays visible", "shell/test_metrics.py", "a_removed_limit_disappears"),
    ("waiting items rewritten every cycle", QUEUE, "a_cycle_without_news_writes_nothing_about_what_waits"),
    ("a failed write loses usage", "shell/test_writer.py", "a_request_that_breaks_a_cycle_is_told_and_the_others_are_served"),
]  # fmt: skip


@cache
def names_in(path: str) -> frozenset[str]:
    """The test functions of a file."""
    tree = ast.parse((TESTS / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("path", "name"), [pytest.param(path, name, id=trap) for trap, path, name in TRAPS])
def test_each_trap_has_the_test_that_keeps_us_from_it(path, name):
    assert f"test_{name}" in names_in(path)
