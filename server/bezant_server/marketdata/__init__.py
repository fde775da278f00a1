"""MarketDataService: quotes and bars.

fields    every field of a quote, in one table
quotes    snapshots that are whole, out of the gateway's that come in pieces
bars      long stretches of history, out of as many calls as they take
decode    the gateway's JSON as messages
service   MarketDataService
"""
