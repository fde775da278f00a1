"""The transport to the Client Portal Gateway: HTTP, cookies, TLS, WebSocket. It knows nothing of gRPC or REST rows."""
