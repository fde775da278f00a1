"""ContractsService: what can be traded, and how.

resolving  one contract out of what a symbol may mean
chains     strikes and options of an underlying
schedules  when venues trade, in UTC
decode     the gateway's JSON as messages
service    ContractsService
"""
