"""The ACLs of our Kafka users as a script of calls to Kafka's own tool: `infra/kafka/acls.sh` is what this prints."""

from __future__ import annotations

from itertools import groupby

from streams.kafka_rights import ROLES, Right, rights_of

_HEAD = """\
#!/bin/sh
# What each of qunpulse's Kafka users may do; everything else is denied to them. Made by `qunpulse topics acls`
# (consumer group: {group}), which with --apply also does it by itself, without Kafka's own tools.
#
#   KAFKA_ACLS="kafka-acls.sh --bootstrap-server kafka:9093 --command-config root.properties" sh acls.sh
#
# root.properties logs in as a super user:
#   security.protocol=SASL_SSL
#   sasl.mechanism=SCRAM-SHA-512
#   sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="root" password="…";
#   ssl.truststore.type=PEM
#   ssl.truststore.location=ca.pem
set -eu
: "${{KAFKA_ACLS:?set it to the call of kafka-acls.sh with --bootstrap-server and --command-config}}"
"""


def script(group_id: str) -> str:
    """The whole script for workers of this consumer group."""
    lines = [_HEAD.format(group=group_id)]
    for role in ROLES:
        lines.append(f"\n# {role}\n")
        for (resource, name), rights in groupby(rights_of(role, group_id), lambda right: (right.resource, right.name)):
            operations = " ".join(f"--operation {_spelled(right)}" for right in rights)
            lines.append(f"$KAFKA_ACLS --add --allow-principal User:{role} {operations} --{resource} '{name}'\n")
    return "".join(lines)


def _spelled(right: Right) -> str:
    """ALTER_CONFIGS is AlterConfigs there."""
    return "".join(word.capitalize() for word in right.operation.split("_"))
