"""docs/alerts.md says every setting of alerts, with its default."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.backtest.docs import BEGIN, END
from streams.backtest.words import settings_text
from streams.operators.silent_alerts import limits_of
from streams.rules import load_rules
from streams.rules_churn import EpisodeRules, Holiday, LapsedBuyerRules, SilentRules, TierRules
from streams.rules_health import (
    ActivityDropRules,
    ExodusRules,
    FeedSilentRules,
    HealthRules,
    KindsRules,
    OverPromotionRules,
    ResyncNeededRules,
    RuleViolationRules,
    StalledGrowthRules,
    UnansweredRules,
    ZombieRules,
)
from streams.rules_model import Rules
from streams.rules_parts import Section

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "alerts.md").read_text(encoding="utf-8")


TABLES: dict[type[Section], str] = {
    EpisodeRules: "setting of each kind on members",
    HealthRules: "setting of each kind on communities",
    SilentRules: "`silent`",
    LapsedBuyerRules: "`lapsed_buyer`",
    TierRules: "`tiers`",
    Holiday: "`holidays`",
    KindsRules: "all kinds on communities",
    ActivityDropRules: "`activity_drop`",
    ExodusRules: "`exodus`",
    ZombieRules: "`zombie`",
    OverPromotionRules: "`over_promotion`",
    StalledGrowthRules: "`stalled_growth`",
    UnansweredRules: "`unanswered`",
    RuleViolationRules: "`rule_violation`",
    ResyncNeededRules: "`resync_needed`",
    FeedSilentRules: "`feed_silent`",
}


@pytest.mark.parametrize("section", TABLES)
def test_every_setting_stands_in_the_docs_with_its_default(section: type[Section]) -> None:
    shared = set(EpisodeRules.model_fields) if section is not EpisodeRules else set()
    if section is KindsRules:
        shared = set(section.model_fields) - {"check_hour"}
    elif issubclass(section, HealthRules):
        shared = set(HealthRules.model_fields) - set(section.__annotations__)
    table = PAGE.partition(f"| {TABLES[section]} |")[2].partition("\n\n")[0]
    for name, field in section.model_fields.items():
        if name in shared:
            continue
        (line,) = [line for line in table.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
        if field.default is not None and section is not Holiday:
            default = ", ".join(field.default) if isinstance(field.default, list) else str(field.default).lower()
            assert line.split("|")[2].strip().startswith(default), line


def test_the_example_of_the_docs_is_valid(tmp_path: Path) -> None:
    example = PAGE.partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "rules.yaml"
    path.write_text(example, encoding="utf-8")
    rules = load_rules(path)
    assert rules.alerts.of("wecom:grp-shanghai-01").silent.stay_away_chance == 0.5
    assert rules.alerts.of("wecom:grp-shanghai-01").silent.latest_days == 21
    assert not rules.alerts.of("wecom:grp-shanghai-01").left.enabled
    assert rules.alerts.of("another").left.enabled
    assert rules.tiers.high_value_orders == 3


def test_the_backtest_page_has_tables_for_all_feeds_and_their_pictures() -> None:
    page = (DOCS / "backtest.md").read_text(encoding="utf-8")
    written = page.partition(BEGIN)[2].partition(END)[0]
    assert written.count("| `silent` |") == 3
    assert "| `lapsed_buyer` |" in written
    assert f"| {settings_text(limits_of(Rules().alerts.silent))} (these ship) |" in written
    for name in ("qa_load", "gitter", "online_retail"):
        assert (DOCS / "images" / f"backtest-{name}.png").read_bytes().startswith(b"\x89PNG")
