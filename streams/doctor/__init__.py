"""What `qunpulse doctor` looks at: Kafka, ClickHouse, who holds which partition, clocks, disks. It changes nothing."""
