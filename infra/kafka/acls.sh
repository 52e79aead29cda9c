#!/bin/sh
# What each of qunpulse's Kafka users may do; everything else is denied to them. Made by `qunpulse topics acls`
# (consumer group: qunpulse), which with --apply also does it by itself, without Kafka's own tools.
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
: "${KAFKA_ACLS:?set it to the call of kafka-acls.sh with --bootstrap-server and --command-config}"

# worker
$KAFKA_ACLS --add --allow-principal User:worker --operation Read --group 'qunpulse'
$KAFKA_ACLS --add --allow-principal User:worker --operation Write --topic 'community.alerts.v1'
$KAFKA_ACLS --add --allow-principal User:worker --operation Read --topic 'community.commands.v1'
$KAFKA_ACLS --add --allow-principal User:worker --operation Write --topic 'community.deadletter.v1'
$KAFKA_ACLS --add --allow-principal User:worker --operation Read --operation Write --topic 'community.joins.v1'
$KAFKA_ACLS --add --allow-principal User:worker --operation Read --operation Write --topic 'community.messages.v1'
$KAFKA_ACLS --add --allow-principal User:worker --operation Write --topic 'community.milestones.v1'
$KAFKA_ACLS --add --allow-principal User:worker --operation Read --operation Write --topic 'community.orders.v1'
$KAFKA_ACLS --add --allow-principal User:worker --operation Read --operation Write --topic 'community.referral-facts.v1'
$KAFKA_ACLS --add --allow-principal User:worker --operation Read --operation Write --topic 'community.referrals.v1'
$KAFKA_ACLS --add --allow-principal User:worker --operation Write --topic 'community.touches.v1'

# feeder
$KAFKA_ACLS --add --allow-principal User:feeder --operation Write --topic 'community.joins.v1'
$KAFKA_ACLS --add --allow-principal User:feeder --operation Write --topic 'community.messages.v1'
$KAFKA_ACLS --add --allow-principal User:feeder --operation Write --topic 'community.orders.v1'
$KAFKA_ACLS --add --allow-principal User:feeder --operation Write --topic 'community.referrals.v1'

# deliver
$KAFKA_ACLS --add --allow-principal User:deliver --operation Read --group 'qunpulse-alert-delivery'
$KAFKA_ACLS --add --allow-principal User:deliver --operation Read --topic 'community.alerts.v1'

# operator
$KAFKA_ACLS --add --allow-principal User:operator --operation Write --topic 'community.commands.v1'
$KAFKA_ACLS --add --allow-principal User:operator --operation Write --topic 'community.joins.v1'
$KAFKA_ACLS --add --allow-principal User:operator --operation Write --topic 'community.messages.v1'
$KAFKA_ACLS --add --allow-principal User:operator --operation Write --topic 'community.orders.v1'
$KAFKA_ACLS --add --allow-principal User:operator --operation Describe --topic 'community.referral-facts.v1'
$KAFKA_ACLS --add --allow-principal User:operator --operation Write --topic 'community.referrals.v1'

# admin
$KAFKA_ACLS --add --allow-principal User:admin --operation Describe --group 'qunpulse'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.alerts.v1'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.commands.v1'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.deadletter.v1'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.joins.v1'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.messages.v1'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.milestones.v1'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.orders.v1'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.referral-facts.v1'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.referrals.v1'
$KAFKA_ACLS --add --allow-principal User:admin --operation AlterConfigs --operation Create --operation Describe --operation DescribeConfigs --topic 'community.touches.v1'
