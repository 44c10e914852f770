"""What can be seen of a running gateway: ids, metrics, logs. Counts and writes; decides nothing."""
