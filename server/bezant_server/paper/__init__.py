"""The paper gateway: a simulator of IBKR's Client Portal Gateway over real HTTPS and WebSocket.

It is a process of its own and imports nothing from the rest of the package.
"""
