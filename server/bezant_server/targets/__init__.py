"""TargetOrdersService: stocks by target, and the same as JSON under /api/v1.

requests      what callers ask for, checked as a whole before anything is done
accounts      which account is meant, and whether it may be traded
prices        limits out of tolerances, on the contract's tick
holdings      what an account holds, and what its working orders will bring
planning      the orders that are missing to the targets
placing       sends the orders of a batch, each at most once, and notes every step before it is taken
tracking      what became of orders: looked for, and brought up to date
batches       all of that for callers: placed one batch of an account at a time, shown, cancelled, brought to an end
spelling      sides, types, quantities, and errors that mean something
statuses      IBKR's statuses in the words of the trading API
records       batches and their orders, as they are on disk
store         the SQLite database: its schema and every statement
ledger        the database for the rest, off the event loop
broker        the gateway's failures as callers of target orders know them
failpoints    where tests have the server killed
service       TargetOrdersService
rest_service  the same as JSON
build         puts it together
"""
