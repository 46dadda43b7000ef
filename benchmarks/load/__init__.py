"""A load generator: open loop from intended send times, or closed loop, beside its own proven head-room."""
