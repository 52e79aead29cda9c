# Two commands for newcomers: `make demo` and `make test`. Each does all its own set-up.
# PYTHON=/path/to/python3.12 names the interpreter for .venv; EVENTS="a.ndjson.gz b.ndjson" and DATA=folder are for demo.

BIN := .venv/bin
# Where it is set, every process would compile our modules anew at its start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-long bench bench-alerts bench-views bench-referrals backtest-docs questions-docs dashboards dashboard-pictures reference lint format lock setup jars clean help

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 12

setup:  ## Make .venv with pinned packages (every other target does it by itself)
	@sh infra/setup_venv.sh

demo: setup  ## Run everything on a simulated year of 20 communities, or on EVENTS="file …"
	@$(BIN)/qunpulse demo $(if $(DATA),--data $(DATA)) $(if $(EVENTS),--events $(EVENTS))

lint: setup  ## Style, format, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

jars: setup  ## Fetch and check the Kafka broker's jars
	@$(BIN)/python -m infra.embedded.maven fetch

test: lint jars  ## What every change must pass
	$(BIN)/pytest -m "not long" -n 2 --dist loadfile --no-loadscope-reorder  # each process has its own stack

test-long: jars  ## What takes longer
	$(BIN)/pytest -m long

bench: jars  ## Speed of one worker on a backlog; checks its answer, then prints one JSON line
	@$(BIN)/python -m tests.bench.backlog

bench-alerts: jars  ## Event to message of an alert on a live worker; then timers of a million members
	@$(BIN)/python -m tests.bench.alert_path
	@$(BIN)/python -m tests.bench.alert_timers

bench-views: setup  ## Time of every view for one of 100 communities of a year with 10,000,000 events
	@$(BIN)/python -m tests.bench.views

bench-referrals: jars  ## Speed and memory of referral forests; two real feeds of invitations from FEEDS=folder, with their figures
	@$(BIN)/python -m tests.bench.referrals
	@$(BIN)/python -m tests.bench.referral_feeds $(FEEDS)

backtest-docs: setup  ## Write docs/backtest.md anew from the real event feeds in FEEDS=folder
	$(BIN)/python -m streams.backtest.docs $(if $(FEEDS),$(FEEDS),../shared/data)

questions-docs: jars  ## Write the answers and plots of docs/questions.md anew from the real event feeds in FEEDS=folder
	$(BIN)/python -m streams.questions.docs $(if $(FEEDS),$(FEEDS),../shared/data)

dashboards: setup  ## Write Grafana's dashboards (infra/grafana/*.json) anew from their Python
	@$(BIN)/python -m infra.grafana

dashboard-pictures: jars  ## Draw docs/images/dashboard-*.png anew: a simulated year on real programs; takes three minutes
	@$(BIN)/python -m tests.operations.draw_dashboards

reference: setup  ## Write docs/settings.md and docs/metrics.md anew from the code
	@$(BIN)/python -m streams.reference

format: setup  ## Put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup  ## Pin the newest allowed packages in requirements.lock
	@test -x build/lock/bin/uv || { $(BIN)/python -m venv build/lock && build/lock/bin/pip install --quiet uv; }
	build/lock/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet \
		--output-file requirements.lock

clean:  ## Remove what can be made again (not ./data)
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
