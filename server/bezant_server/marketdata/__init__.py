"""MarketDataService: quotes, bars and books of orders.

fields    every field of a quote, in one table
quotes    snapshots that are whole, out of the gateway's that come in pieces
bars      long stretches of history, out of as many calls as they take
live      what is known at present of something that the socket tells
latest    a quote of that kind, ladder a book of orders, live_bars the newest bars
feeds     where streams get these
streams   what streams say, and when
decode    the gateway's JSON as messages
service   MarketDataService
"""
