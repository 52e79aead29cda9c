"""`qunpulse topics apply`: the topics as they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigFile, DataDir, load_settings

if TYPE_CHECKING:
    from streams.kafka_cluster import KafkaCluster, TopicChange
    from streams.settings import Settings

app = typer.Typer(help="Kafka topics.", no_args_is_help=True)


@app.command("apply")
def apply(
    data: DataDir = None,
    config_file: ConfigFile = None,
    partitions: Annotated[
        int | None, typer.Option(metavar="N", help="Partitions of each topic; fixed once created.")
    ] = None,
    replication_factor: Annotated[int | None, typer.Option(metavar="N", help="Replicas; 3 in production.")] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT,…", help="Kafka brokers.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change and change nothing.")] = False,
) -> None:
    """Create the topics, or bring their settings in line; running it again changes nothing.

    QUNPULSE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 qunpulse topics apply --partitions 12 --replication-factor 3
    """
    from streams.cli.reach import running_or_error
    from streams.kafka_cluster import KafkaCluster

    settings = running_or_error(
        load_settings(
            config_file,
            data_dir=data,
            partitions=partitions,
            replication_factor=replication_factor,
            kafka_bootstrap_servers=kafka,
        )
    )
    with KafkaCluster(settings.kafka_bootstrap_servers) as cluster:
        for change in apply_topics(cluster, settings, dry_run=dry_run):
            detail = f" ({change.detail})" if change.detail else ""
            print(f"{change.name}: {change.action}, {change.partitions} partitions{detail}")


def apply_topics(cluster: KafkaCluster, settings: Settings, *, dry_run: bool = False) -> list[TopicChange]:
    """The event and dead-letter topics as the settings want them."""
    from schemas.topics import topic_specs

    return cluster.apply(topic_specs(settings.partitions), settings.replication_factor, dry_run=dry_run)
