"""The REST sidecar: its rows, the fallback to the gateway, and the debug pages. Bodies are the gateway's own bytes."""
