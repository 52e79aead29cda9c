"""By view: the test that recomputes it and the test with an example worked out by hand, relative to `tests/`."""

_BASE = "views/test_harness.py::test_the_base_tables_equal_the_oracle_before_other_views_are_looked_at"
_COPIES = "views/test_base_views.py::test_the_newest_copy_of_a_row_is_shown_by_hand"
_DESK = "integration/test_alert_desk.py"
_ALERTS = "integration/test_alerts_end_to_end.py"
_ACTIVITY, _BOOKS, _BOARDS = "views/test_activity.py", "views/test_base_views.py", "views/test_boards_and_points.py"
_BUYERS, _EFFORTS, _FATIGUE = "views/test_buyers.py", "views/test_efforts.py", "views/test_fatigue.py"
_HEALTH, _HOURS, _LIFE = "views/test_group_health.py", "views/test_hours.py", "views/test_lifecycle.py"
_PERSONS, _REFERRALS, _RESPONSES = "views/test_persons.py", "views/test_referrals.py", "views/test_responses.py"
_RETENTION, _REVENUE, _TOUCHES = "views/test_retention.py", "views/test_revenue.py", "views/test_touches.py"

SHOWN: dict[str, tuple[str, str]] = {
    "accounting": (
        "integration/test_simulated_feeds.py::test_a_disorderly_feed_lands_exactly",
        f"{_BOOKS}::test_the_books_by_hand",
    ),
    "active_members_daily": (f"{_ACTIVITY}::test_active_members", f"{_ACTIVITY}::test_active_members_by_hand"),
    "activity_1m": (_BASE, f"{_BOOKS}::test_minutes_hours_and_days_by_hand"),
    "activity_1h": (_BASE, f"{_BOOKS}::test_minutes_hours_and_days_by_hand"),
    "activity_1d": (_BASE, f"{_BOOKS}::test_minutes_hours_and_days_by_hand"),
    "activity_hours": (f"{_HOURS}::test_hours_of_the_week", f"{_HOURS}::test_a_monday_evening_by_hand"),
    "activity_now": ("integration/test_simulated_feeds.py::test_a_disorderly_feed_lands_exactly", _COPIES),
    "activity_rolling": (
        "integration/test_storage_rolling.py::test_windows_equal_counting_by_hand",
        "integration/test_storage_rolling.py::test_a_member_leaves_the_window_on_the_day_after_it",
    ),
    "alert_deliveries": (
        f"{_DESK}::test_a_receiver_in_trouble_gets_everything_in_the_end_and_nothing_twice",
        _COPIES,
    ),
    "alert_feeds": (f"{_ALERTS}::test_feeds_that_never_mark_questions_are_named_once", _COPIES),
    "alert_mutes": (
        "unit/test_alert_laws.py::test_what_is_muted_is_landed_and_told_to_nobody_until_the_mute_ends",
        _COPIES,
    ),
    "alert_quality": (
        f"{_ALERTS}::test_verdicts_are_counted_by_kind_the_latest_of_an_alert_counting",
        f"{_ALERTS}::test_verdicts_are_counted_by_kind_the_latest_of_an_alert_counting",
    ),
    "alerts": ("properties/test_health_alerts.py::test_alerts_on_communities_are_those_of_the_oracle", _COPIES),
    "best_hours": (
        f"{_HOURS}::test_best_hours_are_the_ten_largest_means",
        f"{_HOURS}::test_the_two_hours_that_had_anything_by_hand",
    ),
    "check_in_days": (f"{_BOARDS}::test_streak_days", f"{_BOARDS}::test_a_streak_by_hand"),
    "check_in_streaks": (f"{_BOARDS}::test_streaks", f"{_BOARDS}::test_a_streak_by_hand"),
    "communities": (
        "views/test_harness.py::test_every_community_is_there_as_the_rules_describe_it",
        f"{_HEALTH}::test_a_community_as_the_rules_describe_it_by_hand",
    ),
    "community_offsets": (
        f"{_HOURS}::test_offsets_of_every_community",
        f"{_HOURS}::test_the_clock_change_moves_the_hour_by_hand",
    ),
    "community_persons": (
        f"{_PERSONS}::test_communities_and_their_overlap",
        f"{_PERSONS}::test_two_accounts_of_one_person_by_hand",
    ),
    "content_effect": (f"{_EFFORTS}::test_what_follows_content", f"{_EFFORTS}::test_one_post_by_hand"),
    "conversion_monthly": (f"{_BUYERS}::test_conversion", f"{_BUYERS}::test_conversion_by_hand"),
    "coupon_codes": (f"{_BUYERS}::test_coupons", f"{_BUYERS}::test_coupons_by_hand"),
    "coupons": (f"{_BUYERS}::test_coupons", f"{_BUYERS}::test_coupons_by_hand"),
    "dead_letters": ("integration/test_bad_input.py::test_broken_payloads_are_all_dead_lettered", _COPIES),
    "definitions": (
        f"{_RETENTION}::test_a_shorter_activation_is_a_word_in_the_rules",
        f"{_BOOKS}::test_definitions_by_hand",
    ),
    "diagnosis": (f"{_HEALTH}::test_every_group_is_told_how_it_is", f"{_HEALTH}::test_a_zombie_group_by_hand"),
    "effort_baselines": (
        f"{_EFFORTS}::test_the_weeks_before_at_the_same_weekdays_and_hours",
        f"{_EFFORTS}::test_the_parts_of_a_flash_sale_by_hand",
    ),
    "effort_orders": (
        f"{_EFFORTS}::test_which_orders_count",
        f"{_EFFORTS}::test_the_parts_of_a_flash_sale_by_hand",
    ),
    "effort_participants": (
        f"{_EFFORTS}::test_who_took_part",
        f"{_EFFORTS}::test_the_parts_of_a_flash_sale_by_hand",
    ),
    "effort_parts": (f"{_EFFORTS}::test_first_parts", f"{_EFFORTS}::test_the_parts_of_a_flash_sale_by_hand"),
    "effort_quits": (f"{_EFFORTS}::test_who_quit_in_the_wake", f"{_EFFORTS}::test_the_parts_of_a_flash_sale_by_hand"),
    "effort_results": (f"{_EFFORTS}::test_results_by_community", f"{_EFFORTS}::test_a_flash_sale_by_hand"),
    "effort_totals": (
        f"{_EFFORTS}::test_totals_count_people_and_orders_once",
        f"{_EFFORTS}::test_a_flash_sale_by_hand",
    ),
    "efforts": (f"{_EFFORTS}::test_what_took_place_where", f"{_EFFORTS}::test_the_parts_of_a_flash_sale_by_hand"),
    "events": ("views/test_harness.py::test_every_event_is_there_once", f"{_BOOKS}::test_events_by_hand"),
    "first_joins": (f"{_RETENTION}::test_first_joins", f"{_RETENTION}::test_first_joins_by_hand"),
    "first_responses": (f"{_RESPONSES}::test_first_responses", f"{_RESPONSES}::test_answers_by_hand"),
    "funnel_aarrr": (f"{_RETENTION}::test_the_funnel_in_any_order", f"{_RETENTION}::test_both_funnels_by_hand"),
    "funnel_aarrr_strict": (
        f"{_RETENTION}::test_the_funnel_as_a_strict_sequence",
        f"{_RETENTION}::test_both_funnels_by_hand",
    ),
    "funnel_members": (
        f"{_RETENTION}::test_the_steps_of_each_member",
        f"{_RETENTION}::test_the_steps_of_two_members_by_hand",
    ),
    "group_health": (f"{_HEALTH}::test_health_of_groups", f"{_HEALTH}::test_a_zombie_group_by_hand"),
    "growth_sources": (f"{_HEALTH}::test_growth_by_source", f"{_HEALTH}::test_a_zombie_group_by_hand"),
    "k_factor": (
        f"{_REFERRALS}::test_k_factor_equals_the_recount",
        f"{_REFERRALS}::test_k_factor_of_two_weeks_on_paper",
    ),
    "leaderboards": (f"{_BOARDS}::test_leaderboards", f"{_BOARDS}::test_a_month_by_hand"),
    "lifecycle": (f"{_LIFE}::test_where_members_stand", f"{_LIFE}::test_stages_by_hand"),
    "lifecycle_stages": (f"{_LIFE}::test_where_members_stand", f"{_LIFE}::test_how_many_are_where_by_hand"),
    "local_days": (f"{_ACTIVITY}::test_local_days", f"{_ACTIVITY}::test_a_day_of_23_hours_by_hand"),
    "member_active_dates": (
        f"{_ACTIVITY}::test_active_days_of_each_member",
        f"{_ACTIVITY}::test_active_days_by_hand",
    ),
    "member_conduct": (f"{_HEALTH}::test_conduct_of_members", f"{_HEALTH}::test_flooding_by_hand"),
    "member_days": (_BASE, f"{_BOOKS}::test_days_of_members_and_money_by_hand"),
    "member_points": (f"{_BOARDS}::test_the_ledger_is_a_queue_of_points", f"{_BOARDS}::test_points_by_hand"),
    "member_tier_days": (
        f"{_LIFE}::test_tiers_at_the_end_of_each_day",
        f"{_LIFE}::test_days_of_a_rise_by_hand",
    ),
    "members": (_BASE, f"{_BOOKS}::test_days_of_members_and_money_by_hand"),
    "memberships": (f"{_FATIGUE}::test_stays_of_members", f"{_FATIGUE}::test_three_members_by_hand"),
    "month_winners": (
        f"{_BOARDS}::test_leaderboards",
        f"{_BOARDS}::test_a_month_is_final_when_it_and_the_lateness_are_over",
    ),
    "newcomers_answered": (f"{_EFFORTS}::test_newcomers_answered_and_not", f"{_EFFORTS}::test_a_welcome_by_hand"),
    "order_hours": (
        f"{_HOURS}::test_orders_by_category_and_hour",
        f"{_HOURS}::test_the_clock_change_moves_the_hour_by_hand",
    ),
    "orders": (f"{_REVENUE}::test_orders_and_refunds", f"{_REVENUE}::test_money_by_hand"),
    "participation_daily": (f"{_ACTIVITY}::test_participation", f"{_ACTIVITY}::test_participation_by_hand"),
    "participation_inequality": (f"{_ACTIVITY}::test_inequality", f"{_ACTIVITY}::test_inequality_by_hand"),
    "person_members": (
        f"{_PERSONS}::test_members_and_the_persons_behind_them",
        f"{_PERSONS}::test_two_accounts_of_one_person_by_hand",
    ),
    "persons": (
        f"{_PERSONS}::test_persons_over_all_communities",
        f"{_PERSONS}::test_two_accounts_of_one_person_by_hand",
    ),
    "persons_1d": (f"{_PERSONS}::test_days_over_all_communities", f"{_PERSONS}::test_a_day_by_hand"),
    "points_ledger": (f"{_BOARDS}::test_the_ledger_is_a_queue_of_points", f"{_BOARDS}::test_points_by_hand"),
    "promotion_exposure": (
        f"{_FATIGUE}::test_exposure_of_every_member_on_every_day",
        f"{_FATIGUE}::test_three_members_by_hand",
    ),
    "promotion_fatigue": (
        f"{_FATIGUE}::test_sums_by_dose_with_wilson_s_interval",
        f"{_FATIGUE}::test_three_members_by_hand",
    ),
    "promotion_fatigue_dose": (
        f"{_FATIGUE}::test_the_dose_at_which_quits_rise",
        f"{_FATIGUE}::test_three_members_by_hand",
    ),
    "referral_credits": (
        f"{_REFERRALS}::test_nodes_and_credits_equal_the_offline_rebuild",
        f"{_REFERRALS}::test_the_tree_and_the_credits_of_a_campaign_on_paper",
    ),
    "referral_funnel": (
        f"{_REFERRALS}::test_the_funnel_equals_the_recount",
        f"{_REFERRALS}::test_the_funnel_of_a_campaign_on_paper",
    ),
    "referral_leaderboard": (
        f"{_REFERRALS}::test_the_leaderboard_equals_the_recount",
        f"{_REFERRALS}::test_the_leaderboard_of_a_campaign_on_paper",
    ),
    "referral_nodes": (
        f"{_REFERRALS}::test_nodes_and_credits_equal_the_offline_rebuild",
        f"{_REFERRALS}::test_the_tree_and_the_credits_of_a_campaign_on_paper",
    ),
    "referral_revenue": (
        f"{_REFERRALS}::test_the_revenue_of_subtrees_equals_the_offline_rebuild",
        f"{_REFERRALS}::test_the_tree_and_the_credits_of_a_campaign_on_paper",
    ),
    "referral_source_quality": (
        f"{_REFERRALS}::test_source_quality_equals_the_recount",
        f"{_REFERRALS}::test_source_quality_of_a_month_on_paper",
    ),
    "refunds": (f"{_REVENUE}::test_orders_and_refunds", f"{_REVENUE}::test_money_by_hand"),
    "repurchase_cohorts": (f"{_BUYERS}::test_buying_again", f"{_BUYERS}::test_buying_again_by_hand"),
    "repurchase_cycle": (f"{_BUYERS}::test_the_cycle_of_buying", f"{_BUYERS}::test_buying_again_by_hand"),
    "repurchase_cycle_by_category": (
        f"{_BUYERS}::test_the_cycle_of_buying",
        f"{_BUYERS}::test_buying_again_by_hand",
    ),
    "repurchase_window": (f"{_BUYERS}::test_buying_again", f"{_BUYERS}::test_buying_again_by_hand"),
    "response_times_daily": (f"{_RESPONSES}::test_response_times", f"{_RESPONSES}::test_answers_by_hand"),
    "response_times_monthly": (f"{_RESPONSES}::test_response_times", f"{_RESPONSES}::test_a_month_s_answers_by_hand"),
    "retention_30_days": (
        f"{_RETENTION}::test_thirty_days_later_is_the_cohorts_thirtieth_day",
        f"{_RETENTION}::test_thirty_days_later_in_both_readings",
    ),
    "retention_cohorts": (f"{_RETENTION}::test_cohorts", f"{_RETENTION}::test_cohorts_by_hand"),
    "revenue_1d": (_BASE, f"{_BOOKS}::test_days_of_members_and_money_by_hand"),
    "revenue_daily": (f"{_REVENUE}::test_money_of_a_period", f"{_REVENUE}::test_money_by_hand"),
    "revenue_monthly": (f"{_REVENUE}::test_money_of_a_period", f"{_REVENUE}::test_money_by_hand"),
    "revenue_weekly": (f"{_REVENUE}::test_money_of_a_period", f"{_REVENUE}::test_money_by_hand"),
    "revenue_total_daily": (
        f"{_REVENUE}::test_money_of_all_communities_together",
        f"{_REVENUE}::test_a_chain_of_shops_by_hand",
    ),
    "revenue_total_monthly": (
        f"{_REVENUE}::test_money_of_all_communities_together",
        f"{_REVENUE}::test_a_chain_of_shops_by_hand",
    ),
    "rfm": (f"{_BUYERS}::test_recency_frequency_and_monetary_value", f"{_BUYERS}::test_scores_by_hand"),
    "rfm_segments": (f"{_BUYERS}::test_recency_frequency_and_monetary_value", f"{_BUYERS}::test_segments_by_hand"),
    "roster_spells": (f"{_ACTIVITY}::test_stays_on_the_roster", f"{_ACTIVITY}::test_participation_by_hand"),
    "routing": (f"{_LIFE}::test_moves_follow_the_rules", f"{_LIFE}::test_who_should_move_where_by_hand"),
    "target_rate": (
        f"{_REFERRALS}::test_milestones_and_their_rate_equal_the_recount",
        f"{_REFERRALS}::test_the_rates_of_two_targets_on_paper",
    ),
    "tier_changes": (f"{_LIFE}::test_changes_of_tiers", f"{_LIFE}::test_a_rise_by_hand"),
    "touch_effect": (f"{_TOUCHES}::test_outcomes", f"{_TOUCHES}::test_four_newcomers_by_hand"),
    "touch_effect_total": (f"{_TOUCHES}::test_outcomes", f"{_TOUCHES}::test_four_newcomers_and_one_more_by_hand"),
    "touch_outcomes": (f"{_TOUCHES}::test_outcomes", f"{_TOUCHES}::test_four_newcomers_and_one_more_by_hand"),
    "touches": (
        "integration/test_touches.py::test_buyers_are_thanked_on_the_topic_and_those_held_out_are_not",
        _COPIES,
    ),
}

_ONBOARDED = "test_history_onboarded_later_lands_exactly_and_leaves_the_rest_unchanged"
ELSEWHERE_ON_REAL_FEEDS = dict.fromkeys(("accounting", "activity_now"), f"integration/test_real_feeds.py::{_ONBOARDED}")
"""Views that test_real_feeds.py leaves to others."""

NOT_OF_EVENTS = {
    *("alerts", "alert_deliveries", "alert_feeds", "alert_mutes", "alert_quality", "dead_letters"),
    *("touches", "touch_outcomes", "touch_effect", "touch_effect_total"),
    *("target_rate", "definitions", "community_offsets"),
}
"""Views of what is done with people, and of rules: real feeds of events hold none of it."""
