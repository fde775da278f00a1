"""bezant-grpc: one Interactive Brokers session, served to many programs as gRPC and REST."""
