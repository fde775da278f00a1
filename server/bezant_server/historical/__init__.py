"""HistoricalDataService: bars and contracts in the words of Trader Workstation, and the same as JSON under /ib.

words         durations and sizes of bars, as the gateway takes them
products      the product codes and their table
symbols       what a symbol or a code means: one contract
sides         bars of the bid and of the ask
bars          bars of the past
details       contracts as Trader Workstation describes them
zones         the time zone of a contract's exchange
connection    whether data can be served, and a new connection
service       HistoricalDataService
rest_service  the same as JSON
build         puts it together
"""
