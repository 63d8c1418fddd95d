"""Speed and resource use of the gear, measured beside other senders."""
