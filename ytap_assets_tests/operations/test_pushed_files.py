"""Production of workspaces in the lake is that of folders: the same tests, with every file pushed.

Left out are tests that open a second installation or change a file's times only, and those that
examine what a tick reads.
"""

from __future__ import annotations

import pytest

from ytap_assets.operations.platform import Platform
from ytap_assets_tests.operations.test_inboxes import (  # noqa: F401
    test_a_decision_that_was_read_long_ago_counts_when_its_script_comes,
    test_a_run_without_news_parses_no_line_and_writes_nothing,
)
from ytap_assets_tests.operations.test_production import (  # noqa: F401
    test_a_closed_gate_holds_a_script_back_and_says_why,
    test_a_file_behind_a_link_is_named_on_the_record,
    test_a_file_that_was_cut_counts_nothing_twice,
    test_a_manifest_cannot_reach_out_of_its_folder,
    test_a_manifest_that_is_too_large_is_named_on_the_record,
    test_a_new_line_or_video_changes_the_mark,
    test_a_public_video_of_no_cleared_script_is_reported_until_it_is_corrected,
    test_a_script_goes_all_the_way_where_the_policy_approves,
    test_a_script_waits_for_a_person_where_people_approve,
    test_a_video_behind_a_link_is_not_taken,
    test_a_video_whose_file_does_not_match_its_manifest_waits,
    test_an_inbox_over_the_cap_is_named_and_not_read,
    test_an_inbox_that_is_a_link_is_not_read_and_is_named,
    test_bad_lines_are_put_aside_once,
    test_decisions_that_do_nothing_are_told,
    test_each_line_of_a_growing_file_counts_in_one_entry,
    test_moves_at_a_keyboard_whose_clock_went_back_stay_in_order_of_time,
    test_promoting_again_changes_nothing,
    test_the_same_bad_line_of_two_workspaces_is_new_for_each,
    test_what_was_decided_about_one_video_is_not_appended_for_another,
    test_where_the_approvals_are_a_pipe_nothing_is_promoted,
)
from ytap_assets_tests.pushing import PushingPlatform


@pytest.fixture
def platform(platform: Platform) -> Platform:
    """The two workspaces of the other tests, which are pushed whenever a file has changed."""
    return PushingPlatform(platform)
