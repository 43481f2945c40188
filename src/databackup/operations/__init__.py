"""What a host calls: export, import, inspect, verify. They know the protocol, and no store."""
