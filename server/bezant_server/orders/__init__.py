"""OrdersService: an order is sent at most once, and its outcome is always told.

tickets      what callers ask for, checked, as the gateway takes it
answers      what the gateway answers to an order, as outcomes
desk         sends orders, answers questions in advance, remembers what is open
amendments   a change of a working order, over the order as it is
book         the orders and executions that the gateway shows
search       looks for orders whose answer was lost
absence      when an order that IBKR does not list is certainly not there
audit        one log line for each action
vocabulary   IBKR's words for types, sides, statuses
decode       the gateway's JSON as messages
service      OrdersService
"""
