"""Dashboards for Grafana: written in Python, kept as JSON, asked and drawn without Grafana.

* `pipeline.py`, `communities.py`, `business.py`: what the three dashboards show. `python -m infra.grafana` writes them
  as JSON beside this file, where Grafana loads them from; a test holds the two together.
* `panels.py`, `fragments.py`, `clickhouse_query.py`: the words the dashboards are written in.
* `choices.py`, `substitution.py`, `asking.py`: put a panel's queries to Prometheus and ClickHouse as Grafana would.
* `contact_sheet.py`, `drawing.py`: one picture of all the answers, panels at their places in the grid.
* `provisioning/`: data sources and the folder of dashboards, for Grafana's start.
"""
