"""What every RPC passes: request ids, errors, the browser guard, logging; and the gRPC server itself."""
