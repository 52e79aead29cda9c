"""`qunpulse topics apply|acls`: the topics as they must be, and who may use them."""

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
    with KafkaCluster(settings.kafka()) as cluster:
        for change in apply_topics(cluster, settings, dry_run=dry_run):
            detail = f" ({change.detail})" if change.detail else ""
            print(f"{change.name}: {change.action}, {change.partitions} partitions{detail}")


@app.command("acls")
def acls(
    data: DataDir = None,
    config_file: ConfigFile = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT,…", help="Kafka brokers.")] = None,
    group_id: Annotated[
        str | None, typer.Option("--group-id", metavar="NAME", help="Consumer group of the workers.")
    ] = None,
    apply_them: Annotated[
        bool, typer.Option("--apply", help="Create those that are missing; needs ALTER on the cluster.")
    ] = False,
) -> None:
    """Show what each of our Kafka users must be allowed, as calls of Kafka's own kafka-acls.sh.

    The users are worker, feeder, deliver, operator and admin. Nothing is ever taken away.

      qunpulse topics acls > acls.sh

      QUNPULSE_KAFKA_USER=admin QUNPULSE_KAFKA_PASSWORD_FILE=admin.secret qunpulse topics acls --apply
    """
    loaded = load_settings(config_file, data_dir=data, kafka_bootstrap_servers=kafka, group_id=group_id)
    if not apply_them:
        from infra.kafka.acls import script

        print(script(loaded.settings.group_id), end="")
        return
    from streams.cli.reach import running_or_error
    from streams.kafka_cluster import KafkaCluster
    from streams.kafka_rights import ROLES, rights_of

    settings = running_or_error(loaded)
    with KafkaCluster(settings.kafka()) as cluster:
        for role in ROLES:
            added = cluster.allow(role, rights_of(role, settings.group_id))
            print(f"User:{role}: {added} rights added" if added else f"User:{role}: nothing to do")


def apply_topics(cluster: KafkaCluster, settings: Settings, *, dry_run: bool = False) -> list[TopicChange]:
    """The event and dead-letter topics as the settings want them."""
    from schemas.topics import topic_specs

    return cluster.apply(topic_specs(settings.partitions), settings.replication_factor, dry_run=dry_run)
